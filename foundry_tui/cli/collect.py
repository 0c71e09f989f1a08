"""`foundry collect`: the collector without a face."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from foundry_tui.actions.errors import WrongUse
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command

END_S = 3.0
"""After a signal, what is under way has so many seconds to come to its end."""


@command("collect", serves=frozenset())
@click.option("--once", is_flag=True, help="Read and publish everything once, then end.")
@click.option("--service", is_flag=True, help="Collect for all users of this host.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the service instead of `shared` in [collector], or /var/lib/foundry.",
)
@click.option("--as-root", is_flag=True, help="Let root be the service; another user is safer.")
@click.option("--unit", is_flag=True, help="Print the systemd unit of the service, and end.")
@click.option(
    "--reverts", is_flag=True, help="Only take back what was made for a time; ends when all is."
)
def collect(
    context: Context,
    once: bool,
    service: bool,
    folder: Path | None,
    as_root: bool,
    unit: bool,
    reverts: bool,
) -> int:
    from foundry_tui.actions import collecting, reverting

    if unit:
        output.emit(collecting.unit())
        return 0
    if not service and (folder is not None or as_root):
        raise WrongUse("--folder and --as-root belong to --service")
    if reverts and (service or once):
        raise WrongUse("--reverts stands alone: the service of a host takes back nobody's changes")
    site, over = context.site, threading.Event()
    if reverts:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a logout does not end it
        return until_signal(lambda: reverting.keep(site, log, over), over)
    if service:
        collecting.serve(site, folder, as_root=as_root)
    try:
        return until_signal(lambda: collecting.collect(site, log, once=once, stop=over), over)
    finally:
        site.resign()


def log(words: str) -> None:
    """A line of the log; where that is full or closed, the collecting goes on without."""
    with suppress(OSError, ValueError, AttributeError):  # AttributeError: there never was one
        output.narrate(words)


def until_signal(work: Callable[[], int], over: threading.Event) -> int:
    """Do the work in a thread until it ends, or until SIGTERM or Ctrl-C; the exit code.

    A handler that raises may do so inside any lock of the work. So the work has a thread of its
    own, and this one only waits at a pipe, which is all that a handler touches.
    """
    woken, wake = os.pipe()
    code: list[int] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            code.append(work())
        except BaseException as error:  # it is raised where the work was asked for
            failed.append(error)
        os.write(wake, b"w")

    signals = (signal.SIGTERM, signal.SIGINT)
    before = {one: signal.signal(one, lambda *_: os.write(wake, b"s")) for one in signals}
    thread = threading.Thread(target=run, name="collect", daemon=True)
    thread.start()
    try:
        if os.read(woken, 1) == b"s":
            over.set()
            thread.join(END_S)
            log("ended")
            return 0
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if failed:
        raise failed[0]
    return code[0]
