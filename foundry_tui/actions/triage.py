"""Triage: the site's rules against waste, judged over the estate now and the tries of a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.site import Site
from foundry_tui.config.triage import TriageConfig
from foundry_tui.estate.acts import Act, Cancel, Requeue, Resubmit
from foundry_tui.estate.fractions import ShareAdvice
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.plan import Move, NotProposed, Plan, Target
from foundry_tui.estate.precondition import observed
from foundry_tui.estate.run import HOLDING, LIVE, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import Window
from foundry_tui.estate.waste import is_idle
from foundry_tui.triage.nouns import Finding, Judged, Rule, Seen, Try
from foundry_tui.triage.rules import BUILT_IN, judge

if TYPE_CHECKING:
    from foundry_tui.reports.made import Progress

_MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """What the rules found in a window; `notes` say what is missing.

    `incomplete`: a source did not tell its accounting, so that there may be more.
    """

    window: Window
    judged: tuple[Judged, ...]
    snapshot: Snapshot
    shares: tuple[ShareAdvice, ...] = ()
    notes: tuple[str, ...] = ()
    incomplete: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, rule by rule."""
        return tuple(finding for one in self.judged for finding in one.findings)


def triage(
    site: Site,
    start: datetime,
    end: datetime,
    *,
    names: Sequence[str] = (),
    users: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Triage:
    """Judge by the rules of these names, or by all; only findings of these users, or all.

    Raises:
        WrongUse: no rule has such a name, a rule is configured wrongly, or the window ends before
            it begins.
        SourceMissing: there is no scheduler here, or none answered.
        ActionError: the history cannot be read.
    """
    if site.unasked and not site.playing:
        raise SourceMissing(
            "triage: no scheduler was found on this host; `foundry doctor` says why, --demo plays "
            "on the simulated estate"
        )
    chosen = _chosen(rules_of(site), names)
    try:
        window = Window(start, end)
    except ValueError as error:
        raise WrongUse(f"--from, --to: {error}") from error
    progress("reads the estate")
    snapshot = site.whole()
    shares = _shares(site, snapshot) if any(rule.kind == "half" for rule in chosen) else ()
    notes: list[str] = []
    incomplete, tries = False, list[Try]()
    if site.saved is not None:
        notes.append("a saved estate has no accounting: only what holds GPUs now is judged")
    else:
        tries, incomplete = _tries(site, window, users, notes, progress)
    seen = Seen(snapshot=snapshot, tries=tries, shares=shares, now=site.clock())
    judged = judge(chosen, seen)
    if users:
        judged = tuple(
            replace(one, findings=tuple(f for f in one.findings if f.user in users))
            for one in judged
        )
    return Triage(
        window=window,
        judged=judged,
        snapshot=snapshot,
        shares=tuple(shares),
        notes=tuple(notes),
        incomplete=incomplete,
    )


def rules_of(site: Site) -> tuple[Rule, ...]:
    """The configured rules, else the built-in ones.

    Raises:
        WrongUse: a rule has an act that its kind cannot have.
    """
    if not site.config.triage:
        return BUILT_IN
    return tuple(map(_rule, site.config.triage))


def _rule(given: TriageConfig) -> Rule:
    if given.act == "shrink" and given.kind != "half":
        raise WrongUse(
            f'triage.{given.name}.act: "shrink" is for rules of kind "half", which know the share '
            "that is enough"
        )
    if given.act != "none" and given.kind in ("walltime", "cpus"):
        raise WrongUse(
            f'triage.{given.name}.act: a rule of kind "{given.kind}" tells people; it ends no run'
        )
    usual = next(rule for rule in BUILT_IN if rule.kind == given.kind)
    return replace(
        usual,
        name=given.name,
        hours=usual.hours if given.hours is None else given.hours,
        pct=usual.pct if given.pct is None else given.pct,
        part=usual.part if given.part is None else given.part,
        runs=usual.runs if given.runs is None else int(given.runs),
        seen_pct=given.seen_pct,
        queues=given.queues,
        exempt=given.exempt,
        act=given.act,
        notify=given.notify,
    )


def _chosen(rules: tuple[Rule, ...], names: Sequence[str]) -> tuple[Rule, ...]:
    there = {rule.name: rule for rule in rules}
    for name in names:
        if name not in there:
            raise WrongUse(f"--rule {name!r}: there are {', '.join(there)}")
    return tuple(there[name] for name in dict.fromkeys(names)) if names else rules


def _shares(site: Site, snapshot: Snapshot) -> tuple[ShareAdvice, ...]:
    """The advice of `foundry fractions`, taken as it is."""
    from foundry_tui.actions import fractions

    known = None if site.saved is not None else fractions.measured(site, snapshot)
    return fractions.fractions(snapshot, known=known).runs


def _tries(
    site: Site,
    window: Window,
    users: Sequence[str],
    notes: list[str],
    progress: Callable[[str], None],
) -> tuple[list[Try], bool]:
    """The tries of the window, joined with the history as reports join them."""
    from foundry_tui.actions.reports.given import gather
    from foundry_tui.actions.reports.runs import Books, parts
    from foundry_tui.reports.jobs.sums import TrySums
    from foundry_tui.reports.joining.elapsed import Spans
    from foundry_tui.reports.joining.join import Join
    from foundry_tui.reports.made import Asked
    from foundry_tui.store.history import HistoryError

    asked = Asked(name="jobs", start=window.start, end=window.end, users=tuple(users))
    given = gather(site, asked, window)
    join = Join(given.edges, int(given.now.timestamp()), given.past, given.readings)
    books, found = Books(), list[Try]()

    def go(told: Progress) -> None:
        progress(told.words)

    try:
        for records in parts(site, given, books, go, compared=False):
            part = join.part(records)
            sums, spans = TrySums.of(part), Spans.of(part.records, given.now)
            for n, record in enumerate(part.records):
                known = bool(spans.known[n]) and record.doubt is None
                told = known and (bool(sums.lined[n]) or record.gpu_count == 0)
                found.append(
                    Try(
                        record=record,
                        elapsed_s=float(spans.work_s[n]) if known else None,
                        held_h=float(sums.allocated[n]) / _MS_PER_HOUR if told else None,
                        seen_h=float(sums.used[n] + sums.idle[n]) / _MS_PER_HOUR,
                        idle_h=float(sums.idle[n]) / _MS_PER_HOUR,
                        busy_h=float(sums.busy[n]) / _MS_PER_HOUR,
                    )
                )
    except HistoryError as error:
        raise ActionError(f"triage: {error}") from error
    if books.sources and not any(source.answered for source in books.sources):
        raise SourceMissing("; ".join(given.notes) or "no source keeps accounts")
    notes += given.notes
    return found, not all(source.answered for source in books.sources)


def planned(site: Site, found: Triage) -> Plan:
    """A plan of what the rules would do that have an act; nothing is sent from here.

    Raises:
        NothingMatched: no rule has an act, or none of what they found can be acted on.
    """
    from foundry_tui.optimiser.result import plan_id

    runs = {run.id: run for run in found.snapshot.runs}
    moves: dict[str, Move] = {}
    left: list[NotProposed] = []
    for one in found.judged:
        for finding in one.findings if one.rule.act != "none" else ():
            run = runs.get(finding.run)
            target = Target("run", finding.run)
            if run is None or finding.run in moves or run.state not in LIVE:
                continue
            act, why = _act(one.rule, run, found.shares)
            if one.rule.kind == "idle" and _works_too(one.rule, run, found.snapshot):
                act, why = None, "others of its GPUs work, or nobody has read them so long"
            if act is None:
                left.append(NotProposed(target, f"{one.rule.name}: {why}"))
                continue
            moves[run.id] = _move(one.rule, finding, run, act, found.snapshot, len(moves) + 1)
    if not moves:
        told = f"{left[0].target.id}: {left[0].why}" if left else "no rule with an act found any"
        raise NothingMatched(f"triage: there is nothing to plan ({told}); nothing was written")
    now = found.snapshot.generated_at
    listed = tuple(moves.values())
    return Plan(
        id=plan_id(found.snapshot.estate_id, now, listed),
        generated_at=now,
        estate_id=found.snapshot.estate_id,
        objective_name="GPU-hours at stake by the site's rules",
        objective=sum(move.gain or 0.0 for move in listed),
        bound=None,
        gap=None,
        status="rules",
        solve_s=0.0,
        moves=listed,
        before={},
        after={},
        assumptions=(
            "whoever applies it has asked the owners: a rule does not know what a run is worth",
        ),
        not_proposed=tuple(left),
        seen={
            source: found.snapshot.source_id(source)
            for source in dict.fromkeys(move.target.id.partition("/")[0] for move in listed)
        },
    )


def _works_too(rule: Rule, run: Run, snapshot: Snapshot) -> bool:
    """Whether a run holds GPUs beside its idle ones: what ends it would end their work too."""
    held = [gpu for gpu in snapshot.gpus if run.id in gpu.runs]
    now, after_s = snapshot.generated_at, 3600 * rule.hours
    return not all(is_idle(gpu, now, after_s) for gpu in held)


def _act(rule: Rule, run: Run, shares: Sequence[ShareAdvice]) -> tuple[Act | None, str]:
    """What a rule does to a run; None where it cannot, and why."""
    if rule.act == "cancel":
        return Cancel(source=run.source, runs=(run.id,)), ""
    if rule.act == "requeue":
        if run.state not in HOLDING:
            return None, "it does not run"
        return Requeue(source=run.source, runs=(run.id,)), ""
    if run.state is not RunState.PENDING:
        return None, "a running run keeps its GPU: ask the owner to submit it anew"
    if run.scheduler == "slurm":
        return None, "Slurm submits no job anew: ask the owner to submit the script with a share"
    if run.request.gpu_count != 1:
        return None, "a share is asked for of one GPU, and it wants several"
    milli = next((s.advised_milli for s in shares if s.run == run.id), None)
    if milli is None or milli >= WHOLE_MILLI:
        return None, "no share is known that is enough"
    fields = (("gpu_milli", str(milli)),)
    return Resubmit(source=run.source, runs=(run.id,), fields=fields), ""


def _move(
    rule: Rule, finding: Finding, run: Run, act: Act, snapshot: Snapshot, number: int
) -> Move:
    lost = None
    if run.started_at is None:
        lost = 0.0
    elif run.request.gpu_milli is not None:
        held_s = max(0.0, (snapshot.generated_at - run.started_at).total_seconds())
        lost = held_s / 3600 * run.request.gpu_milli / WHOLE_MILLI
    shrinks = isinstance(act, Resubmit)
    made = Move(
        id=f"m{number}",
        target=Target("run", run.id),
        action=rule.act,
        gpu_milli=run.request.gpu_milli,
        queue=run.queue,
        inverse="submit it again as it was" if shrinks else None,
        gain=finding.gpu_hours,
        cost=0.0 if shrinks else lost,
        risk="low" if shrinks else "high",
        owner=run.user,
        why=f"{finding.evidence}: {finding.advice}",
        steps=(act,),
        irreversible=True,
        rule=rule.name,
    )
    return replace(made, precondition=observed(snapshot, made))
