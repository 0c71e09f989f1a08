"""The tracking server of a site, and what it refuses in the classes of the exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from foundry_tui.actions.errors import ActionError, SourceMissing
from foundry_tui.estate.source import Source, SourceState

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.tracking.ports import Tracker

AT_ONCE = 8
"""Requests to a tracking server at a time: with a login each costs it most of a second."""

T = TypeVar("T")
U = TypeVar("U")


def tracker_of(site: Site, asked: str) -> Tracker:
    """The tracking server.

    Raises:
        SourceMissing: there is none; `asked` stands before the reason.
    """
    tracker = site.tracker
    if tracker is None:
        raise SourceMissing(f"{asked}: {site.untracked}")
    return tracker


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what a tracking server raises into what an action raises.

    Raises:
        SourceMissing: it does not answer.
        ActionError: it refuses.
    """
    from foundry_tui.tracking.ports import TrackerDown, TrackingError

    try:
        yield
    except TrackerDown as error:
        raise SourceMissing(str(error)) from error
    except TrackingError as error:
        raise ActionError(str(error)) from error


def at_once(work: Callable[[T], U], items: Sequence[T]) -> list[U]:
    """What `work` makes of each item, in their order, a few at a time.

    Raises:
        Exception: the first that `work` raises.
    """
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(AT_ONCE, len(items)), "tracking") as pool:
        return list(pool.map(work, items))


def source_of(site: Site, read_at: datetime | None, problem: str | None = None) -> Source:
    """The tracking server as a source of what is shown; with a `problem` its data is not from now.

    Raises:
        SourceMissing: there is none.
    """
    state = SourceState.STALE if problem else SourceState.OK
    name = tracker_of(site, "what is shown").name
    return Source(name=name, kind="mlflow", state=state, read_at=read_at, reason=problem)


def writable(site: Site, what: str) -> None:
    """Refuse a change where nothing may be changed.

    Raises:
        ActionError: read-only.
        SourceMissing: the estate is simulated only because there is nothing else.
    """
    if site.options.read_only or site.config.read_only:
        raise ActionError(f"{what}: read-only, no record is changed")
    if site.unasked and not site.playing:
        raise SourceMissing(f"{what}: there is no tracking server here; --demo plays with one")
