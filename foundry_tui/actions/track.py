"""The tracked side of a run: its record, a metric's curve, its page; and bringing both in line."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing
from foundry_tui.actions.tracker import backend
from foundry_tui.estate.recorded import CHECKPOINT_TAG, SUBMIT_TAG
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import Point, TrackedRun
from foundry_tui.tracking.ports import Tracker, TrackerDown, TrackingError
from foundry_tui.tracking.reconcile import Job, decide

if TYPE_CHECKING:
    from foundry_tui.actions.played import Played
    from foundry_tui.actions.site import Site
    from foundry_tui.collector.follow import Follower
    from foundry_tui.collector.reconcile import Pass, Report
    from foundry_tui.store.links import Link

CLOCKS_S = 900.0
"""Seconds by which the clocks of a node and of the scheduler may differ."""

LOCK_WAIT_S = 15.0
"""How long `sync` waits for another program of this user that reconciles just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """A run on the tracking server. Without a `record` the `reason` says why it is not shown.

    `note` says where scheduler and record differ, such as tracking that ended before the job;
    `at_risk` what is lost if the run is killed now.
    """

    server: str | None
    experiment: SafeText | None = None
    mlflow_run_id: str | None = None
    address: str | None = None
    record: TrackedRun | None = None
    reason: SafeText | None = None
    note: str | None = None
    at_risk: str | None = None


def record(site: Site, run: Run) -> Tracked | None:
    """The run's record, asked of the server now; None for one that is not linked. Never raises."""
    link, tracker = _link(site, run), site.tracker
    findable = site.mode == "demo" or (tracker is not None and run.submit_token)
    if link is None and run.mlflow_run_id is None and not findable:
        return None
    server = tracker.url if tracker else link.server if link else None
    known = Tracked(
        server=server,
        experiment=safe(link.experiment) if link else None,
        mlflow_run_id=run.mlflow_run_id or (link.mlflow_run_id if link else None),
    )
    if tracker is None:
        where = f"; the record was made on {link.server}" if link else ""
        return replace(known, reason=safe(f"{site.untracked}{where}", max_cells=400))
    try:
        found = _record(site, tracker, run, link)
    except TrackingError as error:
        return replace(known, reason=safe(str(error), max_cells=400))
    if found is None:
        if known.mlflow_run_id is None:
            return None
        words = f"{tracker.url} has no record {known.mlflow_run_id}"
        return replace(known, reason=safe(words, max_cells=400))
    if site.mode == "demo":
        known = replace(known, experiment=safe(_played(site).experiment_of[found.run_id]))
    return replace(
        known,
        mlflow_run_id=found.run_id,
        address=tracker.page(found),
        record=found,
        note=_difference(run, found),
        at_risk=_at_risk(site, run, found),
    )


def curve(site: Site, run: Run, metric: str) -> tuple[Point, ...]:
    """A metric of the run over its steps; values may be NaN or infinite.

    Raises:
        NothingMatched: the run has no record.
        SourceMissing: the tracking server is not there.
        ActionError: it refuses.
    """
    tracker = site.tracker
    if tracker is None:
        raise SourceMissing(f"the curve of {metric}: {site.untracked}")
    try:
        run_id = run.mlflow_run_id
        if run_id is None or site.mode == "demo":
            found = _record(site, tracker, run, _link(site, run))
            run_id = found.run_id if found else None
        if run_id is None:
            raise NothingMatched(f"{run.id} has no record on {tracker.url}")
        return tracker.history(run_id, metric)
    except TrackerDown as error:
        raise SourceMissing(str(error)) from error
    except TrackingError as error:
        raise ActionError(str(error)) from error


def address(site: Site, run: Run) -> str | None:
    """The page of the run on the tracking server; None where there is none, or nobody answers."""
    tracked = record(site, run)
    return tracked.address if tracked else None


