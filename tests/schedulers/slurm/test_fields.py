"""The fields of waiting jobs: what is sent, what is refused, and what counts as proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.schedulers.slurm.fields import FIELDS, update_words
from foundry_tui.schedulers.slurm.gres import gpu_refusal, gpu_value, gpu_word, gpus_proven
from foundry_tui.schedulers.slurm.jobchange import told, values
from foundry_tui.schedulers.slurm.nodes import parse_nodes, to_reason
from foundry_tui.schedulers.slurm.present import Present
from foundry_tui.schedulers.slurm.proof import reached


def record(**words: str) -> Present:
    return Present(job_id="7", native="7", state="PENDING", reason="Priority", words=words)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("queue", "h100,a100", "Partition=h100,a100"),
        ("time_limit_s", "61", "TimeLimit=2"),
        ("time_limit_s", "unlimited", "TimeLimit=UNLIMITED"),
        ("memory_per_node", "2G", "MinMemoryNode=2048"),
        ("memory_per_cpu", "1500M", "MinMemoryCPU=1500"),
        ("nodelist", "", "ReqNodeList="),
        ("begin", "", "StartTime=now"),
        ("nice", "", "Nice=0"),
        ("gpus", "2", "TresPerJob=gres:gpu:2"),
        ("gpus_per_node", "h100:2", "Gres=gpu:h100:2"),
    ],
)
def test_values_are_sent_as_slurm_takes_them(name: str, value: str, word: str) -> None:
    assert update_words(((name, value),)) == (word,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("queue", ""), ("time_limit_s", ""), ("account", ""), ("gpus", ""), ("nodes", "")),
        *(("priority", "0"), ("priority", "-1"), ("priority", "INFINITE")),
        *(("time_limit_s", "soon"), ("memory_per_node", "much"), ("features", "a\nPriority=1")),
        *(("time_limit_s", "-5"), ("time_limit_s", "0")),
        *(("begin", "midnight"), ("begin", "now+1fortnight"), ("begin", "2030-13-01")),
    ],
)
def test_values_that_slurm_would_misread_are_errors_that_name_the_field(
    name: str, value: str
) -> None:
    with pytest.raises(ValueError, match="memory" if name.startswith("memory") else name):
        update_words(((name, value),))


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=20))
def test_a_field_gives_one_word_of_its_own_or_an_error(name: str, value: str) -> None:
    try:
        (word,) = update_words(((name, value),))
    except ValueError:
        return
    assert word.startswith(f"{FIELDS[name].update}=")
    assert word.isprintable()


def test_a_gpu_request_is_read_in_both_spellings() -> None:
    assert gpu_value({"per_node": "gres:gpu:h100:2"}, "gpus_per_node") == "h100:2"
    assert gpu_value({"per_job": "gres/gpu:4"}, "gpus") == "4"
    assert gpu_value({"per_node": "gpu"}, "gpus_per_node") == "1"
    assert gpu_value({"per_node": ""}, "gpus_per_node") == ""
    assert gpu_value({"per_node": "gres:shard:2"}, "gpus_per_node") is None
    assert gpu_value({"per_node": "gres:gpu:1,gres:shard:2"}, "gpus_per_node") is None
    assert gpu_value({}, "gpus_per_node") is None
    assert gpu_word({"per_job": "gres/gpu:4"}, "gpus", "2") == "gres/gpu:2"
    assert gpu_word({"per_job": "gres:gpu:4"}, "gpus", "2") == "gres:gpu:2"


def test_only_the_number_of_gpus_changes() -> None:
    typed = {"per_node": "gres:gpu:h100:4", "per_job": "", "per_task": ""}
    assert gpu_refusal(typed, "gpus_per_node", "h100:2") is None
    for value in ("a100:2", "2", "0", "", "h100:two", "shard:2", "h100:2,a100:1"):
        assert gpu_refusal(typed, "gpus_per_node", value)
    assert gpu_refusal({"per_node": "", "per_job": "", "per_task": ""}, "gpus", "1")
    assert gpu_refusal({"per_node": ""}, "gpus_per_node", "1") is None


def test_a_type_left_behind_in_the_tres_is_no_proof() -> None:
    words = {"per_node": "gres:gpu:h100:1", "nodes": "1"}
    good = {**words, "tres": "cpu=1,gres/gpu=1,gres/gpu:h100=1"}
    stale = {**words, "tres": "cpu=1,gres/gpu=1,gres/gpu:a100=2,gres/gpu:h100=1"}
    assert gpus_proven(good, "gpus_per_node", "h100:1")
    assert not gpus_proven(stale, "gpus_per_node", "h100:1")
    job = {"per_job": "gpu:3", "tres": "cpu=1,gres/gpu=2"}
    assert not gpus_proven(job, "gpus", "3")
    two = {"per_node": "gres:gpu:4", "nodes": "2-2", "tres": "gres/gpu=8"}
    assert gpus_proven(two, "gpus_per_node", "4")


@pytest.mark.parametrize(
    ("name", "asked", "seen", "proven"),
    [
        ("time_limit_s", "61", "120", True),
        ("time_limit_s", "600", "60", False),
        ("time_limit_s", "unlimited", "unlimited", True),
        ("nodelist", "h01,h02", "h[01-02]", True),
        ("nodelist", "", "h01", False),
        ("exclude", "", "", True),
        ("queue", "a,b", "b,a", True),
        ("queue", "a,b", "a", False),
        ("nodes", "2", "2-2", True),
        ("nodes", "2-2", "2", True),
        ("nodes", "1-2", "1-3", False),
        ("memory_per_node", "2G", "2048M", True),
        ("dependency", "afterok:1:2", "afterok:1,afterok:2", True),
        ("dependency", "afterok:1:2", "afterok:2", True),
        ("dependency", "afterok:1", "", False),
        ("dependency", "", "afterok:1", False),
        ("licenses", "cfd", "cfd:1", True),
        ("nice", "", "0", True),
        ("qos", "low", "normal", False),
        ("priority", "", "0", False),
        ("priority", "", "9", True),
    ],
)
def test_what_proves_a_change(name: str, asked: str, seen: str, proven: bool) -> None:
    assert reached(name, asked, record(**{name: seen}), "7") is proven


def test_what_is_not_told_proves_nothing() -> None:
    assert not any(reached(name, "1", record(), None) for name in FIELDS)
    assert not reached("priority", "", record(priority="7"), "7")


def test_a_begin_is_proved_by_the_time_from_which_the_job_waits() -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    for asked, seen, proven in (
        ("", "", True),
        ("now", later, False),
        ("now+1hour", later, True),
        ("now+60", later, False),
        ("now+1hour", "", False),
        (later, later, True),
        ("2030-01-02T03:04:05", later, False),
    ):
        assert reached("begin", asked, record(begin=seen), None) is proven, asked


def test_old_values_are_read_again_from_what_is_told() -> None:
    text = told([record(queue="a,b", nodelist="", features="h100&nvlink")], [
        "queue", "nodelist", "features", "nice",
    ])  # fmt: skip
    assert text == "pending; queue=a,b; nodelist=; features=h100&nvlink; nice=—"
    assert values(text) == {"queue": "a,b", "nodelist": "", "features": "h100&nvlink", "nice": "—"}
    assert values(None) == {}


def test_the_reason_of_a_drain_comes_with_who_and_when() -> None:
    (node,) = parse_nodes(
        "NodeName=c01 State=IDLE+DRAIN Reason=b c [root@2026-11-22T02:52:30] Comment=x"
    )
    assert to_reason(node) == ("b c", "root", "2026-11-22T02:52:30")
    (node,) = parse_nodes("NodeName=c01 State=IDLE ")
    assert to_reason(node) == ("", "", "")
