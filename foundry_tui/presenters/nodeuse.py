"""What the GPUs of one node do, ready to be drawn on one line or added up with other nodes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.run import HOLDING, Run
from foundry_tui.estate.text import SafeText, cells, clip, safe
from foundry_tui.estate.waste import IDLE_AFTER_S, is_idle
from foundry_tui.presenters.health import grave
from foundry_tui.presenters.heat import heat
from foundry_tui.presenters.totals import AT_ZERO_PCT

NodeKey = tuple[str, str]
"""Source and name of a node."""

CLOSED = frozenset({NodeState.DOWN, NodeState.DRAINED, NodeState.DRAINING, NodeState.MAINTENANCE})
"""States of a node that takes no work because somebody or something broke it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts over GPUs that can be added up.

    `known` have known tenants and `unknown` not; together they are all. `held` have a tenant,
    `measured` are those of them with a reading, and `util_sum_pct` adds up these readings.
    `closed` are GPUs of nodes that take no work.
    """

    known: int = 0
    unknown: int = 0
    allocated_milli: int = 0
    held: int = 0
    measured: int = 0
    util_sum_pct: float = 0.0
    closed: int = 0

    @property
    def count(self) -> int:
        """All GPUs."""
        return self.known + self.unknown

    @property
    def mean_pct(self) -> float | None:
        """Mean use of the GPUs that are held and measured; None when there is none."""
        return self.util_sum_pct / self.measured if self.measured else None

    @property
    def allocated_pct(self) -> float | None:
        """How much of the GPUs with known tenants is given away; None when all are unknown."""
        return self.allocated_milli / (10 * self.known) if self.known else None

    @property
    def glyph(self) -> str:
        """One glyph for all: a digit is the mean use, in tens of %, of what is held and measured.

        Where nothing held is measured: `#` mostly allocated, `+` less than half, `.` free, `x`
        free on nodes that take no work, `?` nothing known.
        """
        if not self.known:
            return "?"
        if (mean := self.mean_pct) is not None:
            return str(min(9, max(0, int(mean // 10))))
        if self.allocated_milli:
            return "#" if 2 * self.allocated_milli >= WHOLE_MILLI * self.known else "+"
        return "x" if self.closed == self.count else "."


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUse:
    """One node with its GPUs. Means and sums are told only where every sound GPU told its part.

    `mark` is `x` for a node that is down or drained, `?` where no GPU's tenants are known or the
    node does not answer while others do, and `!` where GPUs are held and lie idle; else a space.
    """

    node: Node
    gpus: tuple[Gpu, ...]
    mark: str
    tally: Tally

    @property
    def glyphs(self) -> SafeText:
        """One glyph per GPU."""
        return heat(self.gpus, self.node.gpu_count, placeable=self.node.placeable)

    @property
    def util_pct(self) -> float | None:
        """Mean use of the node's GPUs."""
        return self._mean(g.util_pct for g in self.gpus)

    @property
    def mem_pct(self) -> float | None:
        """Mean use of the memory of the node's GPUs."""
        return self._mean(_mem_pct(g) for g in self.gpus)

    @property
    def power_w(self) -> float | None:
        """What the node's GPUs draw together."""
        return self._sum(g.power_w for g in self.gpus)

    @property
    def partitioned(self) -> bool:
        """Whether a GPU is cut into MIG instances."""
        return any(g.partitioned for g in self.gpus)

    def _known(self, values: Iterable[float | None]) -> list[float]:
        """The values, if every GPU told one that can: a lost one cannot, and shows its fault."""
        known = [v for v in values if v is not None]
        mute = sum(gpu.util_pct is None and grave(gpu) for gpu in self.gpus)
        return known if len(known) == self.tally.count - mute else []

    def _sum(self, values: Iterable[float | None]) -> float | None:
        known = self._known(values)
        return sum(known) if known else None

    def _mean(self, values: Iterable[float | None]) -> float | None:
        known = self._known(values)
        return sum(known) / len(known) if known else None


