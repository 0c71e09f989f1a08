"""Plans that are applied, and what is taken back, as JSON objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from foundry_tui.estate.actrecords import act_record
from foundry_tui.estate.acts import Act, Change, Preview, PreviewItem
from foundry_tui.estate.plan import Move, Plan
from foundry_tui.presenters.records.acts import change_record
from foundry_tui.presenters.records.nouns import Record


class StepLike(Protocol):
    """One act of a move, spelled out."""

    @property
    def move(self) -> Move: ...
    @property
    def index(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def act(self) -> Act: ...
    @property
    def preview(self) -> Preview | None: ...
    @property
    def items(self) -> tuple[PreviewItem, ...]: ...
    @property
    def refusal(self) -> str | None: ...
    @property
    def later(self) -> bool: ...
    @property
    def irreversible(self) -> bool: ...
    @property
    def done_by(self) -> str | None: ...


class PreparedLike(Protocol):
    """A plan held against the estate."""

    @property
    def plan(self) -> Plan: ...
    @property
    def steps(self) -> Sequence[StepLike]: ...
    @property
    def broken(self) -> tuple[str, ...]: ...
    @property
    def refused(self) -> tuple[str, ...]: ...
    @property
    def needs_approval(self) -> str | None: ...
    @property
    def approved_by(self) -> tuple[str, ...]: ...
    @property
    def irreversible(self) -> tuple[str, ...]: ...
    @property
    def count(self) -> int: ...
    @property
    def digest(self) -> str: ...


class AppliedLike(Protocol):
    """What became of a plan."""

    @property
    def plan_id(self) -> str: ...
    @property
    def changes(self) -> tuple[Change, ...]: ...
    @property
    def stopped(self) -> str | None: ...
    @property
    def left(self) -> tuple[str, ...]: ...
    @property
    def before(self) -> tuple[str, ...]: ...
    @property
    def applied_at(self) -> datetime | None: ...


class BackLike(Protocol):
    """One act that takes something back."""

    @property
    def act(self) -> Act: ...
    @property
    def name(self) -> str: ...
    @property
    def commands(self) -> tuple[tuple[str, ...], ...]: ...
    @property
    def loss_gpu_s(self) -> float | None: ...


class TakingLike(Protocol):
    """How something is taken back."""

    @property
    def id(self) -> str: ...
    @property
    def backs(self) -> Sequence[BackLike]: ...
    @property
    def left(self) -> tuple[str, ...]: ...
    @property
    def irreversible(self) -> tuple[str, ...]: ...


def prepared_record(prepared: PreparedLike) -> Record:
    """A dry run: the steps with their commands, and what stands in the way."""
    return {
        "plan": prepared.plan.id,
        "digest": prepared.digest,
        "count": prepared.count,
        "steps": [
            {
                "move": step.move.id,
                "step": step.index,
                "act": act_record(step.act),
                "items": [
                    {
                        "target": item.target,
                        "command": item.command,
                        "owner": item.owner,
                        "before": item.before,
                        "loss_gpu_s": item.loss_gpu_s,
                        "warning": item.warning,
                    }
                    for item in step.items
                ],
                "inverse": _inverse(step),
                "irreversible": step.irreversible,
                "risk": step.move.risk,
                "owner": step.move.owner,
                "refusal": step.refusal,
                "done_by": step.done_by,
            }
            for step in prepared.steps
        ],
        "broken": prepared.broken,
        "refused": prepared.refused,
        "needs_approval": prepared.needs_approval,
        "approved_by": prepared.approved_by,
        "irreversible": prepared.irreversible,
    }


def diff_record(
    plan: Plan,
    moves: Sequence[tuple[Move, Mapping[str, object], tuple[str, ...]]],
    whole: Sequence[str],
) -> Record:
    """Per move what the plan saw, what is now and what is broken."""
    return {
        "plan": plan.id,
        "holds": not whole and not any(words for _, _, words in moves),
        "problems": whole,
        "moves": [
            {"id": m.id, "was": m.precondition or {}, "is": seen, "broken": words}
            for m, seen, words in moves
        ],
        "before": plan.before,
        "after": plan.after,
    }


def applied_record(applied: AppliedLike) -> Record:
    """What came of a plan: its changes, where it stopped and what is left."""
    return {
        "plan": applied.plan_id,
        "changes": [change_record(change) for change in applied.changes],
        "stopped": applied.stopped,
        "left": applied.left,
        "before": applied.before,
        "applied_at": applied.applied_at,
    }


def taking_record(taking: TakingLike, count: int) -> Record:
    """A dry run of taking something back."""
    return {
        "id": taking.id,
        "count": count,
        "acts": [
            {"act": act_record(b.act), "commands": b.commands, "loss_gpu_s": b.loss_gpu_s}
            for b in taking.backs
        ],
        "left": taking.left,
        "irreversible": taking.irreversible,
    }


def _inverse(step: StepLike) -> Record | None:
    inverse = None if step.preview is None else step.preview.inverse
    return None if inverse is None else act_record(inverse)
