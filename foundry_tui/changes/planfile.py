"""A plan as a file: read strictly, because people write and edit it.

What `foundry advise -o FILE` wrote is read back as it was. A hand-written file needs no more than
`{"plan": {"generated_at": …, "moves": [{"id": …, "target": …, "steps": […]}]}}`. Anything that is
not understood is an error with the name of its field: a key that is passed over in silence could be
the one that the writer relied on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from foundry_tui.estate.actrecords import ActError, act_of, act_record, targets
from foundry_tui.estate.acts import Act, ChangeNode, ChangeQueue, MoveNode, kind
from foundry_tui.estate.plan import Move, NotProposed, Plan, Prediction, Target
from foundry_tui.estate.precondition import FREE, KEYS, source_of
from foundry_tui.estate.run import Placement
from foundry_tui.estate.text import safe

MOST_BYTES = 20 << 20
MOST_MOVES = 10_000
MOST_CELLS = 4000
"""The longest text of a plan that is kept whole."""

MOST_S = 3650 * 86400.0
"""The farthest that a plan may promise something, in seconds: what a time can be added to."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TARGET = re.compile(r"[A-Za-z0-9][\w.\-]{0,100}/[A-Za-z0-9][\w.\-/+\[\],:%]{0,252}", re.ASCII)

_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Milli = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=MOST_S)]


class PlanError(ValueError):
    """Bytes that are no plan: names the field, what stands there, and what may stand there."""


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A part of the file in which every key has to be known."""


class _Target(_Strict):
    kind: Literal["run", "node", "queue"]
    id: str


class _Placement(_Strict):
    node: str
    gpus: tuple[_Milli, ...] | None = None


class _Move(_Strict):
    """The fields of `presenters.records.acts.move_record`."""

    id: str
    target: _Target
    action: str = "change"
    placement: tuple[_Placement, ...] = ()
    gpu_milli: _Milli | None = None
    queue: str | None = None
    precondition: dict[str, str | int | float | bool | None] = {}
    inverse: str | None = None
    gain: float | None = None
    cost: float | None = None
    risk: Literal["low", "medium", "high"] = "low"
    owner: str | None = None
    why: str = ""
    displaces: tuple[str, ...] = ()
    starts_at: _Time | None = None
    worth: float | None = None
    command: tuple[str, ...] | None = None
    steps: tuple[Any, ...] = ()
    awaits: str | None = None
    irreversible: bool = False
    starts_within_s: _Seconds | None = None
    rule: str = ""


class _NotProposed(_Strict):
    target: _Target
    why: str


class _Plan(_Strict):
    """The fields of `presenters.records.acts.plan_record`, and the trade-offs, which are not kept.

    The prediction is told and not acted on: of it only the types are checked.
    """

    generated_at: _Time
    moves: tuple[_Move, ...]
    id: str | None = None
    estate_id: str = ""
    objective_name: str = ""
    objective: float | None = None
    bound: float | None = None
    gap: float | None = None
    status: str = "written by hand"
    solve_s: float = 0.0
    before: dict[str, float | None] = {}
    after: dict[str, float | None] = {}
    assumptions: tuple[str, ...] = ()
    not_proposed: tuple[_NotProposed, ...] = ()
    sense: Literal["max", "min"] = "max"
    bound_kind: str | None = None
    unproven: tuple[str, ...] = ()
    prediction: Prediction | None = None
    seen: dict[str, str] | None = None
    tradeoffs: Any = None


class _File(msgspec.Struct):
    """The envelope; what else stands in it is for other readers."""

    plan: _Plan


def read(data: bytes) -> Plan:
    """The plan that a file holds.

    Raises:
        PlanError: too large, no JSON, an unknown or missing key or one that stands twice, a time
            without a zone, a step that is no act or that does not fit its move; names the field.
    """
    if len(data) > MOST_BYTES:
        raise PlanError(f"the file: at most {MOST_BYTES >> 20} MB, and it is larger")
    try:
        plan = msgspec.json.decode(data, type=_File).plan
        json.loads(data, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except msgspec.ValidationError as error:
        raise PlanError(safe(f"not a plan: {error}", max_cells=400)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        words = f"not a plan: no JSON: {error}; `foundry advise -o FILE` writes one"
        raise PlanError(safe(words, max_cells=400)) from error
    except RecursionError as error:
        raise PlanError("not a plan: it is nested too deep") from error
    if len(plan.moves) > MOST_MOVES:
        raise PlanError(f"moves: at most {MOST_MOVES:,}, the file has {len(plan.moves):,}")
    moves = tuple(_move(number, move) for number, move in enumerate(plan.moves))
    ids = [move.id for move in moves]
    if len(set(ids)) != len(ids):
        twice = next(one for one, times in Counter(ids).items() if times > 1)
        raise PlanError(f"moves: two of them have the id {twice}")
    _awaited(moves)
    if plan.prediction is not None and not 0 < plan.prediction.horizon_s <= MOST_S:
        raise PlanError(f"prediction.horizon_s: above 0 and at most {MOST_S:.0f} seconds")
    made = Plan(
        id=_id("id", plan.id) if plan.id is not None else "",
        generated_at=plan.generated_at,
        estate_id=_shown(plan.estate_id),
        objective_name=_shown(plan.objective_name),
        objective=plan.objective,
        bound=plan.bound,
        gap=plan.gap,
        status=_shown(plan.status),
        solve_s=plan.solve_s,
        moves=moves,
        before={_shown(k): v for k, v in plan.before.items()},
        after={_shown(k): v for k, v in plan.after.items()},
        assumptions=tuple(map(_shown, plan.assumptions)),
        not_proposed=tuple(
            NotProposed(Target(n.target.kind, _shown(n.target.id)), _shown(n.why))
            for n in plan.not_proposed
        ),
        sense=plan.sense,
        bound_kind=None if plan.bound_kind is None else _shown(plan.bound_kind),
        unproven=tuple(map(_shown, plan.unproven)),
        prediction=plan.prediction,
        seen=plan.seen,
    )
    # Without an id of its own it is known by what it asks for, so that it is found again.
    return made if made.id else replace(made, id=digest(made)[:12])


def write(plan: Plan) -> bytes:
    """A plan as a file that `read` understands, for one that was never in a file."""
    moves = [
        {
            **{f.name: getattr(move, f.name) for f in fields(move)},
            "steps": [act_record(step) for step in move.steps],
            "precondition": move.precondition or {},
        }
        for move in plan.moves
    ]
    whole = {**{f.name: getattr(plan, f.name) for f in fields(plan)}, "moves": moves}
    return msgspec.json.encode({"plan": whole}) + b"\n"


def digest(plan: Plan) -> str:
    """What is agreed to when a plan is: the SHA-256 of what it does, where, and under what.

    Words, measures and predictions may differ between two plans of one digest.
    """
    asked = {
        "estate_id": plan.estate_id,
        "generated_at": plan.generated_at.isoformat(),
        "moves": [
            {
                "id": move.id,
                "target": [move.target.kind, move.target.id],
                "steps": [act_record(step) for step in move.steps],
                "precondition": move.precondition or {},
                "awaits": move.awaits,
            }
            for move in plan.moves
        ],
    }
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object in which a key stands twice: the first one would be passed over."""
    twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    if twice:
        raise PlanError(f"not a plan: the key {ascii(twice[0])[:80]} stands twice in one object")