def filled(site: Site, runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """The runs with the ids of their records, as far as this user's links tell. Asks no server.

    Of the user's own runs alone: anybody can write anybody's token into a comment.
    """
    if site.mode == "demo":
        played = _played(site)
        return tuple(replace(r, mlflow_run_id=played.id_of(site, r)) for r in runs)
    users = {source: site.user(source) for source in {r.source for r in runs}}
    mine = {r.submit_token for r in runs if r.submit_token and r.user == users[r.source]}
    if not mine:
        return runs
    with suppress(ActionError):  # without a state folder there are no links
        links = site.links.of(mine)
        ids = {token: link.mlflow_run_id for token, link in links.items()}
        return tuple(
            replace(r, mlflow_run_id=ids[r.submit_token])
            if r.submit_token in ids and r.user == users[r.source]
            else r
            for r in runs
        )
    return runs


def follow(site: Site, snapshot: Snapshot) -> None:
    """Let the open links be reconciled with this reading, in the background and now and then."""
    if site.options.read_only or site.config.read_only or (site.unasked and not site.playing):
        return
    if site.follower is None:
        site.follower = _follower(site)
    site.follower.offer(snapshot)


def sync(site: Site, *, dry_run: bool = False) -> Report:
    """Bring every open link in line with its scheduler, thoroughly, and tell what came of it.

    Raises:
        SourceMissing: there is no tracking server, or no scheduler that has ever answered.
        ActionError: read-only, another program of this user reconciles for long, or there is no
            place for the lock.
    """
    if not dry_run and (site.options.read_only or site.config.read_only):
        raise ActionError("sync: read-only, no record is changed; --dry-run shows what would be")
    if site.saved is not None or (site.unasked and not site.playing):
        raise SourceMissing("sync: there is no scheduler here to ask how runs ended")
    tracker = site.tracker
    if tracker is None:
        raise SourceMissing(f"sync: {site.untracked}")
    from foundry_tui.store.links import LinkError

    snapshot = site.whole(measured=False)
    try:
        with site.links.writer(wait_s=LOCK_WAIT_S) as mine:
            if not mine:
                raise ActionError("sync: another foundry of yours is reconciling; try again")
            return _pass(site, tracker, snapshot, dry_run=dry_run).run()
    except LinkError as error:
        raise ActionError(f"sync: {error}") from error


def _follower(site: Site) -> Follower:
    from foundry_tui.collector.follow import Follower

    def make(snapshot: Snapshot, slow: bool) -> Pass | None:
        tracker = site.tracker
        if tracker is None:
            return None
        return _pass(site, tracker, snapshot, thorough=False, accounting=slow)

    return Follower(make, slow_s=float(site.config.intervals.slow_s))


def _pass(
    site: Site,
    tracker: Tracker,
    snapshot: Snapshot,
    *,
    thorough: bool = True,
    accounting: bool = True,
    dry_run: bool = False,
) -> Pass:
    from foundry_tui.collector.reconcile import Pass

    return Pass(
        links=site.links,
        tracker=tracker,
        schedulers=site.schedulers,
        snapshot=snapshot,
        user=site.user,
        backend=lambda source: backend(site, source),
        clock=site.clock,
        thorough=thorough,
        accounting=accounting,
        dry_run=dry_run,
        past=lambda: site.past,
    )


def _link(site: Site, run: Run) -> Link | None:
    """The user's own link of a run, None where there is none."""
    if site.mode != "live" or not run.submit_token or run.user != site.user(run.source):
        return None
    with suppress(ActionError):
        return site.links.find(run.submit_token)
    return None


def _record(site: Site, tracker: Tracker, run: Run, link: Link | None) -> TrackedRun | None:
    """The record: by the link's id, else by the submit token that both sides carry."""
    run_id = run.mlflow_run_id or (link.mlflow_run_id if link else None)
    if site.mode == "demo":
        run_id = _played(site).up_to_date(site, run)
    if run_id is not None:
        return tracker.get(run_id)
    if not run.submit_token:
        return None
    found: Iterable[TrackedRun] = tracker.find(SUBMIT_TAG, run.submit_token)
    return next(iter(found), None)


def _played(site: Site) -> Played:
    """The tracking server of the simulated estate."""
    from foundry_tui.actions.played import Played

    tracker = site.tracker
    assert isinstance(tracker, Played)
    return tracker


def _at_risk(site: Site, run: Run, found: TrackedRun) -> str | None:
    """The GPU-hours since the newest checkpoint, for a running run that says where those lie."""
    from foundry_tui.jobs.checkpoint import at_risk, newest

    path = found.tags.get(CHECKPOINT_TAG)
    if not path or run.state is not RunState.RUNNING or site.mode == "demo":
        return None
    last = newest(Path(path))
    now = site.clock()
    lost = at_risk(run.started_at, last.at, now, run.request.gpu_milli)
    if lost is None:
        return None
    if last.at is None:
        since = f"no checkpoint yet ({last.why})"
    else:
        minutes = max(0, round((now - last.at).total_seconds() / 60))
        since = f"the newest checkpoint is {minutes} min old"
    return safe(f"{lost:.2f} GPU-hours are lost: {since}", max_cells=300)


def _difference(run: Run, found: TrackedRun) -> str | None:
    """Where a run and its record tell different things; a task is not its whole array."""
    if run.array is not None:
        return None
    job = Job(state=run.state, ended_at=run.ended_at, exit_code=run.exit_code)
    decision = decide(job, found.status, found.tags)
    if decision.status is not None:
        return f"not in line yet: {decision.words}; `foundry sync` does it"
    told = "disagree" in decision.words or "tracking ended" in decision.words
    return decision.words if told else _written_later(run, found)


def _written_later(run: Run, found: TrackedRun) -> str | None:
    """Whether something has gone on writing to the record after the job had ended."""
    latest = max((point.at for point in found.metrics.values()), default=None)
    if run.state in LIVE or run.ended_at is None or latest is None:
        return None
    late_s = (latest - run.ended_at).total_seconds()
    if late_s <= CLOCKS_S:
        return None
    return f"a process still wrote to it {late_s / 60:.0f} min after the job had ended"
