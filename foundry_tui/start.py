"""The program `foundry`: the one place that knows both faces."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from foundry_tui.cli import main as command_line

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site


def main() -> int:
    """Run `foundry`: a command, or the screens when there is none and a terminal to show them."""
    try:
        return command_line(sys.argv[1:], screens=screens)
    finally:
        # A login command that hangs has a session of its own and would stay behind.
        if (process := sys.modules.get("foundry_tui.process")) is not None:
            process.end_all()


def screens(site: Site, ascii_only: bool) -> int:
    """Show the screens; a terminal that cannot is told what to do instead."""
    import os

    from foundry_tui.cli.output import narrate
    from foundry_tui.tui import run, unfit

    if (why := unfit(os.environ.get("TERM"))) is not None:
        narrate(why)
        return 2
    return run(site, ascii_only=ascii_only)
