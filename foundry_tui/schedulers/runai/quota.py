"""Changing what a project or department gets in a node pool."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from foundry_tui.deadline import Deadline
from foundry_tui.estate.acts import ChangeQueue, Preview, PreviewItem
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.rights import quota_refusal
from foundry_tui.schedulers.runai.tables import DEPARTMENTS, PROJECTS, Tables, Unit
from foundry_tui.schedulers.runai.wire import OrgUnit, PoolQuota, encoded, number, text

FIELDS = {
    "quota_gpus": "deserved",
    "limit_gpus": "limit",
    "over_quota_weight": "overQuotaWeight",
}
"""Field of `ChangeQueue` -> field of the API; `node_pool` says where, if there are several."""

UNLIMITED = "unlimited"


def unit_path(tables: Tables, unit: Unit) -> str:
    """The address of a project's or department's own record."""
    root = PROJECTS if unit.id in tables.projects else DEPARTMENTS
    return f"{root}/{quote(unit.id, safe='')}"


def unit_of(tables: Tables, name: str) -> Unit | None:
    """The project or department that is shown under this name."""
    units = [*tables.projects.values(), *tables.departments.values()]
    return next((u for u in units if u.name == name), None)


def preview_quota(act: ChangeQueue, tables: Tables) -> Preview:
    """The request and the act that would undo it.

    Raises:
        ValueError: a field that cannot be changed, or a value that is none.
    """
    fields = dict(act.fields)
    pool_name = fields.pop("node_pool", None)
    wanted = {name: _value(name, value) for name, value in fields.items()}
    if not wanted:
        raise ValueError(f"nothing to change: give one of {', '.join(FIELDS)}")
    unit = unit_of(tables, act.queue)
    if unit is None:
        words = safe(f"404 there is no project or department {act.queue!r} here")
        return Preview(act=act, items=(PreviewItem(target=act.queue, command=(), refusal=words),))
    pool = _pool(unit, pool_name)
    if isinstance(pool, str):
        return Preview(
            act=act, items=(PreviewItem(target=act.queue, command=(), refusal=safe(pool)),)
        )
    now = current(pool)
    if all(now[name] == value for name, value in wanted.items()):
        words = safe(f"it is so already: {shown(now)}")
        return Preview(act=act, items=(PreviewItem(target=act.queue, command=(), refusal=words),))
    later = {**now, **wanted}
    ref = pool.node_pool
    where = {"id": text(ref.id), "name": text(ref.name)} if ref is not None else None
    gpu = {FIELDS[name]: _sent(name, value) for name, value in later.items()}
    body = encoded([{**({"nodePool": where} if where else {}), "gpu": gpu}]).decode()
    item = PreviewItem(
        target=act.queue,
        command=("PATCH", f"{unit_path(tables, unit)}/resources", body),
        before=shown(now),
        refusal=quota_refusal(tables, unit),
        warning=_warning(tables, unit, text(ref.id) if ref is not None else None, later),
    )
    if item.refusal is not None:
        return Preview(act=act, items=(item,))
    old = tuple((name, _shown(now[name])) for name in wanted)
    at = (("node_pool", where["name"]),) if where and where["name"] else ()
    inverse = ChangeQueue(source=act.source, queue=act.queue, fields=(*old, *at))
    return Preview(act=act, items=(item,), inverse=inverse)


def _warning(
    tables: Tables, unit: Unit, pool: str | None, later: Mapping[str, float | None]
) -> SafeText | None:
    """What the control plane takes and does not do: a quota beyond a limit or the department's."""
    quota, limit = later["quota_gpus"], later["limit_gpus"]
    notes = []
    if limit is not None and (quota is None or quota > limit):
        notes.append(f"its limit of {limit:g} GPUs is below its quota")
    department = unit.id if unit.id in tables.departments else unit.parent
    roof = tables.departments.get(department or "")
    if roof is not None and roof.told.resources:
        most = quota if roof is unit else _deserved(roof, pool)
        below = [
            quota if project is unit else _deserved(project, pool)
            for project in tables.projects.values()
            if project.parent == department
        ]
        told = [n for n in below if n is not None]
        if most is not None and len(told) < len(below):
            notes.append(
                f"a project of {roof.name} has no limit to its quota, the department {most:g} GPUs"
            )
        elif most is not None and sum(told) > most:
            notes.append(
                f"the projects of {roof.name} deserve {sum(told):g} GPUs together there, "
                f"the department itself {most:g}"
            )
    return safe("; ".join(notes), max_cells=400) if notes else None