def _awaited(moves: Sequence[Move]) -> None:
    """Refuse a move that awaits what it changes itself, or what is changed after it."""
    later: set[str] = set()
    for number, move in reversed(tuple(enumerate(moves))):
        later.add(move.target.id)
        if move.awaits in later:
            raise PlanError(
                f"moves[{number}].awaits: {move.awaits} is changed by this move or a later one, "
                "so that it would wait for itself; put the other move first"
            )


def _move(number: int, raw: _Move) -> Move:
    where = f"moves[{number}]"
    move_id = _id(f"{where}.id", raw.id)
    target = Target(raw.target.kind, _target(f"{where}.target.id", raw.target.id))
    displaces = tuple(_target(f"{where}.displaces", one) for one in raw.displaces)
    awaits = None if raw.awaits is None else _target(f"{where}.awaits", raw.awaits)
    for key in raw.precondition:
        if key not in KEYS[target.kind] and not key.startswith(FREE):
            raise PlanError(
                f"{where}.precondition: {key!a} is none of {', '.join(KEYS[target.kind])} "
                f"or `{FREE}NODE`"
            )
    steps = []
    for place, record in enumerate(raw.steps):
        step = f"{where}.steps[{place}]"
        try:
            act = act_of(record)
        except ActError as error:
            raise PlanError(f"{step}.{error}") from error
        _fit(step, act, target, displaces)
        steps.append(act)
    return Move(
        id=move_id,
        target=target,
        action=_shown(raw.action),
        placement=tuple(Placement(_shown(p.node), p.gpus) for p in raw.placement),
        gpu_milli=raw.gpu_milli,
        queue=None if raw.queue is None else _shown(raw.queue),
        precondition={
            k: _shown(v) if isinstance(v, str) else v for k, v in raw.precondition.items()
        },
        inverse=None if raw.inverse is None else _shown(raw.inverse),
        gain=raw.gain,
        cost=raw.cost,
        risk=raw.risk,
        owner=None if raw.owner is None else _shown(raw.owner),
        why=_shown(raw.why),
        displaces=displaces,
        starts_at=raw.starts_at,
        worth=raw.worth,
        command=raw.command,
        steps=tuple(steps),
        awaits=awaits,
        irreversible=raw.irreversible,
        starts_within_s=raw.starts_within_s,
        rule=_shown(raw.rule),
    )


def _fit(where: str, act: Act, target: Target, displaces: Sequence[str]) -> None:
    """Refuse a step that changes something else than its move says it does."""
    source = source_of(target)
    if act.source != source:
        raise PlanError(f"{where}.source: {act.source}, but the move is about {target.id}")
    wanted = {"node": (ChangeNode, MoveNode), "queue": (ChangeQueue,)}.get(target.kind)
    run_act = not isinstance(act, ChangeNode | MoveNode | ChangeQueue)
    if not (run_act if wanted is None else isinstance(act, wanted)):
        raise PlanError(f"{where}.act: a {kind(act)} does not change a {target.kind}")
    for one in targets(act):
        if one != target.id and one not in displaces:
            raise PlanError(
                f"{where}: it changes {one}, but the move is about {target.id}"
                + (f" and displaces {', '.join(displaces)}" if displaces else "")
            )


def _id(where: str, value: str) -> str:
    if not _ID.fullmatch(value):
        raise PlanError(
            f"{where}: letters, digits, dots, dashes and underscores, at most 64, "
            f"not {ascii(value)[:80]}"
        )
    return value


def _target(where: str, value: str) -> str:
    if not _TARGET.fullmatch(value):
        raise PlanError(f"{where}: SOURCE/NAME, not {ascii(value)[:80]}")
    return value


def _shown(text: str) -> str:
    return safe(text, max_cells=MOST_CELLS)
