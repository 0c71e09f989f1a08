"""The files of `data/` are what their commands make, and the large estate is one."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from foundry_tui.estate.run import RunState
from foundry_tui.estate.snapshot import Snapshot, decode, encode
from foundry_tui.schedulers.simulated.make_estate import make
from foundry_tui.schedulers.simulated.make_samples import sacct_sample, trace_sample
from tests.schedulers.consistency import assert_consistent

DATA = Path(__file__).parents[3] / "data"


def test_the_small_estate_is_what_its_command_makes() -> None:
    assert (DATA / "estate-12.json").read_bytes() == encode(make(12, 40, 7))


def test_the_samples_are_what_their_command_makes() -> None:
    assert (DATA / "sacct-sample.csv").read_text() == sacct_sample(7)
    assert (DATA / "trace.csv").read_text() == trace_sample(7)


def test_the_small_estate_has_what_was_asked_for() -> None:
    estate = decode((DATA / "estate-12.json").read_bytes())
    assert (len(estate.nodes), len(estate.gpus)) == (12, 96)
    assert sum(r.state is RunState.PENDING for r in estate.runs) == 40
    assert all(r.reason for r in estate.runs if r.state is RunState.PENDING)


def test_a_larger_estate_is_the_same_again_and_each_part_is_consistent() -> None:
    estate = make(60, 200, 3)
    assert encode(estate) == encode(make(60, 200, 3))
    assert (len(estate.nodes), len(estate.gpus)) == (60, 480)
    assert sum(r.state is RunState.PENDING for r in estate.runs) == 200
    for source in ("sim-slurm", "sim-runai"):
        part = Snapshot(
            generated_at=estate.generated_at,
            sources=tuple(s for s in estate.sources if s.name == source),
            nodes=tuple(n for n in estate.nodes if n.source == source),
            gpus=tuple(g for g in estate.gpus if g.source == source),
            queues=tuple(q for q in estate.queues if q.source == source),
            runs=tuple(r for r in estate.runs if r.source == source),
        )
        assert_consistent(part, source)


def test_another_seed_is_another_estate() -> None:
    assert encode(make(6, 4, 1)) != encode(make(6, 4, 2))


def test_the_sacct_sample_reads_as_sacct_prints() -> None:
    lines = (DATA / "sacct-sample.csv").read_text().splitlines()
    assert len(lines) == 201
    assert all(line.endswith("|") for line in lines)
    rows = list(csv.DictReader((line.removesuffix("|") for line in lines), delimiter="|"))
    assert len({row["JobIDRaw"] for row in rows}) > 190
    states = {row["State"].split(" ")[0] for row in rows}
    assert states >= {"COMPLETED", "RUNNING", "FAILED", "CANCELLED", "TIMEOUT"}
    for row in rows:
        if row["State"] == "COMPLETED":
            took = datetime.fromisoformat(row["End"]) - datetime.fromisoformat(row["Start"])
            assert int(row["ElapsedRaw"]) == took.total_seconds()
            assert f"node={row['NNodes']}" in row["AllocTRES"]
            assert len(row["NodeList"].split(",")) == int(row["NNodes"])


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    module = "foundry_tui.schedulers.simulated.make_estate"
    argv = [sys.executable, "-m", module, "--nodes", "6", "--waiting", "4", "--seed", "1"]
    file = tmp_path / "estate.json"
    done = subprocess.run([*argv, "-o", str(file)], capture_output=True, text=True, check=True)
    assert "6 nodes, 48 GPUs" in done.stdout
    assert "4 of them waiting" in done.stdout
    assert len(decode(file.read_bytes()).nodes) == 6
    bad = subprocess.run(
        [*argv[:4], "1", "-o", str(file)], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 2
    assert "nodes: at least 3" in bad.stderr


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^waiting: 0 or more"):
        make(12, -1, 1)
