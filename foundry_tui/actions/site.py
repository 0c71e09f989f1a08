"""What this host offers: its sources, found or configured, and where state is kept."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.sources import Scheduler, live
from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import load
from foundry_tui.config.model import Config
from foundry_tui.config.places import PlaceError, cache_dir, state_dir
from foundry_tui.estate.snapshot import Snapshot, SnapshotError, decode
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.process import user_name

if TYPE_CHECKING:
    from foundry_tui.collector.collect import Collector
    from foundry_tui.collector.follow import Follower
    from foundry_tui.store.journal import Journal
    from foundry_tui.store.links import Links
    from foundry_tui.store.snapshots import Snapshots
    from foundry_tui.telemetry.nvml import Nvml
    from foundry_tui.tracking.ports import Tracker

MAX_ESTATE_BYTES = 512 << 20
"""Cap on a saved estate file."""


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

    `clock` is the time of the estate: that of the simulation in the demo. `untracked` tells why
    there was no tracking server when `tracker` was last asked for.
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
    _tracker: Tracker | None = None
    _readings: int = 0

    @cached_property
    def collector(self) -> Collector:
        """The one poller of this process."""
        from foundry_tui.collector.collect import Collector

        return Collector(
            readers=tuple(self.schedulers.values()),
            clock=self.clock,
            store=self._store(),
            telemetry=self.nvml.read if self.mode == "live" else None,
            interval_s=self.refresh_s or float(self.config.intervals.refresh_s),
        )

    def _store(self) -> Snapshots | None:
        if self.mode != "live":
            return None
        from foundry_tui.store.snapshots import Snapshots

        place = _cache(self)
        return None if place is None else Snapshots(place)

    @cached_property
    def nvml(self) -> Nvml:
        """The GPUs of this host itself."""
        from foundry_tui.telemetry.nvml import Nvml

        return Nvml(node=socket.gethostname().split(".")[0], clock=self.clock)

    @cached_property
    def journal(self) -> Journal:
        """The journal of changes; the folder is made when it is first needed.

        Raises:
            ActionError: there is no folder to keep a journal in, so nothing may be changed.
        """
        from foundry_tui.store.journal import Journal

        return Journal(self.state, utc_now)

    @cached_property
    def state(self) -> Path:
        """The folder for what must not be lost: the journal, and the links to tracked runs.

        Raises:
            ActionError: there is no such folder, so nothing may be changed.
        """
        if self.mode == "demo":
            # A play on the simulated estate must not stand among real changes.
            cache = _cache(self)
            folder = Path(tempfile.mkdtemp()) if cache is None else cache / "demo"
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

    def snapshot(self, patience_s: float | None = None) -> Snapshot:
        """The estate now, or as it was saved; the user's runs with the ids of their records.

        `patience_s` is that of `Collector.collect`.
        """
        if self.saved is not None:
            return self.saved
        from foundry_tui.actions.track import filled, follow

        whole = self.collector.collect(patience_s=patience_s)
        if self._readings:
            # Not with the first reading: a one-shot command ends before a pass could.
            follow(self, whole)
        self._readings += 1
        return replace(whole, runs=filled(self, whole.runs))

    def before(self) -> Snapshot | None:
        """The estate as it was kept from the last time, at once; None when nothing was kept."""
        return None if self.saved is not None else self.collector.before()

    def hurry(self) -> None:
        """Let the next reading come as soon as politeness allows."""
        if self.saved is None:
            self.collector.hurry()

    def waits_s(self) -> dict[str, float]:
        """Source -> seconds until it is asked again; none of a saved estate."""
        return {} if self.saved is not None else self.collector.waits_s()

    def wait_s(self) -> float:
        """Seconds until a reading can bring something new; for ever for a saved estate."""
        return float("inf") if self.saved is not None else self.collector.wait_s()

    def whole(self) -> Snapshot:
        """The estate, for a question that needs at least one source with data.

        Raises:
            SourceMissing: no source gave anything, now or before.
        """
        snapshot = self.snapshot()
        sources = [s for s in snapshot.sources if s.kind not in ("telemetry", "mlflow")]
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


def down(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The schedulers whose data is not from now."""
    bad = (SourceState.DOWN, SourceState.DENIED, SourceState.STALE)
    return tuple(s for s in sources if s.state in bad and s.kind != "telemetry")


def open_site(options: Options, tell: Callable[[str], None]) -> Site:
    """Find out what this host offers: a saved estate, the demo, configured or found sources.

    Raises:
        WrongUse: the configuration or the saved estate cannot be read.
    """
    if options.estate is not None and options.demo:
        raise WrongUse("--estate and --demo exclude each other")
    try:
        loaded = load(options.config, os.environ)
        if loaded.config.keys:
            from foundry_tui.actions.keymap import key_map

            key_map(loaded.config, loaded.path)
    except ConfigError as error:
        raise WrongUse(str(error)) from error
    site = Site(options=options, config=loaded.config, mode="live", tell=tell)
    for warning in loaded.warnings:
        tell(warning)
    if options.estate is not None:
        site.mode, site.saved = "saved", read_estate(options.estate)
        return site
    if not options.demo:
        site.schedulers = live(site.config, site.clock)
        if site.schedulers:
            return site
        site.tell(
            "no scheduler was found on this host: this is the simulated estate (`foundry doctor`)"
        )
    site.mode = "demo"
    _open_demo(site)
    return site


def read_estate(path: Path) -> Snapshot:
    """A saved estate file.

    Raises:
        WrongUse: it is missing, too large or no snapshot.
    """
    try:
        if path.stat().st_size > MAX_ESTATE_BYTES:
            raise WrongUse(f"{path} is larger than {MAX_ESTATE_BYTES >> 20} MiB: no saved estate")
        return decode(path.read_bytes())
    except OSError as error:
        raise WrongUse(f"--estate {path}: {error.strerror}") from error
    except SnapshotError as error:
        raise WrongUse(f"--estate {path}: {error}") from error


def _open_demo(site: Site) -> None:
    """The simulated estate, with its own time: it runs faster than the clock on the wall."""
    from foundry_tui.schedulers.simulated import build

    place = _cache(site)
    sources = build(None if place is None else place / "demo", site.clock)
    site.schedulers = {source.name: source for source in sources}
    site.clock = sources[0].now


def _cache(site: Site) -> Path | None:
    """The local folder for data that can be had again; without one nothing is kept."""
    try:
        place = cache_dir(site.config.cache_dir, os.environ)
    except PlaceError as error:
        site.tell(f"the last good data is not kept: {error}")
        return None
    if place.notice:
        site.tell(place.notice)
    return place.path
