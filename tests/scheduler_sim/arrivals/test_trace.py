"""Traces are read as they are written, and a bad one is refused with file, line and field."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from scheduler_sim.arrivals.trace import LONGEST_LINE, Trace, TraceError, read_trace
from scheduler_sim.cluster import NodeSpec, Request

NODES = "sn,cpu_milli,memory_mib,gpu,model\nn0,64000,262144,2,T4\nn1,96000,786432,8,G2\n"
PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos\n"
    "pod-2,4000,15258,1,220,T4|G2,LS\n"
    "pod-0,12500,57344,0,0,T4,LS\n"
    "pod-1,4000,15258,1,220,G2|T4,BE\n"
    "pod-3,8000,100,8,1000,,BE\n"
)


def written(folder: Path, nodes: str = NODES, pods: str = PODS) -> tuple[Path, Path]:
    (folder / "nodes.csv").write_text(nodes)
    (folder / "openb_pod_list_mine.csv").write_text(pods)
    return folder / "nodes.csv", folder / "openb_pod_list_mine.csv"


def test_a_trace_is_read(tmp_path: Path) -> None:
    trace = read_trace(*written(tmp_path))
    assert trace.name == "mine"
    assert trace.nodes[1] == NodeSpec("n1", 8, "G2", 96_000, 786_432)
    assert trace.capacity_milli == 10_000
    assert trace.pods == ("pod-0", "pod-1", "pod-2", "pod-3")
    shared = Request(1, 220, 4000, 15_258, ("G2", "T4"))
    assert [trace.kinds[kind] for kind in trace.kind_of] == [
        Request(0, 1000, 12_500, 57_344),
        shared,
        shared,
        Request(8, 1000, 8000, 100),
    ]
    assert len(trace.kinds) == 3


def test_a_compressed_trace_without_models_is_read(tmp_path: Path) -> None:
    nodes, pods = written(tmp_path)
    packed = tmp_path / "plain.csv.gz"
    lines = [line.rsplit(",", 2)[0] for line in pods.read_text().splitlines()]
    packed.write_bytes(gzip.compress("\r\n".join(lines).encode("utf-8-sig")))
    trace = read_trace(nodes, packed)
    assert trace.name == "plain"
    assert not any(kind.models for kind in trace.kinds)


def test_pods_that_no_node_can_host_belong_to_the_trace(tmp_path: Path) -> None:
    pods = "a,1,1,1,500,NONE,\nb,1,1,64,1000,,\nc,999999999,1,0,0,,\n"
    trace = read_trace(*written(tmp_path, pods=PODS + pods))
    assert len(trace.pods) == 7


@pytest.mark.parametrize(
    ("line", "field", "what"),
    [
        ("pod-9,-1,1,1,500,,LS", "cpu_milli", "within 0..1000000000, got -1"),
        ("pod-9,1,1,-2,500,,LS", "num_gpu", "got -2"),
        ("pod-9,1,1,1,0,,LS", "gpu_milli", "within 1..1000"),
        ("pod-9,0,0,0,0,,LS", "cpu_milli", "asks for no CPU, no memory and no GPU"),
        ("pod-9,1,1,1,1001,,LS", "gpu_milli", "got 1001"),
        ("pod-9,1,1,2,500,,LS", "gpu_milli", "only one GPU can be shared"),
        ("pod-9,lots,1,1,500,,LS", "cpu_milli", "a whole number, got 'lots'"),
        ("pod-9,1,NaN,1,500,,LS", "memory_mib", "a whole number, got 'NaN'"),
        ("pod-9,1,1.5,1,500,,LS", "memory_mib", "a whole number, got '1.5'"),
        ("pod-9,1,1,1,1_0,,LS", "gpu_milli", "a whole number"),
        ("pod-9,99999999999999999999,1,1,500,,LS", "cpu_milli", "a whole number"),
        ("pod-9,2000000000,1,1,500,,LS", "cpu_milli", "within 0..1000000000"),
        ("pod-9,1,,1,500,,LS", "memory_mib", "is empty"),
        (",1,1,1,500,,LS", "name", "is empty"),
        ("pod-9,1,1,1,500,T4||G2,LS", "gpu_spec", "a model without a name"),
        ("pod-1,1,1,1,500,,LS", "name", "pod-1 is on line 4 already"),
        ("pod-9,1,1", "name", "incomplete: 3 values for 7 columns"),
        ("pod-9,1,1,1,500,,LS,more", "name", "incomplete: 8 values"),
        ("", "name", "incomplete: blank"),
    ],
)
def test_a_bad_pod_is_named(tmp_path: Path, line: str, field: str, what: str) -> None:
    nodes, pods = written(tmp_path, pods=f"{PODS}{line}\npod-10,1,1,1,500,,LS\n")
    with pytest.raises(TraceError) as caught:
        read_trace(nodes, pods)
    assert f"{pods}, line 6: {field}: " in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("line", "field", "what"),
    [
        ("n9,-5,1,1,T4", "cpu_milli", "got -5"),
        ("n9,5,1,17,T4", "gpu", "within 0..16, got 17"),
        ("n9,5,nan,1,T4", "memory_mib", "a whole number"),
        ("n1,5,1,1,T4", "sn", "n1 is on line 3 already"),
    ],
)
def test_a_bad_node_is_named(tmp_path: Path, line: str, field: str, what: str) -> None:
    nodes, pods = written(tmp_path, nodes=f"{NODES}{line}\n")
    with pytest.raises(TraceError) as caught:
        read_trace(nodes, pods)
    assert f"{nodes}, line 4: {field}: " in str(caught.value)
    assert what in str(caught.value)


@pytest.mark.parametrize("column", ["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    nodes, pods = written(tmp_path, pods=PODS.replace(f"{column},", "other,", 1))
    with pytest.raises(TraceError, match=f"line 1: {column}: one column is needed, got .*other"):
        read_trace(nodes, pods)


def test_a_column_that_comes_twice_is_named(tmp_path: Path) -> None:
    nodes, pods = written(tmp_path, pods=PODS.replace("qos", "num_gpu", 1))
    with pytest.raises(TraceError, match="line 1: num_gpu: one column is needed"):
        read_trace(nodes, pods)


def test_empty_files_are_refused(tmp_path: Path) -> None:
    nodes, pods = written(tmp_path, pods="")
    with pytest.raises(TraceError, match=r"mine.csv, line 1: name: .*an empty line"):
        read_trace(nodes, pods)
    nodes, pods = written(tmp_path, pods=PODS.splitlines()[0])
    with pytest.raises(TraceError, match=r"mine.csv: pods: the trace is empty"):
        read_trace(nodes, pods)
    nodes, pods = written(tmp_path, nodes=NODES.splitlines()[0])
    with pytest.raises(TraceError, match="gpu: none of the 0 nodes has a GPU"):
        read_trace(nodes, pods)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    nodes, pods = written(tmp_path)
    broken = tmp_path / "broken.csv.gz"
    whole = gzip.compress(PODS.encode())
    for content in (b"name,cpu_milli", whole[:-9], whole[:20] + b"\0\0\0" + whole[23:]):
        broken.write_bytes(content)
        with pytest.raises(TraceError, match=r"broken.csv.gz: cannot be read"):
            read_trace(nodes, broken)
    with pytest.raises(TraceError, match=r"absent.csv: cannot be read"):
        read_trace(tmp_path / "absent.csv", pods)
    pods.write_bytes(PODS.encode() + b"\xff\xfe,1,1,1,500,,LS\n")
    with pytest.raises(TraceError, match=r"mine.csv: cannot be read"):
        read_trace(nodes, pods)


def test_a_trace_made_in_memory_is_checked_too() -> None:
    node, pod = NodeSpec("n", 2, "T4", 1000, 1000), Request(1, 500)
    for nodes, pods, what in (
        ([node, node], [("a", pod)], "sn: n comes twice"),
        ([node], [("a", pod), ("b", pod), ("a", pod)], "name: a comes twice"),
        ([NodeSpec("n", 17, "T4", 1, 1)], [("a", pod)], "gpu: n has 17, at most 16"),
        ([node], [("a", Request(2, 500))], "gpu_milli: 500 of each of 2 GPUs"),
        ([NodeSpec("n", 0, "", 1, 1)], [("a", pod)], "gpu: none of the 1 nodes has a GPU"),
    ):
        with pytest.raises(TraceError, match=what):
            Trace.of("t", nodes, pods)


def test_kinds_do_not_depend_on_the_order_of_the_file() -> None:
    node = NodeSpec("n", 2, "T4", 1000, 1000)
    pods = [(f"p{i}", Request(1, 100 + i % 3)) for i in range(9)]
    one, other = Trace.of("t", [node], pods), Trace.of("t", [node], pods[::-1])
    assert (one.kinds, one.pods) == (other.kinds, other.pods)
    assert np.array_equal(one.kind_of, other.kind_of)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    nodes, pods = written(tmp_path, pods=PODS + "," * (LONGEST_LINE + 1))
    with pytest.raises(TraceError, match="line 6: is longer than"):
        read_trace(nodes, pods)


def test_a_folder_and_a_missing_file_are_named_once(tmp_path: Path) -> None:
    nodes, _ = written(tmp_path)
    for path, words in ((tmp_path, "Is a directory"), (tmp_path / "no", "No such file")):
        with pytest.raises(TraceError, match=words) as told:
            read_trace(nodes, path)
        assert str(told.value).count(str(path)) == 1
