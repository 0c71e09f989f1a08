"""What a move found when it was planned, and whether that still holds: compare, then set.

A plan is a promise about an estate that goes on living. So each move carries the values it was made
from, and it is carried out only while they stand. One table names them for the optimiser, which
writes them, and for whoever applies a plan, who compares them.

Keys: of a run `state`, `queue`, `tasks`, `held` and, while it holds nodes, `nodes`; `reason` is
told and not compared, because a scheduler rewrites it every minute. `gpu_milli_free on NODE` is
not compared for equality: there must be as much as the move needs there, or as the plan saw. Of a
node `state` and `reason`; of a queue `state`, `quota_gpu_milli`, `limit_gpu_milli` and
`over_quota_weight`.
"""

from __future__ import annotations

from collections.abc import Iterable

from foundry_tui.estate.acts import (
    Act,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    MoveNode,
    Release,
    Requeue,
    Resubmit,
    Resume,
    Suspend,
)
from foundry_tui.estate.node import Node
from foundry_tui.estate.plan import Move, Target
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import HOLDING, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe

Value = str | int | float | bool | None
"""What a precondition may hold."""

FREE = "gpu_milli_free on "
"""Before the name of a node: the thousandths of its GPUs that nobody holds."""

RUN_KEYS = ("state", "reason", "queue", "tasks", "held", "nodes")
NODE_KEYS = ("state", "reason")
QUEUE_KEYS = ("state", "quota_gpu_milli", "limit_gpu_milli", "over_quota_weight")
KEYS = {"run": RUN_KEYS, "node": NODE_KEYS, "queue": QUEUE_KEYS}
"""Kind of a target -> the values that are observed of it."""


def observed(snapshot: Snapshot, move: Move) -> dict[str, Value]:
    """The values of a move's target as the snapshot shows them; empty when it is not there."""
    source = source_of(move.target)
    found = target_in(snapshot, move.target)
    if found is None:
        return {}
    values: dict[str, Value]
    if isinstance(found, Run):
        values = {
            "state": str(found.state),
            "reason": found.reason,
            "queue": found.queue,
            "tasks": found.count,
            "held": found.held,
        }
        if found.state in HOLDING:
            values["nodes"] = ",".join(part.node for part in found.placement)
    elif isinstance(found, Node):
        values = {"state": str(found.state), "reason": found.reason}
    else:
        values = {key: getattr(found, key) for key in QUEUE_KEYS}
    names = dict.fromkeys([p.node for p in move.placement] + [*_free_names(move)])
    free = {n.name: n.gpu_milli_free for n in snapshot.nodes if n.source == source}
    values |= {f"{FREE}{name}": free[name] for name in names if name in free}
    return values


def broken(
    snapshot: Snapshot, move: Move, *, changed: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """What of a move's precondition no longer holds: sentences that say what, was and is.

    `changed` are keys that steps of the same plan have already changed, which are not compared.
    A move whose target is gone is broken, and so is a value that nobody can compare.
    """
    name = safe(move.target.id)
    if target_in(snapshot, move.target) is None:
        return (f"{name} is not there any more",)
    now, needs = observed(snapshot, move), needed(move)
    found = []
    for key, was in (move.precondition or {}).items():
        if key == "reason" and move.target.kind == "run":
            continue
        if key in changed:
            continue
        if key.startswith(FREE):
            words = _too_little(key, was, now, needs)
            if words is not None:
                found.append(f"{name}: {words}")
        elif key not in KEYS[move.target.kind]:
            found.append(f"{name}: {safe(key)} cannot be compared")
        elif now.get(key) != was:
            found.append(f"{name}: {key} was {_told(was)}, is {_told(now.get(key))}")
    for node in needs:
        # What the plan did not write down is asked for all the same.
        key = f"{FREE}{node}"
        if key not in (move.precondition or {}) and key not in now:
            found.append(f"{name}: node {safe(node)} is not there any more")
    return tuple(found)


def needed(move: Move) -> dict[str, int | None]:
    """Node -> the thousandths of GPUs that a move needs there; None where that is not known.

    A move tells its sum; over several nodes it is split as its GPUs are.
    """
    parts: dict[str, list[int | None]] = {}
    for part in move.placement:
        parts.setdefault(part.node, []).append(None if part.gpus is None else len(part.gpus))
    if move.gpu_milli is None:
        return dict.fromkeys(parts)
    if len(parts) == 1:
        return dict.fromkeys(parts, move.gpu_milli)
    counts = {
        node: None if None in of else sum(count or 0 for count in of) for node, of in parts.items()
    }
    total = sum(count or 0 for count in counts.values())
    if None in counts.values() or not total:
        return dict.fromkeys(parts)
    return {node: move.gpu_milli * (count or 0) // total for node, count in counts.items()}


def changed_by(act: Act) -> frozenset[str]:
    """The keys that an act changes on its targets, so that a later move does not trip over them."""
    if isinstance(act, Hold | Release):
        return frozenset({"held", "reason"})
    if isinstance(act, Requeue):
        return frozenset({"state", "held", "reason", "nodes"})
    if isinstance(act, Suspend | Resume):
        return frozenset({"state", "reason", "nodes"})
    if isinstance(act, ChangeRun):
        return frozenset({"reason"} | ({"queue"} & {name for name, _ in act.fields}))
    if isinstance(act, Resubmit):
        return frozenset(RUN_KEYS)
    if isinstance(act, ChangeNode | MoveNode):
        return frozenset(NODE_KEYS)
    return frozenset(QUEUE_KEYS) if isinstance(act, ChangeQueue) else frozenset()


def source_of(target: Target) -> str:
    """The source whose run, node or queue it is."""
    return target.id.partition("/")[0]


def target_in(snapshot: Snapshot, target: Target) -> Run | Node | Queue | None:
    """The target itself in a snapshot; None when it is not there."""
    source, _, name = target.id.partition("/")
    if target.kind == "run":
        return next((r for r in snapshot.runs if r.id == target.id), None)
    nouns: Iterable[Node | Queue] = snapshot.nodes if target.kind == "node" else snapshot.queues
    return next((n for n in nouns if n.source == source and n.name == name), None)


def _free_names(move: Move) -> Iterable[str]:
    return (k.removeprefix(FREE) for k in move.precondition or {} if k.startswith(FREE))


def _too_little(
    key: str, was: Value, now: dict[str, Value], needs: dict[str, int | None]
) -> str | None:
    """Why there is not room enough on a node; None when there is."""
    node = safe(key.removeprefix(FREE))
    if key not in now:
        return f"node {node} is not there any more"
    free, need = now[key], needs.get(key.removeprefix(FREE))
    seen = was if isinstance(was, int) else None
    if not isinstance(free, int):
        return f"what is free on {node} is not known (was {_told(was)})"
    # A plan may count on room that its own earlier moves make: then it saw less than it needs.
    enough = [value for value in (seen, need) if value is not None]
    if enough and free >= min(enough):
        return None
    wanted = "" if need is None else f", {need} are needed"
    return f"GPU thousandths free on {node} were {_told(was)}, are {free}{wanted}"


def _told(value: Value) -> str:
    if value is None:
        return "not known"
    return ("yes" if value else "no") if isinstance(value, bool) else safe(str(value))
