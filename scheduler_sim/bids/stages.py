"""Worth while a cluster fills: the fuller it is, the fewer runs there are to choose from."""

from __future__ import annotations

from math import isqrt

from scheduler_sim.bids.shapes import Ints, Shapes
from scheduler_sim.bids.values import values
from scheduler_sim.bids.worth import worth_tables

STEP_PCT = 5
"""Worth is worked out anew each time this much more of the GPUs is allocated."""

LAST = 100 // STEP_PCT - 1
"""The last stage."""

CHOICE_SQUARED_TENTHS = 36
"""Ten times the square of how many runs a place can choose from, for each run that still comes: 173
of the 8,315 that fill the cluster of the public trace `default`, 38 of the last twentieth. Chosen
there, where a quarter more or less costs 0.02 points. That it goes with the square root of the
number of runs, as their chance fluctuations do, is an observation: a line from 150 to 40 does as
well on `default`, and 1.5 points worse on 16 nodes."""

FULL_MILLI = 40
"""Thousandths of the GPUs of a cluster that are free when it counts as full."""


class Stages:
    """The tables of `worth` for each stage of filling, worked out when first asked for."""

    def __init__(self, shapes: Shapes, *, compiled: bool = False) -> None:
        self.shapes = shapes
        self.values = values(shapes, compiled=compiled)
        self._compiled = compiled
        self._tables: dict[int, Ints] = {}

    def stage(self, allocated_milli: int, capacity_milli: int) -> int:
        """The stage of a cluster, 0 to 19."""
        return min(100 * allocated_milli // max(1, capacity_milli), 99) // STEP_PCT

    def ends_at(self, stage: int, capacity_milli: int) -> int:
        """Free thousandths that a cluster has at least while it is in a stage."""
        return capacity_milli - (stage + 1) * STEP_PCT * capacity_milli // 100

    def runs_to_come(self, free_milli: int, capacity_milli: int) -> int:
        """How many runs of this mix fill what is free, but for what stays free in the end."""
        spare = free_milli - capacity_milli * FULL_MILLI // 1000
        return max(0, spare) // self.shapes.mean_milli

    def tables(self, stage: int, capacity_milli: int) -> Ints:
        """(models, prices of a core, levels) of `worth_tables` for one stage of a cluster."""
        runs = (LAST + 1 - stage) * capacity_milli // ((LAST + 1) * self.shapes.mean_milli)
        choice = max(1, isqrt(CHOICE_SQUARED_TENTHS * runs // 10))
        if choice not in self._tables:
            self._tables[choice] = worth_tables(
                self.shapes, self.values, choice, compiled=self._compiled
            )
        return self._tables[choice]