def _deserved(unit: Unit, pool: str | None) -> float | None:
    """What a unit deserves in a node pool, None for without limit; 0 where it has none there."""
    for found in unit.told.resources or ():
        if (text(found.node_pool.id) if found.node_pool else None) == pool:
            return current(found)["quota_gpus"]
    return 0.0


def observed(client: Client, act: ChangeQueue, path: str, deadline: Deadline) -> str | None:
    """What the record at `path` shows in the pool of an act, in a line; None where that is gone.

    Raises:
        SchedulerError: it could not be read.
    """
    body = client.read(path, deadline).body
    try:
        told = msgspec.json.decode(body, type=OrgUnit)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"GET {path}", safe(str(error)), "look again") from None
    return shown_unit(act, Unit("", safe(act.queue), act.queue, None, None, told))


def current(pool: PoolQuota) -> dict[str, float | None]:
    """What a unit has in a pool, by field; None is unlimited."""
    gpu = pool.gpu
    told = {
        "quota_gpus": number(gpu.deserved) if gpu else 0.0,
        "limit_gpus": number(gpu.limit) if gpu else None,
        "over_quota_weight": number(gpu.over_quota_weight) if gpu else None,
    }
    return {
        name: None if value is not None and value < 0 else value for name, value in told.items()
    }


def reached(act: ChangeQueue, unit: Unit) -> bool:
    """Whether a unit has what was asked for."""
    fields = dict(act.fields)
    pool = _pool(unit, fields.pop("node_pool", None))
    if isinstance(pool, str):
        return False
    now = current(pool)
    return all(now[name] == _value(name, value) for name, value in fields.items())


def shown(values: Mapping[str, float | None]) -> str:
    """The values in a line."""
    return ", ".join(f"{name} {_shown(value)}" for name, value in values.items())


def shown_unit(act: ChangeQueue, unit: Unit) -> str | None:
    """What a unit has in the pool of an act."""
    pool = _pool(unit, dict(act.fields).get("node_pool"))
    return None if isinstance(pool, str) else shown(current(pool))


def _pool(unit: Unit, name: str | None) -> PoolQuota | str:
    """The unit's quota in a pool, or why there is not one."""
    told = list(unit.told.resources or ())
    names = [(text(r.node_pool.name) if r.node_pool else None) or "" for r in told]
    if name is None and len(told) == 1:
        return told[0]
    if name in names:
        return told[names.index(name or "")]
    have = ", ".join(safe(n) for n in names) or "no node pool"
    wrong = "is not given" if name is None else f"{safe(name)!r} is none of its own"
    return f"node_pool {wrong}: {unit.name} has {have}"


def _value(name: str, value: str) -> float | None:
    if name not in FIELDS:
        raise ValueError(f"{name}: cannot be changed; one of {', '.join(FIELDS)}, node_pool")
    if value == UNLIMITED and name != "over_quota_weight":
        return None
    found = number(value)
    if found is None or not 0 <= found <= 1e6:
        raise ValueError(f"{name}: a number from 0, or {UNLIMITED!r} for a quota, not {value!r}")
    return found


def _sent(name: str, value: float | None) -> float | None:
    """The API writes an unlimited quota as -1, and an unlimited limit as null."""
    return -1 if value is None and name == "quota_gpus" else value


def _shown(value: float | None) -> str:
    return UNLIMITED if value is None else f"{value:g}"
