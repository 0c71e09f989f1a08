"""GPU readings of a site's Prometheus or VictoriaMetrics server, by PromQL.

The server averages over the last closed minute and groups by the few labels that say which GPU is
meant, one query for each metric: that costs it no more than to hand out the raw samples, and a
quarter of the bytes and of the time here. The full labels are fetched once, of one metric. Of
agents, whose page speaks of a minute already, the newest scrape is fetched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.deadline import Deadline
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry.ports import KIND, Found, Sweep
from foundry_tui.telemetry.prometheus.history import Asker, history
from foundry_tui.telemetry.prometheus.promql import (
    PromqlError,
    matchers,
    samples,
    selector,
)
from foundry_tui.telemetry.prometheus.read import (
    AGENT_TIME,
    NAMES,
    WINDOW_S,
    Known,
    Naming,
    Window,
)
from foundry_tui.telemetry.prometheus.server import Server, ServerError
from foundry_tui.telemetry.prometheus.sweep import EVERYWHERE, Asking

if TYPE_CHECKING:
    import httpx

SKEW_S = 5.0
"""The Date of an answer is to the second; clocks further apart than this are told."""

PACE_S = 600.0
"""How far back the pace of scrapes is looked for, and how long it is taken as known."""

LOOKBACK_S = 300.0
"""A server takes no sample that is older as one of now: what is scraped less often has none."""


class PrometheusSource:
    """One server. It is asked when it is read, never before.

    `transport` stands in for the network in tests.
    """

    def __init__(
        self,
        config: TelemetryConfig,
        *,
        env: Mapping[str, str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._config, self._clock = config, clock
        self._server = Server(config, env, transport=transport)
        self._ahead_s = 0.0
        self._paces_s: dict[str, float] = {}
        self._present: tuple[str, ...] = ()
        self._learnt_at: datetime | None = None
        self._nodes: tuple[str, ...] = ()
        self._known = Known()

    @property
    def name(self) -> str:
        return self._config.name

    def read(self, nodes: Sequence[str], deadline_s: float) -> Sweep:
        """A reading of every GPU that the server knows, of the last closed minute."""
        self._nodes = tuple(nodes)
        now = self._clock()
        try:
            return self._sweep(now, Deadline.after(deadline_s))
        except ServerError as error:
            return self._failed(error.state, f"{error.words}; {error.mend}")
        except PromqlError as error:
            return self._failed(SourceState.DOWN, str(error))

    def history(
        self, start: datetime, end: datetime, step_s: float = WINDOW_S
    ) -> Iterator[tuple[datetime, tuple[Reading, ...]]]:
        """The readings of every window that ends from `start` to `end`, oldest first.

        Windows are `step_s` long, a multiple of a minute, and end on multiples of it. One in which
        nothing was measured is left out. Every GPU has its utilisation (mean and largest), memory
        and power. The nodes are called as in the last `read`.

        Raises:
            ServerError: the server did not answer; what was given before stands.
            PromqlError: the configuration cannot be asked.
        """
        match = matchers(self._config.match)
        asker = Asker(self._server, match, Naming(self._nodes), self.name, self._config.timeout_s)
        shift_s = round(self._ahead_s / WINDOW_S) * WINDOW_S
        return history(asker, start, end, step_s, shift_s)

    def probe(self, nodes: Sequence[str]) -> tuple[Found, ...]:
        """The server's version, and what it knows of GPUs."""
        self._nodes = tuple(nodes)
        what = f"Prometheus at {self._config.url}"
        deadline = Deadline.after(4 * self._config.timeout_s)
        try:
            version = self._server.version(deadline)
            self._learnt_at = None
            sweep = self._sweep(self._clock(), deadline)
            present = self._present
        except ServerError as error:
            return (Found(what=what, state=error.state.value, found=error.words, mend=error.mend),)
        except PromqlError as error:
            return (Found(what=what, state="down", found=safe(str(error))),)
        reached = Found(what=what, state="ok", found=safe(version))
        if not present:
            return reached, Found(
                what="its GPU metrics",
                state=SourceState.OFF.value,
                found=self._none(),
                mend="let it scrape `foundry agent` or dcgm-exporter, or correct `match`",
            )
        names = ", ".join(sorted(present))
        on = {one.node for one in sweep.readings}
        words = f"{len(sweep.readings)} GPUs on {len(on)} nodes, {len(present)} metrics: {names}"
        if sweep.source.reason:
            words = f"{sweep.source.reason}. {words}"
        strange = sorted(on - set(nodes))
        mend = None
        if nodes and strange:
            mend = (
                f"no scheduler has the nodes {', '.join(strange[:3])}; see that a label Hostname, "
                "hostname, node or instance names nodes as the schedulers do"
            )
        return reached, Found(
            what="its GPU metrics",
            state=sweep.source.state.value,
            found=safe(words, max_cells=600),
            mend=mend,
        )

    def close(self) -> None:
        """Give connections back. A later read opens new ones."""
        self._server.close()

    def _sweep(self, now: datetime, deadline: Deadline) -> Sweep:
        match = matchers(self._config.match)
        self._learn(match, now, deadline)
        at = now.timestamp() + self._ahead_s
        end = math.floor(at / WINDOW_S) * WINDOW_S
        ours = math.floor(now.timestamp() / WINDOW_S) * WINDOW_S
        spans_s = {job: _span_s(pace_s) for job, pace_s in self._paces_s.items()}
        window = Window(
            naming=Naming(self._nodes),
            source=self.name,
            end=end,
            known=self._known,
            spans_s=spans_s,
            shift_s=ours - end,
        )
        asking = Asking(self._server, match, deadline)
        if AGENT_TIME in self._present:
            asking.agents(window, self._present, at)
        asking.exporters(window, self._present, end)
        found = window.readings()
        if not found:
            return self._nothing(window)
        remarks = list(asking.remarks)
        if abs(self._ahead_s) > 0:
            side = "ahead of" if self._ahead_s > 0 else "behind"
            remarks.append(f"the server's clock is {abs(self._ahead_s):.0f} s {side} this host's")
        if window.doubled:
            remarks.append(f"{window.doubled} GPUs are told of more than once: one series is taken")
        slowest_s = max(self._paces_s.values(), default=0.0)
        if slowest_s > WINDOW_S:
            remarks.append(f"some GPUs are scraped only every {slowest_s:.0f} s")
        reason = safe("; ".join(dict.fromkeys(remarks)), max_cells=400) if remarks else None
        read_at = datetime.fromtimestamp(ours, UTC)
        return Sweep(
            readings=found,
            source=self._source(SourceState.OK, reason, read_at),
            asked=1,
            silent=window.silent,
        )

    def _learn(self, match: Sequence[tuple[str, str]], now: datetime, deadline: Deadline) -> None:
        """What hardly changes: the server's clock, its metrics, and the pace of its scrapes.

        Asked now and then, and in every sweep until there are metrics. The pace is that of the
        first GPU of each node, by job.
        """
        if self._learnt_at is not None and 0 <= (now - self._learnt_at).total_seconds() < PACE_S:
            return
        listed = f"count by (__name__) ({selector((*NAMES, AGENT_TIME), match)})"
        found = self._server.query(listed, now.timestamp() + self._ahead_s, deadline)
        told = self._server.at
        ahead_s = 0.0 if told is None else (told - self._clock()).total_seconds()
        if abs(ahead_s) <= SKEW_S:
            ahead_s = 0.0
        at = now.timestamp() + ahead_s
        if abs(ahead_s - self._ahead_s) > SKEW_S:
            found = self._server.query(listed, at, deadline)
        self._ahead_s = ahead_s
        self._present = tuple(sorted(one.name for one in found.series))
        if not self._present:
            return
        paced = samples(selector(EVERYWHERE, (*match, ("gpu", "0"))), PACE_S)
        gaps: dict[str, list[float]] = {}
        for series in self._server.query(paced, at, deadline).series:
            steps = [later - earlier for (earlier, _), (later, _) in pairwise(series.points)]
            gaps.setdefault(series.labels.get("job", ""), []).extend(steps)
        self._paces_s = {job: median(steps) for job, steps in gaps.items() if steps}
        self._learnt_at = now

    def _nothing(self, window: Window) -> Sweep:
        self._learnt_at = None
        if self._present:
            sweep = self._failed(
                SourceState.STALE,
                "no GPU has a sample of the last whole minute; see the targets of the server",
            )
            return replace(sweep, silent=window.silent)
        return self._failed(
            SourceState.OFF,
            f"{self._none()}; let it scrape `foundry agent` or dcgm-exporter, or correct `match`",
        )

    def _none(self) -> SafeText:
        where = f" with {', '.join(self._config.match)}" if self._config.match else ""
        return safe(
            f"the server has no metrics of GPUs{where}: neither {EVERYWHERE[0]} nor "
            f"{EVERYWHERE[1]} or the like",
            max_cells=300,
        )

    def _failed(self, state: SourceState, reason: str) -> Sweep:
        return Sweep(source=self._source(state, safe(reason, max_cells=400), None), asked=1)

    def _source(
        self, state: SourceState, reason: SafeText | None, read_at: datetime | None
    ) -> Source:
        return Source(name=self.name, kind=KIND, state=state, read_at=read_at, reason=reason)


def _span_s(pace_s: float) -> float:
    """The window, in whole minutes, that has a sample of what is scraped every `pace_s`."""
    return min(LOOKBACK_S, max(1, math.ceil(pace_s / WINDOW_S - 0.02)) * WINDOW_S)
