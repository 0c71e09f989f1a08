"""Limits of QOS and accounts against what runs hold: which one binds, and who fills it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.rights import Limit
from foundry_tui.estate.run import Run
from foundry_tui.explain import say
from foundry_tui.explain.case import Case

PER_RUN = "_per_run"

_MEASURES: dict[str, Callable[[Run], float | None]] = {
    "gpus": lambda r: _gpus(r),
    "runs": lambda r: 1,
    "nodes": lambda r: r.request.nodes,
    "cpus": lambda r: None if r.request.cpu_milli is None else r.request.cpu_milli / 1000,
    "memory_bytes": lambda r: r.request.memory_bytes,
    "time_s": lambda r: r.request.time_limit_s,
}
_WORDS = {
    "gpus": re.compile(r"GRES", re.I),
    "runs": re.compile(r"JobsLimit|JobsPer|JobLimit"),
    "nodes": re.compile(r"Node"),
    "cpus": re.compile(r"Cpu", re.I),
    "memory_bytes": re.compile(r"Mem"),
    "time_s": re.compile(r"Wall|TimeLimit"),
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that keeps the run out: `used` by `holders` now, `asked` by the run itself.

    `used` is 0 for a limit on each single run. All in the unit of the limit.
    """

    limit: Limit
    used: float
    asked: float
    holders: tuple[Run, ...] = ()

    @property
    def left(self) -> float:
        """What the limit leaves for this run now, never below 0."""
        return max(0.0, self.limit.value - self.used)

    @property
    def never(self) -> bool:
        """Whether the run alone asks for more than the limit will ever allow."""
        return self.asked > self.limit.value


def _gpus(run: Run) -> float | None:
    """Whole GPUs; a limit on GPUs does not count shards (Slurm counts those apart)."""
    milli = run.request.gpu_milli
    return None if milli is None or milli % WHOLE_MILLI else milli // WHOLE_MILLI


def bounds(case: Case, run: Run) -> tuple[Bound, ...]:
    """The limits that keep `run` (the case's, or a changed copy of it) from starting now.

    A limit on which nothing is known stays out. The one that the scheduler's reason means stands
    first, then those that the run can never meet.
    """
    found = []
    for limit in case.limits:
        what = limit.what.removesuffix(PER_RUN)
        measure = _MEASURES.get(what)
        asked = measure(run) if measure and _concerns(limit, run) else None
        if measure is None or asked is None:
            continue
        if limit.what.endswith(PER_RUN) or what == "time_s":
            bound = Bound(limit, 0, asked)
        else:
            holders = tuple(r for r in case.holding if _same_pot(limit, run, r) and measure(r))
            used = sum(measure(r) or 0 for r in holders)
            bound = Bound(limit, used, asked, holders)
        if bound.used + bound.asked > limit.value:
            found.append(bound)
    return tuple(sorted(found, key=lambda b: (not _meant(case.reason, b.limit), not b.never)))


def _concerns(limit: Limit, run: Run) -> bool:
    if limit.scope in ("qos", "user_of_qos"):
        return limit.name == run.qos
    return limit.name == run.account


def _same_pot(limit: Limit, run: Run, other: Run) -> bool:
    if limit.scope in ("qos", "user_of_qos"):
        return other.qos == run.qos and (limit.scope == "qos" or other.user == run.user)
    return other.account == run.account and (limit.scope == "account" or other.user == run.user)


def _meant(reason: str, limit: Limit) -> bool:
    scope = "QOS" if limit.scope in ("qos", "user_of_qos") else "Assoc"
    word = _WORDS.get(limit.what.removesuffix(PER_RUN))
    return reason.startswith(scope) and word is not None and bool(word.search(reason))


def rule(bound: Bound, run: Run) -> str:
    """The limit as a sentence: `QOS low allows 2 GPUs per user`."""
    limit = bound.limit
    per = " per user" if limit.scope == "user_of_qos" else ""
    if limit.what.endswith(PER_RUN) or limit.what == "time_s":
        per = " per run"
    return f"{_holder(limit, run)} {amount(limit.what, limit.value)}{per}"


def _holder(limit: Limit, run: Run) -> str:
    if limit.scope in ("qos", "user_of_qos"):
        return f"QOS {limit.name} allows"
    if limit.scope == "account":
        return f"account {limit.name} is allowed"
    return f"{run.user} is allowed in account {limit.name}"


def use(bound: Bound, run: Run) -> str:
    """Who fills it: `lab_alice holds 2 GPUs with runs 17 and 18; this run asks for 1 GPU`."""
    what = bound.limit.what
    asks = f"this run asks for {amount(what, bound.asked)}"
    if not bound.holders:
        return asks
    mine = bound.limit.scope in ("user", "user_of_qos")
    holds = f"{run.user} holds" if mine else "its runs hold"
    if what == "runs":
        verb = "takes the place" if len(bound.holders) == 1 else "take the places"
        return f"{say.runs(bound.holders)} of {run.user if mine else 'it'} {verb}"
    return f"{holds} {amount(what, bound.used)} with {say.runs(bound.holders)}; {asks}"


def amount(what: str, value: float) -> str:
    """A limit's value with its unit."""
    measure = what.removesuffix(PER_RUN)
    if measure == "memory_bytes":
        return say.size(int(value))
    if measure == "time_s":
        return say.span(value)
    noun = {"gpus": "GPU", "cpus": "CPU", "nodes": "node", "runs": "run"}[measure]
    return say.counted(int(value), noun) + (" at once" if measure == "runs" else "")


def free_at(bound: Bound) -> datetime | None:
    """When enough of the holders have reached their time limits; None when that never happens."""
    measure = _MEASURES[bound.limit.what.removesuffix(PER_RUN)]
    left = bound.limit.value - bound.used
    ends = [(r.ends_by, measure(r) or 0) for r in bound.holders if r.ends_by]
    for moment, freed in sorted(ends):
        left += freed
        if left >= bound.asked:
            return moment
    return None


def under(case: Case, *, qos: str | None = None, account: str | None = None) -> bool:
    """Whether no known limit keeps the run out with this other QOS or account."""
    run = case.run
    changed = replace(run, qos=qos or run.qos, account=account or run.account)
    return not bounds(case, changed)
