"""What this host offers: its sources, found or configured, and where state is kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.sources import Scheduler
from foundry_tui.config.model import Config
from foundry_tui.config.places import PlaceError, cache_dir, state_dir
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.process import user_name

if TYPE_CHECKING:
    from foundry_tui.actions.experiments.mirrored import Held
    from foundry_tui.collector.collect import Collector
    from foundry_tui.collector.follow import Follower
    from foundry_tui.collector.judging import Judge
    from foundry_tui.collector.publish import Board
    from foundry_tui.collector.reverting import Reverter
    from foundry_tui.collector.sharing import Sharing
    from foundry_tui.collector.sweep import Meter
    from foundry_tui.config.policy import Policy
    from foundry_tui.estate.rights import Rights
    from foundry_tui.store.history import Past
    from foundry_tui.store.journal import Journal
    from foundry_tui.store.links import Links
    from foundry_tui.tracking.ports import Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The global options of the command line."""

    config: Path | None = None
    estate: Path | None = None
    demo: bool = False
    read_only: bool = False


def utc_now() -> datetime:
    """The clock of the program."""
    return datetime.now(UTC)


@dataclass
class Site:
    """The sources of this host. `mode` is live, demo or saved; `tell` takes words for the user.

    `playing` says that whoever acts sees that the estate is simulated, as on the screens: a script
    must not believe that its submit has reached a scheduler.

    `clock` is the time of the estate: that of the simulation in the demo, where changes are dated
    by it too, since what they promise is measured by it. `untracked` tells why there was no
    tracking server when `tracker` was last asked for.
    """

    options: Options
    config: Config
    mode: str
    tell: Callable[[str], None]
    schedulers: dict[str, Scheduler] = field(default_factory=dict)
    saved: Snapshot | None = None
    clock: Callable[[], datetime] = utc_now
    refresh_s: float | None = None
    playing: bool = False
    untracked: str = ""
    follower: Follower | None = None
    judge: Judge | None = None
    shared_found: tuple[Board | None, str] | None = None
    demo_folder: Path | None = None
    past_found: tuple[Path, Past] | None = None
    mirrored: Held | None = None
    reverter: Reverter | None = None
    rights_found: dict[str, tuple[float, Rights]] = field(default_factory=dict)
    policy_found: tuple[tuple[float, ...], Policy] | None = None
    _tracker: Tracker | None = None
    _readings: int = 0

    @cached_property
    def collector(self) -> Collector:
        """The one poller of this process."""
        from foundry_tui.actions import sharing
        from foundry_tui.collector.collect import Collector
        from foundry_tui.collector.sweep import Sweeps
        from foundry_tui.store.snapshots import Snapshots

        live = self.mode == "live"
        every_s = self.refresh_s or float(self.config.intervals.refresh_s)
        cache = self.cache if live else None
        return Collector(
            readers=tuple(self.schedulers.values()),
            clock=self.clock,
            store=None if cache is None else Snapshots(cache),
            sweeps=Sweeps(self.telemetry, self.clock, every_s) if live else None,
            join=sharing.join(self.config),
            interval_s=every_s,
        )

    @cached_property
    def sharing(self) -> Sharing:
        """What this process reads itself, and what it has from others."""
        from foundry_tui.actions import sharing

        return sharing.sharing(self)

    @cached_property
    def cache(self) -> Path | None:
        """The local folder for data that can be had again; without one nothing is kept."""
        try:
            place = cache_dir(self.config.cache_dir, os.environ)
        except PlaceError as error:
            self.tell(f"the last good data is not kept: {error}")
            return None
        if place.notice:
            self.tell(place.notice)
        return place.path

    @cached_property
    def telemetry(self) -> tuple[Meter, ...]:
        """The sources of GPU readings; the GPUs of this host itself where none is configured."""
        from foundry_tui.actions import sharing

        return sharing.meters(self)

    @property
    def past(self) -> Past | None:
        """The history of what is shown; None while there is none.

        Raises:
            HistoryError: there is one that cannot be read or believed.
        """
        from foundry_tui.actions import sharing

        return sharing.past(self)

    @property
    def leader(self) -> str | None:
        """Who collects for this process, or why it has to read for itself; None when it leads."""
        return None if self.saved is not None else self.sharing.words()

    @cached_property
    def journal(self) -> Journal:
        """The journal of changes; the folder is made when it is first needed.

        Raises:
            ActionError: there is no folder to keep a journal in, so nothing may be changed.
        """
        from foundry_tui.store.journal import Journal
        from foundry_tui.store.syslog import Syslog

        told = self.mode == "live" and self.config.changes.syslog
        log = Syslog(self.config.changes.facility) if told else None
        return Journal(self.state, self.clock, log=log)

    @cached_property
    def state(self) -> Path:
        """The folder for what must not be lost: the journal, and the links to tracked runs.

        Raises:
            ActionError: there is no such folder, so nothing may be changed.
        """
        if self.mode == "demo":
            # A play on the simulated estate must not stand among real changes.
            folder = Path(tempfile.mkdtemp()) if self.cache is None else self.cache / "demo"
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder
        try:
            place = state_dir(self.config.state_dir, os.environ)
        except PlaceError as error:
            raise ActionError(f"nothing can be sent without a journal: {error}") from error
        if place.notice:
            self.tell(place.notice)
        return place.path

    @cached_property
    def links(self) -> Links:
        """Which runs belong to which runs of the tracking server.

        Raises:
            ActionError: as `state`.
        """
        from foundry_tui.store.links import Links

        return Links(self.state / "links")

    @property
    def tracker(self) -> Tracker | None:
        """The tracking server; None when there is none. One that is started later is found too."""
        from foundry_tui.actions.tracker import find

        if self._tracker is None:
            self._tracker = find(self)
        return self._tracker

    def snapshot(self, patience_s: float | None = None, *, measured: bool = True) -> Snapshot:
        """The estate now, or as it was saved; the user's runs with the ids of their records.

        `patience_s` is that of `Collector.collect`; without `measured` no GPU is asked.
        """
        if self.saved is not None:
            return self.saved
        from foundry_tui.actions import verdicts
        from foundry_tui.actions.track import filled, follow

        whole = self.sharing.collect(patience_s=patience_s, measured=measured)
        if self._readings:
            from foundry_tui.actions import reverting

            # Not with the first reading: a one-shot command ends before a pass could.
            follow(self, whole)
            reverting.offer(self)
            verdicts.follow(self, whole)
        self._readings += 1
        return replace(whole, runs=filled(self, whole.runs))

    def before(self) -> Snapshot | None:
        """The estate as it was kept from the last time, at once; None when nothing was kept."""
        return None if self.saved is not None else self.collector.before()

    def hurry(self) -> None:
        """Let the next reading come as soon as politeness allows."""
        if self.saved is None:
            self.sharing.hurry()

    def stay(self) -> None:
        """This process goes on reading: from now on it leads the user's others, or follows them."""
        if self.saved is None:
            self.sharing.stays = True

    def stirred(self) -> bool:
        """Whether there is news before the next reading is due; to be asked every few seconds."""
        return self.saved is None and self.sharing.stirred()

    def resign(self) -> None:
        """Let another of the user's processes collect: this one stands still or ends."""
        if self.saved is None:
            self.sharing.resign()

    def waits_s(self) -> dict[str, float]:
        """Source -> seconds until it is asked again; none of a saved estate."""
        return {} if self.saved is not None else self.sharing.waits_s()

    def wait_s(self) -> float:
        """Seconds until a reading can bring something new; for ever for a saved estate."""
        return float("inf") if self.saved is not None else self.sharing.wait_s()

    def whole(self, *, measured: bool = True) -> Snapshot:
        """The estate, for a question that needs at least one source with data.

        Without `measured` no GPU is asked what it does.

        Raises:
            SourceMissing: no source gave anything, now or before.
        """
        snapshot = self.snapshot(measured=measured)
        sources = [s for s in snapshot.sources if s.kind != "mlflow"]
        if self.schedulers:
            sources = [s for s in sources if s.kind != "telemetry"]
        if sources and all(s.read_at is None for s in sources):
            told = "; ".join(f"{s.name}: {s.reason}" for s in sources)
            raise SourceMissing(f"no source answered and nothing was kept from before. {told}")
        return snapshot

    def user(self, source: str) -> str:
        """Who acts on a source: the user of this process, unless the source knows another."""
        scheduler = self.schedulers.get(source)
        return user_name() if scheduler is None else scheduler.user() or user_name()

    @property
    def unasked(self) -> bool:
        """Whether the simulated estate is shown only because there is nothing else."""
        return self.mode == "demo" and not self.options.demo

    @property
    def me(self) -> frozenset[str]:
        """The user's names, one for each way of logging in: what `user=me` means in a filter."""
        return frozenset(self.user(name) for name in self.schedulers) or frozenset({user_name()})

    @property
    def idle_after_s(self) -> float:
        """Seconds without work after which a held GPU counts as idle."""
        return self.config.thresholds.idle_after_s

    @property
    def user_shown(self) -> str:
        """The user's name on the first source, for the header."""
        return next((self.user(name) for name in self.schedulers), user_name())

    def scheduler(self, name: str) -> Scheduler:
        """The source of this name, to ask or to change.

        Raises:
            WrongUse: a saved estate has nobody to ask, or there is no such source.
        """
        if self.saved is not None:
            raise WrongUse("a saved estate (--estate) has no scheduler to ask or to change")
        if name not in self.schedulers:
            raise WrongUse(f"no source {name!r} here; there is {', '.join(self.schedulers)}")
        return self.schedulers[name]


_BAD = (SourceState.DOWN, SourceState.DENIED, SourceState.STALE)


def down(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The schedulers whose data is not from now."""
    return tuple(s for s in sources if s.state in _BAD and s.kind != "telemetry")


def silent_meters(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The sources of GPU readings that give none now."""
    return tuple(s for s in sources if s.state in _BAD and s.kind == "telemetry")
