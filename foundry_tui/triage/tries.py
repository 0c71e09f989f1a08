"""Rules about tries of a window: use, time limits, CPUs. Pure."""

from __future__ import annotations

from statistics import median

from foundry_tui.estate.run import RunState
from foundry_tui.triage.found import ended, judged, measured, of_try, whole_gpus
from foundry_tui.triage.nouns import Finding, Judged, Rule, Seen, Try

_UNSEEN = "too little of their time was measured"


def low_use(rule: Rule, seen: Seen) -> Judged:
    """Tries that kept their GPUs nearly unused for a good part of their time limit.

    At stake: GPU-hours measured x (1 - utilisation). What was not measured is not at stake.
    """
    findings, unseen = [], 0
    for one in seen.tries:
        limit_s = one.record.time_limit_s
        if not one.held_h or not limit_s or (one.elapsed_s or 0) < rule.part * limit_s:
            continue
        if not measured(one, rule):
            unseen += 1
            continue
        busy = one.busy_pct
        if busy is None or busy >= rule.pct or one.idle_h >= one.seen_h:
            continue  # one that never worked is the business of `idle`
        findings.append(
            of_try(
                rule,
                one,
                gpu_hours=one.seen_h - one.busy_h,
                stake="measured and unused",
                evidence=f"{busy:.1f} % busy on average over {(one.elapsed_s or 0) / 3600:.1f} h "
                f"of a limit of {limit_s / 3600:g} h ({one.seen_pct:.0f} % of it measured)",
                advice="profile the input pipeline, take fewer GPUs or a share of one",
            )
        )
    return judged(rule, findings, unseen, _UNSEEN)


def walltime(rule: Rule, seen: Seen) -> Judged:
    """Users whose runs in a queue need only a small part of the time that they ask for.

    Only runs that ended well count: one that failed early says nothing of its limit. At stake:
    GPU-hours asked for and not used, which nobody loses but by which backfill plans.
    """
    groups: dict[tuple[str, str | None, str | None], list[Try]] = {}
    for one in ended(seen):
        record = one.record
        if record.state is RunState.COMPLETED and record.time_limit_s and one.elapsed_s is not None:
            groups.setdefault((record.source, one.queue, record.user), []).append(one)
    findings = []
    for (source, queue, user), tries in groups.items():
        short = [t for t in tries if _share_of_limit(t) < rule.pct / 100]
        if len(short) < rule.runs or 2 * len(short) < len(tries):
            continue
        asked = median(t.record.time_limit_s or 0 for t in short) / 3600
        longest = max(t.elapsed_s or 0 for t in short) / 3600
        enough = max(2 * longest, 0.1)
        advice = f"ask for about {enough:.1f} h where runs are like these"
        if enough >= asked:
            advice = f"ask for each run what it needs: these took up to {longest:.1f} h"
        told = [h for t in short if (h := _unused_h(t)) is not None]
        first = min((t.record.started_at for t in short if t.record.started_at), default=None)
        findings.append(
            Finding(
                rule=rule.name,
                kind=rule.kind,
                run=f"{source}/{queue or '?'}",
                user=user,
                account=short[0].record.account,
                queue=queue,
                live=False,
                gpu_milli=None,
                since=first,
                gpu_hours=sum(told) if told else None,
                stake="asked for and not used; backfill plans with it",
                evidence=f"{len(short)} of {len(tries)} completed runs used less than "
                f"{rule.pct:g} % of their limit: {asked:.1f} h asked (median), the longest of "
                f"these took {longest:.2f} h",
                advice=f"{advice}; short limits start earlier",
                runs=len(short),
            )
        )
    return judged(rule, findings, 0, "")


def cpus(rule: Rule, seen: Seen) -> Judged:
    """Runs that hold more CPUs per GPU than their node has, so that GPUs beside them stay free.

    At stake: CPUs beyond the share / share of a GPU x hours held, in GPU-hours that nobody else can
    use for lack of CPUs.
    """
    nodes = {(n.source, n.name): n for n in seen.snapshot.nodes}
    findings, unknown = [], 0
    for one in seen.tries:
        record = one.record
        held = whole_gpus(one)
        if not held or not one.held_h or record.cpu_milli is None or not record.nodes:
            continue
        on = [nodes.get((record.source, name)) for name in record.nodes]
        told = [(n.cpu_milli, n.gpu_count) for n in on if n is not None and n.cpu_milli]
        shares = [cpu / count for cpu, count in told if cpu and count]
        if len(shares) < len(record.nodes):
            unknown += 1
            continue
        share = min(shares)
        mine = record.cpu_milli / held
        if mine <= share * rule.pct / 100:
            continue
        findings.append(
            of_try(
                rule,
                one,
                gpu_hours=(mine - share) / share * one.held_h,
                stake="of other GPUs, blocked for lack of CPUs",
                evidence=f"{mine / 1000:g} CPUs for each of {held:g} GPUs on "
                f"{', '.join(record.nodes[:3])}, where a GPU's share is {share / 1000:g}",
                advice=f"ask for {share / 1000:g} CPUs per GPU",
            )
        )
    return judged(rule, findings, unknown, "the CPUs or GPUs of their nodes are not known")


def _share_of_limit(one: Try) -> float:
    return (one.elapsed_s or 0.0) / (one.record.time_limit_s or 1)


def _unused_h(one: Try) -> float | None:
    """GPU-hours between what a try used of its time limit and the limit."""
    gpus = whole_gpus(one)
    if gpus is None or one.record.time_limit_s is None or one.elapsed_s is None:
        return None
    return gpus * max(0.0, one.record.time_limit_s - one.elapsed_s) / 3600
