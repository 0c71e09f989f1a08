"""Simulated nodes: they speak as the agent does, and end when they are told to."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foundry_tui.agent.serving.names import METRICS
from foundry_tui.agent.serving.page import Known, render
from foundry_tui.agent.serving.windows import Windows
from foundry_tui.agent.shapes import Device, GpuRound, ProcessUse, Round
from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.telemetry.demo.agents import DemoAgentsError, _room
from foundry_tui.telemetry.demo.page import GPUS, DemoNode
from foundry_tui.telemetry.exposition.metrics import ASKED
from foundry_tui.telemetry.nodes.source import NodesSource

AT = 1_763_740_030.0
FOUNDRY = str(Path(sys.executable).with_name("foundry"))
SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? ", re.MULTILINE)


def shapes(page: bytes) -> dict[str, set[tuple[str, ...]]]:
    """Names of the labels that each metric of a page has."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for name, labels in SERIES.findall(page.decode()):
        found.setdefault(name, set()).add(tuple(sorted(re.findall(r'(\w+)="', labels))))
    return found


def real_page(names: frozenset[str] | None = None) -> bytes:
    """A page of the agent itself, of a GPU with a run."""
    device = Device(0, "GPU-1", 0, "00000000:18:00.0", "NVIDIA H100 80GB HBM3", False)
    values = {metric.key: 1.0 for metric in METRICS}
    use = ProcessUse("GPU-1", 42, 7, uid=1000, job="77", how="cgroup", sm_util=5.0)
    windows = Windows()
    for second in (5, 15, 65):
        at = AT // 60 * 60 - 60 + second
        windows.add(Round(at, 0.01, "580.95.05", [GpuRound(device, values)], [use]))
    latest = Round(AT - 1, 0.01, "580.95.05", [GpuRound(device, values)], [use])
    known = Known(latest=latest, window=windows.served(AT), age_s=1.0)
    return render(known, host="n1", jobs=True, now=AT, names=names)


def test_a_page_has_the_series_and_labels_of_the_agents() -> None:
    real, demo = shapes(real_page()), shapes(DemoNode(1, "n1").page(AT))
    assert "foundry_gpu_job_info" in demo and "foundry_gpu_process_sm_util" in demo
    for name, labels in demo.items():
        assert labels == real[name], name
    assert {metric.name for metric in METRICS} <= demo.keys()


def test_a_page_that_was_asked_for_has_the_series_of_the_agents_and_no_other() -> None:
    names = frozenset(ASKED)
    real, demo = shapes(real_page(names)), shapes(DemoNode(1, "n1").page(AT, names))
    sometimes = {
        "foundry_gpu_failure_info",
        "foundry_gpu_instance_info",
        "foundry_gpu_xid_timestamp_seconds",
    }
    assert demo == real
    comments = [page.count(b"#") for page in (real_page(names), DemoNode(1, "n1").page(AT, names))]
    assert comments[0] == comments[1]
    assert names - demo.keys() == sometimes | {"foundry_agent_problem_info"}


def test_a_page_follows_from_the_node_and_the_minute_alone() -> None:
    first, again = DemoNode(7, "n7"), DemoNode(7, "n7")
    assert first.page(AT) == again.page(AT)
    values = first.page(AT).split(b"\n", 6)[6]
    assert first.page(AT + 20).split(b"\n", 6)[6] == values, "the window is the same"
    assert first.page(AT + 60).split(b"\n", 6)[6] != values
    assert DemoNode(8, "n8").page(AT).split(b"\n", 6)[6] != values


def test_more_nodes_than_the_host_allows_are_refused_with_what_would_do() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with pytest.raises(DemoAgentsError, match=f"{hard} are allowed"):
        _room(hard + 1)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_nodes_that_a_source_reads(tmp_path: Path, end: signal.Signals) -> None:
    path = tmp_path / "targets.json"
    argv = [FOUNDRY, "demo-agents", "5", "-o", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        try:
            assert b"5 nodes with 40 GPUs answer" in child.stderr.readline()
            groups = json.loads(path.read_text())
            assert [group["labels"]["node"] for group in groups] == [
                f"demo{number:04d}" for number in range(1, 6)
            ]
            source = NodesSource(
                TelemetryConfig(name="demo", kind="agents", targets_file=path), env={}
            )
            sweep = source.read((), 20)
            source.close()
            assert (len(sweep.readings), sweep.source.reason) == (5 * GPUS, None)
        finally:
            child.send_signal(end)
        assert child.wait(10) == 0
        fragment = child.stdout.read().decode()
    assert "[telemetry.demo]" in fragment
    assert json.dumps(str(path)) in fragment
    assert child.stderr.closed


def test_a_list_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [FOUNDRY, "demo-agents", "2", "-o", str(tmp_path / "none" / "t.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
