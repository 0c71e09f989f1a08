"""Numbers that both forms of the published policies share: codes, units, what fits nowhere."""

from __future__ import annotations

RANDOM, DOT_PROD, GPU_CLUSTERING, GPU_PACKING, BEST_FIT, FGD = range(6)

NAMES = ("random", "dotprod", "gpuclustering", "gpupacking", "bestfit", "fgd")
"""The published policies; the place of a name is its code."""

NOWHERE = -(1 << 62)
"""Score of a node on which the pod does not fit."""

PUBLISHED_CPU_MILLI = 128_000
PUBLISHED_GPU_MILLI = 8000
"""The largest node of the published experiment, by which scores are divided whatever the node."""

GPU_WEIGHT = PUBLISHED_CPU_MILLI // PUBLISHED_GPU_MILLI
"""Thousandths of a core that count as much as one thousandth of a GPU."""

DOT_FULL = 2 * PUBLISHED_CPU_MILLI**2
DOT_UNIT = DOT_FULL // 100
"""100 points and 1 point of DotProd over the common denominator of its two products."""

FIT_FULL = 2 * PUBLISHED_CPU_MILLI
FIT_UNIT = FIT_FULL // 100
"""100 points and 1 point of BestFit, in thousandths of a core."""
