"""A page of tracked runs, sorted and filtered at any scale.

They come from the mirror where it is up to date. A short command without one asks the server for
the newest page, and reads all runs only where it must: to sort by what the server must not be
asked to sort by, or for `whole`. While a thread of this process follows the server (`refresh`),
nothing is asked here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from foundry_tui.actions.errors import ActionError, NothingMatched, WrongUse
from foundry_tui.actions.experiments import mirrored
from foundry_tui.actions.experiments.mirrored import Held, refresh
from foundry_tui.actions.experiments.reference import resolve
from foundry_tui.estate.filter import FilterError
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.tracking.ports import TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.collector.mirroring import Refresh
    from foundry_tui.store.mirror.mirror import Known, Mirror
    from foundry_tui.store.mirror.query import Found

__all__ = ("Listing", "counted", "figures", "listing", "names", "refresh", "resolve", "whole")

ALL = 1_000_000
"""As many runs as there are."""

FRESH = timedelta(seconds=60)
"""A mirror that any process has refreshed within this time is from now."""

NEWEST = ("", "started")
"""The order in which the server gives runs by itself."""

TELL_EVERY_S = 3.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of tracked runs. `total` counts all that were chosen among those that are known.

    Without `complete` the server has runs that were not looked at; `words` tell how far it is, and
    `problem` why the data is not from now. `read_at` is None before anything was read.
    """

    rows: tuple[TrackedRun, ...]
    experiments: Mapping[str, Experiment]
    total: int
    read_at: datetime | None
    complete: bool
    words: SafeText
    problem: SafeText | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    experiment: str | None
    where: str
    sort: str
    descending: bool
    most: int
    whole: bool

    @property
    def newest_first(self) -> bool:
        return self.sort in NEWEST and self.descending


def listing(
    site: Site,
    *,
    experiment: str | None = None,
    where: str = "",
    sort: str = "",
    descending: bool = True,
    most: int = 200,
    whole: bool = False,
) -> Listing:
    """The first `most` runs of an experiment (its name or id), or of all, as asked.

    `where` is the filter language with `metric.NAME`, `param.NAME` and `tag.NAME`; `sort` is one of
    these, a bare metric or param, or a column. Runs without it come last. `whole` looks at every
    run; how far that is goes to `site.tell`.

    Raises:
        WrongUse: the filter or the name to sort by is not understood.
        NothingMatched: there is no such experiment.
        SourceMissing: there is no tracking server, or it is silent and nothing is kept.
        ActionError: the server refuses.
    """
    asked = _Asked(experiment=experiment, where=where.strip(), sort=sort, descending=descending,
                   most=most, whole=whole)  # fmt: skip
    one = mirrored.held(site)
    mirror, problem = one.mirror, None
    if site.mode == "demo" or not one.following:
        try:
            mirror = _brought(site, one, asked)
        except TrackingError as error:
            mirror = one.mirror
            if not _guarded(mirror, lambda m: m.state()).runs:
                raise mirrored.failed(error) from error
            problem = safe(f"not from now: {error}", max_cells=400)
    return _page(site, one, mirror, asked, problem)


def figures(
    site: Site, keys: Sequence[str], *, experiment: str | None = None, where: str = ""
) -> tuple[TrackedRun, ...]:
    """Every run that is known here, with these metrics, params and tags alone, as `metric.loss`.

    Many times quicker than `listing` of whole runs, which is to be asked first: this asks no
    server. The step and the time of a metric are not told.

    Raises:
        WrongUse: the filter is not understood.
        SourceMissing: there is no tracking server.
        ActionError: what is kept cannot be read.
    """
    from foundry_tui.collector.mirroring import chosen

    mirror = mirrored.held(site).mirror
    asked = _Asked(experiment=experiment, where=where.strip(), sort="", descending=True,
                   most=ALL, whole=True)  # fmt: skip
    known = chosen(_guarded(mirror, lambda m: m.state()), experiment)
    return _found(site, mirror, known, asked, tuple(keys)).runs


def whole(site: Site, run_ids: Sequence[str]) -> tuple[TrackedRun, ...]:
    """These runs as they are known here, in this order; those that are not are left out.

    Raises:
        SourceMissing, ActionError: as `figures`.
    """
    return _guarded(mirrored.held(site).mirror, lambda mirror: mirror.whole(run_ids))


