"""What came of what was sent, and how the command log keeps it: each command with its answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.actions import act
from foundry_tui.actions.errors import ActionError, code_of
from foundry_tui.actions.site import Site
from foundry_tui.estate.acts import Change, PreviewItem, Receipt, ReceiptStatus
from foundry_tui.presenters.changes import command_text
from foundry_tui.presenters.page import Style
from foundry_tui.tui.commandlog import Entry

_GOOD = (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of each: the change or the error, when it began, and how long all of it took."""

    each: tuple[tuple[act.Prepared, Change | ActionError], ...]
    at: datetime
    took_s: float

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was changed."""
        return tuple(came for _, came in self.each if isinstance(came, Change))

    @property
    def failed(self) -> tuple[ActionError, ...]:
        """Why something was not sent."""
        return tuple(came for _, came in self.each if isinstance(came, ActionError))


def perform(site: Site, prepared: act.Prepared) -> Change | ActionError:
    """The change, or why there is none: an error of one must not hide what came of another."""
    try:
        return act.perform(site, prepared)
    except ActionError as error:
        return error
    except Exception as error:
        fault = "" if code_of(error) is not None else "a fault of foundry itself: "
        told = f"{fault}{error}" if str(error) else f"{fault}{error!r}"
        return ActionError(f"{told}; it may have been sent, look at the runs and at the journal")


def entries(came: Came) -> Iterator[Entry]:
    """The commands that were agreed to, one by one, with their answers."""
    for prepared, one in came.each:
        items = prepared.preview.items
        if isinstance(one, ActionError):
            more = f" and {len(items) - 1} more" if len(items) > 1 else ""
            yield _entry(_command(items[0]) + more, str(one), False, came)
            continue
        answers = {receipt.target: receipt for receipt in one.receipts}
        for item in items:
            # What a submit has made has a name of its own.
            only = one.receipts[0] if len(items) == len(one.receipts) == 1 else None
            receipt = answers.get(item.target, only)
            answer = "no answer" if receipt is None else _answer(receipt)
            good = receipt is not None and receipt.status in _GOOD
            yield _entry(_command(item), answer, good, came)


def entries_of(site: Site, changes: Sequence[Change]) -> Iterator[Entry]:
    """The commands of changes that the journal keeps, with their answers."""
    for change in changes:
        record = site.journal.find(change.id)
        commands = record.commands if record is not None else ()
        took_s = None
        if record is not None and None not in (record.change.at, record.finished_at):
            assert record.change.at is not None and record.finished_at is not None
            took_s = (record.finished_at - record.change.at).total_seconds()
        for place, receipt in enumerate(change.receipts):
            command = commands[place] if place < len(commands) else ()
            yield Entry(
                at=change.at or site.clock(),
                command=command_text(command, Style()) if command else str(receipt.target),
                answer=_answer(receipt),
                took_s=took_s,
                good=receipt.status in _GOOD,
            )


def _answer(receipt: Receipt) -> str:
    return f"{receipt.status.value}: {receipt.message}" if receipt.message else receipt.status.value


def _command(item: PreviewItem) -> str:
    return command_text(item.command, Style()) if item.command else item.target


def _entry(command: str, answer: str, good: bool, came: Came) -> Entry:
    return Entry(at=came.at, command=command, answer=answer, took_s=came.took_s, good=good)
