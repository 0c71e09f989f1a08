"""The small trace in `data/`: made by a seeded command, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from scheduler_sim.arrivals.trace import read_trace
from scheduler_sim.cli.sample import NODES_FILE, PODS_FILE, sample
from tests.scheduler_sim.cli.data import DATA, NODES, PODS


def test_the_files_are_what_the_command_writes(tmp_path: Path) -> None:
    done = CliRunner().invoke(sample, ["-d", str(tmp_path)])
    assert done.exit_code == 0
    for name in (NODES_FILE, PODS_FILE):
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


def test_it_asks_for_nearly_all_gpus() -> None:
    trace = read_trace(NODES, PODS)
    asked = sum(trace.kinds[row].total_milli for row in trace.kind_of.tolist())
    assert 0.9 < asked / trace.capacity_milli <= 0.98
    assert len(trace.nodes) == 16
