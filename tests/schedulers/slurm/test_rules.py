"""Changes of nodes and partitions, previewed from canned answers; the lab proves them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from foundry_tui.estate.acts import (
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Preview,
    Receipt,
    ReceiptStatus,
)
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.jobchange import final_change
from foundry_tui.schedulers.slurm.nodechange import preview_node
from foundry_tui.schedulers.slurm.partitionchange import preview_queue, settle_queue

NODES = """\
NodeName=h01 State=MIXED Gres=gpu:h100:8 AllocTRES=cpu=1,gres/gpu=3 Partitions=gpu
NodeName=h02 State=IDLE+DRAIN Gres=gpu:h100:8 Reason=disk [bob@2026-11-22T02:52:30]
NodeName=h03 State=DOWN+DRAIN Gres=gpu:h100:8 Reason=gone [root@2026-11-22T02:52:30]
"""
PARTITION = (
    "PartitionName=gpu AllowGroups=ALL AllowAccounts=ALL AllowQos=high DefaultTime=NONE "
    "MaxNodes=UNLIMITED MaxTime=2-00:00:00 Nodes=h[01-02] PriorityTier=1 State=UP TotalNodes=2\n"
)


class Told:
    """Commands that answer from a table; what is not in it is down."""

    def __init__(self, config: str = "ReconfigFlags = (null)\n", **more: str) -> None:
        self.answers = {"nodes": NODES, "partitions": PARTITION, "config": config, **more}

    def read(self, name: str, *args: str, **_: Any) -> bytes:
        for word, text in self.answers.items():
            if word in args:
                return text.encode()
        raise Unavailable(name, "Connection refused")

    def table(self, *_: Any) -> tuple[list[list[str]], frozenset[tuple[int, int]]]:
        return [["7", "h[01-02]"], ["8", "h01"]], frozenset()


def queue(told: Told, **fields: str) -> Preview:
    act = ChangeQueue(source="lab", queue="gpu", fields=tuple(fields.items()))
    return preview_queue(cast(Commands, told), act)


def test_a_partition_is_previewed_with_its_old_values_and_the_line_that_keeps_them() -> None:
    preview = queue(Told(), state="drain", max_time_s="3601", max_nodes="unlimited")
    (item,) = preview.items
    assert item.command == (
        *("scontrol", "update", "PartitionName=gpu"),
        *("State=DRAIN", "MaxTime=61", "MaxNodes=UNLIMITED"),
    )
    assert item.before == "state=up; max_time_s=172800; max_nodes=unlimited"
    assert "slurm.conf: PartitionName=gpu … State=DRAIN MaxTime=61" in str(item.warning)
    assert isinstance(preview.inverse, ChangeQueue)
    assert preview.inverse.fields == (
        *(("state", "up"), ("max_time_s", "172800")),
        ("max_nodes", "unlimited"),
    )
    preview = queue(Told(), default_time_s="600")
    assert preview.inverse == ChangeQueue(
        source="lab", queue="gpu", fields=(("default_time_s", "172800"),)
    )


@pytest.mark.parametrize(
    ("flags", "fields", "kept"),
    [
        ("KeepPartInfo", {"max_nodes": "1"}, True),
        ("KeepPartState", {"state": "down"}, True),
        ("KeepPartState", {"max_nodes": "1"}, False),
    ],
)
def test_whether_a_change_is_kept_follows_from_the_flags(
    flags: str, fields: dict[str, str], kept: bool
) -> None:
    (item,) = queue(Told(f"ReconfigFlags = {flags}\n"), **fields).items
    assert ("kept at" in str(item.warning)) is kept


def test_names_are_looked_up_and_where_nobody_answers_the_preview_says_so() -> None:
    assert "no node h09" in str(queue(Told(), nodes="h01,h09").items[0].refusal)
    assert "no qos nope" in str(queue(Told(qos="high\nlow\n"), allow_qos="nope").items[0].refusal)
    (item,) = queue(Told(), allow_qos="low").items
    assert item.refusal is None
    assert "was not told (Connection refused)" in str(item.warning)
    assert "only at allow_qos" in str(queue(Told(), deny_qos="low").items[0].refusal)
    (item,) = queue(Told(config="", partitions=""), state="down").items
    assert item.refusal == "there is no partition gpu"


def test_a_partition_whose_list_was_emptied_proves_nothing() -> None:
    act = ChangeQueue(source="lab", queue="gpu", fields=(("nodes", "h01,h02"),))
    sent = Receipt(target="gpu", status=ReceiptStatus.ACCEPTED)
    words = {"Nodes": "h[01-02]", "TotalNodes": "2"}
    assert settle_queue(act, sent, {"gpu": words}).status is ReceiptStatus.DONE
    emptied = settle_queue(act, sent, {"gpu": {**words, "TotalNodes": "0"}})
    assert emptied.status is ReceiptStatus.ACCEPTED


def node(*names: str, state: str, reason: str | None = None) -> Preview:
    act = ChangeNode(source="lab", nodes=names, state=state, reason=reason)
    return preview_node(cast(Commands, Told()), act)


def test_a_drain_says_what_it_takes_and_touches_no_drain_of_others() -> None:
    preview = node("h01", "h02", "h03", "all", state="drain", reason="fan")
    refusals = [str(i.refusal) if i.refusal else None for i in preview.items]
    assert refusals[0] is None
    assert preview.items[0].warning == (
        "8 GPUs get no new runs; 2 runs go on there with 3 GPUs until they end"
    )
    by = "(set by bob at 2026-11-22T02:52:30)"
    assert refusals[1] == f"it is drained already: disk {by}"
    assert refusals[3] == "'all' is no name of one node"
    assert preview.inverse == ChangeNode(source="lab", nodes=("h01",), state="resume", reason="fan")


def test_a_resume_clears_only_the_reason_that_it_names() -> None:
    assert node("h02", state="resume", reason="fan").inverse is None
    preview = node("h02", state="resume", reason="disk")
    assert preview.items[0].command[-1] == "State=RESUME"
    assert preview.inverse == ChangeNode(source="lab", nodes=("h02",), state="drain", reason="disk")
    assert node("h03", state="resume").inverse is None, "it was down, and no act makes that again"
    for state, reason in (("drain", ""), ("drain", "a State=IDLE"), ("drain", "a\nb"), ("up", "")):
        with pytest.raises(ValueError, match=r"state|reason"):
            node("h01", state=state, reason=reason)


def test_what_slurm_refused_and_did_in_part_is_neither_done_nor_refused() -> None:
    act = ChangeRun(source="lab", runs=("lab/7",), fields=(("nice", "5"), ("qos", "high")))
    sent = Receipt(
        target="lab/7",
        status=ReceiptStatus.ACCEPTED,
        message=safe("Invalid qos"),
        before="pending; nice=0; qos=low",
        after="pending; nice=5; qos=low",
    )
    receipt = final_change(act, sent)
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert receipt.message == "Invalid qos; of the fields only these changed: nice; look at it"
