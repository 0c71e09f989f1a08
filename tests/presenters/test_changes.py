"""Previews, receipts and the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

from foundry_tui.estate.acts import (
    Cancel,
    Change,
    Hold,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Submit,
)
from foundry_tui.estate.text import safe
from foundry_tui.presenters.changes import (
    command_text,
    journal_text,
    preview_text,
    receipts_text,
    told_in_short,
)
from foundry_tui.presenters.journalpanel import change_lines
from foundry_tui.presenters.page import Style
from tests.presenters.estate import NOW

HOLD = Preview(
    act=Hold(source="lab", runs=("lab/1",)),
    items=(PreviewItem(target="lab/1", command=("scontrol", "hold", "1"), owner="bob"),),
    inverse=Release(source="lab", runs=("lab/1",)),
)


def cancel(*items: PreviewItem) -> Preview:
    """A cancel of these items."""
    return Preview(act=Cancel(source="lab", runs=tuple(i.target for i in items)), items=items)


def item(number: int, **fields: object) -> PreviewItem:
    """One run of a cancel."""
    base = PreviewItem(
        target=f"lab/{number}",
        command=("scancel", str(number)),
        owner="bob" if number % 3 else "eve",
        before="running",
        loss_gpu_s=3600.0,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def test_one_item_with_its_exact_command_and_its_undo() -> None:
    assert preview_text(HOLD, Style()).split("\n") == [
        "hold: 1 item on lab",
        "  lab/1, of bob",
        "    scontrol hold 1",
        "",
        "`foundry undo` takes it back (release).",
    ]


def test_loss_warning_and_finality_are_told() -> None:
    text = preview_text(cancel(item(1, warning=safe("belongs to bob"))), Style())
    assert "lab/1, of bob, running, loses 1 GPU-hours" in text
    assert "    scancel 1\n    warning: belongs to bob" in text
    assert "Work thrown away: 1 GPU-hours." in text
    assert "This cannot be undone." in text


def test_a_loss_that_is_unknown_is_not_zero() -> None:
    text = preview_text(cancel(item(1), item(2, loss_gpu_s=None)), Style())
    assert "Work thrown away: 1 GPU-hours, and of 1 items it is unknown." in text


def test_refusals_come_first_and_have_no_command() -> None:
    text = preview_text(cancel(item(1), item(2, refusal=safe("not yours"))), Style())
    lines = text.split("\n")
    assert lines[0] == "cancel: 2 items on lab, 1 refused"
    assert lines[1].startswith("  lab/2")
    assert lines[2] == "    refused: not yours"
    assert "scancel 2" not in text


def test_when_all_is_refused_nothing_would_be_sent() -> None:
    text = preview_text(cancel(item(2, refusal=safe("not yours"))), Style())
    assert text.endswith("Nothing would be sent.")


def test_a_large_batch_shows_the_first_and_counts_owners() -> None:
    text = preview_text(cancel(*(item(n) for n in range(1, 26))), Style())
    assert text.count("    scancel") == 10
    assert "15 more are not listed here; all 25 by owner: bob 17, eve 8" in text


def test_a_submit_is_taken_back_by_cancel() -> None:
    act = Submit(source="lab", script=b"#!/bin/sh\n", script_name="train.sh")
    submit = Preview(act=act, items=(PreviewItem(target="train.sh", command=("sbatch",)),))
    assert preview_text(submit, Style()).endswith("`foundry cancel` ends it again.")


def test_a_command_is_exact_quoted_and_never_cut() -> None:
    words = ("scontrol", "update", "JobId=1", "Comment=it's $HOME", "x" * 300)
    shown = command_text(words, Style(width=40))
    assert shown == "scontrol update JobId=1 'Comment=it'\"'\"'s $HOME' " + "x" * 300


def test_a_command_cannot_drive_the_terminal() -> None:
    assert command_text(("scancel", "\x1b[2J"), Style()) == "scancel '␛[2J'"
    assert command_text(("scancel", "é"), Style(ascii=True)) == "scancel '\\xe9'"


def test_a_request_stands_as_it_is_sent() -> None:
    words = ("POST", "/api/v1/workloads", '{"name": "x"}')
    assert command_text(words, Style()) == 'POST /api/v1/workloads {"name": "x"}'


def receipt(number: int, status: ReceiptStatus = ReceiptStatus.DONE) -> Receipt:
    """The outcome of one run."""
    return Receipt(target=f"lab/{number}", status=status, before="pending", after="held")


def test_receipts_tell_what_failed_first_and_sum_up() -> None:
    refused = Receipt(
        target="lab/99", status=ReceiptStatus.REFUSED, message=safe("Access/permission denied")
    )
    change = Change(id="c-1", act="hold", status="part", receipts=(receipt(1), refused))
    assert receipts_text(change, Style()).split("\n") == [
        "lab/99  refused: Access/permission denied",
        "lab/1  done (pending -> held)",
        "hold c-1: part (1 done, 1 refused)",
    ]


def test_receipts_colour_the_state_alone() -> None:
    one = Receipt(target="done", status=ReceiptStatus.DONE, message=safe("done"))
    text = receipts_text(
        Change(id="c-1", act="hold", status="done", receipts=(one,)), Style(colour=True)
    )
    assert text.split("\n")[0] == "done  \x1b[32mdone\x1b[0m: done"


def test_many_good_receipts_are_counted() -> None:
    change = Change(
        id="c-1", act="hold", status="done", receipts=tuple(receipt(n) for n in range(40))
    )
    lines = receipts_text(change, Style()).split("\n")
    assert len(lines) == 12
    assert lines[-2:] == ["and 30 more done", "hold c-1: done (40 done)"]


def test_every_receipt_that_is_not_done_is_shown() -> None:
    bad = tuple(receipt(n, ReceiptStatus.UNKNOWN) for n in range(40))
    text = receipts_text(Change(id="c", act="hold", status="unknown", receipts=bad), Style())
    assert text.count("unknown (pending -> held)") == 40


@dataclass(frozen=True)
class Who:
    user: str = "alice"
    host: str = "login1"
    uid: int = 1001
    sudo_user: str | None = None
    ssh_connection: str | None = None


@dataclass(frozen=True)
class Aim:
    plan: str | None = None
    move: str | None = None
    step: int | None = None
    why: str | None = None
    until: datetime | None = None
    approved_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    change: Change
    items: tuple[str, ...] = ()
    source: str = "lab"
    commands: tuple[tuple[str, ...], ...] = ()
    who: Who = Who()
    finished_at: datetime | None = None
    purpose: Aim = Aim()
    inverse: Mapping[str, Any] | None = None


def test_the_journal_is_a_table_that_explains_open_changes() -> None:
    done = Change(id="c-1", act="hold", status="done", receipts=(), at=NOW)
    entries = (
        Entry(done, ("lab/1", "lab/2\x1b[2J")),
        Entry(replace(done, id="c-2", act="release", status="open", undoes="c-1"), ("lab/1",)),
    )
    text = journal_text(entries, Style(width=100))
    lines = text.split("\n")
    assert " ".join(lines[0].split()) == "CHANGE WHEN ACT STATUS SOURCE BY UNDOES ITEMS"
    assert lines[1].endswith("lab/1 lab/2␛[2J")
    assert lines[2].split()[:2] == ["c-2", "03-14"]
    assert "open: it was broken off" in text
    assert "open: it was" not in journal_text(entries[:1], Style(width=100))


def test_an_empty_journal_says_so() -> None:
    assert journal_text((), Style()) == "No change was sent yet: the journal is empty."


def change(*receipts: Receipt) -> Change:
    """A cancel with these receipts."""
    return Change(id="c-1", act="cancel", status="part", receipts=receipts)


def came(number: int, status: ReceiptStatus = ReceiptStatus.DONE, **given: object) -> Receipt:
    """What came of one run."""
    return Receipt(target=f"lab/{number}", status=status, **given)  # type: ignore[arg-type]


def test_in_short_one_that_was_done_tells_its_turn_and_not_its_name_twice() -> None:
    one = came(17, before="running", after="cancelled")
    assert told_in_short("cancel 17", [change(one)], []) == (
        "cancel 17: done (running -> cancelled)",
        "good",
    )


def test_in_short_a_submit_tells_what_it_has_made() -> None:
    one = came(99, ReceiptStatus.ACCEPTED)
    assert told_in_short("submit train.sh", [change(one)], []) == (
        "submit train.sh: accepted lab/99",
        "good",
    )


def test_in_short_what_went_wrong_comes_first_and_is_counted() -> None:
    bad = [came(n, ReceiptStatus.REFUSED, message=safe("denied")) for n in (1, 2, 3)]
    words, tone = told_in_short("cancel 5", [change(*bad, came(4)), change(came(5))], [])
    assert words == "cancel 5: lab/1 refused: denied; 2 more not done; 2 of 5 done"
    assert tone == "warn"


def test_in_short_what_could_not_be_sent_is_told_before_all_else() -> None:
    failed = ["nothing was sent: lab is down"]
    assert told_in_short("cancel 2", [], failed) == (
        "cancel 2: nothing was sent: lab is down",
        "bad",
    )
    words, tone = told_in_short("cancel 2", [change(came(1))], failed)
    assert words.startswith("cancel 2: nothing was sent: lab is down; done")
    assert tone == "warn"


@pytest.mark.parametrize("status", [ReceiptStatus.UNKNOWN, ReceiptStatus.UNCHANGED])
def test_in_short_what_is_not_known_or_unchanged_is_not_good(status: ReceiptStatus) -> None:
    words, tone = told_in_short("hold 1", [change(came(1, status))], [])
    assert (words, tone) == (f"hold 1: lab/1 {status.value}", "bad")


def test_in_short_nothing_of_a_scheduler_drives_the_terminal_and_it_ends() -> None:
    nasty = safe("\x1b[2J\nsecond line " + "x" * 5000, max_cells=6000)
    words, _ = told_in_short(
        "cancel \x1b]0;x\x07", [change(came(1, ReceiptStatus.REFUSED, message=nasty))], []
    )
    assert "\x1b" not in words
    assert "\n" not in words
    assert len(words) <= 400


def test_what_a_change_was_for_is_told_where_it_is_known() -> None:
    aim = Aim("p-1", "m1", 0, "room for ml", NOW, ("carol",))
    back = {"act": "change_run", "source": "lab", "runs": ["lab/1"], "fields": {"partition": "gpu"}}
    receipts = (Receipt(target="lab/1", status=ReceiptStatus.DONE),)
    change = Change(id="c-1", act="change_run", status="done", receipts=receipts, at=NOW)
    who = Who("root", uid=0, sudo_user="bob", ssh_connection="10.0.0.7 333 10.0.0.1 22")
    entry = Entry(change, ("lab/1",), who=who, purpose=aim, inverse=back)
    head, row = journal_text((entry,), Style(width=200)).split("\n")
    assert "PLAN  WHY          UNTIL         APPROVED  INVERSE" in head
    assert "root (bob)" in row and "room for ml" in row and "carol" in row
    assert row.endswith("change run lab/1 partition=gpu")
    page = "\n".join("".join(text for text, _ in line) for line in change_lines(entry, 80))
    assert "by root (uid 0) on login1, sudo of bob, from 10.0.0.7" in page
    assert "p-1, move m1, step 1" in page
    assert "change run lab/1 partition=gpu" in page
    plain = Entry(change, ("lab/1",))
    assert "PLAN" not in journal_text((plain,), Style(width=160))
