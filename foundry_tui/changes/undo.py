"""Taking back what was changed: which changes, and what takes each of them back.

What takes a change back was recorded before it was sent, with the old values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from foundry_tui.changes import carry
from foundry_tui.changes.steps import UNSETTLED, taken_back, told
from foundry_tui.estate.actrecords import KINDS, act_of
from foundry_tui.estate.acts import (
    INVERSES,
    Act,
    ChangeNode,
    ChangeQueue,
    MoveNode,
    ReceiptStatus,
    Release,
    Requeue,
    Submit,
)
from foundry_tui.estate.text import safe
from foundry_tui.store.journal import Record

_GOOD = (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)


class NotThere(Exception):
    """The journal knows no change and no plan of this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """One act that takes something back: of the change `record`, None for one in between.

    `commands` are the exact ones that are agreed to. `loss_gpu_s` are the GPU-seconds of work that
    it throws away.
    """

    act: Act
    token: str
    record: Record | None = None
    commands: tuple[tuple[str, ...], ...] = ()
    loss_gpu_s: float | None = None

    @property
    def name(self) -> str:
        """What it is, in a few words."""
        of = "" if self.record is None else f" (takes back {self.record.change.id})"
        return told(self.act) + of


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """How a change or plan is taken back: the acts in order, and what is left as it is, and why.

    `irreversible` names what nothing takes back. `started` are the runs that have started since,
    which only a requeue would set back.
    """

    id: str
    backs: tuple[Back, ...]
    left: tuple[str, ...] = ()
    irreversible: tuple[str, ...] = ()
    started: tuple[str, ...] = ()


def chosen(records: Sequence[Record], wanted: str) -> tuple[Record, ...]:
    """The changes to take back, the latest first: the one of this id, or those of the plan.

    Raises:
        NotThere: the journal knows neither.
        ChangeError: it was taken back already, or nothing of it was done.
    """
    mine = [r for r in records if r.change.id == wanted]
    if not mine:
        mine = [r for r in records if r.purpose.plan == wanted and r.change.undoes is None]
    if not mine:
        raise NotThere(f"no change or plan {safe(wanted)} in the journal; see `foundry journal`")
    back = _with_later(mine, taken_back(records))
    left = [r for r in mine if r.change.id not in back]
    if not left:
        by = ", ".join(dict.fromkeys(back[r.change.id] for r in mine))
        raise carry.ChangeError(f"{safe(wanted)} was already taken back by {by}")
    done = [r for r in left if changed(r) or r.change.status in UNSETTLED]
    if not done:
        states = ", ".join(dict.fromkeys(r.change.status for r in left))
        words = f"{safe(wanted)} changed nothing (it is {states}): nothing to undo"
        raise carry.ChangeError(words)
    return tuple(reversed(done))


_GOES_ON = ("release", "resume")
"""Acts that let a run go on which an earlier one has stopped."""


def _with_later(mine: Sequence[Record], back: dict[str, str]) -> dict[str, str]:
    """What was taken back, with what let its targets go on later in the same plan.

    A run that was requeued held and released is let go once, by what takes the requeue back:
    nothing of its own is sent for the release.
    """
    found = dict(back)
    reached: dict[str, str] = {}
    for record in mine:
        names = changed(record)
        if record.change.id in back:
            reached |= dict.fromkeys(names, back[record.change.id])
        elif record.change.act in _GOES_ON and names and all(n in reached for n in names):
            found[record.change.id] = reached[names[0]]
    return found


def changed(record: Record) -> tuple[str, ...]:
    """The targets that a change did change."""
    return tuple(r.target for r in record.change.receipts if r.status in _GOOD)


def asked_of(record: Record) -> Act | None:
    """The act that a change carried out; None where the journal does not tell."""
    if record.asked is not None:
        return act_of(record.asked)
    made = KINDS.get(record.change.act)
    if made is None or record.change.act not in INVERSES:
        return None
    # A line from before acts were recorded: what has an inverse needed nothing but its runs.
    act: Act = made(source=record.source, runs=tuple(safe(item) for item in record.items))
    return act


def inverse_of(record: Record) -> Act | None:
    """The act that takes a change back, as it was known before it was sent; None where none does.

    A requeue cannot be taken back, but its hold can.
    """
    if record.inverse is not None:
        return act_of(record.inverse)
    asked = asked_of(record)
    if isinstance(asked, Requeue) and asked.hold:
        return Release(source=asked.source, runs=asked.runs)
    if record.asked is None and asked is not None:
        return INVERSES[record.change.act](source=record.source, runs=getattr(asked, "runs", ()))
    return None


def narrowed(act: Act, names: Iterable[str]) -> Act | None:
    """The act on these of its targets alone; None when none of them is left."""
    kept = set(names)
    if isinstance(act, ChangeNode | MoveNode):
        nodes = tuple(n for n in act.nodes if n in kept or f"{act.source}/{n}" in kept)
        return replace(act, nodes=nodes) if nodes else None
    if isinstance(act, Submit | ChangeQueue):
        return act
    runs = tuple(run for run in act.runs if run in kept)
    return replace(act, runs=runs) if runs else None
