"""Changes that were made for a time: who takes them back when it is over, and doing it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from foundry_tui.actions.act import may_change
from foundry_tui.actions.apply import carrier_of, turn_of
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.obstacles import intact
from foundry_tui.actions.site import Site, utc_now
from foundry_tui.changes import revert, taking
from foundry_tui.changes.carrier import Surprise
from foundry_tui.changes.revert import Timed
from foundry_tui.changes.steps import taken_back
from foundry_tui.changes.turn import Busy, turn
from foundry_tui.collector.reverting import AGAIN_S, Reverter
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.store.journal import JournalError, Record

LOCK = "reverts.lock"
LOG = "reverts.log"
"""What the process that waits for the end has to say, in the state_dir."""


def offer(site: Site) -> None:
    """Let this process take back what is due, beside what it does. Never raises, never waits.

    Not in a process that serves all users: it is nobody's own.
    """
    if site.mode == "saved" or site.sharing.hidden is not None or _shut(site):
        return
    try:
        if site.reverter is None:
            site.reverter = reverter(site, lambda _: None)
    except ActionError:  # no folder for a journal: then nothing was made for a time either
        return
    site.reverter.offer()


def reverter(site: Site, tell: Callable[[str], None]) -> Reverter:
    """What looks for changes that are due, and takes them back.

    Raises:
        ActionError: there is no folder for a journal.
    """
    journal = site.journal
    return Reverter(
        records=journal.changes,
        stamp=lambda: _stamp(journal.path),
        take_back=lambda one: take_back(site, one),
        watch=revert.Watch(site.clock),
        tell=tell,
    )


def overdue(site: Site) -> tuple[str, ...]:
    """What should have been taken back by itself and was not, in sentences. Never raises."""
    try:
        late = revert.overdue(site.journal.changes(), site.clock())
    except (ActionError, JournalError):  # whoever reads the journal tells of that
        return ()
    return tuple(
        f"{one.id} was to be taken back at {one.until:%Y-%m-%d %H:%M:%S} UTC and still stands: "
        f"`foundry collect --reverts` does it now"
        for one in late
    )


def take_back(site: Site, one: Timed) -> str:
    """Take back what was made for a time; what cannot be set back any more is put on record.

    Raises:
        ActionError: another applies just now, a source does not answer, or it was stopped.
        JournalError: the journal cannot be used.
    """
    may_change(site, "undo")
    carrier = carrier_of(site)
    with turn_of(site, f"undo of {one.id}, whose time is over"):
        intact(site)
        records = site.journal.changes()
        back = taken_back(records)
        due = tuple(
            r for r in reversed(records) if r.change.id in one.changes and r.change.id not in back
        )
        if not due:
            return f"{one.id} was taken back already"
        try:
            seen = _seen(site, due)
            found = taking.take_back(carrier, records, due, seen, name=one.id)
        except Surprise as error:
            raise ActionError(str(error)) from error
        applied = taking.carry_back(carrier, found, revert.WHY)
        if applied.stopped is not None:
            raise ActionError(applied.stopped)
        back = taken_back(site.journal.changes())
        for record in due:
            if record.change.id not in back:
                words = "; ".join((*found.left, *found.irreversible)) or "nothing was left"
                revert.close(site.journal, site.clock, record, words)
    left = f"; left as it is: {'; '.join(found.left)}" if found.left else ""
    return f"{one.id}: time is over, {len(applied.changes)} changes taken back{left}"


def _seen(site: Site, due: tuple[Record, ...]) -> Snapshot:
    """The sources of these changes as they are now, as one snapshot.

    Raises:
        Surprise: one of them does not answer.
    """
    carrier = carrier_of(site)
    parts = [carrier.read(name) for name in dict.fromkeys(r.source for r in due)]
    return replace(
        parts[0],
        runs=tuple(run for part in parts for run in part.runs),
        nodes=tuple(node for part in parts for node in part.nodes),
        queues=tuple(queue for part in parts for queue in part.queues),
        sources=tuple(source for part in parts for source in part.sources),
    )


def watched(site: Site, until: datetime) -> str:
    """See to it that somebody takes back at `until` what was made now; who that is, in words.

    A process of its own waits for it, in a session of its own: a logout does not end it. Where it
    cannot be started, or the host goes down, the next collector or screen of this user does it.
    """
    when = f"{until:%Y-%m-%d %H:%M:%S} UTC"
    later = "the next `foundry collect` or screen of yours takes it back"
    if site.mode != "live":
        return f"lasts until {when}; in a simulation {later}"
    argv = [sys.executable, "-m", "foundry_tui.cli"]
    if site.options.config is not None:
        argv += ["--config", str(site.options.config.absolute())]
    try:
        with (site.state / LOG).open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            with _deaf():
                child = subprocess.Popen(
                    [*argv, "collect", "--reverts"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    umask=0o077,
                    start_new_session=True,
                )
    except OSError as error:
        words = f"nobody waits for that ({error.strerror or error}): {later}"
        return f"lasts until {when}; {words}"
    return f"lasts until {when}; pid {child.pid} takes it back then, also after a logout"


def keep(site: Site, log: Callable[[str], None], over: threading.Event) -> int:
    """Wait for what is to be taken back and do it, until nothing is left; the exit code.

    Raises:
        ActionError: there is no journal, or nothing may be changed.
    """
    may_change(site, "undo")
    try:
        with turn(site.state / LOCK, "waiting for what is to be taken back", utc_now):
            mine = reverter(site, log)
            while not over.is_set():
                waiting = mine.waiting()
                if not waiting:
                    log("nothing is to be taken back")
                    return 0
                due = mine.due()
                if due:
                    mine.run(due)
                    continue
                left_s = min(max(mine.watch.left_s(one), 1.0) for one in waiting)
                over.wait(min(left_s, AGAIN_S))
    except Busy as error:
        log(str(error))
    except OSError as error:
        raise ActionError(f"{error.filename}: {error.strerror or error}") from error
    return 0


@contextmanager
def _deaf() -> Iterator[None]:
    """What is started within ignores SIGHUP from its first moment: what is ignored is inherited."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _stamp(path: Path) -> object:
    try:
        info = path.stat()
    except OSError:
        return ()
    return (info.st_mtime_ns, info.st_size, info.st_ino)


def _shut(site: Site) -> bool:
    return site.options.read_only or site.config.read_only or (site.unasked and not site.playing)
