"""Changes of queues: quota, limit, weight and priority, each only from the value that was read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from foundry_tui.estate.acts import ChangeQueue, Preview, PreviewItem
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai.wire import Api, Change, Gone, Refused, Trouble, Wrong, at, patch

QUEUES = "/apis/scheduling.run.ai/v2/queues"

UNLIMITED = "unlimited"
_NO_LIMIT = -1

FIELDS = {
    "quota_gpus": ("spec", "resources", "gpu", "quota"),
    "limit_gpus": ("spec", "resources", "gpu", "limit"),
    "over_quota_weight": ("spec", "resources", "gpu", "overQuotaWeight"),
    "priority": ("spec", "priority"),
}
"""Field of a queue -> where it stands. Quota and limit are GPUs, or the word `unlimited`."""

GPU_FIELDS = ("quota_gpus", "limit_gpus")

_ABSENT = {"quota_gpus": 0, "limit_gpus": 0, "over_quota_weight": 0, "priority": 100}
"""What KAI takes where a queue does not say."""

Number = int | float

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?")
_WHOLE = re.compile(r"[0-9]{1,9}")


def change_queue(api: Api, act: ChangeQueue) -> Preview:
    """Quota, limit, weight or priority of one queue, tried without effect.

    Raises:
        ValueError: a field that cannot be changed.
    """
    for name, _ in act.fields:
        if name not in FIELDS:
            raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(FIELDS)}")
    try:
        values = {name: _number(name, text) for name, text in act.fields}
        if not _NAME.fullmatch(act.queue):
            raise Wrong(f"{act.queue!r} is no name of a queue")
        found = api.get(f"{QUEUES}/{act.queue}")
        if all(_value(found, name) == value for name, value in values.items()):
            raise Wrong(f"it is so already: {_line(found)}")
        item = _tried(api, act.queue, found, values)
    except Gone:
        item = _refusal(act.queue, f"there is no queue {act.queue}")
    except Trouble as error:
        item = _refusal(act.queue, str(error))
    if item.refusal is not None:
        return Preview(act=act, items=(item,))
    old = tuple((name, _shown(name, _value(found, name))) for name in values)
    inverse = ChangeQueue(source=act.source, queue=act.queue, fields=old)
    return Preview(act=act, items=(item,), inverse=inverse)


def _tried(
    api: Api, name: str, queue: Mapping[str, Any], values: Mapping[str, Number]
) -> PreviewItem:
    changes = [Change(FIELDS[field], value, guarded=True) for field, value in values.items()]
    request = patch(f"{QUEUES}/{name}", queue, *changes)
    notes = [_below(queue, values), *_family(api, name, queue, values)]
    try:
        api.rehearse(request)
    except Refused as error:
        if error.untried is None:
            raise
        notes.append(error.untried)
    warning = "; ".join(note for note in notes if note)
    return PreviewItem(
        target=name,
        command=request.words,
        before=safe(_line(queue), max_cells=120),
        warning=safe(warning, max_cells=400) if warning else None,
    )


def _number(name: str, text: str) -> Number:
    if name in GPU_FIELDS and text == UNLIMITED:
        return _NO_LIMIT
    if name == "priority":
        if not _WHOLE.fullmatch(text):
            raise Wrong(f"priority: a whole number from 0, not {text!r}")
        return int(text)
    if not _NUMBER.fullmatch(text):
        what = f"GPUs such as 4 or 2.5, or {UNLIMITED}" if name in GPU_FIELDS else "0 or more"
        raise Wrong(f"{name}: {what}, not {text!r}")
    value = Decimal(text)
    return int(value) if value == int(value) else float(value)


def _value(queue: Mapping[str, Any], name: str) -> Number:
    found = at(queue, *FIELDS[name])
    return found if isinstance(found, int | float) else _ABSENT[name]


def _shown(name: str, value: Number) -> str:
    if name in GPU_FIELDS and value < 0:
        return UNLIMITED
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(queue: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_shown(name, _value(queue, name))}" for name in FIELDS)


def _below(queue: Mapping[str, Any], changed: Mapping[str, Number]) -> str | None:
    """The warning about a limit that keeps a queue from its quota."""
    quota, limit = (changed.get(name, _value(queue, name)) for name in GPU_FIELDS)
    if limit >= 0 and (quota < 0 or quota > limit):
        return f"its limit of {limit:g} GPUs is below its quota"
    return None


def _family(
    api: Api, name: str, queue: Mapping[str, Any], changed: Mapping[str, Number]
) -> Iterable[str]:
    """Warnings about a parent that deserves less than its children together.

    KAI gives children what their parent has: a quota beyond that is a promise nobody keeps.
    """
    if "quota_gpus" not in changed:
        return
    try:
        every = {q["metadata"]["name"]: q for q in api.get(QUEUES).get("items") or ()}
    except Trouble:
        return
    quotas = {n: _value(q, "quota_gpus") for n, q in every.items()} | {name: changed["quota_gpus"]}
    parents = {n: at(q, "spec", "parentQueue") for n, q in every.items()}
    for parent in (name, at(queue, "spec", "parentQueue")):
        below = [quotas[n] for n, above in parents.items() if above == parent]
        most = quotas.get(parent or "")
        if not below or most is None or most < 0:
            continue
        if min(below) < 0:
            yield f"a queue below {parent} has no limit to its quota, {parent} has {most:g} GPUs"
        elif sum(below) > most:
            yield (
                f"the queues below {parent} deserve {sum(below):g} GPUs together, "
                f"{parent} itself {most:g}"
            )


def _refusal(target: str, text: str) -> PreviewItem:
    return PreviewItem(target=target, command=(), refusal=safe(text, max_cells=400))
