"""The command line: data on standard output, narration on standard error, stable exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site

    Screens = Callable[[Site, bool], int]


def main(argv: list[str] | None = None, screens: Screens | None = None) -> int:
    """Run one command and return its exit code. No traceback reaches the user.

    `screens` shows a site on the terminal when no command is named (the site, ASCII only or not);
    without it the overview is printed.
    """
    args = sys.argv[1:] if argv is None else argv
    if args == ["--version"]:
        from foundry_tui import __version__

        print(f"foundry {__version__}")
        return 0
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`)
            from pathlib import Path

            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    try:
        from foundry_tui.cli.app import run

        return run(args, screens)
    except KeyboardInterrupt:
        print(
            "foundry: interrupted; `foundry journal` tells what was sent, if anything was",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        # `foundry runs | head`: the reader has gone, and Python must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "FOUNDRY_DEBUG" in os.environ:
            raise
        from foundry_tui.cli.output import narrate

        narrate(f"a fault of foundry itself: {error!r}; FOUNDRY_DEBUG=1 shows where, please report")
        return 1
