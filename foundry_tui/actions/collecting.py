"""`foundry collect`: the collector without a face, for one user or, as a service, for all."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions import verdicts
from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.reverting import offer
from foundry_tui.actions.sharing import identity, missed, open_history, where
from foundry_tui.actions.site import Site
from foundry_tui.actions.track import follow
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState

if TYPE_CHECKING:
    from foundry_tui.collector.reconcile import Report
    from foundry_tui.collector.service import Hidden
    from foundry_tui.collector.sharing import Sharing

TELL_S = 60.0
"""One line about the collecting in so many seconds; what changes is told at once."""

PATIENCE_S = 1.0
UNIT = Path(__file__).parents[1] / "collector" / "foundry-collect.service"


def unit() -> str:
    """The systemd unit of the shared collector."""
    return UNIT.read_text("utf-8")


def serve(site: Site, folder: Path | None, *, as_root: bool) -> None:
    """Let this process collect for all users of the host.

    Raises:
        WrongUse: root would do it, and was not told to.
        ActionError: the folder cannot be used.
    """
    from foundry_tui.collector import service
    from foundry_tui.collector.lead import Lead
    from foundry_tui.collector.publish import Board
    from foundry_tui.collector.record import Recorder
    from foundry_tui.collector.sharing import Sharing
    from foundry_tui.store.snapshots import Snapshots

    if os.geteuid() == 0 and not as_root:
        user = site.config.collector.service_user
        raise WrongUse(f"--service as root: run it as the user {user}, or give --as-root")
    place = folder or site.config.collector.shared or service.FOLDER
    try:
        service.make_folder(place)
    except OSError as error:
        raise ActionError(f"the folder of the service: {place}: {error.strerror}") from error
    history = place / service.HISTORY

    def hidden() -> Mapping[str, Hidden]:
        found = {name: service.hidden(one) for name, one in site.schedulers.items()}
        _guard(history, all_open=service.all_open(found))
        return found

    site.collector.store = Snapshots(place / service.PRIVATE)
    site.sharing = Sharing(
        collector=site.collector,
        clock=site.clock,
        estate=identity(site),
        where=where(site),
        board=Board(place, site.clock, mode=service.FILE_MODE),
        lead=Lead(place, site.clock),
        recorder=Recorder(
            make=lambda: open_history(site.config, history, site.clock, shared=True),
            missed=lambda snapshot: missed(site, history, snapshot),
        ),
        hidden=hidden,
    )


def _guard(history: Path, *, all_open: bool) -> None:
    """Let others into the history only while nothing in it is hidden from them."""
    with suppress(FileNotFoundError):
        wanted = 0o750 if all_open else 0o700
        if history.stat().st_mode & 0o777 != wanted:
            history.chmod(wanted)


def collect(
    site: Site, log: Callable[[str], None], *, once: bool, stop: threading.Event | None = None
) -> int:
    """Collect until `stop`, or once; the exit code.

    While another process of this user (or, as a service, another service) collects, this one
    stands by. What goes wrong with a source is logged and does not end it.

    Raises:
        WrongUse: there is nothing to collect here.
        SourceMissing: `once`, and no source answered.
    """
    if site.mode != "live":
        asked = site.saved is not None or not site.unasked
        why = (
            "--demo and --estate stand still"
            if asked
            else "no scheduler is found or configured here"
        )
        raise WrongUse(f"there is nothing to collect: {why}")
    sharing, over = site.sharing, stop or threading.Event()
    if sharing.lead is None:
        raise ActionError("there is no folder to collect into; set cache_dir")
    site.stay()
    try:
        return _once(site, log) if once else _on(site, sharing, log, over)
    finally:
        site.resign()


def _once(site: Site, log: Callable[[str], None]) -> int:
    lead = site.sharing.lead
    assert lead is not None
    if not lead.take():
        log(_standing_by(site.sharing))
        return 0
    snapshot = site.sharing.collect()
    log(_summary(snapshot))
    schedulers = [s for s in snapshot.sources if s.kind != "telemetry"]
    if all(s.state is not SourceState.OK for s in schedulers or snapshot.sources):
        told = "; ".join(f"{s.name}: {s.reason}" for s in snapshot.sources)
        raise SourceMissing(f"no {'scheduler' if schedulers else 'source'} answered. {told}")
    return 0


def _on(site: Site, sharing: Sharing, log: Callable[[str], None], over: threading.Event) -> int:
    """Collect until it is over."""
    from foundry_tui.collector.sharing import LOOK_S

    assert sharing.lead is not None
    said = _Said(log)
    while not over.is_set():
        if not sharing.lead.take():
            said.change("leader", _standing_by(sharing))
            if sharing.lead.problem is not None:
                raise ActionError(f"cannot collect: {sharing.lead.problem}")
            over.wait(LOOK_S)
            continue
        said.change("leader", f"collects on {socket.gethostname()}, pid {os.getpid()}")
        snapshot = sharing.collect(patience_s=PATIENCE_S)
        for source in snapshot.sources:
            good = source.state in (SourceState.OK, SourceState.SLOW, SourceState.OFF)
            why = "" if good else f": {source.reason}"
            said.change(source.name, f"{source.name} is {source.state}{why}")
        if sharing.hidden is not None:
            for name, one in sharing.hidden().items():
                open_ = "for the whole group"
                words = open_ if one.runs is None else f"not published: {one.runs}"
                said.change(f"hidden {name}", f"{name}: its runs are {words}")
        said.history(sharing)
        if sharing.hidden is None:
            # A service has no links and no journal: those are each user's own.
            follow(site, snapshot)
            offer(site)
            verdicts.follow(site, snapshot)
        said.now_and_then(_summary(snapshot))
        until = time.monotonic() + sharing.wait_s()
        while not over.is_set() and (left_s := until - time.monotonic()) > 0:
            over.wait(min(left_s, LOOK_S))
            said.history(sharing)
            said.records(site)
            if sharing.stirred():
                break
    return 0


def _standing_by(sharing: Sharing) -> str:
    from foundry_tui.collector.publish import Untrusted

    holder = sharing.lead.holder() if sharing.lead is not None else None
    who = f"pid {holder.pid} of {holder.user}" if holder is not None else "another process"
    with suppress(Untrusted):
        told = sharing.board.standing() if sharing.board is not None else None
        if told is not None and told.estate != sharing.estate:
            mend = "give one of the two a cache_dir of its own"
            return f"{who} collects with another configuration: standing by; {mend}"
    return f"{who} collects already: standing by"


def _summary(snapshot: Snapshot) -> str:
    measured = sum(1 for gpu in snapshot.gpus if gpu.measured_by is not None)
    return (
        f"{len(snapshot.nodes)} nodes, {len(snapshot.gpus)} GPUs ({measured} measured), "
        f"{len(snapshot.runs)} runs"
    )


class _Said:
    """What was logged: a thing is told again when its words change."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._words: dict[str, str] = {}
        self._told_of: Report | None = None
        self._told_at = float("-inf")

    def change(self, what: str, words: str) -> None:
        if self._words.get(what) != words:
            self._words[what] = words
            self._log(words)

    def history(self, sharing: Sharing) -> None:
        """Tell of the history, once it was tried to write it."""
        if sharing.recorder is not None and sharing.recorder.tried:
            self.change("history", sharing.recorder.problem or "the history is kept")

    def records(self, site: Site) -> None:
        """Tell what came of reconciling the records of this user's runs, where it changed any."""
        follower = site.follower
        if follower is None:
            return
        if follower.failed is not None:
            self.change("records", follower.failed)
        elif follower.last is not None and follower.last is not self._told_of:
            self._told_of = follower.last
            for item in follower.last.items:
                if item.did in ("wrote", "repaired", "orphaned"):
                    where = f"{item.source}/{item.native_id or item.token}"
                    self._log(f"record of {where}: {item.words}")

    def now_and_then(self, words: str) -> None:
        if time.monotonic() - self._told_at >= TELL_S:
            self._told_at = time.monotonic()
            self._log(words)
