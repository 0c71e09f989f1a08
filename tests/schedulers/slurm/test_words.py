"""Slurm's own words: host lists, gres, node states, details that names try to forge."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.estate.node import NodeState
from foundry_tui.estate.run import RunState
from foundry_tui.schedulers.slurm import nodes
from foundry_tui.schedulers.slurm.details import parse_details
from foundry_tui.schedulers.slurm.hostlist import MAX_HOSTS, expand, numbers
from foundry_tui.schedulers.slurm.jobs import array_part, native_id, to_runs
from foundry_tui.schedulers.slurm.rows import Held, JobRow, JobTable
from foundry_tui.schedulers.slurm.tres import Gres, Worth, count, parse_gres, parse_tres, size_bytes

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("h01", ("h01",)),
        ("h[01-03,07],a1", ("h01", "h02", "h03", "h07", "a1")),
        ("r[1-2]n[8-9]", ("r1n8", "r1n9", "r2n8", "r2n9")),
        ("n[098-101]-ib", ("n098-ib", "n099-ib", "n100-ib", "n101-ib")),
        ("", ()),
        ("(null)", ()),
        ("None assigned", ()),
    ],
)
def test_host_lists(text: str, names: tuple[str, ...]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize("text", ["h[1-2", "h[3-1]", f"h[0-{MAX_HOSTS + 5}]", "h1]"])
def test_broken_host_lists_are_errors(text: str) -> None:
    with pytest.raises(ValueError, match="host list"):
        expand(text)


@given(st.text(max_size=60))
def test_no_host_list_does_anything_but_expand_or_fail(text: str) -> None:
    with suppress(ValueError):
        assert all("[" not in name for name in expand(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu:h100:8,shard:32", (Gres("gpu", "h100", 8), Gres("shard", None, 32))),
        ("gpu:2", (Gres("gpu", None, 2),)),
        ("gpu", (Gres("gpu", None, 1),)),
        ("gpu:h100:2(IDX:0-1)", (Gres("gpu", "h100", 2, (0, 1)),)),
        ("gpu:h100:0(IDX:N/A)", (Gres("gpu", "h100", 0, ()),)),
        ("gpu:nvidia_h100_80gb_hbm3:4(S:0-1)", (Gres("gpu", "nvidia_h100_80gb_hbm3", 4),)),
        ("shard:h100:3(1/4,0/4,2/4)", (Gres("shard", "h100", 3, (0, 2)),)),
        ("gres/gpu:a100=3", (Gres("gpu", "a100", 3),)),
        ("gres:gpu:h100:8", (Gres("gpu", "h100", 8),)),
        ("mps:a100:400,craynetwork:2", (Gres("mps", "a100", 400),)),
        ("(null)", ()),
    ],
)
def test_gres(text: str, found: tuple[Gres, ...]) -> None:
    assert parse_gres(text) == found


def test_typed_and_untyped_counts_are_never_added() -> None:
    assert count(parse_tres("cpu=1,gres/gpu=3,gres/gpu:h100=3"), "gpu") == 3
    assert count(parse_tres("gres/gpu:h100=3,gres/gpu:a100=1"), "gpu") == 4


def test_sizes() -> None:
    assert size_bytes("1000M") == 1000 << 20
    assert size_bytes("250G") == 250 << 30
    assert size_bytes("1.50T") == int(1.5 * (1 << 40))
    assert size_bytes("512") == 512 << 20
    assert size_bytes("") is None
    assert size_bytes("?") is None


def test_worth_of_shares() -> None:
    worth = Worth.of(parse_gres("gpu:h100:8,shard:32,mps:800"))
    assert worth.milli("shard", 1) == 250
    assert worth.milli("mps", 50) == 500
    assert worth.milli("gpu", 3) == 3000
    assert Worth().milli("shard", 1) is None
    assert Worth(shard=1000 / 3).milli("shard", 3) == 1000


def details_line(job: int, name: str, gres: str = "gpu:h100:2(IDX:0-1)") -> str:
    return (
        f"JobId={job} JobName={name} UserId=lab_alice(20001) Priority=1 JobState=RUNNING "
        f"NodeList=h01 JOB_GRES=gpu:h100:2   Nodes=h01 CPU_IDs=0 Mem=1000 GRES={gres} "
        "MinCPUsNode=1 Command=(null)"
    )


def test_details_of_several_nodes() -> None:
    line = details_line(7, "train").replace(
        " MinCPUsNode", "   Nodes=h[02-03] CPU_IDs=0-3 Mem=9 GRES=gpu:h100:1(IDX:7) MinCPUsNode"
    )
    held, doubtful = parse_details(line, frozenset({"7"}))
    assert not doubtful
    assert held["7"] == (
        Held("h01", "gpu", "h100", 2, (0, 1)),
        Held("h02", "gpu", "h100", 1, (7,)),
        Held("h03", "gpu", "h100", 1, (7,)),
    )


def test_a_name_that_forges_another_jobs_line_is_not_believed() -> None:
    forged = "x\n" + details_line(8, "y", "gpu:h100:2(IDX:6-7)") + "\nrest"
    text = "\n".join((details_line(7, forged), details_line(8, "honest")))
    held, doubtful = parse_details(text, frozenset({"7", "8"}))
    assert "8" in doubtful
    assert "8" not in held


def test_a_name_that_imitates_its_own_words_is_not_believed() -> None:
    name = "x UserId=root(0) JOB_GRES=gpu:1   Nodes=h04 CPU_IDs=0 Mem=1 GRES=gpu(IDX:0-7) z"
    held, doubtful = parse_details(details_line(7, name), frozenset({"7"}))
    assert doubtful == {"7"}
    assert not held


def test_parts_in_a_name_are_not_parts_of_the_job() -> None:
    name = "x Nodes=h04 CPU_IDs=0 Mem=0 GRES=gpu:h100:8(IDX:0-7)"
    held, doubtful = parse_details(details_line(7, name), frozenset({"7"}))
    assert not doubtful
    assert held["7"] == (Held("h01", "gpu", "h100", 2, (0, 1)),)


def test_a_whole_record_in_a_name_is_not_believed() -> None:
    # Both lines are well formed: the real record is the tail of the forged one.
    name = details_line(5, "x").partition("JobName=")[2] + "\nJobId=17 JobName=y"
    text = details_line(5, name).replace("JobId=5 JobName=x UserId", "JobId=5 JobName=x UserId")
    held, _ = parse_details(text, frozenset({"5"}))
    assert "17" not in held


NODE = (
    "NodeName=h01 Arch=x86_64 CPUAlloc=5 CPUEfctv=32 CPUTot=32 AvailableFeatures=h100,ib "
    "Gres=gpu:h100:8,shard:32 GresUsed=gpu:h100:3(IDX:2-4),shard:h100:3(IDX:0-1,5) "
    "OS=Linux 6.1 #1 SMP RealMemory=256000 AllocMem=5000 State={state} Partitions=gpu,h100 "
    "CfgTRES=cpu=32,mem=250G,gres/gpu=8,gres/shard=32 "
    "AllocTRES=cpu=5,mem=5000M,gres/gpu=3,gres/gpu:h100=3,gres/shard=10"
)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("IDLE", NodeState.IDLE),
        ("MIXED", NodeState.MIXED),
        ("ALLOCATED+COMPLETING", NodeState.ALLOCATED),
        ("MIXED+DRAIN", NodeState.DRAINING),
        ("IDLE+DRAIN", NodeState.DRAINED),
        ("DOWN*", NodeState.DOWN),
        ("IDLE*", NodeState.DOWN),
        ("DOWN+NOT_RESPONDING", NodeState.DOWN),
        ("IDLE+MAINTENANCE+RESERVED", NodeState.MAINTENANCE),
        ("IDLE+RESERVED", NodeState.RESERVED),
        ("IDLE+PLANNED", NodeState.IDLE),
        ("IDLE+POWERED_DOWN", NodeState.DOWN),
        ("FUTURE", NodeState.DOWN),
        ("BLOCKED_BY_NEWS", NodeState.UNKNOWN),
    ],
)
def test_node_states(words: str, state: NodeState) -> None:
    (raw,) = nodes.parse_nodes(NODE.format(state=words))
    assert nodes.state(raw) is state


def test_a_node_and_its_gpus() -> None:
    (raw,) = nodes.parse_nodes(
        NODE.format(state="MIXED+DRAIN") + " Reason=bad fan [root@2026-11-21T02:00:00]"
    )
    node = nodes.to_node(raw, "lab", NOW)
    assert (node.gpu_count, node.gpu_model, node.gpu_milli_allocated) == (8, "h100", 5500)
    assert (node.cpu_milli, node.cpu_milli_allocated) == (32_000, 5_000)
    assert (node.memory_bytes, node.memory_bytes_allocated) == (256000 << 20, 5000 << 20)
    assert node.queues == ("gpu", "h100")
    assert node.reason == "bad fan"
    assert node.reason_since == datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
    held = nodes.tenants(
        [
            ("lab/1", (Held("h01", "gpu", "h100", 2, (2, 3)),)),
            ("lab/2", (Held("h01", "shard", None, 2, (0,)),)),
        ],
        {"h01": raw.worth},
    )
    gpus = list(nodes.to_gpus(raw, held["h01"], "lab", NOW))
    assert [g.milli_allocated for g in gpus] == [500, None, 1000, 1000, None, None, 0, 0]
    assert gpus[0].tenants == (Tenant("lab/2", 500, Share.SHARD),)
    assert gpus[4].how == nodes.HIDDEN
    assert gpus[6].tenants == ()


def row(**words: str) -> JobRow:
    return JobRow(**{"job_id": "17", "state": "PENDING", "priority": "100", **words})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "native", "tasks"),
    [
        ("", "17", None),
        ("3", "18_3", 1),
        ("0", "18_0", 1),
        ("2-99%2", "18_[2-99%2]", 98),
        ("1,3,7-100:2%3", "18_[1,3,7-100:2%3]", 2 + 47),
        ("0-9999", "18_[0-9999]", 10_000),
    ],
)
def test_arrays(task: str, native: str, tasks: int | None) -> None:
    record = row(array_task=task, array_job_id="18")
    part = array_part(record)
    assert native_id(record, part) == native
    assert (part.count if part else None) == tasks


def test_runs_from_rows() -> None:
    table = JobTable(
        (
            row(tres="cpu=2,mem=2000M,node=1,gres/shard=2", time_limit="1:00:00", name="a\x1b[31m"),
            row(
                job_id="18",
                state="RUNNING",
                tres="cpu=1,gres/gpu=2,gres/gpu:h100=2",
                nodelist="h01",
                comment="foundry:0123456789abcdef my words",
                num_nodes="1",
            ),
            row(job_id="19", state="PENDING", priority="0", reason="JobHeldUser"),
            row(job_id="20", state="FAILED", exit_code="768", end="2026-11-21T02:00:00"),
            row(job_id="21", state="RUNNING", tres="gres/gpu=1", nodelist="h02"),
        ),
        {"18": (Held("h01", "gpu", "h100", 2, (4, 1)),)},
    )
    runs = to_runs(table, "lab", NOW, {"h01": Worth(shard=250.0)})
    assert runs[0].request.gpu_milli == 500
    assert runs[0].request.gpu_count == 1
    assert runs[0].name == "a␛[31m"
    assert runs[0].name_raw == b"a\x1b[31m"
    assert runs[1].placement[0].gpus == (1, 4)
    assert runs[1].submit_token == "0123456789abcdef"
    assert runs[1].request.gpu_model == "h100"
    assert runs[2].held
    assert runs[2].reason == "JobHeldUser"
    assert (runs[3].state, runs[3].exit_code) == (RunState.FAILED, 3)
    assert runs[4].placement[0].gpus is None, "a GPU whose index is unknown is not no GPU"


def test_shares_of_unlike_nodes_have_no_common_worth() -> None:
    runs = to_runs(
        JobTable((row(tres="gres/shard=1"),)),
        "lab",
        NOW,
        {"h01": Worth(shard=250.0), "h02": Worth(shard=125.0)},
    )
    assert runs[0].request.gpu_milli is None


def test_index_lists() -> None:
    assert numbers("0-2,5") == (0, 1, 2, 5)
    assert numbers("N/A") == ()
