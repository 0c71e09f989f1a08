"""What the current user may do: associations, QOS limits and the admin level, from slurmdbd."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from foundry_tui.estate.rights import Association, Limit, Rights
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.directives import time_limit_s
from foundry_tui.schedulers.slurm.tres import count, parse_tres, size_bytes

TIMEOUT_S = 4.0
"""Limits are an extra: without them the rest of an answer must still come in time."""

ASSOCIATION = (
    "user",
    "account",
    "partition",
    "qos",
    "defaultqos",
    "grptres",
    "maxtres",
    "grpjobs",
    "maxjobs",
    "maxsubmit",
    "maxwall",
)
USER = ("user", "adminlevel", "coordinators")
ALMIGHTY = ("root", "slurm")
"""Who needs no admin level: root, and SlurmUser under its usual name."""

QOS = (
    "name",
    "grptres",
    "maxtresperuser",
    "maxtresperjob",
    "grpjobs",
    "maxjobsperuser",
    "maxsubmitjobsperuser",
    "maxwall",
)


def read_rights(commands: Commands, user: str | None = None) -> Rights:
    """The rights of `user`, by default of the current one.

    slurmdbd may be down or may not exist: then the associations are None and `reason` says why.
    """
    name = user or user_name()
    with ThreadPoolExecutor(max_workers=3) as pool:
        asked = [
            pool.submit(_table, commands, "assoc", ASSOCIATION, f"user={name}"),
            pool.submit(_table, commands, "assoc", ASSOCIATION),
            pool.submit(_table, commands, "qos", QOS),
            pool.submit(_table, commands, "user", USER, f"user={name}", more=("withcoord",)),
        ]
        try:
            own, accounts, qos, users = [a.result() for a in asked]
        except SchedulerError as error:
            own_cluster = True if name in ALMIGHTY else None
            return Rights(
                user=name,
                admin=name in ALMIGHTY,
                reason=safe(str(error)),
                may_nodes=own_cluster,
                may_queues=own_cluster,
            )
    levels = {row["adminlevel"] for row in users}
    # An operator changes everybody's jobs, and neither nodes nor partitions (22.05).
    rules = name in ALMIGHTY or "Administrator" in levels
    coordinates = {a for row in users for a in row["coordinators"].split(",") if a}
    mine = {row["account"] for row in own}
    charged = [row for row in accounts if not row["user"] and row["account"] in mine]
    usable = {q for row in own for q in row["qos"].split(",") if q}
    return Rights(
        user=name,
        admin=rules or "Operator" in levels,
        coordinates=tuple(safe(a) for a in sorted(coordinates)),
        may_nodes=rules,
        may_queues=rules,
        associations=tuple(_association(row) for row in own),
        limits=tuple(
            limit
            for scope, rows in (("user", own), ("account", charged), ("qos", qos))
            for row in rows
            if scope != "qos" or row["name"] in usable
            for limit in _limits(scope, row)
        ),
    )


def _table(
    commands: Commands,
    what: str,
    columns: tuple[str, ...],
    *where: str,
    more: tuple[str, ...] = (),
) -> list[dict[str, str]]:
    clause = ("where", *where) if where else ()
    words = (*clause, *more, f"format={','.join(columns)}")
    out = commands.read("sacctmgr", "-nP", "show", what, *words, timeout_s=TIMEOUT_S)
    lines = out.decode("utf-8", "surrogateescape").splitlines()
    rows = [line.split("|") for line in lines]
    return [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns)]


def _association(row: dict[str, str]) -> Association:
    return Association(
        account=safe(row["account"]),
        queues=(safe(row["partition"]),) if row["partition"] else None,
        qos=tuple(safe(q) for q in row["qos"].split(",") if q),
        default_qos=safe(row["defaultqos"]) or None,
    )


def _limits(scope: str, row: dict[str, str]) -> list[Limit]:
    """Group limits bind all runs of the scope together, maxima each run or each user.

    An account's maxima are the defaults of its users, whose own rows show them: not read twice.
    """
    if scope == "account":
        row = {k: v for k, v in row.items() if not k.startswith("max")}
    name = safe(row.get("name") or row.get("account") or "")
    found: list[Limit] = []

    def add(kind: str, what: str, value: float | None) -> None:
        if value is not None:
            found.append(Limit(scope=kind, name=name, what=what, value=value))

    per_user = "user_of_qos" if scope == "qos" else scope
    for key, kind, suffix in (
        ("grptres", scope, ""),
        ("maxtresperuser", per_user, ""),
        ("maxtresperjob", scope, "_per_run"),
        ("maxtres", scope, "_per_run"),
    ):
        tres = parse_tres(row.get(key, ""))
        if any(k.startswith("gres/gpu") for k in tres):
            add(kind, f"gpus{suffix}", count(tres, "gpu"))
        for word, what in (("cpu", "cpus"), ("node", "nodes")):
            if tres.get(word, "").isdigit():
                add(kind, f"{what}{suffix}", int(tres[word]))
        add(kind, f"memory_bytes{suffix}", size_bytes(tres.get("mem")))
    for key, kind, what in (
        ("grpjobs", scope, "runs"),
        ("maxjobs", scope, "runs"),
        ("maxjobsperuser", per_user, "runs"),
        ("maxsubmit", scope, "runs_waiting"),
        ("maxsubmitjobsperuser", per_user, "runs_waiting"),
    ):
        add(kind, what, int(row[key]) if row.get(key, "").isdigit() else None)
    if row.get("maxwall"):
        with suppress(ValueError):
            add(scope, "time_s", time_limit_s(row["maxwall"]))
    return found
