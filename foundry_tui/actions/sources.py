"""The schedulers of a host: those that the configuration names, and the Slurm that is found."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from foundry_tui.config.model import Config
from foundry_tui.schedulers.ports import SchedulerActor, SchedulerReader


class Scheduler(SchedulerReader, SchedulerActor, Protocol):
    """A source that can be read and changed."""

    name: str


def live(config: Config, clock: Callable[[], datetime]) -> dict[str, Scheduler]:
    """Every configured scheduler; the Slurm of this host is looked for only where none is."""
    from foundry_tui.schedulers.slurm import adapter

    found: dict[str, Scheduler] = {}
    intervals, slow_after_s = config.intervals, float(config.thresholds.slow_after_s)
    for source in config.slurm:
        found[source.name] = adapter.SlurmAdapter(
            source.name,
            conf=str(source.conf) if source.conf else None,
            folder=str(source.bin) if source.bin else None,
            timeout_s=float(source.timeout_s),
            read=source.read,
            slow_s=float(intervals.slow_s),
            slow_after_s=slow_after_s,
            clock=clock,
        )
    if not found and (one := adapter.discover(clock)) is not None:
        found[one.name] = one
    if config.runai:
        from foundry_tui.schedulers.runai.adapter import RunaiAdapter

        for tenant in config.runai:
            found[tenant.name] = RunaiAdapter(
                tenant,
                env=os.environ,
                clock=clock,
                slow_s=float(intervals.slow_s),
                slow_after_s=slow_after_s,
            )
    if config.kubernetes:
        from foundry_tui.schedulers.kai.adapter import KaiAdapter

        for cluster in config.kubernetes:
            found[cluster.name] = KaiAdapter(cluster, clock=clock, slow_after_s=slow_after_s)
    return found
