"""Explanations as text and as a record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.text import SafeText, cells
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.records import why_record
from foundry_tui.presenters.why import why_text
from tests.presenters.estate import NOW


@dataclass(frozen=True)
class Way:
    sentence: str = "move it to research"
    act: str = "change"
    changes: tuple[tuple[str, str], ...] = (("partition", "research"),)
    owner: str | None = "carol"


@dataclass(frozen=True)
class Reason:
    kind: str = "priority"
    reason: str = "Priority"
    sentence: str = "two runs of higher priority stand before it"
    evidence: tuple[str, ...] = ("runs 18 and 19 ask for the same nodes (squeue)",)
    candidates: tuple[Way, ...] = (Way(),)


@dataclass(frozen=True)
class Why:
    diagnosis: Reason = Reason()
    chosen: Way | None = Way()
    starts_at: datetime | None = NOW
    how: str = "the scheduler's what-if"
    sentence: str = "Move it to research: it would start now"


def test_reason_evidence_and_next_step_on_one_page() -> None:
    text = why_text(
        title="lab/21 x\x1b[2J: pending, 9h02m",
        reason="Priority",
        sentence="two runs of higher priority stand before it",
        evidence=("runs 18 and 19 ask for the same nodes, as squeue tells " * 3,),
        next_step="Move it to research",
        command=("scontrol", "update", "JobId=21", "Partition=" + "x" * 90),
        estimate="03-14 09:30Z, by the scheduler's what-if",
        owner="carol",
        style=Style(width=60),
    )
    lines = text.split("\n")
    assert lines[:2] == [
        "lab/21 x␛[2J: pending, 9h02m",
        "  Two runs of higher priority stand before it.",
    ]
    assert "(the scheduler says: Priority)" in text
    assert "  - runs 18 and 19 ask" in text
    assert "  who: carol" in lines
    assert [line for line in lines if cells(SafeText(line)) > 60] == [
        "  $ scontrol update JobId=21 Partition=" + "x" * 90
    ]


def test_where_nothing_helps_the_page_says_so() -> None:
    text = why_text(title="lab/21", reason="Priority", sentence="it waits", style=Style())
    assert text.endswith("Next step\n  nothing that is known would start it sooner")


def test_the_record_holds_the_advice_or_null() -> None:
    told = why_record("lab/21", Why(), ("scontrol", "update"))
    assert (told["run"], told["kind"], told["reason"]) == ("lab/21", "priority", "Priority")
    assert told["advice"]["changes"] == {"partition": "research"}
    assert told["advice"]["starts_at"] == NOW
    assert told["advice"]["command"] == ("scontrol", "update")
    assert len(told["candidates"]) == 1
    assert why_record("lab/21", Why(chosen=None), None)["advice"] is None
