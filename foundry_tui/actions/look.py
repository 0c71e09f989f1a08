"""Looking: what the estate holds, and everything about one run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from foundry_tui.actions.site import Site
from foundry_tui.actions.sources import Scheduler
from foundry_tui.actions.track import Tracked, filled, record
from foundry_tui.estate.acts import Act, ChangeRun, Release
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import GOES_ON, Request, Run, run_id
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.schedulers.ports import Log, SchedulerActor, SchedulerError

if TYPE_CHECKING:
    from foundry_tui.explain.choose import Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Everything about one run: the noun, the scheduler's own words, and what could not be had.

    `tracked` is its side on the tracking server; None for a run that is not linked.
    """

    run: Run
    details: dict[str, SafeText]
    missing: tuple[str, ...] = ()
    tracked: Tracked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a run waits, and the exact command of the change that would start it."""

    run: Run
    explanation: Explanation
    command: tuple[str, ...] | None


def with_finished(
    site: Site, snapshot: Snapshot, since_s: float
) -> tuple[tuple[Run, ...], tuple[str, ...]]:
    """Live and finished runs together, and a note for each source whose accounting is silent.

    The job list forgets a finished run after some minutes; accounting keeps the current user's.
    """
    if site.saved is not None or since_s <= 0:
        return snapshot.runs, ()
    known = {r.id for r in snapshot.runs}
    window = Window(snapshot.generated_at - timedelta(seconds=since_s), snapshot.generated_at)
    runs, notes = list(snapshot.runs), []
    alive = {s.name for s in snapshot.sources if s.usable}
    for name, scheduler in site.schedulers.items():
        if name not in alive:
            continue
        try:
            records = scheduler.accounting(window, users=(site.user(name),)).records
        except SchedulerError as error:
            notes.append(f"{name}: runs that ended earlier are not shown: {error.answer}")
            continue
        newest = {run_id(name, r.native_id): r for r in records if r.state not in GOES_ON}
        runs += [finished(r, snapshot) for key, r in newest.items() if key not in known]
    return filled(site, tuple(runs)), tuple(notes)


def finished(record: UsageRecord, snapshot: Snapshot) -> Run:
    """The run that an accounting row tells of."""
    return Run(
        id=run_id(record.source, record.native_id),
        native_id=record.native_id,
        source=record.source,
        scheduler=next((r.scheduler for r in snapshot.runs if r.source == record.source), "slurm"),
        name=record.name,
        state=record.state,
        user=record.user,
        account=record.account,
        queue=record.queue,
        qos=record.qos,
        request=Request(
            gpu_count=record.gpu_count or 0,
            gpu_milli=record.gpu_milli,
            gpu_model=record.gpu_model,
            nodes=max(1, len(record.nodes)),
            cpu_milli=record.cpu_milli,
            memory_bytes=record.memory_bytes,
            time_limit_s=record.time_limit_s,
        ),
        submitted_at=record.submitted_at,
        eligible_at=record.eligible_at,
        started_at=record.started_at,
        ended_at=record.ended_at,
        exit_code=record.exit_code,
        submit_token=record.submit_token,
        read_at=snapshot.generated_at,
    )


def _answering(site: Site, snapshot: Snapshot, run: Run) -> Scheduler | None:
    """The run's scheduler, None when it did not answer just now: asking again only takes time."""
    usable = any(s.name == run.source and s.usable for s in snapshot.sources)
    return site.scheduler(run.source) if usable and site.saved is None else None


def inspect(site: Site, snapshot: Snapshot, run: Run) -> Inspection:
    """A run in full: its scheduler's own words and its record; silence is told, not raised."""
    return replace(_in_own_words(site, snapshot, run), tracked=record(site, run))


def _in_own_words(site: Site, snapshot: Snapshot, run: Run) -> Inspection:
    scheduler = _answering(site, snapshot, run)
    if scheduler is None:
        words = f"{run.source} in its own words: it cannot be asked now"
        return Inspection(run=run, details=dict(run.native or {}), missing=(words,))
    try:
        return Inspection(run=run, details=scheduler.details(run))
    except SchedulerError as error:
        return Inspection(run=run, details=dict(run.native or {}), missing=(str(error),))


def logs(site: Site, snapshot: Snapshot, run: Run, *, tail_lines: int, errors: bool) -> Log:
    """The end of the run's output.

    Raises:
        SchedulerError: the source does not tell where the output is.
    """
    scheduler = site.scheduler(run.source)
    if _answering(site, snapshot, run) is None:
        return Log(path=None, reason=f"{run.source} does not answer now")
    return scheduler.logs(run, tail_lines=tail_lines, errors=errors)


def rights(site: Site) -> dict[str, Rights]:
    """What the user may do, per source that tells; of the others nothing is known."""
    known: dict[str, Rights] = {}
    for name, scheduler in site.schedulers.items():
        with suppress(SchedulerError):
            known[name] = scheduler.rights()
    return known


def reason(site: Site, snapshot: Snapshot, run: Run) -> str:
    """Why a run waits, in one sentence from what is known already: no scheduler is asked."""
    from foundry_tui.explain.diagnosis import diagnose

    details = dict(run.native or {})
    return diagnose(run, snapshot, details=details, rights=None, now=site.clock()).sentence


def why(site: Site, snapshot: Snapshot, run: Run) -> Why:
    """Why a run waits and the smallest change that would start it, asked of the scheduler."""
    from foundry_tui.explain.choose import choose
    from foundry_tui.explain.diagnosis import diagnose

    looked = _in_own_words(site, snapshot, run)
    scheduler = _answering(site, snapshot, run)
    rights = None
    if scheduler is not None:
        with suppress(SchedulerError):
            rights = scheduler.rights(run.user)
    found = diagnose(run, snapshot, details=looked.details, rights=rights, now=site.clock())
    starts: list[datetime | None] = []
    refused: list[int] = []
    how = ""
    for place, candidate in enumerate(found.candidates):
        starts.append(None)
        if scheduler is None or not candidate.what_if:
            continue
        try:
            estimate = scheduler.estimate(run, changes=candidate.changes)
        except SchedulerError:
            continue
        except ValueError:
            refused.append(place)
            continue
        starts[place], how = estimate.starts_at, estimate.how
        if estimate.starts_at is None:
            refused.append(place)
    explanation = choose(found, starts, refused=refused, how=how or "the scheduler's what-if")
    return Why(run=run, explanation=explanation, command=_command(scheduler, run, explanation))


def _command(
    scheduler: SchedulerActor | None, run: Run, explanation: Explanation
) -> tuple[str, ...] | None:
    """The exact command of the chosen change; None when there is nothing to send."""
    chosen = explanation.chosen
    if scheduler is None or chosen is None:
        return None
    act: Act
    if chosen.act == "change":
        act = ChangeRun(source=run.source, runs=(run.id,), fields=chosen.changes)
    elif chosen.act == "release":
        act = Release(source=run.source, runs=(run.id,))
    else:
        return None
    if scheduler.supports(type(act)) is not None:
        return None
    with suppress(ValueError, SchedulerError):
        return scheduler.preview(act, (run,), "").items[0].command or None
    return None
