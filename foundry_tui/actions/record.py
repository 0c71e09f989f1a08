"""Writing into a new record what is needed to make its run again.

The record is there already and the run has still to be sent: so each piece that cannot be written
is told and left, and all of it has a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.tracking.link import MAX_TAG_CHARS
from foundry_tui.tracking.ports import Tracker, TrackerDown, TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.jobs.record.collect import Collected

WITHIN_S = 5.0
"""Seconds for all of it: the run waits meanwhile."""

SLOW_S = 1.0
"""Seconds after which the user is told what goes on."""


def write(
    site: Site,
    tracker: Tracker,
    run: TrackedRun,
    collected: Collected,
    *,
    within_s: float = WITHIN_S,
) -> None:
    """Write everything into the record, and tell what could not be. Never raises for a server."""
    for note in collected.notes:
        site.tell(note)
    deadline, told = Deadline.after(within_s), False
    pieces = list(_pieces(site, tracker, run, collected))
    for number, (what, piece) in enumerate(pieces):
        left_s = deadline.left_s()
        if left_s <= 0:
            late = ", ".join(name for name, _ in pieces[number:])
            site.tell(f"not on its record, which took {within_s:g} s already: {late}")
            return
        if not told and left_s < within_s - SLOW_S:
            site.tell(f"writing its record: {what} ({number + 1} of {len(pieces)})")
            told = True
        try:
            piece()
        except TrackerDown as error:
            late = ", ".join(name for name, _ in pieces[number:])
            site.tell(f"not on its record: {late} ({error})")
            return
        except TrackingError as error:
            site.tell(f"not on its record: {what} ({error})")


def _pieces(
    site: Site, tracker: Tracker, run: TrackedRun, collected: Collected
) -> Iterator[tuple[str, Callable[[], None]]]:
    """What there is to write, small and important things first, each with its name."""
    now = site.clock()

    def tags(pairs: dict[str, str]) -> None:
        tracker.update(run.run_id, tags={k: _tag(v) for k, v in pairs.items()})

    def params(pairs: dict[str, str]) -> None:
        tracker.log(run.run_id, params=pairs, at=now)

    if collected.tags:
        yield "tags", lambda: _one_by_one(tags, collected.tags)
    if collected.params:
        yield "parameters", lambda: _one_by_one(params, collected.params)
    if collected.inputs:
        yield "data", lambda: tracker.log_inputs(run.run_id, collected.inputs)
    for path, data in sorted(collected.artifacts.items(), key=lambda item: len(item[1])):
        yield path, _artifact(tracker, run, path, data)


def _artifact(tracker: Tracker, run: TrackedRun, path: str, data: bytes) -> Callable[[], None]:
    return lambda: tracker.write_artifact(run, path, data)


def _one_by_one(write: Callable[[dict[str, str]], None], pairs: Mapping[str, str]) -> None:
    """All at once; where the server refuses, each alone, so that one costs the others nothing.

    Raises:
        TrackingError: some were refused, each with its reason.
    """
    try:
        write(dict(pairs))
        return
    except TrackerDown:
        raise
    except TrackingError as error:
        if len(pairs) == 1:
            raise
        whole = error
    refused = []
    for key, value in pairs.items():
        try:
            write({key: value})
        except TrackerDown:
            raise
        except TrackingError as error:
            refused.append(f"{safe(key, max_cells=60)}: {error.answer}")
    if refused:
        raise TrackingError(whole.asked, "; ".join(refused))


def _tag(value: str) -> str:
    """A value as UTF-8 can carry it, cut to what every server takes."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:MAX_TAG_CHARS]
