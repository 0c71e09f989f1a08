"""Runs side by side: the records and their files are read, a few at a time, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.experiments import find
from foundry_tui.actions.experiments.evidence import evidence
from foundry_tui.actions.experiments.server import at_once, tracker_of
from foundry_tui.estate.text import safe
from foundry_tui.experiments import compare
from foundry_tui.experiments.nouns import Comparison, Evidence
from foundry_tui.tracking.ports import TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.estate.tracked import TrackedRun
    from foundry_tui.tracking.ports import Tracker

MOST_RUNS = 200
"""Runs that are compared at once: each takes a handful of requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Runs side by side, as the records on `server` stood at `read_at`; `notes` say what lacks."""

    comparison: Comparison
    server: str
    read_at: datetime
    notes: tuple[str, ...] = ()


def diff(site: Site, references: Sequence[str]) -> Compared:
    """At least two runs side by side.

    Raises:
        WrongUse: fewer than two runs, one of them twice, or too many.
        NothingMatched, SourceMissing, ActionError: a run cannot be found.
    """
    if len(references) < 2:
        raise WrongUse("diff compares runs: name two or more")
    return of_runs(site, found(site, references))


def found(site: Site, references: Sequence[str]) -> tuple[TrackedRun, ...]:
    """The tracked runs that the references name, in their order.

    Raises:
        WrongUse: one run is named twice, or there are more than `MOST_RUNS`.
        NothingMatched, SourceMissing, ActionError: as `find.resolve`.
    """
    if len(references) > MOST_RUNS:
        raise WrongUse(f"{len(references)} runs: at most {MOST_RUNS} are compared at once")
    runs = tuple(find.resolve(site, reference) for reference in references)
    seen: dict[str, str] = {}
    for reference, run in zip(references, runs, strict=True):
        if run.run_id in seen:
            raise WrongUse(f"{seen[run.run_id]} and {reference} are one run, {run.run_id}")
        seen[run.run_id] = reference
    return runs


def of_runs(site: Site, runs: Sequence[TrackedRun]) -> Compared:
    """Runs that are known already, with what their records say now.

    A record that cannot be had now is compared as it was known, and a note says so.

    Raises:
        SourceMissing: there is no tracking server.
    """
    tracker = tracker_of(site, "comparing")
    read = at_once(lambda run: _whole(tracker, run), runs)
    whole = [run for run, _, _ in read]
    notes = [note for _, _, note in read if note]
    try:
        names = {one.id: one.name for one in tracker.experiments()}
    except TrackingError as error:
        names = {}
        notes.append(f"experiments are shown by their ids: {error}")
    named = [names.get(run.experiment_id, f"id {run.experiment_id}") for run in whole]
    sides = compare.sides(whole, named, [told for _, told, _ in read])
    return Compared(
        comparison=compare.compare(sides),
        server=tracker.url,
        read_at=site.clock(),
        notes=tuple(dict.fromkeys(notes)),
    )


def _whole(tracker: Tracker, run: TrackedRun) -> tuple[TrackedRun, Evidence, str | None]:
    """The record as it is now, what its files say, and a note where it could not be had."""
    try:
        now = tracker.get(run.run_id)
    except TrackingError as error:
        told = Evidence(missing=(safe("its files were not read: no answer"),))
        return run, told, f"{run.run_id} as it was last seen: {error}"
    if now is None:
        told = Evidence(missing=(safe("its record has been deleted"),))
        return run, told, f"{run.run_id} has been deleted; it is shown as it was last seen"
    return now, evidence(tracker, now), None
