"""Draining nodes and resuming them: one `scontrol update` per node, by its exact name.

`NodeName=ALL` would be every node without a question, a drain of a drained node overwrites the
reason that somebody gave, and `State=RESUME` clears a drain whoever set it: so the node is looked
at first, and again afterwards.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from foundry_tui.estate.acts import ChangeNode, Preview, PreviewItem, Receipt, ReceiptStatus
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.nodes import RawNode, parse_nodes, state, to_reason, used_milli

DRAIN, RESUME = "drain", "resume"

SILENT = "resumed, not answering yet"
"""For some 0.5 s after a resume Slurm calls a node NOT_RESPONDING (22.05)."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""One node or partition: no list, no pattern, no option."""

_WORD = re.compile(r"(?:^| )[A-Z][A-Za-z]*=")
_DRAINED = frozenset({"DRAIN", "DRAINED", "DRAINING"})
_DOWN = frozenset({"DOWN", "FAIL", "FAILING", "ERROR"})


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as it stands: whether it is drained or down, why, and what is in use on it."""

    raw: RawNode
    drained: bool
    down: bool
    silent: bool
    reason: str
    by: str
    """` (set by root at 2026-11-22T02:52:30)`, empty when Slurm does not tell."""

    @property
    def shown(self) -> str:
        """State and reason in a few words, for before and after."""
        text = f"{state(self.raw).value}"
        return safe(f"{text}: {self.reason}{self.by}" if self.reason else text, max_cells=400)


def read_seen(commands: Commands) -> dict[str, Seen]:
    """Every node by its name.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    text = commands.read("scontrol", "-d", "-o", "show", "nodes")
    return {n.name: _seen(n) for n in parse_nodes(text.decode("utf-8", "surrogateescape"))}


def _seen(raw: RawNode) -> Seen:
    words = raw.words.get("State", "").replace("*", "+NOT_RESPONDING")
    flags = {w.rstrip("~#%$@^-!*") for w in words.split("+")}
    reason, who, when = to_reason(raw)
    by = f" (set by {who} at {when})" if who and when else ""
    silent = "NOT_RESPONDING" in flags
    return Seen(raw, bool(flags & _DRAINED), bool(flags & _DOWN), silent, reason, by)


def preview_node(commands: Commands, act: ChangeNode) -> Preview:
    """The command of each node, and the act that takes back what these would change.

    A node that is refused is in no inverse: what others drained is not resumed by us. The inverse
    of a drain names our reason, and a resume that names one leaves a node alone that was drained
    anew for another.

    Raises:
        ValueError: a state that is none of the two, or a reason that is none.
    """
    if act.state not in (DRAIN, RESUME):
        raise ValueError(f"state: one of {DRAIN}, {RESUME}, not {act.state!r}")
    if act.state == DRAIN and not (act.reason and act.reason.strip()):
        raise ValueError("reason: a node is drained with a reason; users read it")
    if act.reason is not None and not _plain(act.reason):
        raise ValueError(f"reason: one line of plain text without `Word=`, not {act.reason!r}")
    try:
        seen = read_seen(commands)
        running = _running(commands, [n for n in act.nodes if n in seen])
    except SchedulerError as error:
        return Preview(act=act, items=tuple(_no(n, f"not told: {error}") for n in act.nodes))
    items = tuple(_item(act, name, seen.get(name), running[name]) for name in act.nodes)
    going = [(i, seen[i.target]) for i in items if i.refusal is None]
    return Preview(act=act, items=items, inverse=_inverse(act, going))


def _inverse(act: ChangeNode, going: list[tuple[PreviewItem, Seen]]) -> ChangeNode | None:
    """None where one act cannot do it: other states than drained, or several old reasons."""
    names = tuple(item.target for item, _ in going)
    if not going or any(node.down for _, node in going):
        return None
    if act.state == DRAIN:
        return ChangeNode(source=act.source, nodes=names, state=RESUME, reason=act.reason)
    reasons = {node.reason for _, node in going}
    reason = reasons.pop()
    if reasons or not _plain(reason):
        return None
    return ChangeNode(source=act.source, nodes=names, state=DRAIN, reason=reason)


def _plain(reason: str) -> bool:
    """Whether a reason can be read back: Slurm shows it before other `Word=value` pairs."""
    return bool(reason.strip()) and reason.isprintable() and not _WORD.search(reason)


def _no(name: str, why: str) -> PreviewItem:
    return PreviewItem(target=name, command=(), refusal=safe(why, max_cells=400))


def _item(act: ChangeNode, name: str, node: Seen | None, running: int) -> PreviewItem:
    if not NAME.fullmatch(name) or name.upper() == "ALL":
        return _no(name, f"{name!r} is no name of one node")
    if node is None:
        return _no(name, f"there is no node {name}")
    command: tuple[str, ...] = ("scontrol", "update", f"NodeName={name}")
    why, notes = None, []
    if act.state == DRAIN:
        command = (*command, "State=DRAIN", f"Reason={act.reason}")
        why = f"it is drained already: {node.reason}{node.by}" if node.drained else None
        notes = _taken(node, running)
    else:
        command = (*command, "State=RESUME")
        if not node.drained and not node.down:
            why = "it is not drained"
        elif act.reason and act.reason != node.reason:
            why = f"it was drained for another reason since: {node.reason}{node.by}"
        elif node.reason:
            notes = [f"clears the reason: {node.reason}{node.by}"]
    if node.down:
        notes.append("it is down, and a resume would bring it up: this cannot be taken back")
    item = PreviewItem(target=name, command=command, before=node.shown)
    if why is not None:
        return replace(item, command=(), refusal=safe(why, max_cells=400))
    return replace(item, warning=safe("; ".join(notes), max_cells=400) if notes else None)


def _taken(node: Seen, running: int) -> list[str]:
    """What a drain costs: GPUs that get no new work, and runs that go on until they end."""
    gpus = sum(g.count for g in node.raw.gres if g.name == "gpu")
    notes = [f"{gpus} GPUs get no new runs"] if gpus else ["it gets no new runs"]
    used = used_milli(node.raw)
    if running:
        held = f" with {used / WHOLE_MILLI:g} GPUs" if used else ""
        runs = "1 run goes on" if running == 1 else f"{running} runs go on"
        notes.append(f"{runs} there{held} until they end")
    return notes


def _running(commands: Commands, names: Iterable[str]) -> Counter[str]:
    """How many runs are on each of these nodes."""
    wanted = frozenset(names)
    found: Counter[str] = Counter()
    if not wanted:
        return found
    rows, _ = commands.table(
        "squeue", (("jobid", 12), ("nodelist", 4096)), "-a", "-t", "R,S,CG", "-w", ",".join(wanted)
    )
    for _, nodes in rows:
        found.update(wanted & set(expand(nodes)))
    return found


def settle_node(act: ChangeNode, receipt: Receipt, seen: Mapping[str, Seen]) -> Receipt:
    """The receipt as the node's state proves it now; `accepted` while that shows something else."""
    node = seen.get(receipt.target)
    if node is None:
        return replace(
            receipt, status=ReceiptStatus.UNCHANGED, message=safe("there is no such node")
        )
    if act.state == DRAIN:
        proven = node.drained and node.reason == act.reason
    else:
        proven = not node.drained and not node.down
        if proven and node.silent and receipt.status is ReceiptStatus.ACCEPTED:
            return replace(receipt, after=SILENT)
    status = ReceiptStatus.DONE if proven else receipt.status
    return replace(receipt, status=status, after=node.shown)
