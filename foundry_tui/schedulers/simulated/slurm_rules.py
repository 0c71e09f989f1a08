"""What an administrator of the simulated Slurm changes: nodes, and the state of partitions."""

from __future__ import annotations

from foundry_tui.estate.acts import (
    ChangeNode,
    ChangeQueue,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    refused,
)
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.simulated.live import Live
from foundry_tui.schedulers.slurm.nodechange import DRAIN, RESUME
from foundry_tui.schedulers.slurm.partitionchange import STATES
from scheduler_sim.engine import LiveCluster

STATE = "state"
"""The only field of a partition that the simulation changes."""


def preview_rule(live: Live, act: ChangeNode | ChangeQueue) -> Preview:
    """The command of each node, or of the partition, and the act that takes it back.

    Raises:
        ValueError: a state, a reason or a field that Slurm would not take.
    """
    engine = live.engine()
    if isinstance(act, ChangeQueue):
        return _preview_queue(engine, act)
    if act.state not in (DRAIN, RESUME):
        raise ValueError(f"state: one of {DRAIN}, {RESUME}, not {act.state!r}")
    if act.state == DRAIN and not (act.reason and act.reason.strip()):
        raise ValueError("reason: a node is drained with a reason; users read it")
    items = tuple(_node_item(engine, act, name) for name in act.nodes)
    going = tuple(item.target for item in items if item.refusal is None)
    return Preview(act=act, items=items, inverse=_back(engine, act, going))


def _back(engine: LiveCluster, act: ChangeNode, names: tuple[str, ...]) -> ChangeNode | None:
    if not names:
        return None
    if act.state == DRAIN:
        return ChangeNode(source=act.source, nodes=names, state=RESUME, reason=act.reason)
    reasons = {engine.notes[_row(engine, name)].text for name in names}
    if len(reasons) != 1:
        return None
    return ChangeNode(source=act.source, nodes=names, state=DRAIN, reason=reasons.pop())


def _row(engine: LiveCluster, name: str) -> int:
    """The row of a node; -1 for an unknown one."""
    return next((i for i, node in enumerate(engine.spec.nodes) if node.name == name), -1)


def _node_item(engine: LiveCluster, act: ChangeNode, name: str) -> PreviewItem:
    row = _row(engine, name)
    note = engine.notes.get(row)
    before = f"{note.kind}: {note.text}" if note else "in service"
    why, warning = None, None
    command: tuple[str, ...] = ("scontrol", "update", f"NodeName={name}")
    if row < 0:
        why = f"there is no node {name}"
    elif note is not None and note.kind == "down":
        why = f"it is down: {note.text}"
    elif act.state == DRAIN:
        why = f"it is drained already: {note.text}" if note else None
        command = (*command, "State=DRAIN", f"Reason={act.reason}")
        running = sum(
            any(part.node == row for part in job.parts) for job in engine.books.running.values()
        )
        warning = f"{engine.spec.nodes[row].gpus} GPUs get no new runs; {running} running go on"
    else:
        command = (*command, "State=RESUME")
        if note is None:
            why = "it is not drained"
        elif act.reason and act.reason != note.text:
            why = f"it was drained for another reason since: {note.text}"
    return PreviewItem(
        target=name,
        command=() if why else command,
        before=safe(before) if row >= 0 else None,
        refusal=safe(why) if why else None,
        warning=safe(warning) if warning and not why else None,
    )


def _preview_queue(engine: LiveCluster, act: ChangeQueue) -> Preview:
    for name, _ in act.fields:
        if name != STATE:
            raise ValueError(f"field {name!r} cannot be changed in the simulation; one of {STATE}")
    now = engine.books.queue_states.get(act.queue)
    wanted = dict(act.fields).get(STATE, "").lower()
    why = None
    if now is None:
        why = f"there is no partition {act.queue}"
    elif wanted not in STATES:
        why = f"state: one of {', '.join(STATES)}, not {wanted!r}"
    command = ("scontrol", "update", f"PartitionName={act.queue}", f"State={wanted.upper()}")
    item = PreviewItem(
        target=act.queue,
        command=() if why else command,
        before=f"state={now}" if now else None,
        refusal=safe(why) if why else None,
    )
    back = ChangeQueue(source=act.source, queue=act.queue, fields=((STATE, now or ""),))
    return Preview(act=act, items=(item,), inverse=None if why else back)


def perform_rule(live: Live, act: ChangeNode | ChangeQueue, item: PreviewItem) -> Receipt:
    """Carry out one previewed item."""
    if item.refusal is not None:
        return refused(item, item.refusal)
    if isinstance(act, ChangeQueue):
        done = live.act("queue", key=item.target, text=dict(act.fields)[STATE].lower())
    else:
        done = live.act(act.state, key=item.target, text=act.reason or "")
    status = ReceiptStatus.ACCEPTED if done else ReceiptStatus.UNCHANGED
    return Receipt(target=item.target, status=status, before=item.before)


def shown_rule(engine: LiveCluster, act: ChangeNode | ChangeQueue, target: str) -> tuple[bool, str]:
    """Whether the cluster shows what was asked for, and what it shows."""
    if isinstance(act, ChangeQueue):
        state = engine.books.queue_states.get(target, "")
        return state == dict(act.fields)[STATE].lower(), f"state={state}"
    note = engine.notes.get(_row(engine, target))
    text = safe(f"{note.kind}: {note.text}") if note else "in service"
    if act.state == DRAIN:
        return note is not None and note.text == act.reason, text
    return note is None, text
