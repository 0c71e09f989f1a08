"""The rules that sites use against waste: their kinds, and judging by them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from foundry_tui.triage.nouns import Judged, Rule, Seen
from foundry_tui.triage.placed import fragments, half, idle
from foundry_tui.triage.tries import cpus, low_use, walltime

KINDS: dict[str, Callable[[Rule, Seen], Judged]] = {
    "idle": idle,
    "low_use": low_use,
    "walltime": walltime,
    "cpus": cpus,
    "fragments": fragments,
    "half": half,
}
"""Word of a rule's kind -> the function that judges by it."""

BUILT_IN = (
    Rule(name="idle", kind="idle", hours=1.0),
    Rule(name="low-use", kind="low_use", pct=10.0, part=1 / 3),
    Rule(name="walltime", kind="walltime", pct=25.0, runs=5),
    Rule(name="cpus", kind="cpus", pct=125.0),
    Rule(name="fragments", kind="fragments"),
    Rule(name="half-gpu", kind="half", pct=50.0),
)
"""The rules of a site that has configured none. They report and never act."""


def judge(rules: Iterable[Rule], seen: Seen) -> tuple[Judged, ...]:
    """What each rule found, in the order of the rules.

    Raises:
        ValueError: a rule of a kind that there is not.
    """
    live = {one.run_id: one for one in seen.tries if one.live}
    whole = replace(seen, live=live)
    found = []
    for rule in rules:
        if rule.kind not in KINDS:
            raise ValueError(f"kind: one of {', '.join(KINDS)}, not {rule.kind!r}")
        judged = KINDS[rule.kind](rule, whole)
        kept = [f for f in judged.findings if _concerns(rule, f.user, f.queue)]
        kept.sort(key=lambda f: (-(f.gpu_hours or 0.0), f.run))
        found.append(replace(judged, findings=tuple(kept)))
    return tuple(found)


def _concerns(rule: Rule, user: str | None, queue: str | None) -> bool:
    inside = not rule.queues or bool(set((queue or "").split(",")) & set(rule.queues))
    return inside and user not in rule.exempt
