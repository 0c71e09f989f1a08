"""Acts as plain records and back: what a plan file and the journal keep.

A record is read strictly. A plan is a file that people edit, so what stands in one may be wrong by
mistake or by intent: an unknown kind or field, a selector such as `ALL`, a wildcard or a list in
one word, and anything that is no plain value is refused, with the name of the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from foundry_tui.estate.acts import (
    Act,
    Cancel,
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
    kind,
)

KINDS: dict[str, type[Any]] = {
    "cancel": Cancel,
    "hold": Hold,
    "release": Release,
    "requeue": Requeue,
    "suspend": Suspend,
    "resume": Resume,
    "change_run": ChangeRun,
    "resubmit": Resubmit,
    "change_node": ChangeNode,
    "move_node": MoveNode,
    "change_queue": ChangeQueue,
}
"""Word of an act -> its class, for every act that a plan may hold. `Submit` is none of them."""

MOST_TARGETS = 10_000

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-/+]{0,252}")
_RANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-/]{0,200}_\[[0-9,:%\-]{1,60}\]")
_VALUE = re.compile(r"[A-Za-z0-9_.,:=@%+\-/\[\]&|()! ]{0,1000}")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,40}")
_STATES = ("drain", "resume")


class ActError(ValueError):
    """A record that is no act: names the field, what stands there, and what may stand there."""


def act_record(act: Act) -> dict[str, Any]:
    """The act as a record: `act` is its kind, the rest its fields.

    Raises:
        ActError: a `Submit`, which no plan holds.
    """
    if kind(act) not in KINDS:
        raise ActError(f"act: a plan holds no {kind(act)}")
    record: dict[str, Any] = {"act": kind(act)}
    for field in fields(act):
        value = getattr(act, field.name)
        record[field.name] = dict(value) if field.name == "fields" else value
    return record


def act_of(record: object) -> Act:
    """The act that a record tells.

    Raises:
        ActError: no record of an act, or a value that no scheduler would take for what it looks.
    """
    if not isinstance(record, Mapping):
        raise ActError(f"step: an object with `act` and its fields, not {_shown(record)}")
    made = KINDS.get(str(record.get("act")))
    if made is None:
        raise ActError(f"act: one of {', '.join(KINDS)}, not {_shown(record.get('act'))}")
    known = {field.name: field for field in fields(made)}
    for name in record:
        if name != "act" and name not in known:
            raise ActError(f"{name}: {record['act']} has no such field; it has {', '.join(known)}")
    given: dict[str, Any] = {}
    for name in known:
        if name in record:
            given[name] = _read(name, record[name])
    for name in ("source", "runs", "nodes", "queue", "fields", "state"):
        if name in known and name not in given:
            raise ActError(f"{name}: missing; {record['act']} needs it")
    if made is MoveNode:
        given.setdefault("pool", None)
    if made is ChangeNode and given["state"] == "drain" and not given.get("reason"):
        raise ActError("reason: missing; a node is drained with a reason")
    act: Act = made(**given)
    for run in getattr(act, "runs", ()):
        if not run.startswith(f"{act.source}/"):
            raise ActError(f"runs: {_shown(run)} is no run of {act.source}")
    return act


def targets(act: Act) -> tuple[str, ...]:
    """The ids of what an act changes: runs, or `source/name` of nodes or a queue."""
    if isinstance(act, ChangeNode | MoveNode):
        return tuple(f"{act.source}/{name}" for name in act.nodes)
    if isinstance(act, ChangeQueue):
        return (f"{act.source}/{act.queue}",)
    return getattr(act, "runs", ())


def _read(name: str, value: object) -> object:
    if name in ("runs", "nodes"):
        return _targets(name, value)
    if name == "fields":
        return _fields(value)
    if name == "hold":
        if not isinstance(value, bool):
            raise ActError(f"hold: true or false, not {_shown(value)}")
        return value
    if name in ("reason", "pool") and value is None:
        return None
    if not isinstance(value, str):
        raise ActError(f"{name}: text, not {_shown(value)}")
    if name == "reason":
        return _plain(name, value)
    if name == "state" and value not in _STATES:
        raise ActError(f"state: one of {', '.join(_STATES)}, not {_shown(value)}")
    return _word(name, value)


def _targets(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ActError(f"{name}: a list that names at least one, not {_shown(value)}")
    if len(value) > MOST_TARGETS:
        raise ActError(f"{name}: at most {MOST_TARGETS:,} in one step, not {len(value):,}")
    words = tuple(_word(name, one) for one in value)
    if len(set(words)) != len(words):
        raise ActError(f"{name}: one is named twice")
    return words


def _word(name: str, value: object) -> str:
    """One name or id. `ALL` is every node to scontrol, and patterns stand for many things."""
    if isinstance(value, str) and value.rpartition("/")[2].upper() != "ALL":
        plain = _WORD.fullmatch(value) or (name == "runs" and _RANGE.fullmatch(value))
        if plain:
            return value
    raise ActError(
        f"{name}: one plain name or id each (no ALL, no patterns, no lists), not {_shown(value)}"
    )


def _fields(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not value:
        raise ActError(f"fields: an object of names and values, not {_shown(value)}")
    found = []
    for key, text in value.items():
        if not isinstance(key, str) or not _FIELD.fullmatch(key):
            raise ActError(f"fields: {_shown(key)} is no name of a field")
        if not isinstance(text, str):
            raise ActError(f"fields.{key}: text, not {_shown(text)}")
        found.append((key, _plain(f"fields.{key}", text)))
    return tuple(found)


def _plain(name: str, value: str) -> str:
    """A value without anything that a shell, a line or a terminal would act on."""
    if not _VALUE.fullmatch(value):
        raise ActError(f"{name}: letters, digits and .,:=@%+-/[]&|()! only, not {_shown(value)}")
    if value.upper() == "ALL" and name not in ("fields.allow_qos", "fields.allow_accounts"):
        raise ActError(f"{name}: ALL stands for everything; name what is meant")
    return value


def _shown(value: object) -> str:
    """What stands there, short and printable."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
