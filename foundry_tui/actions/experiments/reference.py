"""From words on a command line to a tracked run: by its id, or by the run of a scheduler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from foundry_tui.actions import select
from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.experiments import mirrored
from foundry_tui.estate.recorded import CLUSTER_TAG, JOB_TAGS, SUBMIT_TAG
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.tracking.ports import Tracker, TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site

SHORTEST = 6
"""Letters of a record's id that must be given at least."""

SHOWN = 5
"""Candidates that are named where a beginning fits several."""

PAGE = 200

_WHOLE = re.compile(r"[0-9a-f]{32}")
_BEGINNING = re.compile(rf"[0-9a-f]{{{SHORTEST},31}}")


def resolve(site: Site, reference: str) -> TrackedRun:
    """The tracked run that is meant, as the server has it now; the mirror learns of it too.

    A reference is the id of the record or a unique beginning of it, or a run of a scheduler:
    `source/native`, or its own id alone. What looks like both is the scheduler's where it is all
    digits, as job ids are.

    Raises:
        WrongUse: several are meant.
        NothingMatched: none is known.
        SourceMissing: there is no tracking server, or it is silent.
        ActionError: the server refuses.
    """
    word = reference.strip()
    tracker = mirrored.tracker(site)
    if site.mode == "demo":
        mirrored.play(site)
    try:
        found = _found(site, tracker, word)
    except TrackingError as error:
        raise mirrored.failed(error) from error
    if found is None:
        shown = safe(word, max_cells=80)
        raise NothingMatched(
            f"no tracked run {shown!r} at {tracker.url}; give the id of a record, {SHORTEST} or "
            "more letters of it, or the id of a run that was submitted with a record"
        )
    return found


def _found(site: Site, tracker: Tracker, word: str) -> TrackedRun | None:
    if _WHOLE.fullmatch(word):
        run = tracker.get(word)
        mirrored.keep(site, word, run)
        return run
    beginning = _BEGINNING.fullmatch(word) is not None
    if not beginning or word.isdecimal():
        run = _of_job(site, tracker, word)
        if run is not None or not beginning:
            return run
    run = _beginning(site, tracker, word)
    return run if run is not None or word.isdecimal() else _of_job(site, tracker, word)


def _beginning(site: Site, tracker: Tracker, word: str) -> TrackedRun | None:
    """The one run whose id begins so: of the mirror and of the server.

    Raises:
        WrongUse: there are several.
    """
    from foundry_tui.store.mirror.errors import MirrorError

    found: dict[str, TrackedRun] = {}
    with suppress(MirrorError):  # the server is asked too
        mirror = mirrored.held(site).mirror
        found = {run.run_id: run for run in mirror.beginning(word, SHOWN + 1)}
    if len(found) < 2:
        ids = [experiment.id for experiment in tracker.experiments()]
        for start in range(0, len(ids), PAGE):
            where = f"attributes.run_id LIKE '{word}%'"
            page = tracker.search(ids[start : start + PAGE], where=where, most=SHOWN + 1)
            found |= {run.run_id: run for run in page.runs}
    if len(found) > 1:
        named = ", ".join(f"{run.run_id} ({run.name})" for run in list(found.values())[:SHOWN])
        more = " and more" if len(found) > SHOWN else ""
        raise WrongUse(f"{word} is the beginning of several runs: {named}{more}")
    for run_id in found:
        run = tracker.get(run_id)
        mirrored.keep(site, run_id, run)
        return run
    return None


def _of_job(site: Site, tracker: Tracker, word: str) -> TrackedRun | None:
    """The record of a scheduler's run: by the run itself, else by the tags of records.

    Raises:
        WrongUse: two sources have a run of this id.
    """
    run: Run | None = None
    with suppress(NothingMatched, SourceMissing):
        (run,) = select.resolve_in(site.snapshot(measured=False), (word,))[:1]
    if run is not None and (found := _of_run(site, tracker, run)) is not None:
        return found
    source, _, native = word.rpartition("/")
    if not native:
        return None
    records: dict[str, TrackedRun] = {}
    for tag in dict.fromkeys(JOB_TAGS.values()):
        for record in tracker.find(tag, native):
            if source in ("", record.tags.get(CLUSTER_TAG)):
                records[record.run_id] = record
    clusters = {record.tags.get(CLUSTER_TAG) for record in records.values()}
    if len(clusters) > 1:
        named = ", ".join(safe(f"{cluster}/{native}") for cluster in sorted(map(str, clusters)))
        raise WrongUse(f"{word} is an id of several sources: {named}; name the source too")
    return _newest(records.values())


def _of_run(site: Site, tracker: Tracker, run: Run) -> TrackedRun | None:
    run_id = run.mlflow_run_id
    if run_id is None and run.submit_token:
        with suppress(ActionError):  # without a state folder there are no links
            link = site.links.find(run.submit_token) if site.mode == "live" else None
            run_id = link.mlflow_run_id if link else None
    if run_id is not None:
        found = tracker.get(run_id)
        mirrored.keep(site, run_id, found)
        return found
    return _newest(tracker.find(SUBMIT_TAG, run.submit_token)) if run.submit_token else None


def _newest(records: Iterable[TrackedRun]) -> TrackedRun | None:
    """Of several attempts the last one."""
    from foundry_tui.tracking.order import newest_first

    return next(iter(newest_first(records)), None)
