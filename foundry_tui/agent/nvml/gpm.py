"""GPM: shares of time from the hardware counters of Hopper and later GPUs.

A share is the difference of two samples, so the sample of one round is kept for the next. These
counters are others than those that profilers lock.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from foundry_tui.agent.nvml.driver import Driver, Refused

METRICS = {1: "gr_engine", 2: "sm_active", 3: "sm_occupancy", 5: "tensor", 10: "dram"}
"""NVML's number of each metric, and its key in `values` (`nvmlGpmMetricId_t`)."""
LEAST_S = 0.1
"""Two samples must lie at least this far apart (NVML reference, `nvmlGpmMetricsGet`)."""


class Gpm:
    """The counters of one GPU, or of one MIG GPU instance `gi` of it."""

    def __init__(self, driver: Driver, handle: Any, gi: int | None = None) -> None:
        self._driver = driver
        self._handle = handle
        self._gi = gi
        self._samples: list[Any] = []
        self._taken_at: float | None = None

    def read(self, now_s: float) -> dict[str, float]:
        """The ratios since the round before, of a monotonic clock; none in the first round.

        0 to 1 by definition. The driver has been seen to answer more on MIG: that is not cut off.

        Raises:
            Refused: the driver takes no sample.
        """
        if self._taken_at is not None and now_s - self._taken_at < LEAST_S:
            return {}
        if not self._samples:
            self._samples = [self._driver.ask("nvmlGpmSampleAlloc") for _ in range(2)]
        older, newer = self._samples
        if self._taken_at is None:
            older = None
        if self._gi is None:
            self._driver.ask("nvmlGpmSampleGet", self._handle, newer)
        else:
            self._driver.ask("nvmlGpmMigSampleGet", self._handle, self._gi, newer)
        self._samples.reverse()
        self._taken_at = now_s
        return {} if older is None else self._ratios(older, newer)

    def _ratios(self, older: Any, newer: Any) -> dict[str, float]:
        nvml = self._driver.nvml
        asked = nvml.c_nvmlGpmMetricsGet_t()
        asked.version = nvml.NVML_GPM_METRICS_GET_VERSION
        asked.numMetrics = len(METRICS)
        asked.sample1, asked.sample2 = older, newer
        for place, number in enumerate(METRICS):
            asked.metrics[place].metricId = number
        self._driver.ask("nvmlGpmMetricsGet", asked)
        answers = (asked.metrics[place] for place in range(len(METRICS)))
        return {
            METRICS[a.metricId]: a.value / 100
            for a in answers
            if a.nvmlReturn == 0 and math.isfinite(a.value)
        }

    def close(self) -> None:
        """Give the samples back to the library."""
        for sample in self._samples:
            with suppress(Refused):  # the library may have been shut down below us
                self._driver.ask("nvmlGpmSampleFree", sample)
        self._samples = []
        self._taken_at = None
