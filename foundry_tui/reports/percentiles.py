"""Percentiles by nearest rank: each is a value that was really seen.

The p-th of n sorted values is the one at place ceil(p / 100 x n), counted from 1. Other rules
interpolate and give waits that nobody waited; spreadsheets differ there, so the rule is stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints


def nearest_rank(ordered: Sequence[int] | Ints, pct: int) -> int | None:
    """The percentile of values in ascending order; None of nothing, which is not 0.

    Raises:
        ValueError: `pct` is not within 1..100.
    """
    if not 1 <= pct <= 100:
        raise ValueError(f"pct: a percentile is 1..100, not {pct}")
    count = len(ordered)
    return int(ordered[-(-pct * count // 100) - 1]) if count else None


def by_group(groups: Ints, values: Ints, pcts: Sequence[int]) -> dict[int, tuple[int | None, ...]]:
    """The percentiles of the values of each group; a group without values does not stand there."""
    if not len(groups):
        return {}
    order = np.lexsort((values, groups))
    owners, ordered = groups[order], values[order]
    begins = np.flatnonzero(np.diff(owners, prepend=owners[0] - 1))
    ends = np.append(begins[1:], len(owners))
    return {
        int(owners[begin]): tuple(nearest_rank(ordered[begin:end], pct) for pct in pcts)
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    }