def counted(site: Site, metrics: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    """Id of an experiment -> metric -> how many of its known runs have it, of these metrics.

    Raises:
        SourceMissing, ActionError: as `figures`.
    """
    return _guarded(mirrored.held(site).mirror, lambda mirror: mirror.counts(metrics))


def names(site: Site) -> tuple[str, ...]:
    """Every metric, param and tag of any known run, as `metric.loss`: to choose and to complete.

    Raises:
        SourceMissing: there is no tracking server.
        ActionError: what is kept cannot be read.
    """
    return _guarded(mirrored.held(site).mirror, lambda mirror: mirror.keys())


def _brought(site: Site, one: Held, asked: _Asked) -> Mirror:
    """Read from the server what the question needs; the mirror that has it.

    Raises:
        TrackingError: the server did not answer.
        ActionError: it cannot be kept.
    """
    from foundry_tui.collector.mirroring import chosen
    from foundry_tui.store.mirror.mirror import Mirror

    try:
        state = _guarded(one.mirror, lambda mirror: mirror.state())
    except ActionError as error:
        site.tell(f"{error}; it is kept in memory for now")
        one.mirror = Mirror(one.mirror.url, None)
        state = one.mirror.state()
    work = mirrored.refreshing(site, one.mirror)
    known = chosen(state, asked.experiment)
    here = bool(known) and all(k.whole for k in known)
    if site.mode == "demo":
        mirrored.play(site)
        work.every_s = 0.0
    elif here and state.polled_at is not None and site.clock() - state.polled_at < FRESH:
        return one.mirror
    if site.mode == "demo" or here or asked.whole or not asked.newest_first:
        _fill(site, work, asked.experiment)
        return one.mirror
    if _first_page(work, asked):
        return one.mirror
    work.mirror = Mirror(one.mirror.url, None)  # another process writes, or the disk is full
    _first_page(work, asked)
    return work.mirror


def _first_page(work: Refresh, asked: _Asked) -> bool:
    """Read the newest runs; False where they cannot be kept."""
    from foundry_tui.store.mirror.errors import MirrorDamaged, MirrorError

    try:
        with work.mirror.writer() as writer:
            if writer is None:
                return False
            work.newest(writer, asked.most, asked.experiment)
    except MirrorDamaged:
        work.mirror.begin_anew()
        return False
    except MirrorError:
        return False
    return True


def _fill(site: Site, work: Refresh, experiment: str | None) -> None:
    """Read all runs, telling now and then how far that is."""
    from foundry_tui.store.mirror.errors import MirrorDamaged, MirrorError

    told_at = time.monotonic()

    def tell(words: SafeText) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            site.tell(words)

    work.pace = 0.0  # somebody waits for it
    try:
        try:
            work.fill(tell, threading.Event(), only=experiment)
        except MirrorDamaged:
            work.mirror.begin_anew()
            work.fill(tell, threading.Event(), only=experiment)
    except MirrorError as error:
        raise ActionError(str(error)) from error
    except TimeoutError as error:
        words = f"tracked runs: another foundry of yours is reading them, and {error}; try again"
        raise ActionError(words) from error


def _page(
    site: Site, one: Held, mirror: Mirror, asked: _Asked, problem: SafeText | None
) -> Listing:
    from foundry_tui.collector.mirroring import chosen, words

    state = _guarded(mirror, lambda m: m.state())
    known = chosen(state, asked.experiment)
    if asked.experiment is not None and not known and state.experiments:
        raise _unknown(asked.experiment, [k.experiment.name for k in state.experiments])
    found = _found(site, mirror, known, asked)
    complete = bool(known) and all(k.whole for k in known)
    if complete or one.following:
        said = words(state, asked.experiment)
    else:
        said = safe(f"of the {state.runs:,} runs read so far; --all reads all of them")
    return Listing(
        rows=found.runs,
        experiments={k.experiment.id: k.experiment for k in state.experiments},
        total=found.total,
        read_at=state.polled_at,
        complete=complete,
        words=said,
        problem=problem or (one.trouble if one.following else None),
    )


def _found(
    site: Site,
    mirror: Mirror,
    known: Sequence[Known],
    asked: _Asked,
    keys: tuple[str, ...] | None = None,
) -> Found:
    """What the mirror has of these experiments.

    Raises:
        WrongUse: the filter or the name to sort by is not understood.
        ActionError: it cannot be read.
    """
    from foundry_tui.store.mirror.query import Query

    query = Query(
        experiment_ids=None if asked.experiment is None else tuple(k.experiment.id for k in known),
        where=asked.where,
        sort=asked.sort,
        descending=asked.descending,
        most=asked.most,
        now=site.clock(),
        me=site.me,
        keys=keys,
    )
    try:
        return _guarded(mirror, lambda m: m.ask(query))
    except FilterError as error:
        raise WrongUse(f"--where\n{error}") from error
    except ValueError as error:  # nothing of this name to sort by, or too many fields
        raise WrongUse(str(error)) from error


def _guarded(mirror: Mirror, ask: Callable[[Mirror], T]) -> T:
    """The answer of the mirror; of an empty one after it was found damaged and set aside.

    Raises:
        ActionError: it cannot be read.
    """
    from foundry_tui.store.mirror.errors import MirrorDamaged, MirrorError

    try:
        try:
            return ask(mirror)
        except MirrorDamaged:
            mirror.begin_anew()
            return ask(mirror)
    except MirrorError as error:
        raise ActionError(str(error)) from error


def _unknown(experiment: str, names: Sequence[str]) -> NothingMatched:
    import difflib  # only needed here

    near = difflib.get_close_matches(experiment, names, n=1)
    hint = f"did you mean {safe(near[0])!r}?" if near else f"there are {len(names):,}"
    return NothingMatched(f"the server has no experiment {safe(experiment)!r}; {hint}")
