"""Histories for the screens: one that knows a little, one that fails."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from foundry_tui.actions.site import Site
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from foundry_tui.store.history import HistoryError, Series, Span
from tests.tui.estates import NOW, a_run, an_estate, still

FIRST = datetime(2026, 11, 20, 13, 52, tzinfo=NOW.tzinfo)


@dataclass
class Past:
    """A history of two nodes with five runs; at five to each hour nobody looked."""

    error: HistoryError | None = None
    util_pct: float | None = 42.0
    asked: list[datetime] = field(default_factory=list)
    windows: list[tuple[datetime, datetime, int]] = field(default_factory=list)

    def span(self) -> Span:
        if self.error is not None:
            raise self.error
        return Span(FIRST, NOW, FIRST)

    def gpu(
        self, source: str, node: str, index: int, since: datetime, until: datetime, most: int
    ) -> Series:
        step = (until - since) / 60
        times = tuple(since + step * (n + 1) for n in range(60))
        util = tuple(self.util_pct if t > FIRST else None for t in times)
        self.windows.append((since, until, most))
        return Series(
            step_s=int(step.total_seconds()),
            times=times,
            util_pct=util,
            util_max_pct=util,
            mem_used_bytes=tuple(None if u is None else 7 << 30 for u in util),
            power_w=tuple(None if u is None else 321.0 for u in util),
            seen=tuple(float(u is not None) for u in util),
        )

    def at(self, when: datetime) -> Snapshot | None:
        self.asked.append(when)
        if when.minute == 55:
            return None
        then = an_estate([a_run(n) for n in range(5)])
        old = tuple(
            replace(s, state=SourceState.STALE, read_at=when, reason="as it was then")
            for s in then.sources
        )
        return replace(then, generated_at=when, sources=old, partial=("no waiting runs are kept",))


def site_with(past: Any) -> Site:
    """The simulated estate, with this history."""

    class Told(Site):
        @property
        def past(self) -> Any:
            return past

    plain = still()
    site = Told(options=plain.options, config=plain.config, mode="demo", tell=lambda words: None)
    site.schedulers, site.clock = plain.schedulers, plain.clock
    return site
