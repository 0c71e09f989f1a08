"""One change of the journal in full: who asked for it, what was sent, what came of it."""

from __future__ import annotations

from foundry_tui.estate.acts import INVERSES, Change, ReceiptStatus
from foundry_tui.estate.text import safe
from foundry_tui.presenters import units
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.records.acts import JournalEntry
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph

_WORDS = {
    "open": "broken off while it was sent; it is looked for when its source answers",
    "found": "broken off, and found by its token: it had arrived",
    "not_sent": "nothing was sent",
    "unknown": "it was sent and no answer came: look at the runs themselves",
}
"""Statuses that need an explanation."""

_TONES = {
    ReceiptStatus.DONE: "good",
    ReceiptStatus.ACCEPTED: "good",
    ReceiptStatus.REFUSED: "bad",
    ReceiptStatus.UNCHANGED: "dim",
    ReceiptStatus.UNKNOWN: "warn",
}


def fixed(change: Change) -> str | None:
    """Why a change can never be taken back; None when it may be possible."""
    if change.act not in INVERSES:
        return f"a {change.act} cannot be taken back"
    if all(receipt.status is not ReceiptStatus.DONE for receipt in change.receipts):
        return f"it changed nothing (it is {change.status})"
    return None


def change_lines(entry: JournalEntry, width: int) -> list[Line]:
    """The lines of the page of one change."""
    change = entry.change
    status = f"{change.status}: {_WORDS[change.status]}" if change.status in _WORDS else ""
    facts = [
        ("act", change.act),
        ("status", status or change.status),
        ("source", entry.source),
        ("asked", f"{units.when(change.at)} by {entry.who.user} on {entry.who.host}"),
        ("settled", str(units.when(entry.finished_at))),
    ]
    if change.undoes:
        facts.append(("takes back", change.undoes))
    undo = fixed(change)
    facts.append(("undo", undo or "possible, unless it was taken back already"))
    lines = [*pairs([(name, str(safe(value))) for name, value in facts], width), []]
    lines.append(heading("Sent"))
    for item, command in zip(entry.items, entry.commands, strict=False):
        lines += paragraph(
            str(command_text(command, Style()) if command else safe(item)),
            width,
            tone="accent",
            indent=3,
        )
    lines += [[], heading("Came of it")]
    if not change.receipts:
        lines += paragraph("nothing is known yet", width, tone="warn", indent=3)
    for receipt in change.receipts:
        turn = f" ({receipt.before} -> {receipt.after})" if receipt.before and receipt.after else ""
        words = f"{receipt.target}  {receipt.status.value}{turn}"
        words += f": {receipt.message}" if receipt.message else ""
        lines += paragraph(words, width, tone=_TONES[receipt.status], indent=3)
    return lines
