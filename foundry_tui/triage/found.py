"""What the rules share: how a finding is made of a try, and what was measured well enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import Run
from foundry_tui.triage.nouns import Finding, Judged, Rule, Seen, Try


def judged(rule: Rule, findings: Sequence[Finding], unjudged: int, why: str) -> Judged:
    return Judged(
        rule=rule, findings=tuple(findings), unjudged=unjudged, why=why if unjudged else None
    )


def of_try(
    rule: Rule, one: Try, *, gpu_hours: float | None, stake: str, evidence: str, advice: str
) -> Finding:
    record = one.record
    gpus = whole_gpus(one)
    return Finding(
        rule=rule.name,
        kind=rule.kind,
        run=one.run_id,
        user=record.user,
        account=record.account,
        queue=one.queue,
        live=one.live,
        gpu_milli=None if gpus is None else round(gpus * WHOLE_MILLI),
        since=record.started_at,
        gpu_hours=gpu_hours,
        stake=stake,
        evidence=evidence,
        advice=advice,
    )


def ended(seen: Seen) -> list[Try]:
    return [one for one in seen.tries if one.record.ended_at is not None]


def measured(one: Try, rule: Rule) -> bool:
    return one.seen_h > 0 and (one.seen_pct or 0.0) >= rule.seen_pct


def whole_gpus(one: Try) -> float | None:
    """GPUs that a try held, by worth; None where that is not told."""
    held = one.record.gpus
    if held is None or any(part.milli is None for part in held):
        return None
    return sum(part.milli or 0 for part in held) / WHOLE_MILLI


def held_h(run: Run, now: datetime) -> float | None:
    """GPU-hours that a run has held; None where its start or its GPUs are not known."""
    if run.started_at is None or run.request.gpu_milli is None:
        return None
    return hours(now, run.started_at) * run.request.gpu_milli / WHOLE_MILLI


def hours(now: datetime, since: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) / 3600
