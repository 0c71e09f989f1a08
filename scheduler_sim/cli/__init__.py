"""The command `scheduler-sim`: data on standard output, narration on standard error.

Exit codes: 0 done, 1 failed or refused, 2 wrong use, 5 done in part, 130 interrupted. No traceback
reaches the user. numpy and what builds on it are imported when a command runs, never for `--help`.
"""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = sys.argv[1:] if argv is None else argv
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    try:
        from scheduler_sim.cli.app import run

        return run(args)
    except KeyboardInterrupt:
        print("scheduler-sim: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `scheduler-sim replay … | head`: the reader has gone; Python must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "FOUNDRY_DEBUG" in os.environ:
            raise
        from scheduler_sim.cli.output import narrate

        narrate(f"a fault of the program: {error!r}; FOUNDRY_DEBUG=1 shows where, please report")
        return 1
