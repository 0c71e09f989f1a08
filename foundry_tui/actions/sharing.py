"""How the processes of a user, or of a host, share one collector and one history: the wiring."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.config.model import Config
from foundry_tui.config.places import history_dir

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.collector.join import Join
    from foundry_tui.collector.publish import Board
    from foundry_tui.collector.record import Recorder
    from foundry_tui.collector.sharing import Sharing
    from foundry_tui.collector.sweep import Meter
    from foundry_tui.estate.snapshot import Snapshot
    from foundry_tui.store.history import History, Past


def meters(site: Site) -> tuple[Meter, ...]:
    """The sources of readings of this host."""
    from foundry_tui.collector.sweep import Meter
    from foundry_tui.telemetry.open import configured, source

    node = socket.gethostname().split(".")[0]
    found = []
    for table in configured(site.config.telemetry):
        one = source(table, clock=site.clock, node=node)
        recall = getattr(one, "history", None)
        found.append(Meter(one, local=table.kind == "nvml", recall=recall))
    return tuple(found)


def join(config: Config) -> Join:
    """How readings are joined to GPUs here."""
    from foundry_tui.collector.join import Join
    from foundry_tui.telemetry.open import configured

    tables = configured(config.telemetry)
    return Join(
        gpu_index={t.name: t.gpu_index for t in tables},
        kinds={t.name: t.kind for t in tables},
        idle_pct=config.thresholds.idle_util_pct,
    )


def sharing(site: Site) -> Sharing:
    """The reading of this process, with what it shares with others."""
    from foundry_tui.collector.lead import Lead
    from foundry_tui.collector.publish import Board
    from foundry_tui.collector.sharing import Sharing

    made = Sharing(
        collector=site.collector, clock=site.clock, estate=identity(site), where=where(site)
    )
    if site.mode != "live":
        return made
    made.shared = lambda: shared_board(site)
    if (cache := site.cache) is not None:
        made.board, made.lead = Board(cache, site.clock), Lead(cache, site.clock)
        made.recorder = _recorder(site, lambda: history_folder(site, cache))
    return made


def identity(site: Site) -> str:
    """What is read here: processes that read something else do not follow each other."""
    config = site.config
    tables = (config.slurm, config.runai, config.kubernetes, config.telemetry)
    named = sorted((s.kind, name) for name, s in site.schedulers.items())
    words = repr((tables, named, os.environ.get("SLURM_CONF", "")))
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def where(site: Site) -> dict[str, str]:
    """The configuration files by which clusters are read, by source, as far as they are named.

    Two users may give one name to two clusters; one that was found has its own name.
    """
    files = {t.name: t.conf or os.environ.get("SLURM_CONF") for t in site.config.slurm}
    return {name: os.path.realpath(file) for name, file in files.items() if file}


def history_folder(site: Site, cache: Path) -> Path:
    """Where this user's own history is."""
    return history_dir(site.config.collector.folder, cache)


def shared_folder(config: Config) -> Path:
    """Where a collector that serves the host keeps its files."""
    from foundry_tui.collector.service import FOLDER

    return config.collector.shared or FOLDER


def shared_board(site: Site) -> tuple[Board | None, str]:
    """What the host's collector publishes, and whose it is; or None, and why not."""
    from foundry_tui.collector.service import find

    if site.shared_found is None or site.shared_found[0] is None:
        folder, user = shared_folder(site.config), site.config.collector.service_user
        site.shared_found = find(folder, user, site.clock, time.monotonic)
    return site.shared_found


def past(site: Site) -> Past | None:
    """The history that belongs to what is shown: the host's, or the user's own.

    Raises:
        HistoryError: there is one that cannot be read or believed.
    """
    from foundry_tui.store.history import Past

    if (place := past_place(site)) is None:
        return None
    folder, owners = place
    if site.mode == "demo":
        from foundry_tui.actions import demo_past

        if demo_past.fill(site, folder, lambda: open_history(site.config, folder, site.clock)):
            site.sharing.recorder = _recorder(site, lambda: folder)
    if site.past_found is None or site.past_found[0] != folder:
        found = Past.open(folder, owners=owners)
        site.past_found = None if found is None else (folder, found)
    return None if site.past_found is None else site.past_found[1]


def past_place(site: Site) -> tuple[Path, Collection[int] | None] | None:
    """The folder of that history, and the uids that are believed there, None for the user's own."""
    from foundry_tui.collector.service import HISTORY

    if site.mode == "saved":
        return None
    if site.mode == "demo":
        return _demo_folder(site), None
    if (board := site.sharing.host) is not None:
        return board.folder / HISTORY, board.owners
    return None if site.cache is None else (history_folder(site, site.cache), None)


def _demo_folder(site: Site) -> Path:
    """A folder of this process for the play's own history; it goes with the process."""
    if site.demo_folder is None:
        site.demo_folder = Path(tempfile.mkdtemp(prefix="foundry-demo-"))
        atexit.register(shutil.rmtree, site.demo_folder, ignore_errors=True)
    return site.demo_folder


def _recorder(site: Site, folder: Callable[[], Path]) -> Recorder:
    from foundry_tui.collector.record import Recorder

    return Recorder(
        make=lambda: open_history(site.config, folder(), site.clock),
        missed=lambda snapshot: missed(site, folder(), snapshot),
    )


def open_history(
    config: Config, folder: Path, clock: Callable[[], datetime], *, shared: bool = False
) -> History:
    """The history of a folder, to be written.

    Raises:
        HistoryError: it cannot be.
    """
    from foundry_tui.store.history import History, Keep

    kept = config.collector
    return History.open(
        folder,
        clock=clock,
        keep=Keep(kept.raw_hours, kept.quarter_days, kept.hourly_days),
        idle_util_pct=config.thresholds.idle_util_pct,
        shared=shared,
    )


def missed(site: Site, folder: Path, snapshot: Snapshot) -> Iterator[Snapshot]:
    """What was not recorded while nobody collected, where a server kept it."""
    from foundry_tui.collector.refill import refilled
    from foundry_tui.store.history import Past

    recalls = [m.recall for m in site.telemetry if m.recall is not None]
    if not recalls:
        return iter(())
    before = Past.open(folder)
    span = before.span() if before is not None else None
    most = timedelta(hours=site.config.collector.raw_hours)
    return refilled(snapshot, span.last if span else None, recalls, site.collector.join, most)
