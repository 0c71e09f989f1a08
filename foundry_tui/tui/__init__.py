"""The screens: the same estate, actions and words as the command line, on Textual."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from foundry_tui.estate.text import safe
from foundry_tui.process import end_all

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site


def unfit(term: str | None) -> str | None:
    """Why the screens cannot be shown on this kind of terminal; None when they can."""
    if term in (None, "", "dumb", "unknown"):
        return (
            f"TERM={term or ''}: this terminal cannot show screens; "
            "`foundry overview` prints the same, and `foundry --help` lists the commands"
        )
    return None


def run(site: Site, *, ascii_only: bool = False) -> int:
    """Show the screens until the user leaves; the exit code."""
    # Textual reads these when it is imported. An animation is bytes on a slow link, and Escape must
    # not wait for what might be the rest of a key.
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    os.environ.setdefault("ESCDELAY", "50")
    from foundry_tui.tui.app import Foundry

    screens = site.config.screens
    ascii_only = ascii_only or screens.ascii or os.environ.get("TERM") == "linux"
    app = Foundry(site, ascii_only=ascii_only)
    code = app.run(mouse=screens.mouse)
    if not app.sender.busy:
        end_all()
    if app.fault is not None:
        words = f"a fault of foundry itself: {app.fault!r}; FOUNDRY_DEBUG=1 shows where"
        sys.stderr.write(f"foundry: {safe(words)}, please report\n")
        return 1
    return code or app.return_code or 0
