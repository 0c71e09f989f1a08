"""What a report that is asked for will be, in words: its window, its prices, its command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import safe
from foundry_tui.presenters import units
from foundry_tui.presenters.toned import Line, pairs


class Wanted(Protocol):
    """What is asked for."""

    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def by(self) -> str | None: ...
    @property
    def prices(self) -> Path | None: ...
    @property
    def command(self) -> Sequence[str]: ...


def asked_lines(wanted: Wanted, prices: Path | None, width: int) -> list[Line]:
    """The window to the second, where prices come from, and the command that does the same.

    `prices` are those of the configuration.
    """
    length = units.duration((wanted.end - wanted.start).total_seconds())
    cut = f", cut by {wanted.by} in UTC" if wanted.by else ", as a whole"
    window = f"{csvtext.rfc3339(wanted.start)} up to {csvtext.rfc3339(wanted.end)}: {length}{cut}"
    if wanted.prices is not None:
        priced = str(wanted.prices)
    else:
        priced = "none: no cost" if prices is None else f"{prices} (configuration)"
    command = safe(shlex.join(wanted.command), max_cells=4096)
    return pairs((("window", window), ("prices", safe(priced)), ("command", command)), width)
