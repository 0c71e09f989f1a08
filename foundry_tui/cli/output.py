"""Printing: data to standard output, everything else to standard error."""

from __future__ import annotations

import os
import shutil
import sys
import termios
import time
from collections.abc import Callable

from foundry_tui.actions.errors import Declined, WrongUse
from foundry_tui.estate.text import safe

MIN_WATCH_S = 10.0
"""`--watch` never asks a scheduler more often than this."""

MEANWHILE_S = 2.0


def narrate(text: str) -> None:
    """One message for the person, on standard error."""
    for line in text.split("\n"):
        # A caret line of a filter error must keep its place under the token.
        sys.stderr.write(f"foundry: {safe(line, max_cells=2000)}\n" if line else "\n")
    sys.stderr.flush()


def block(text: str) -> None:
    """A page that is narration, on standard error: what would be done, before it is asked."""
    sys.stderr.write(text + "\n\n")
    sys.stderr.flush()


def emit(data: bytes | str) -> None:
    """Data on standard output, ended by one line break."""
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if not raw.endswith(b"\n"):
        raw += b"\n"
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def width() -> int:
    """Columns to fill: those of the terminal; 100 when there is none."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size((80, 24)).columns
    given = os.environ.get("COLUMNS", "")
    return max(20, int(given)) if given.isdecimal() and given.isascii() else 100


def interactive() -> bool:
    """Whether a person sits at a terminal: both standard input and output are one."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def colour() -> bool:
    """Whether colours may be used: a terminal that knows them, and no NO_COLOR."""
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return sys.stdout.isatty() and not dumb and "NO_COLOR" not in os.environ


def watch(
    seconds: float | None, show: Callable[[], int | None], meanwhile: Callable[[], object]
) -> int:
    """Show once, or again every `seconds` until Ctrl-C; returns the last exit code.

    `meanwhile` is called every few seconds between two shows.
    """
    if seconds is None:
        return show() or 0
    pause = max(MIN_WATCH_S, seconds)
    if pause != seconds:
        narrate(f"--watch {seconds:g}: the sources are asked every {pause:g} s at most")
    code = 0
    try:
        while True:
            if sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
                sys.stdout.write("\x1b[H\x1b[2J")
            code = show() or 0
            until = time.monotonic() + pause
            while (left_s := until - time.monotonic()) > 0:
                time.sleep(min(left_s, MEANWHILE_S))
                meanwhile()
    except KeyboardInterrupt:
        return code


def confirm(question: str, *, count: int, one_own: bool, yes: bool, typed: int | None) -> None:
    """Let the person agree; scripts agree with `--yes` or `--confirm COUNT`.

    Raises:
        WrongUse: a script that did not say enough, or said a wrong count.
        Declined: the person did not agree.
    """
    if typed is not None:
        if typed != count:
            raise WrongUse(f"--confirm {typed}: this touches {count}; nothing was changed")
        return
    if yes and one_own:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        how = "--yes or --confirm 1" if one_own else f"--confirm {count}"
        raise WrongUse(f"no terminal to ask on: give {how}; nothing was changed")
    # What was typed before the preview was seen is no answer to it.
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    if one_own:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Declined("nothing was changed")
        return
    sys.stderr.write(f"{question} Type {count} to confirm: ")
    sys.stderr.flush()
    answer = sys.stdin.readline().strip()
    if answer != str(count):
        raise Declined(f"nothing was changed: {answer or 'nothing'!r} was typed, not {count}")
