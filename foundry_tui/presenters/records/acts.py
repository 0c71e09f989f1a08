"""Plans, changes and journal entries as JSON objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from foundry_tui.estate.actrecords import act_record
from foundry_tui.estate.acts import Change, Preview, Submit, kind
from foundry_tui.estate.plan import Move, Plan, Target
from foundry_tui.estate.snapshot import safe_tree
from foundry_tui.estate.text import safe
from foundry_tui.estate.tradeoff import TradeOff
from foundry_tui.presenters.records.nouns import Record, placement


class Author(Protocol):
    """Who asked for a change."""

    @property
    def user(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def uid(self) -> int: ...
    @property
    def sudo_user(self) -> str | None: ...
    @property
    def ssh_connection(self) -> str | None: ...


class Aim(Protocol):
    """What a change is part of and what it is for."""

    @property
    def plan(self) -> str | None: ...
    @property
    def move(self) -> str | None: ...
    @property
    def step(self) -> int | None: ...
    @property
    def why(self) -> str | None: ...
    @property
    def until(self) -> datetime | None: ...
    @property
    def approved_by(self) -> tuple[str, ...]: ...


class JournalEntry(Protocol):
    """A change as the journal knows it; `items` and `commands` are raw text."""

    @property
    def change(self) -> Change: ...
    @property
    def source(self) -> str: ...
    @property
    def commands(self) -> tuple[tuple[str, ...], ...]: ...
    @property
    def items(self) -> tuple[str, ...]: ...
    @property
    def who(self) -> Author: ...
    @property
    def finished_at(self) -> datetime | None: ...
    @property
    def purpose(self) -> Aim: ...
    @property
    def inverse(self) -> Mapping[str, Any] | None: ...


def plan_record(plan: Plan) -> Record:
    """A plan with its moves."""
    return {
        "id": plan.id,
        "generated_at": plan.generated_at,
        "estate_id": plan.estate_id,
        "objective": plan.objective,
        "bound": plan.bound,
        "gap": plan.gap,
        "status": plan.status,
        "solve_s": plan.solve_s,
        "moves": [move_record(m) for m in plan.moves],
        "before": plan.before,
        "after": plan.after,
        "assumptions": plan.assumptions,
        "not_proposed": [{"target": _target(n.target), "why": n.why} for n in plan.not_proposed],
        "objective_name": plan.objective_name,
        "sense": plan.sense,
        "bound_kind": plan.bound_kind,
        "unproven": plan.unproven,
        "prediction": None if plan.prediction is None else asdict(plan.prediction),
        "seen": plan.seen,
    }


def tradeoff_record(point: TradeOff) -> Record:
    """One point of a plan's trade-offs; gain and cost are GPU-hours."""
    return {
        "moves": point.moves,
        "added": point.added,
        "gain": point.gain,
        "cost": point.cost,
        "net": point.net,
        "gain_unknown": point.gain_unknown,
        "worth": point.worth,
        "gpus_allocated": point.gpus_allocated,
        "owners": point.owners,
        "stopped": point.stopped,
    }


def move_record(move: Move) -> Record:
    """A move; `command` is null until the adapter has been asked for it."""
    return {
        "id": move.id,
        "target": _target(move.target),
        "action": move.action,
        "placement": placement(move.placement),
        "gpu_milli": move.gpu_milli,
        "precondition": move.precondition or {},
        "inverse": move.inverse,
        "gain": move.gain,
        "cost": move.cost,
        "risk": move.risk,
        "owner": move.owner,
        "why": move.why,
        "command": move.command,
        "queue": move.queue,
        "displaces": move.displaces,
        "starts_at": move.starts_at,
        "worth": move.worth,
        "steps": [act_record(step) for step in move.steps],
        "awaits": move.awaits,
        "irreversible": move.irreversible,
        "starts_within_s": move.starts_within_s,
        "rule": move.rule,
    }


def preview_record(preview: Preview) -> Record:
    """An act, spelled out: one item per run, with the exact command."""
    return {
        "act": kind(preview.act),
        "items": [
            {
                "target": i.target,
                "command": i.command,
                "owner": i.owner,
                "before": i.before,
                "loss_gpu_s": i.loss_gpu_s,
                "refusal": i.refusal,
                "warning": i.warning,
            }
            for i in preview.items
        ],
    }


def render_record(preview: Preview, notes: Sequence[str]) -> Record:
    """A submit, spelled out: the exact command or request, the script, and what to know of it."""
    act = preview.act
    assert isinstance(act, Submit)
    return {
        "source": act.source,
        "options": act.options,
        "script_name": act.script_name,
        "script": act.script.decode("utf-8", "replace"),
        "environment": dict(act.environment),
        "items": preview_record(preview)["items"],
        "notes": notes,
    }


def change_record(change: Change) -> Record:
    """A change with one receipt per item."""
    return {
        "id": change.id,
        "status": change.status,
        "receipts": [
            {
                "target": r.target,
                "status": r.status,
                "message": r.message,
                "before": r.before,
                "after": r.after,
            }
            for r in change.receipts
        ],
        "act": change.act,
        "at": change.at,
        "undoes": change.undoes,
    }


def journal_record(entry: JournalEntry) -> Record:
    """A change with who asked for it and what was sent; the raw text is made safe."""
    return {
        **change_record(entry.change),
        "source": entry.source,
        "user": entry.who.user,
        "host": entry.who.host,
        "items": [safe(item) for item in entry.items],
        "commands": [[safe(word, max_cells=4096) for word in words] for words in entry.commands],
        "finished_at": entry.finished_at,
        "uid": entry.who.uid,
        "sudo_user": entry.who.sudo_user,
        "ssh_connection": entry.who.ssh_connection,
        "plan": entry.purpose.plan,
        "move": entry.purpose.move,
        "step": entry.purpose.step,
        "why": entry.purpose.why,
        "until": entry.purpose.until,
        "approved_by": entry.purpose.approved_by,
        "inverse": None if entry.inverse is None else safe_tree(entry.inverse),
    }


def _target(target: Target) -> Record:
    return {"kind": target.kind, "id": target.id}
