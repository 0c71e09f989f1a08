"""Reports of jobs that run, on a real cluster whose GPUs are measured by agents."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.lab.agents import NodeAgents
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.reported import Reports, Row, login

USE = {"h01": [0] * 8, "h02": [83, 83, 0, 0, 0, 0, 0, 0]}
"""Two GPUs of h02 are at work, the others and all of h01 rest; nobody looks at h03."""
MINUTES_S = 180.0
"""Readings are kept when the minute that they belong to is over."""


def test_r10_active_idle_and_unknown_of_running_jobs_are_what_they_hold(
    lab: SlurmLab, stub_builds: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    agents = NodeAgents(folder, stub_builds["today"], USE)
    telemetry = f'[telemetry.nodes]\nkind = "agents"\ntargets_file = "{agents.targets}"\n'
    reports = Reports(*login(lab, tmp_path, telemetry, "[intervals]\nrefresh_s = 5\n"))
    with agents:
        busy = lab.submit("-p", "h100", "-w", "h02", "--gres=gpu:2")
        idle = lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:1", user="lab_bob")
        unseen = lab.submit("-p", "h100", "-w", "h03", "--gres=gpu:4", "-A", "bio", user="lab_bob")
        for job in (busy, idle, unseen):
            lab.wait(job, "RUNNING")
        began = int(time.time())
        collector = reports.foundry.start("--config", reports.config, "collect")
        try:
            jobs: dict[str, Row] = {}

            def measured() -> bool:
                end = int(time.time())
                rows, _ = reports("jobs", (began - 2, end))
                jobs.update((row["job_id"], row) for row in rows)
                return busy in jobs and float(jobs[busy]["gpu_active_hours"] or 0) > 0

            until(measured, MINUTES_S, "a minute of readings in a report", 5)
            end = int(time.time())
            rows, meta = reports("usage-by-user", (began - 2, end))
        finally:
            collector.terminate()
            collector.communicate(timeout=30)
    assert float(jobs[busy]["gpu_idle_hours"]) == 0
    assert float(jobs[idle]["gpu_idle_hours"]) > float(jobs[idle]["gpu_active_hours"]) == 0
    assert jobs[unseen]["gpu_unknown_hours"] == jobs[unseen]["gpu_hours_in_window"]
    assert (jobs[unseen]["telemetry_coverage_pct"], jobs[unseen]["attribution"]) == ("0.00", "none")
    for row in (*jobs.values(), *rows):
        parts = (float(row[f"gpu_{part}_hours"] or 0) for part in ("active", "idle", "unknown"))
        whole = row.get("gpu_allocated_hours") or row.get("gpu_hours_in_window") or "0"
        assert sum(parts) == pytest.approx(float(whole), abs=1e-9)
    totals = meta["totals"]
    parts_ms = (totals[f"{part}_gpu_ms"] for part in ("active", "idle", "unknown"))
    assert sum(parts_ms) == totals["allocated_gpu_ms"]
    assert min(totals[f"{part}_gpu_ms"] for part in ("active", "idle", "unknown")) > 0
    assert meta["counted_apart"]["running"] == 3
