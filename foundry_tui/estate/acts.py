"""Acts: what a user can ask a scheduler to change, and what came of it.

An `Act` is a closed union: an adapter states for each kind whether it supports it, and a face
greys what is not, with the adapter's own reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from foundry_tui.estate.text import SafeText, safe


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Start a batch script as a new run.

    `script` is sent unchanged. It is the file `script_name`, unless it is `piped`: then it stands
    in no file, and `script_name` is what it was made from. `options` are the scheduler's own
    options, given after the script's directives and therefore stronger. `work_dir` is the folder in
    which the run starts.
    `environment` are variables that the run gets beside the user's own, whatever the script says
    of its environment; none of them may be a secret, because they stand in the preview.
    """

    source: str
    script: bytes
    script_name: str
    options: tuple[str, ...] = ()
    script_args: tuple[str, ...] = ()
    work_dir: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    piped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End runs, waiting or running. Cannot be undone."""

    source: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Keep waiting runs from starting. Undone by `Release`."""

    source: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Let held runs start. Undone by `Hold`."""

    source: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """Stop running runs and put them back into the queue. Cannot be undone.

    With `hold` they come back held, so that they can be changed before they start again.
    """

    source: str
    runs: tuple[str, ...]
    hold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend:
    """Pause running runs; they keep their place. Undone by `Resume`."""

    source: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Continue suspended runs. Undone by `Suspend`."""

    source: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRun:
    """Change fields of waiting runs (partition, time limit, nodes, QOS, priority).

    `fields` are pairs of field name and new value, in the words of the adapter's `FIELDS`.
    """

    source: str
    runs: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resubmit:
    """End waiting runs and put each back as a new run that asks for something else.

    For what no scheduler changes on a run that waits, such as a whole GPU into a fraction. The new
    run is made first and the old one ended when it is there; it begins to wait anew. `fields` are
    those of `ChangeRun`. Cannot be undone: the inverse is a second `Resubmit`, of the new run.
    """

    source: str
    runs: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeNode:
    """Drain or resume nodes. `state` is `drain`, which needs a reason, or `resume`."""

    source: str
    nodes: tuple[str, ...]
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveNode:
    """Give nodes to another node pool; None takes them out of every pool."""

    source: str
    nodes: tuple[str, ...]
    pool: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQueue:
    """Change fields of a queue: state and limits of a partition, quota and weight of a project."""

    source: str
    queue: str
    fields: tuple[tuple[str, str], ...]


RunAct = Cancel | Hold | Release | Requeue | Suspend | Resume | ChangeRun | Resubmit
NodeAct = ChangeNode | MoveNode
Act = Submit | RunAct | NodeAct | ChangeQueue


INVERSES: dict[str, type[Hold] | type[Release] | type[Suspend] | type[Resume]] = {
    "hold": Release,
    "release": Hold,
    "suspend": Resume,
    "resume": Suspend,
}
"""Kind of an act -> the act that takes it back."""


def inverse_of(act: RunAct) -> Act | None:
    """The act that takes `act` back; None when nothing does."""
    made = INVERSES.get(kind(act))
    return made(source=act.source, runs=act.runs) if made else None


def kind(act: Act) -> str:
    """The act's word on the command line and in the journal: `cancel`, `change_run`."""
    name = type(act).__name__
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


class ReceiptStatus(StrEnum):
    """What became of one item of an act."""

    DONE = "done"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of one item of an act, as read back from the scheduler.

    `done`: the scheduler shows the new state. `accepted`: it said yes and shows it later.
    `refused`: it said no (`message`). `unchanged`: it said yes and nothing changed, or there was
    nothing to do. `unknown`: it was sent and no answer came; `message` says how to find out.
    """

    target: str
    status: ReceiptStatus
    message: SafeText | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewItem:
    """What would be done for one item: the exact command or request, or why it will be refused.

    `command` is an argument list (or method, path and body of a request); `owner` the user whose
    run it is; `loss_gpu_s` the GPU-seconds of work that would be thrown away.
    """

    target: str
    command: tuple[str, ...]
    owner: str | None = None
    before: str | None = None
    loss_gpu_s: float | None = None
    refusal: SafeText | None = None
    warning: SafeText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """An act, spelled out: one item per run, node or queue, and the act that would undo it."""

    act: Act
    items: tuple[PreviewItem, ...]
    inverse: Act | None = None

    @property
    def refused(self) -> tuple[PreviewItem, ...]:
        """The items that the scheduler is known to refuse."""
        return tuple(i for i in self.items if i.refusal is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One act that was carried out: `status` is done, part, refused or unknown."""

    id: str
    act: str
    status: str
    receipts: tuple[Receipt, ...]
    at: datetime | None = None
    undoes: str | None = None


def refused(item: PreviewItem, text: str) -> Receipt:
    """The receipt of an item that was not carried out, and why."""
    return Receipt(
        target=item.target,
        status=ReceiptStatus.REFUSED,
        message=safe(text, max_cells=400),
        before=item.before,
        after=item.before,
    )


def outcome(receipts: tuple[Receipt, ...]) -> str:
    """The one word for a batch: `done`, `part`, `unchanged`, `refused` or `unknown`."""
    states = {r.status for r in receipts}
    good = {ReceiptStatus.DONE, ReceiptStatus.ACCEPTED}
    if not states:
        return "unchanged"
    if ReceiptStatus.UNKNOWN in states:
        return "unknown"
    if states <= good:
        return "done"
    if states & good:
        return "part"
    return "unchanged" if states == {ReceiptStatus.UNCHANGED} else "refused"
