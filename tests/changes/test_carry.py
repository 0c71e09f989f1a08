"""Journal first, then send, then read back; a broken-off submit is found and never sent twice."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.changes import carry
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    Hold,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Submit,
)
from foundry_tui.estate.run import Run
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.store.journal import OPEN, Journal, JournalError, Who

SUBMIT = Submit(source="lab", script=b"#!/bin/sh\n", script_name="/tmp/a.sh")


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Actor:
    """A scheduler that remembers what reached it, and answers as told."""

    name: str = "lab"
    sent: list[str] = field(default_factory=list)
    answer: ReceiptStatus = ReceiptStatus.ACCEPTED
    down: bool = False
    deny: str | None = None

    def supports(self, act: type[Act]) -> str | None:
        return self.deny

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        targets = (act.script_name,) if isinstance(act, Submit) else act.runs  # type: ignore[union-attr]
        return Preview(
            act=act,
            items=tuple(PreviewItem(target=t, command=("do", t, token)) for t in targets),
        )

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        if self.down:
            raise Unavailable("do", "no answer")
        self.sent.append(token)
        return tuple(Receipt(target=i.target, status=self.answer) for i in preview.items)

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        return tuple(
            Receipt(target=r.target, status=ReceiptStatus.DONE)
            if r.status is ReceiptStatus.ACCEPTED
            else r
            for r in sent
        )

    def find_submitted(self, token: str) -> str | None:
        if self.down:
            raise Unavailable("squeue", "no answer")
        return "17" if token in self.sent else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Journal:
    return Journal(tmp_path, clock)


def do(actor: Actor, journal: Journal, clock: Clock, act: Act, undoes: str | None = None) -> str:
    preview = carry.preview(actor, act, (), "t0ken")
    return carry.carry_out(actor, journal, preview, "t0ken", clock=clock, undoes=undoes).id


def test_a_change_is_on_record_before_and_after(journal: Journal, clock: Clock) -> None:
    actor = Actor()
    do(actor, journal, clock, Cancel(source="lab", runs=("lab/1", "lab/2")))
    (record,) = journal.changes()
    assert (record.change.act, record.change.status) == ("cancel", "done")
    assert record.items == ("lab/1", "lab/2")
    assert record.commands[0] == ("do", "lab/1", "t0ken")
    assert journal.verify() == []


def test_nothing_is_sent_without_a_journal(
    journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor()

    def full(*_: object, **__: object) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(journal, "begin", full)
    with pytest.raises(JournalError):
        do(actor, journal, clock, SUBMIT)
    assert actor.sent == []


def test_a_source_that_does_not_answer_leaves_not_sent(journal: Journal, clock: Clock) -> None:
    with pytest.raises(Unavailable):
        do(Actor(down=True), journal, clock, SUBMIT)
    (record,) = journal.changes()
    assert record.change.status == "not_sent"


def test_a_submit_without_an_answer_stays_open_for_the_next_try(
    journal: Journal, clock: Clock
) -> None:
    actor = Actor(answer=ReceiptStatus.UNKNOWN)
    with pytest.raises(carry.Unsettled):
        do(actor, journal, clock, SUBMIT)
    assert journal.changes()[0].change.status == OPEN
    ((_, receipt),) = carry.settle_open({"lab": actor}, journal, clock.now)
    assert (receipt.status, receipt.target) == (ReceiptStatus.DONE, "17")


def test_an_act_without_an_answer_is_unknown(journal: Journal, clock: Clock) -> None:
    do(Actor(answer=ReceiptStatus.UNKNOWN), journal, clock, Cancel(source="lab", runs=("lab/1",)))
    assert journal.changes()[0].change.status == "unknown"


def broken_off(journal: Journal, token: str = "t0ken", act: str = "submit") -> None:
    who = Who(uid=0, user="root", host="elsewhere", pid=1)
    journal.begin(
        "c-1", act, "lab", commands=(("do",),), items=("/tmp/a.sh",), token=token, who=who,
        digest=carry.digest(SUBMIT),
    )  # fmt: skip


@pytest.mark.parametrize(("reached", "status"), [(True, "found"), (False, "not_sent")])
def test_a_broken_off_submit_is_settled_by_its_token(
    journal: Journal, clock: Clock, reached: bool, status: str
) -> None:
    actor = Actor(sent=["t0ken"] if reached else [])
    broken_off(journal)
    later = clock.now + timedelta(seconds=carry.ON_ITS_WAY_S + 1)
    ((record, receipt),) = carry.settle_open({"lab": actor}, journal, later)
    assert record.change.id == "c-1"
    assert receipt.target == ("17" if reached else "/tmp/a.sh")
    assert journal.changes()[0].change.status == status
    assert carry.settle_open({"lab": actor}, journal, later) == ()


def test_what_cannot_be_looked_up_stays_open(journal: Journal, clock: Clock) -> None:
    broken_off(journal)
    later = clock.now + timedelta(hours=1)
    assert carry.settle_open({"lab": Actor(down=True)}, journal, later) == ()
    assert journal.changes()[0].change.status == OPEN


def test_what_may_still_be_on_its_way_is_not_called_lost(journal: Journal, clock: Clock) -> None:
    broken_off(journal)
    soon = clock.now + timedelta(seconds=carry.ON_ITS_WAY_S - 1)
    assert carry.settle_open({"lab": Actor()}, journal, soon) == ()
    ((_, receipt),) = carry.settle_open({"lab": Actor(sent=["t0ken"])}, journal, soon)
    assert receipt.target == "17", "what arrived is found at once"


def test_a_change_that_another_program_carries_out_is_left_to_it(
    journal: Journal, clock: Clock
) -> None:
    who = Who(uid=0, user="root", host=socket.gethostname(), pid=os.getppid())
    journal.begin(
        "c-2", "cancel", "lab", commands=(("do",),), items=("lab/1",), token=None, who=who
    )
    later = clock.now + timedelta(hours=1)
    assert carry.settle_open({"lab": Actor()}, journal, later) == ()


def test_a_result_that_cannot_be_recorded_is_told_as_sent(
    journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor()

    def full(*_: object, **__: object) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(journal, "finish", full)
    with pytest.raises(carry.NotRecorded, match="was sent"):
        do(actor, journal, clock, Cancel(source="lab", runs=("lab/1",)))
    assert actor.sent


def test_a_broken_off_cancel_is_unknown(journal: Journal, clock: Clock) -> None:
    broken_off(journal, act="cancel")
    ((_, receipt),) = carry.settle_open({"lab": Actor()}, journal, clock.now + timedelta(hours=1))
    assert receipt.status is ReceiptStatus.UNKNOWN


def test_what_takes_it_back_is_on_record_before_it_is_sent(journal: Journal, clock: Clock) -> None:
    hold = Hold(source="lab", runs=("lab/1",))
    sent = replace(
        carry.preview(Actor(), hold, (), "t"), inverse=Release(source="lab", runs=("lab/1",))
    )
    carry.carry_out(Actor(), journal, sent, "t", clock=clock)
    (record,) = journal.changes()
    assert record.asked == {"act": "hold", "source": "lab", "runs": ["lab/1"]}
    assert record.inverse == {"act": "release", "source": "lab", "runs": ["lab/1"]}


def test_an_act_that_is_not_offered_is_refused(clock: Clock) -> None:
    with pytest.raises(carry.ChangeError, match="no hold here"):
        carry.preview(Actor(deny="no hold here"), Hold(source="lab", runs=("lab/1",)), (), "t")
    with pytest.raises(carry.ChangeError, match="no run was named"):
        carry.preview(Actor(), Hold(source="lab", runs=()), (), "t")


def test_the_digest_tells_submits_apart() -> None:
    other = Submit(source="lab", script=b"#!/bin/sh\n", script_name="/tmp/b.sh")
    assert carry.digest(SUBMIT) != carry.digest(other)
    assert carry.digest(SUBMIT) == carry.digest(SUBMIT)
    assert carry.digest(Hold(source="lab", runs=("a",))) is None
    linked = replace(SUBMIT, environment=(("MLFLOW_RUN_ID", "r1"),))
    asked = replace(SUBMIT, environment=(("A", "1"), ("MLFLOW_RUN_ID", "r1")))
    again = replace(SUBMIT, environment=(("A", "1"), ("MLFLOW_RUN_ID", "r2")))
    assert carry.digest(SUBMIT) == carry.digest(linked) != carry.digest(asked)
    assert carry.digest(asked) == carry.digest(again)
