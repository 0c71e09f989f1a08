"""Measuring whole processes: CPU seconds of the child, as the operating system counts them."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command cost, at the median of several runs: CPU in ms, output in bytes."""

    name: str
    cpu_ms: float
    least_ms: float
    most_ms: float
    out_bytes: int
    code: int

    def line(self, peer: Cost | None = None) -> str:
        """One row; with a peer the ratio of the medians."""
        ratio = f"  {self.cpu_ms / peer.cpu_ms:6.2f} x {peer.name}" if peer else ""
        return (
            f"{self.name:44} {self.cpu_ms:8.0f} ms CPU  ({self.least_ms:.0f}-{self.most_ms:.0f})"
            f"  {self.out_bytes / 1e6:7.2f} MB  rc {self.code}{ratio}"
        )


def cost(name: str, argv: Sequence[str], env: dict[str, str] | None = None, runs: int = 5) -> Cost:
    """Run a command several times after one warm-up and take the median of its CPU time.

    The CPU time is the child's and its own children's, user and system together.
    """
    spent: list[float] = []
    size, code = 0, 0
    for attempt in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            argv, env={**os.environ, **(env or {})}, capture_output=True, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        size, code = len(done.stdout), done.returncode
        if attempt:
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            spent.append(1000 * used)
    return Cost(name, statistics.median(spent), min(spent), max(spent), size, code)
