"""Which tracking server is used, and the embedded one that `foundry tracking up` runs."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from foundry_tui.actions.errors import ActionError, SourceMissing
from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.estate.text import safe

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.tracking.ports import Tracker

URI = "MLFLOW_TRACKING_URI"
NONE_SET = f"no tracking server is set: [mlflow.NAME] url, ${URI} or `foundry tracking up`"
UP_FILE = "tracking.json"
"""In the state folder: where a running `foundry tracking up` of this user answers."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Up:
    """A running embedded server: its address, the process that runs it, and its host."""

    url: str
    pid: int
    host: str


def find(site: Site) -> Tracker | None:
    """The tracking server of this site: configured, in the environment, or our own; else None.

    An address that cannot be used counts as none; `site.untracked` tells why there is none.
    """
    site.untracked = NONE_SET
    if site.mode == "saved":
        return None
    if site.mode == "demo":
        from foundry_tui.actions.played import tracker

        return tracker()
    from foundry_tui.tracking.ports import TrackingError

    for name, url in _addresses(site):
        from foundry_tui.tracking import credentials
        from foundry_tui.tracking.mlflow import Mlflow

        try:
            return Mlflow(
                name,
                url,
                credentials=lambda: credentials.find(os.environ, Path.home()),
                clock=site.clock,
            )
        except TrackingError as error:
            site.untracked = str(error)
    return None


def _addresses(site: Site) -> list[tuple[str, str]]:
    """Name and address of what there is, the strongest alone."""
    if site.config.mlflow:
        first = site.config.mlflow[0]
        return [(first.name, first.url)]
    given = os.environ.get(URI, "")
    if given.startswith(("http://", "https://")):
        return [("mlflow", given)]
    if given:
        site.untracked = f"${URI} is no http address: use http://host:port or https://"
        return []
    running = up_now(site)
    return [("embedded", running.url)] if running else []


def configured_experiment(site: Site) -> str | None:
    """The experiment that the configuration names for runs that name none."""
    return site.config.mlflow[0].experiment if site.config.mlflow else None


def backend(site: Site, source: str) -> str:
    """The kind of scheduler behind a source; a simulated one plays another."""
    scheduler = site.schedulers.get(source)
    return str(getattr(scheduler, "scheduler", getattr(scheduler, "kind", "unknown")))


def on_loopback(tracker: Tracker) -> bool:
    """Whether only this host reaches the server."""
    return urlsplit(tracker.url).hostname in LOOPBACK


def up_now(site: Site) -> Up | None:
    """The embedded server of this user that runs on this host; None when there is none."""
    try:
        with os.fdopen(open_own(site.state / UP_FILE, OTHERS_WRITE), "rb") as file:
            told = json.loads(file.read(4096))
        found = Up(str(told["url"]), int(told["pid"]), str(told["host"]))
    except (OSError, ValueError, KeyError, TypeError, ActionError):
        return None
    from foundry_tui.changes.carry import alive

    # Its address is on loopback: on another login node it would be another server, or nobody's.
    return found if alive(found.host, found.pid) else None


def up(site: Site, port: int, tell: Callable[[str], None]) -> int:
    """Run the embedded server until it is stopped; returns its exit code.

    Raises:
        SourceMissing: it did not start, or ended by itself.
        ActionError: one runs already, there is no MLflow here, or no folder to keep it in.
    """
    if site.unasked:  # what is tracked on a host without a scheduler is no play
        site = replace(site, mode="live")
    if (running := up_now(site)) is not None:
        raise ActionError(f"one runs already: {running.url} (pid {running.pid})")
    from foundry_tui.tracking.ports import TrackerDown, TrackingError
    from foundry_tui.tracking.server import serve

    place = site.state / UP_FILE

    def ready(url: str) -> None:
        if (problem := _write(place, url)) is not None:
            tell(f"other programs will not find it by themselves: {problem}; set ${URI}={url}")
        tell(f"MLflow answers at {url}; runs that are submitted now are linked to it")

    try:
        return serve(site.state / "tracking", port=port, tell=tell, ready=ready)
    except TrackerDown as error:
        raise SourceMissing(str(error)) from error
    except TrackingError as error:
        raise ActionError(str(error)) from error
    finally:
        if (mine := up_now(site)) is not None and mine.pid == os.getpid():
            with suppress(OSError):
                place.unlink()


def _write(place: Path, url: str) -> str | None:
    """Leave the address for other programs; why that cannot be, or None."""
    temp = place.with_name(f".{place.name}.{os.getpid()}")
    told = {"url": url, "pid": os.getpid(), "host": socket.gethostname()}
    try:
        temp.write_text(json.dumps(told), "utf-8")
        temp.chmod(0o600)
        temp.replace(place)
    except OSError as error:
        return safe(f"{place}: {error.strerror}", max_cells=1000)
    return None
