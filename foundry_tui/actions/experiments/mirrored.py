"""The copy of the tracking server's runs that this site keeps, and the thread that refreshes it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, SourceMissing
from foundry_tui.config.places import history_dir
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.tracking.ports import Tracker, TrackerDown, TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.collector.mirroring import Refresh
    from foundry_tui.store.mirror.mirror import Mirror

FOLDER = "mirror"


@dataclass
class Held:
    """The mirror of this process; `following` while a thread refreshes it.

    `trouble` is why the server could not be asked when it was last tried.
    """

    mirror: Mirror
    following: bool = False
    trouble: SafeText | None = None


def tracker(site: Site) -> Tracker:
    """The tracking server.

    Raises:
        SourceMissing: there is none.
    """
    found = site.tracker
    if found is None:
        raise SourceMissing(f"tracked runs: {site.untracked}")
    return found


def held(site: Site) -> Held:
    """The mirror of the server; in memory in the demo, and where no file can be kept.

    Raises:
        SourceMissing: there is no tracking server.
    """
    url = tracker(site).url
    if site.mirrored is None or site.mirrored.mirror.url != url:
        site.mirrored = Held(_open(site, url))
    return site.mirrored


def refresh(site: Site, told: Callable[[SafeText], None], stop: threading.Event) -> None:
    """Fill the mirror and follow the server until `stop`; for a background thread. Never raises.

    From then on listings of this process come from the mirror alone. `told` takes how far it is,
    and what goes wrong; after a failure the server is asked less and less often.
    """
    try:
        one = held(site)
    except ActionError as error:
        told(safe(str(error), max_cells=400))
        return

    def note(trouble: SafeText | None) -> None:
        one.trouble = trouble

    one.following = True
    try:
        refreshing(site, one.mirror).run(told, stop, note)
    finally:
        one.following = False


def refreshing(site: Site, mirror: Mirror) -> Refresh:
    """What brings the mirror in line with the server."""
    from foundry_tui.collector.mirroring import Refresh

    return Refresh(tracker(site), mirror, site.clock)


def play(site: Site) -> None:
    """Let the simulated server have what the simulated runs have logged until now.

    While a thread follows the server, the screens read the estate, and it is not read here too.
    """
    from foundry_tui.actions.played import Played

    played = site.tracker
    if not isinstance(played, Played):
        return
    played.remember(site.clock(), site.user_shown)
    if not held(site).following:
        for run in site.snapshot(measured=False).runs:
            if run.user == site.user(run.source):
                played.up_to_date(site, run)


def keep(site: Site, run_id: str, run: TrackedRun | None) -> None:
    """Note a run as the server just gave it, or that it is gone. Never raises: it is a copy."""
    from foundry_tui.store.mirror.errors import MirrorError

    with (
        contextlib.suppress(MirrorError, ActionError),
        held(site).mirror.writer(wait_s=0.2) as writer,
    ):
        if writer is not None and run is not None:
            writer.put((run,), site.clock())
        elif writer is not None:
            writer.forget((run_id,))


def keep_experiments(site: Site, found: Sequence[Experiment]) -> None:
    """Note the experiments as the server just gave them. Never raises: it is a copy."""
    from foundry_tui.store.mirror.errors import MirrorError

    with (
        contextlib.suppress(MirrorError, ActionError),
        held(site).mirror.writer(wait_s=0.2) as writer,
    ):
        if writer is not None:
            writer.experiments(found)


def failed(error: TrackingError) -> ActionError:
    """The error of an ability for what the tracking server, or the way to it, says."""
    kind = SourceMissing if isinstance(error, TrackerDown) else ActionError
    return kind(str(error))


def _open(site: Site, url: str) -> Mirror:
    from foundry_tui.store.mirror.errors import MirrorError
    from foundry_tui.store.mirror.mirror import Mirror

    if site.mode == "live" and site.cache is not None:
        try:
            # as the history: not in memory, where 50,000 runs would take 100 MB
            return Mirror.open(history_dir(None, site.cache).parent / FOLDER, url)
        except MirrorError as error:
            site.tell(f"{error}; it is kept in memory for now")
    return Mirror(url, None)
