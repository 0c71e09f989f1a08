"""A progress bar on standard error while long work runs, if a person sits at it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType

from scheduler_sim.cli.output import visible

_PAUSE_S = 0.1


class Progress:
    """`done` of `total` steps; silent where standard error is no terminal. Leaves a clean line.

    Before the first step it says so where the loops have to be compiled first.
    """

    def __init__(self, total: int, what: str) -> None:
        self.total, self.what, self.done = total, what, 0
        known = os.environ.get("TERM", "dumb") != "dumb"
        self._shown = known and total > 0 and sys.stderr is not None and sys.stderr.isatty()
        self._compiles = self._shown and _to_compile()
        self._started = time.monotonic()
        self._drawn = 0.0

    def __enter__(self) -> Progress:
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def step(self) -> None:
        """One more is done."""
        self.reached(self.done + 1, self.total)

    def reached(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self.done, self.total = done, total
        if self.done == self.total or time.monotonic() - self._drawn >= _PAUSE_S:
            self._draw()

    def _draw(self) -> None:
        if not self._shown:
            return
        self._drawn = time.monotonic()
        gone_s = self._drawn - self._started
        tail = f" {self.done}/{self.total}"
        if self.done:
            tail += f"  {gone_s * (self.total - self.done) / self.done:.0f} s left"
        elif self._compiles:
            tail += "  compiling first, this once: about a minute"
        columns = shutil.get_terminal_size((80, 24)).columns
        room = max(0, min(40, columns - len(self.what) - len(tail) - 4))
        full = room * self.done // self.total
        bar = f"[{'#' * full}{'.' * (room - full)}]" if room > 5 else ""
        sys.stderr.write(f"\r\x1b[K{visible(self.what)} {bar}{tail}"[: columns + 3])
        sys.stderr.flush()


def _to_compile() -> bool:
    from scheduler_sim import kernels

    return not kernels.KEPT
