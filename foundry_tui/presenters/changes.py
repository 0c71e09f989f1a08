"""Changes: what would be done, what came of it, and what was done before."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence

from foundry_tui.estate.acts import (
    Cancel,
    Change,
    Preview,
    PreviewItem,
    ReceiptStatus,
    Requeue,
    Submit,
    kind,
)
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.actwords import record_words
from foundry_tui.presenters.page import Style, coloured, finish, wrap
from foundry_tui.presenters.records.acts import JournalEntry
from foundry_tui.presenters.table import Column, draw

MOST_ITEMS = 10
"""Items of a batch that are spelled out; of the rest the number per owner is told."""

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

JOURNAL_COLUMNS = (
    Column("CHANGE"),
    Column("WHEN", priority=3),
    Column("ACT"),
    Column("STATUS", state=True),
    Column("SOURCE", priority=4),
    Column("BY", min_width=6, priority=2, stretch=True),
    Column("UNDOES", min_width=8, priority=5, stretch=True),
    Column("ITEMS", min_width=10, priority=1, stretch=True),
)


def command_text(command: Sequence[str], style: Style) -> SafeText:
    """The exact command or request on one line, uncut: what a shell would need to do the same.

    Characters that could drive the terminal are shown as stand-ins; the program itself starts
    commands with the raw words and without a shell.
    """
    request = bool(command) and command[0] in METHODS
    text = " ".join(command) if request else shlex.join(command)
    shown = safe(text, max_cells=8 * len(text))
    if style.ascii:
        return SafeText(shown.encode("ascii", "backslashreplace").decode())
    return shown


def preview_text(preview: Preview, style: Style) -> str:
    """What an act would do: per item the command, whose run it is, what is lost, what refuses.

    Refused items come first, because they are the news.
    """
    refused = preview.refused
    going = [item for item in preview.items if item.refusal is None]
    word = kind(preview.act).replace("_", " ")
    total = len(preview.items)
    head = f"{word}: {total} {'item' if total == 1 else 'items'} on {preview.act.source}"
    lines = wrap(head + (f", {len(refused)} refused" if refused else ""), style.width)
    for item in (*refused, *going)[:MOST_ITEMS]:
        lines += _item(item, style)
    if total > MOST_ITEMS:
        more = f"{total - MOST_ITEMS} more are not listed here; all {total} by owner: "
        lines += ["", *wrap(more + _owners(preview.items), style.width, rest="  ")]
    lines += ["", *_consequences(preview, going, style.width)]
    return finish(lines, style)


def _item(item: PreviewItem, style: Style) -> list[str]:
    facts = [safe(item.target)]
    facts += [safe(f"of {item.owner}")] * (item.owner is not None)
    facts += [safe(item.before or "")] * bool(item.before)
    facts += [SafeText(f"loses {_gpu_hours(item.loss_gpu_s)}")] * bool(item.loss_gpu_s)
    lines = wrap(", ".join(facts), style.width, first="  ", rest="    ")
    if item.refusal is not None:
        return [*lines, *wrap(f"refused: {item.refusal}", style.width, first="    ", rest="    ")]
    if item.command:
        lines.append(f"    {command_text(item.command, style)}")
    if item.warning is not None:
        lines += wrap(f"warning: {item.warning}", style.width, first="    ", rest="    ")
    return lines


def _owners(items: Sequence[PreviewItem]) -> str:
    found = Counter(item.owner or "unknown" for item in items)
    return ", ".join(f"{owner} {count}" for owner, count in found.most_common())


def _consequences(preview: Preview, going: Sequence[PreviewItem], width: int) -> list[str]:
    if not going:
        return wrap("Nothing would be sent.", width)
    lines: list[str] = []
    if isinstance(preview.act, Cancel | Requeue):
        losses = [item.loss_gpu_s for item in going]
        lost = _gpu_hours(sum(loss for loss in losses if loss is not None))
        unknown = losses.count(None)
        more = f", and of {unknown} items it is unknown" if unknown else ""
        lines += wrap(f"Work thrown away: {lost}{more}.", width)
    warned = sum(item.warning is not None for item in going)
    if warned > 1:
        lines += wrap(f"{warned} items carry a warning.", width)
    if preview.inverse is not None:
        undo = kind(preview.inverse).replace("_", " ")
        return [*lines, *wrap(f"`foundry undo` takes it back ({undo}).", width)]
    if isinstance(preview.act, Submit):
        return [*lines, *wrap("`foundry cancel` ends it again.", width)]
    return [*lines, *wrap("This cannot be undone.", width)]


def _gpu_hours(gpu_s: float | None) -> str:
    return f"{units.number(None if gpu_s is None else gpu_s / 3600)} GPU-hours"


def receipts_text(change: Change, style: Style) -> str:
    """What came of a change: one line per item that needs one, and the whole in a sentence."""
    receipts = change.receipts
    counts = {status: sum(r.status is status for r in receipts) for status in ReceiptStatus}
    told = ", ".join(f"{n} {status.value}" for status, n in counts.items() if n)
    lines: list[str] = []
    done = 0
    for receipt in sorted(receipts, key=lambda r: r.status is ReceiptStatus.DONE):
        done += receipt.status is ReceiptStatus.DONE
        if done > MOST_ITEMS:
            lines.append(f"and {counts[ReceiptStatus.DONE] - MOST_ITEMS} more done")
            break
        turn = ""
        if receipt.before is not None and receipt.after is not None:
            turn = f" ({receipt.before} -> {receipt.after})"
        words = f"{receipt.status.value}{turn}"
        words += f": {receipt.message}" if receipt.message else ""
        target = f"{safe(receipt.target)}  "
        told_lines = wrap(words, style.width, first=target, rest="    ")
        if style.colour:
            state = receipt.status.value
            rest = told_lines[0][len(target) + len(state) :]
            told_lines[0] = target + coloured(state, state) + rest
        lines += told_lines
    whole = f"{change.act} {change.id}: {change.status}" + (f" ({told})" if told else "")
    return finish([*lines, *wrap(whole, style.width)], style)


def told_in_short(
    words: str, changes: Sequence[Change], failed: Sequence[str]
) -> tuple[SafeText, str]:
    """What came of it on one line, with its tone; what went wrong comes first."""
    receipts = [receipt for change in changes for receipt in change.receipts]
    good = [r for r in receipts if r.status in (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)]
    bad = [r for r in receipts if r not in good]
    told = [*failed]
    told += [f"{r.target} {r.status.value}" + (f": {r.message}" * bool(r.message)) for r in bad[:1]]
    if len(bad) > 1:
        told.append(f"{len(bad) - 1} more not done")
    if len(receipts) == 1 and good:
        one = good[0]
        turn = f" ({one.before} -> {one.after})" if one.before and one.after else ""
        where = (
            "" if one.target in words or one.target.split("/")[-1] in words else f" {one.target}"
        )
        told.append(f"{one.status.value}{where}{turn}")
    elif good:
        told.append(f"{len(good)} of {len(receipts)} done")
    tone = "good" if not bad and not failed else "warn" if good else "bad"
    return safe(f"{words}: {'; '.join(told)}", max_cells=400), tone


def journal_cells(entry: JournalEntry) -> tuple[SafeText, ...]:
    """One change in the order of `JOURNAL_COLUMNS`."""
    return (
        safe(entry.change.id),
        units.when(entry.change.at),
        safe(entry.change.act),
        safe(entry.change.status),
        safe(entry.source),
        safe(
            f"{entry.who.user} ({entry.who.sudo_user})" if entry.who.sudo_user else entry.who.user
        ),
        safe(entry.change.undoes or ""),
        safe(" ".join(entry.items)),
    )


def _until(entry: JournalEntry) -> str:
    return str(units.when(entry.purpose.until)) if entry.purpose.until else ""


def _inverse(entry: JournalEntry) -> str:
    return "" if entry.inverse is None else record_words(entry.inverse)


_MORE: tuple[tuple[Column, Callable[[JournalEntry], str]], ...] = (
    (Column("PLAN", min_width=6, priority=6, stretch=True), lambda e: e.purpose.plan or ""),
    (Column("WHY", min_width=8, priority=7, stretch=True), lambda e: e.purpose.why or ""),
    (Column("UNTIL", priority=8), _until),
    (
        Column("APPROVED", min_width=8, priority=9, stretch=True),
        lambda e: " ".join(e.purpose.approved_by),
    ),
    (Column("INVERSE", min_width=8, priority=10, stretch=True), _inverse),
)
"""Columns that stand there when an entry has something in them."""


def journal_text(entries: Sequence[JournalEntry], style: Style) -> str:
    """The changes that were sent, in the order given."""
    if not entries:
        return "No change was sent yet: the journal is empty."
    columns, rows = list(JOURNAL_COLUMNS), [list(journal_cells(entry)) for entry in entries]
    for column, told in _MORE:
        texts = [told(entry) for entry in entries]
        if any(texts):
            columns.append(column)
            for row, text in zip(rows, texts, strict=True):
                row.append(safe(text, max_cells=400))
    drawn = draw(columns, rows, style)
    lines, below = drawn.lines, list[str]()
    if any(entry.change.status == "open" for entry in entries):
        words = "open: it was broken off while being sent; the next command that can, settles it"
        below += wrap(words, style.width)
    if drawn.hidden:
        hidden = ", ".join(drawn.hidden).lower()
        below += wrap(f"not shown at {style.width} columns: {hidden}", style.width)
    return finish([*lines, "", *below] if below else lines, style)
