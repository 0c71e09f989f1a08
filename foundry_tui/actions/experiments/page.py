"""Everything about one tracked run, the jobs that tracked runs belong to, and curves of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import NothingMatched
from foundry_tui.actions.experiments.mirrored import keep
from foundry_tui.actions.experiments.server import refusals, tracker_of
from foundry_tui.estate.recorded import CLUSTER_TAG, JOB_TAGS, SUBMIT_TAG
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import Artifact, Experiment, Point, TrackedRun
from foundry_tui.tracking.ports import TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site

MOST_ARTIFACTS = 200
"""Files that are listed: each folder takes a request."""

MOST_FOLDERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A tracked run as the server has it at `read_at`, with the files that it left there.

    `notes` say what could not be read.
    """

    run: TrackedRun
    experiment: Experiment | None
    server: str
    address: str
    read_at: datetime
    artifacts: tuple[Artifact, ...] = ()
    notes: tuple[SafeText, ...] = ()


def page(site: Site, run_id: str) -> Page:
    """The run, asked of the server now.

    Raises:
        NothingMatched: its record has been deleted.
        SourceMissing: there is no tracking server, or it is silent.
        ActionError: it refuses.
    """
    tracker = tracker_of(site, "the tracked run")
    with refusals():
        run = tracker.get(run_id)
    keep(site, run_id, run)
    if run is None:
        raise NothingMatched(f"the record {run_id} has been deleted")
    notes: list[SafeText] = []
    experiment: Experiment | None = None
    try:
        experiment = next((e for e in tracker.experiments() if e.id == run.experiment_id), None)
    except TrackingError as error:
        notes.append(safe(str(error), max_cells=400))
    files: list[Artifact] = []
    folders = [""]
    try:
        for _ in range(MOST_FOLDERS):
            if not folders or len(files) >= MOST_ARTIFACTS:
                break
            for one in tracker.artifacts(run, folders.pop(0)):
                if one.folder:
                    folders.append(one.path)
                else:
                    files.append(one)
    except TrackingError as error:
        notes.append(safe(f"its files: {error}", max_cells=400))
    if folders:
        notes.append(safe(f"not every file is listed: {len(folders)} more folders"))
    return Page(
        run=run,
        experiment=experiment,
        server=tracker.url,
        address=tracker.page(run),
        read_at=site.clock(),
        artifacts=tuple(files[:MOST_ARTIFACTS]),
        notes=tuple(notes),
    )


def curves(site: Site, run_ids: Sequence[str], metric: str) -> Mapping[str, tuple[Point, ...]]:
    """The metric of several runs; runs that have none are left out.

    Raises:
        SourceMissing: there is no tracking server, or it is silent.
        ActionError: it refuses.
    """
    tracker = tracker_of(site, "the curves")
    with refusals():
        return tracker.curves(run_ids, metric)


def jobs_of(tracked: Iterable[TrackedRun], runs: Iterable[Run]) -> dict[str, Run]:
    """MLflow run id -> the scheduler's run that it is the record of, among these."""
    by_job: dict[tuple[str, str], Run] = {}
    by_record: dict[str, Run] = {}
    by_token: dict[str, Run] = {}
    for run in runs:
        by_job[run.source, run.native_id] = run
        if run.mlflow_run_id:
            by_record[run.mlflow_run_id] = run
        if run.submit_token:
            by_token[run.submit_token] = run
    found: dict[str, Run] = {}
    for one in tracked:
        cluster, token = one.tags.get(CLUSTER_TAG, ""), one.tags.get(SUBMIT_TAG, "")
        job = by_record.get(one.run_id) or by_token.get(token)
        for tag in JOB_TAGS.values():
            job = job or by_job.get((cluster, one.tags.get(tag, "")))
        if job is not None:
            found[one.run_id] = job
    return found


def advance(site: Site, runs: Iterable[Run]) -> None:
    """Let the simulated server have what these runs logged, those that have ended too."""
    if site.mode != "demo":
        return
    from foundry_tui.actions.played import Played

    played = site.tracker
    if isinstance(played, Played):
        for run in runs:
            if run.user == site.user(run.source):
                played.up_to_date(site, run)
