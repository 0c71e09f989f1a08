"""One change of the journal in full: who asked for it, what was sent, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundry_tui.estate.acts import INVERSES, Change, ReceiptStatus
from foundry_tui.estate.text import safe
from foundry_tui.presenters import units
from foundry_tui.presenters.actwords import record_words
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.records.acts import Author, JournalEntry
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


def fixed(change: Change, inverse: Mapping[str, Any] | None = None) -> str | None:
    """Why a change can never be taken back; None when it may be possible.

    `inverse` is the record of the act that takes it back, where the journal keeps one.
    """
    if change.act not in INVERSES and inverse is None:
        return f"a {change.act} cannot be taken back"
    if all(receipt.status is not ReceiptStatus.DONE for receipt in change.receipts):
        return f"it changed nothing (it is {change.status})"
    return None


def author(who: Author) -> str:
    """Who asked, and as whom and from where as his environment told, which he could set."""
    words = f"{who.user} (uid {who.uid}) on {who.host}"
    words += f", sudo of {who.sudo_user}" if who.sudo_user else ""
    return words + (f", from {who.ssh_connection.split()[0]}" if who.ssh_connection else "")


def _purpose(entry: JournalEntry) -> list[tuple[str, str]]:
    """What the change was part of and for, as far as that was told."""
    aim = entry.purpose
    facts = []
    if aim.plan is not None:
        step = "" if aim.step is None else f", step {aim.step + 1}"
        facts.append(("plan", f"{aim.plan}, move {aim.move or '?'}{step}"))
    if aim.why:
        facts.append(("why", aim.why))
    if aim.until is not None:
        facts.append(("until", f"{units.when(aim.until)}, then it is taken back"))
    if aim.approved_by:
        facts.append(("approved", f"by {', '.join(aim.approved_by)}"))
    return facts


def change_lines(entry: JournalEntry, width: int, *, back: str | None = None) -> list[Line]:
    """The lines of the page of one change; `back` is the change that has taken it back."""
    change = entry.change
    status = f"{change.status}: {_WORDS[change.status]}" if change.status in _WORDS else ""
    facts = [
        ("act", change.act),
        ("status", status or change.status),
        ("source", entry.source),
        ("asked", f"{units.when(change.at)} by {author(entry.who)}"),
        ("settled", str(units.when(entry.finished_at))),
        *_purpose(entry),
    ]
    if change.undoes:
        facts.append(("takes back", change.undoes))
    undo = fixed(change, entry.inverse) if back is None else f"taken back by {back}"
    facts.append(("undo", undo or "possible, as far as it still stands"))
    if entry.inverse is not None and undo is None:
        facts.append(("by", record_words(entry.inverse)))
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
