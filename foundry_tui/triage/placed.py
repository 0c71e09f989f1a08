"""Rules about what GPUs hold now: idle ones, scattered ones, ones of which a share is enough."""

from __future__ import annotations

from math import ceil

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import HOLDING, Run, RunState
from foundry_tui.estate.waste import idle as idle_by_run
from foundry_tui.triage.found import ended, held_h, hours, judged, measured, of_try
from foundry_tui.triage.nouns import Finding, Judged, Rule, Seen


def idle(rule: Rule, seen: Seen) -> Judged:
    """Held GPUs that do nothing now, since at least so many hours; and tries that never worked.

    At stake: thousandths held x time idle, as `estate.waste` has it; of an ended try what it held.
    """
    findings = []
    runs = {run.id: run for run in seen.snapshot.runs}
    now_idle = idle_by_run(
        seen.snapshot.gpus, seen.snapshot.runs, seen.now, after_s=3600 * rule.hours
    )
    for one in now_idle:
        run = runs.get(one.run)
        where = "; ".join(f"{p.node} GPU {','.join(map(str, p.gpus or ()))}" for p in one.placement)
        findings.append(
            Finding(
                rule=rule.name,
                kind=rule.kind,
                run=one.run,
                user=one.user,
                account=run.account if run else None,
                queue=run.queue if run else None,
                live=True,
                gpu_milli=one.milli,
                since=one.since,
                gpu_hours=one.gpu_hours,
                stake="held without work until now",
                evidence=f"no work for {hours(seen.now, one.since):.1f} h on {where}",
                advice="end it, or say what it waits for",
            )
        )
    unseen = 0
    for past in ended(seen):
        if (past.elapsed_s or 0) < 3600 * rule.hours or not past.held_h:
            continue
        if not measured(past, rule):
            unseen += 1
        elif past.idle_h >= past.seen_h:
            findings.append(
                of_try(
                    rule,
                    past,
                    gpu_hours=past.idle_h,
                    stake="held without work in the window",
                    evidence=f"no work in all of the {past.idle_h:.1f} GPU-hours measured "
                    f"({past.seen_pct:.0f} % of them)",
                    advice="look at its output: it held GPUs and never used one",
                )
            )
    mute = sum(bool(g.tenants) and g.util_pct is None for g in seen.snapshot.gpus)
    return judged(rule, findings, unseen + mute, "no reading of their GPUs")


def fragments(rule: Rule, seen: Seen) -> Judged:
    """Whole GPUs on more nodes than they need: slow to talk, and no node is left whole.

    What they need is told by the largest node of the same model at the source. At stake: the
    GPU-hours that were held so.
    """
    largest: dict[tuple[str, str | None], int] = {}
    model_of: dict[tuple[str, str], str | None] = {}
    for node in seen.snapshot.nodes:
        key = (node.source, node.gpu_model)
        largest[key] = max(largest.get(key, 0), node.gpu_count)
        model_of[node.source, node.name] = node.gpu_model
    findings, unknown = [], 0
    for run in seen.snapshot.runs:
        used = [p for p in run.placement if p.gpus is None or p.gpus]
        count = run.request.gpu_count
        whole = run.request.gpu_milli == WHOLE_MILLI * count
        if run.state not in HOLDING or len(used) < 2 or not whole:
            continue
        models = {model_of.get((run.source, p.node)) for p in used}
        most = largest.get((run.source, models.pop()), 0) if len(models) == 1 else 0
        if not most:
            unknown += 1
            continue
        need = ceil(count / most)
        if len(used) <= need:
            continue
        known = seen.live.get(run.id)
        findings.append(
            Finding(
                rule=rule.name,
                kind=rule.kind,
                run=run.id,
                user=run.user,
                account=run.account,
                queue=run.queue,
                live=True,
                gpu_milli=run.request.gpu_milli,
                since=run.started_at,
                gpu_hours=known.held_h if known else held_h(run, seen.now),
                stake="held spread over nodes",
                evidence=f"{count} GPUs on {len(used)} nodes ({_spread(run)}), where {need} "
                f"{'is' if need == 1 else 'are'} enough: nodes of this model have {most}",
                advice=f"ask for {need} {'node' if need == 1 else 'nodes'} explicitly",
            )
        )
    return judged(rule, findings, unknown, "their nodes differ, or are not known")


def half(rule: Rule, seen: Seen) -> Judged:
    """Whole GPUs where a share is enough, as the optimiser's advice on shares has it.

    At stake: GPU-hours held x the part of the GPU that is not needed; None while a run waits.
    """
    findings, unknown = [], 0
    runs = {run.id: run for run in seen.snapshot.runs}
    for advice in seen.shares:
        run = runs.get(advice.run)
        if advice.asked_milli < WHOLE_MILLI or run is None:
            continue
        if advice.advised_milli is None:
            unknown += advice.basis == "none"
            continue
        if advice.advised_milli > WHOLE_MILLI * rule.pct / 100:
            continue
        held = seen.live.get(run.id)
        hours = held.held_h if held else held_h(run, seen.now)
        spare = 1 - advice.advised_milli / WHOLE_MILLI
        findings.append(
            Finding(
                rule=rule.name,
                kind=rule.kind,
                run=run.id,
                user=run.user,
                account=run.account,
                queue=run.queue,
                live=True,
                gpu_milli=run.request.gpu_milli,
                since=run.started_at,
                gpu_hours=None if run.state is RunState.PENDING or hours is None else spare * hours,
                stake="held beyond the share that is enough",
                evidence=f"{advice.why}; {'; '.join(advice.evidence) or advice.basis}",
                advice=f"ask for {advice.advised_milli / WHOLE_MILLI:g} of a GPU; "
                f"`foundry fractions {run.id}` says why",
            )
        )
    return judged(rule, findings, unknown, "nothing is known of their use")


def _spread(run: Run) -> str:
    parts = [f"{p.node}:{'?' if p.gpus is None else len(p.gpus)}" for p in run.placement]
    return ", ".join(parts[:4]) + (", ..." if len(parts) > 4 else "")