def add(tallies: Iterable[Tally]) -> Tally:
    """The sum."""
    known = unknown = allocated = held = measured = closed = 0
    util = 0.0
    for one in tallies:
        known += one.known
        unknown += one.unknown
        allocated += one.allocated_milli
        held += one.held
        measured += one.measured
        util += one.util_sum_pct
        closed += one.closed
    return Tally(
        known=known,
        unknown=unknown,
        allocated_milli=allocated,
        held=held,
        measured=measured,
        util_sum_pct=util,
        closed=closed,
    )


def node_uses(
    nodes: Iterable[Node],
    gpus: Iterable[Gpu],
    now: datetime,
    idle_after_s: float = IDLE_AFTER_S,
) -> list[NodeUse]:
    """The nodes that have GPUs, in the order given; idle is what is so for `idle_after_s`."""
    by_node: dict[NodeKey, list[Gpu]] = {}
    measured_sources: set[str] = set()
    for gpu in gpus:
        by_node.setdefault((gpu.source, gpu.node), []).append(gpu)
        if gpu.util_pct is not None:
            measured_sources.add(gpu.source)
    found = ((node, by_node.get((node.source, node.name), [])) for node in nodes)

    def idle(gpu: Gpu) -> bool:
        return is_idle(gpu, now, idle_after_s)

    return [
        _node_use(node, here, node.source in measured_sources, idle)
        for node, here in found
        if node.gpu_count or here
    ]


def _node_use(
    node: Node, gpus: Sequence[Gpu], others_measured: bool, is_idle: Callable[[Gpu], bool]
) -> NodeUse:
    known = allocated = held = measured = idle = at_zero = 0
    util = 0.0
    for gpu in gpus:
        milli = gpu.milli_allocated
        if milli is None:
            continue
        known += 1
        allocated += min(milli, WHOLE_MILLI)
        if milli:
            held += 1
            idle += is_idle(gpu)
            if gpu.util_pct is not None:
                measured += 1
                util += gpu.util_pct
                at_zero += gpu.util_pct <= AT_ZERO_PCT
    total = max(node.gpu_count, len(gpus))
    closed = node.state in CLOSED
    if closed:
        mark = "x"
    elif (
        node.state is NodeState.UNKNOWN or not known or (held and not measured and others_measured)
    ):
        mark = "?"
    else:
        mark = "!" if idle or (held and at_zero == held) else " "
    return NodeUse(
        node=node,
        gpus=tuple(gpus),
        mark=mark,
        tally=Tally(
            known=known,
            unknown=total - known,
            allocated_milli=allocated,
            held=held,
            measured=measured,
            util_sum_pct=util,
            closed=0 if node.placeable else total,
        ),
    )


def _mem_pct(gpu: Gpu) -> float | None:
    if gpu.mem_used_bytes is None or not gpu.mem_total_bytes:
        return None
    return 100.0 * gpu.mem_used_bytes / gpu.mem_total_bytes


def owners(gpus: Iterable[Gpu], runs: Iterable[Run]) -> dict[NodeKey, Counter[str]]:
    """Per node the users that hold GPUs there, with how many; `?` for runs that nobody tells of.

    Runs whose GPU indices are unknown count once on each of their nodes.
    """
    users: dict[str, str] = {}
    found: defaultdict[NodeKey, Counter[str]] = defaultdict(Counter)
    for run in runs:
        users[run.id] = run.user or "?"
        if run.state in HOLDING:
            for part in run.placement:
                if part.gpus is None:
                    found[(run.source, part.node)][users[run.id]] += 1
    for gpu in gpus:
        for run_id in gpu.runs:
            found[(gpu.source, gpu.node)][users.get(run_id, "?")] += 1
    return found


def owner_words(found: Mapping[str, int] | None, width: int) -> SafeText:
    """Who holds most, and how many others: `bob +2`, the number whole where the name is cut."""
    if not found:
        return SafeText("")
    first = min(found, key=lambda user: (-found[user], user))
    more = f" +{len(found) - 1}" if len(found) > 1 else ""
    return clip(SafeText(clip(safe(first), max(1, width - len(more))) + more), width)


def shortened(name: str, width: int) -> SafeText:
    """A node's name in `width` cells; cut in the middle, because the end tells nodes apart."""
    shown = safe(name)
    if cells(shown) <= width:
        return shown
    tail = width // 2
    if not shown.isascii() or tail < 2:
        return clip(shown, width)
    return SafeText(clip(shown, width - tail) + shown[-tail:])
