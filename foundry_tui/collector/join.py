"""Parts, readings and idle marks become one estate; the one way for whoever collects or follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from foundry_tui.collector.publish import Measured
from foundry_tui.estate import unscheduled
from foundry_tui.estate.idle import IDLE_PCT
from foundry_tui.estate.matched import Matched, Place
from foundry_tui.estate.merge import merge
from foundry_tui.estate.snapshot import Snapshot


@dataclass(slots=True, kw_only=True)
class Join:
    """How readings are joined to GPUs.

    `gpu_index` tells, for each source of readings, what a scheduler's index means there, `kinds`
    of which kind the source is; a GPU is idle at `idle_pct` or less. What the processes on a node
    told of its indices is remembered; `last` is the last match.
    """

    gpu_index: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    idle_pct: float = IDLE_PCT
    last: Matched | None = field(init=False, default=None)
    _index: dict[Place, str] = field(init=False, default_factory=dict)

    def whole(self, parts: Sequence[Snapshot], now: datetime, measured: Measured) -> Snapshot:
        """The estate of these parts, with the readings on the GPUs they were made of.

        Without any scheduler it is what the readings tell of their hosts.
        """
        if not parts and measured.readings:
            parts = [unscheduled.estate(measured.readings, now)]
        estate = merge(
            parts,
            now,
            matched=self.matched(parts, now, measured) if measured.readings else None,
            idle_marks={(m.source, m.node, m.index): m.since for m in measured.idle},
            idle_pct=self.idle_pct,
        )
        return replace(estate, sources=(*estate.sources, *measured.sources))

    def matched(self, parts: Sequence[Snapshot], now: datetime, measured: Measured) -> Matched:
        """Which reading belongs to which GPU, node and run of these parts."""
        from foundry_tui.telemetry.attribution.match import match
        from foundry_tui.telemetry.attribution.precedence import chosen

        found = match(
            (n for p in parts for n in p.nodes),
            (g for p in parts for g in p.gpus),
            (r for p in parts for r in p.runs),
            chosen(measured.readings, kinds=self.kinds, now=now),
            gpu_index=self.gpu_index,
            before=self._index,
        )
        self._index.update(found.index)
        self.last = found
        return found
