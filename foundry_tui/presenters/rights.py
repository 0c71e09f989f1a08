"""What a user may do, source by source: sentences first, the limits below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from foundry_tui.estate.permission import Standing, lacks, over_runs, told
from foundry_tui.estate.rights import Association, Limit, Rights
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.records.nouns import Record

_NAME = 11
"""Cells of the name before each paragraph."""

_SCOPES = {"user_of_qos": "each user of QOS", "qos": "QOS"}
_PLURALS = {"gpus": "GPUs", "cpus": "CPUs", "nodes": "nodes", "runs": "runs at once"}
_WORDS = {**_PLURALS, "runs_waiting": "runs in all, waiting too"}


def rights_text(standings: Sequence[Standing], policy: str, style: Style) -> str:
    """The page: one block per source, and the policy that holds for all of them."""
    lines: list[str] = []
    for one in standings:
        rights = one.rights
        lines += wrap(f"{one.source} ({one.manner}), as {rights.user}", style.width)
        for name, words in _facts(one):
            lines += wrap(words, style.width, first=f"  {name:<{_NAME}}", rest=" " * (_NAME + 2))
        lines.append("")
    return finish([*lines, *wrap(policy, style.width)], style)


def rights_record(one: Standing) -> Record:
    """What a user may do with one source; `missing` names the right that is lacking, by noun."""
    rights = one.rights
    return {
        "source": one.source,
        "kind": one.manner,
        "user": rights.user,
        "admin": rights.admin if told(rights) else None,
        "coordinates": rights.coordinates,
        "may_nodes": rights.may_nodes,
        "may_queues": rights.may_queues,
        "missing": lacks(rights, one.manner),
        "associations": None
        if rights.associations is None
        else [asdict(association) for association in rights.associations],
        "limits": [asdict(limit) for limit in rights.limits],
        "reason": rights.reason,
        "policy": one.policy,
    }


def _facts(one: Standing) -> list[tuple[str, str]]:
    rights = one.rights
    missing = lacks(rights, one.manner)
    facts = [("runs", _runs(rights, one.manner))]
    for noun, may in (("nodes", rights.may_nodes), ("queues", rights.may_queues)):
        words = "not told" if may is None else f"no: {missing[noun]}" if missing[noun] else "yes"
        facts.append((noun, words))
    if one.policy is not None:
        facts.append(("policy", one.policy))
    if rights.associations is not None:
        told_of = [_association(a) for a in rights.associations]
        noun = "projects" if one.manner == "runai" else "accounts"
        noun = "namespaces" if one.manner == "kai" else noun
        facts.append((noun, "; ".join(told_of) or "none: nothing can be submitted"))
    queue = {"slurm": "partition", "runai": "project"}.get(one.manner, "queue")
    facts += [("limits", _limits(group, queue)) for group in _grouped(rights.limits)]
    if rights.reason:
        facts.append(("note", rights.reason))
    return facts


def _runs(rights: Rights, manner: str) -> str:
    if not told(rights):
        return "your own; of others it is not told"
    if rights.admin:
        return "everybody's"
    if manner in ("kai", "runai"):
        within = "of projects" if manner == "runai" else "in namespaces"
        return f"your own, and what your role allows {within} below"
    others = over_runs(manner, None)
    words = "your own"
    if rights.coordinates:
        words += f", and those of {', '.join(rights.coordinates)} (you coordinate)"
    return f"{words}; others' only with {others}"


def _association(one: Association) -> str:
    words = [] if one.queues in (None, (one.account,)) else [f"in {', '.join(one.queues or ())}"]
    words += [f"QOS {', '.join(one.qos)}"] if one.qos else []
    words += [f"default {one.default_qos}"] if one.default_qos and len(one.qos) > 1 else []
    return f"{one.account} ({', '.join(words)})" if words else one.account


def _grouped(limits: Sequence[Limit]) -> list[list[Limit]]:
    groups: dict[tuple[str, str], list[Limit]] = {}
    for limit in limits:
        groups.setdefault((limit.scope, limit.name), []).append(limit)
    return list(groups.values())


def _limits(group: Sequence[Limit], queue: str) -> str:
    first = group[0]
    scope = queue if first.scope == "queue" else _SCOPES.get(first.scope, first.scope)
    return f"{scope} {first.name}: {', '.join(_limit(limit) for limit in group)}"


def _limit(limit: Limit) -> str:
    what, _, per = limit.what.partition("_per_run")
    each = " per run" if limit.what.endswith("_per_run") else per
    if what == "time_s":
        return f"{units.duration(limit.value)} per run"
    if what == "memory_bytes":
        return f"{units.size(int(limit.value))} of memory{each}"
    used = f" ({limit.used:g} used)" if limit.used is not None else ""
    return f"{limit.value:g} {_WORDS.get(what, what)}{each}{used}"
