"""Which fractions to lower, by how little, so that more of what is asked for fits.

Two ways. With the demand alone, the packing program says how many GPUs it needs before and after,
and cuts are found that free most. With prices from elsewhere (those of a placement policy, which
also knows cores and nodes), a cut gains what the share gets cheaper, to first order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.cluster import WHOLE_MILLI, Request
from scheduler_sim.fractions.packing import Packer, checked
from scheduler_sim.fractions.partners import GRID_MILLI, Tariff, rounded_up

LEAST_RETURN = 0.5
"""A cut must free at least half of what it takes: people are not asked for less."""

MOST_FRACTIONS = 24
"""Fractions that are looked at, those with most GPU share first: the work grows as the square."""

_MILLION = 1_000_000  # cuts are counted in millionths: 0.06 of 500 leaves 470, not 471

_LOOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Cut:
    """Requests of `old_milli` ask for `new_milli` instead.

    `requests` ask for that share, and `freed_gpus` is what the cut adds to those before it in the
    list, an estimate.
    """

    old_milli: int
    new_milli: int
    requests: int
    freed_gpus: float

    @property
    def cut(self) -> float:
        """The part of the request that is taken away."""
        return 1 - self.new_milli / self.old_milli


def shares_of(requests: Iterable[Request]) -> dict[int, int]:
    """How many requests ask for each share of one GPU, in thousandths."""
    return dict(Counter(r.gpu_milli for r in requests if r.gpus == 1 and r.gpu_milli < WHOLE_MILLI))


def trace_shares(trace: Trace) -> dict[int, int]:
    """How many pods of a trace ask for each share of one GPU, in thousandths."""
    return shares_of(trace.kinds[row] for row in trace.kind_of.tolist())


def cuts(
    shares: Mapping[int, int],
    max_cut: float,
    *,
    limit: int | None = None,
    grid_milli: int = GRID_MILLI,
) -> tuple[Cut, ...]:
    """The cuts that free most GPUs, best first; no share loses more than the part `max_cut`.

    At most `limit` fractions are changed. With one, every fraction that could win is tried; with
    more, all are lowered as far as allowed, and the one that frees least for what it takes is put
    back again and again, until each frees half of it: so fractions that only help together are
    found too. Each ends at the largest value on the grid that still frees as much.

    Raises:
        ValueError: a size outside 1..1000, a negative count, a cut outside 0..1, or a limit
            below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit: at least one fraction must be changed, got {limit}")
    wanted = checked(shares)
    lowest = _lowest(wanted, max_cut, grid_milli)
    if not lowest:
        return ()
    search = _Search(wanted, Packer(), grid_milli)
    chosen = search.one(lowest) if limit == 1 else search.many(lowest, limit)
    return search.listed(search.raised(chosen))


def cuts_by_price(
    here: Tariff, shares: Mapping[int, int], max_cut: float, *, grid_milli: int = GRID_MILLI
) -> tuple[Cut, ...]:
    """The cuts that pay at given prices, best first; each to the largest value that costs least.

    Each gain is counted at today's prices, so it is what the first cuts are worth and too much for
    many at once.

    Raises:
        ValueError: a size outside 1..1000, a negative count, or a cut outside 0..1.
    """
    wanted = checked(shares)
    found = []
    for old, lowest in _lowest(wanted, max_cut, grid_milli).items():
        cost = {new: here.cost(new).effective_milli for new in range(lowest, old, grid_milli)}
        new = max(milli for milli, each in cost.items() if each <= min(cost.values()) + _LOOSE)
        gain = here.cost(old).effective_milli - cost[new]
        if gain > _LOOSE:
            found.append(Cut(old, new, wanted[old], gain * wanted[old] / WHOLE_MILLI))
    return tuple(sorted(found, key=lambda cut: (-cut.freed_gpus, cut.old_milli)))


def apply(trace: Trace, made: Iterable[Cut]) -> Trace:
    """The trace with the lowered requests; pods keep their names and rows.

    Raises:
        ValueError: a cut does not lower, or two change the same share.
    """
    new: dict[int, int] = {}
    for cut in made:
        if not 1 <= cut.new_milli < cut.old_milli:
            raise ValueError(f"new_milli: {cut.old_milli} cannot become {cut.new_milli}")
        if cut.old_milli in new:
            raise ValueError(f"old_milli: two cuts change {cut.old_milli}")
        new[cut.old_milli] = cut.new_milli
    kinds = [
        replace(kind, gpu_milli=new.get(kind.gpu_milli, kind.gpu_milli)) if kind.gpus == 1 else kind
        for kind in trace.kinds
    ]
    pods = ((pod, kinds[row]) for pod, row in zip(trace.pods, trace.kind_of.tolist(), strict=True))
    return Trace.of(trace.name, trace.nodes, pods)


def lowered(stream: Stream, cut_trace: Trace) -> Stream:
    """The same pods arriving in the same order, with the requests of `cut_trace`.

    The stream must be one of the trace that was cut, so that what is served can be counted in
    requests as they were made.
    """
    return replace(stream, kinds=cut_trace.kind_of[stream.pods])


def _lowest(shares: Mapping[int, int], max_cut: float, grid_milli: int) -> dict[int, int]:
    """For each share that can be lowered at all the least it may become."""
    if not 0 <= max_cut < 1:
        raise ValueError(f"max_cut: a part of the request, 0..1, got {max_cut}")
    found = {}
    for milli in shares:
        if milli < WHOLE_MILLI:
            kept = -(-milli * (_MILLION - round(_MILLION * max_cut)) // _MILLION)
            lowest = rounded_up(max(1, kept), grid_milli)
            if lowest < milli:
                found[milli] = lowest
    return found


class _Search:
    """Tries changes of a demand: {old: new} in, GPUs needed out; every answer is kept."""

    __slots__ = ("_grid_milli", "_known", "_packer", "_shares")

    def __init__(self, shares: Mapping[int, int], packer: Packer, grid_milli: int) -> None:
        self._shares = shares
        self._packer = packer
        self._grid_milli = grid_milli
        self._known: dict[tuple[tuple[int, int], ...], float] = {}

    def need(self, change: Mapping[int, int]) -> float:
        """GPUs needed after a change, to a millionth: the solver's last bits decide nothing."""
        key = tuple(sorted(change.items()))
        if key not in self._known:
            demand: Counter[int] = Counter()
            for milli, count in self._shares.items():
                demand[change.get(milli, milli)] += count
            self._known[key] = round(self._packer.pack(demand).gpus, 6)
        return self._known[key]

    def one(self, lowest: Mapping[int, int]) -> dict[int, int]:
        """The single fraction that frees most.

        What a cut frees is concave in the number of requests that take part, so its worth at
        today's prices is the most it can be: once that is below the best found, the search ends.
        """
        here = Tariff.of(self._packer.pack(self._shares).price, self._shares)
        most = {
            old: self._shares[old]
            * (here.cost(old).effective_milli - here.cost(new).effective_milli)
            / WHOLE_MILLI
            for old, new in lowest.items()
        }
        best: dict[int, int] = {}
        gain = 0.0
        for old in sorted(most, key=lambda milli: (-round(most[milli], 6), milli)):
            if most[old] <= gain + _LOOSE:
                break
            change = {old: lowest[old]}
            freed = self.need({}) - self.need(change)
            if freed > gain + _LOOSE and freed >= LEAST_RETURN * self._taken(change, old):
                best, gain = change, freed
        return best

    def many(self, lowest: Mapping[int, int], limit: int | None) -> dict[int, int]:
        """All lowered, less those that free too little for what they take, and beyond `limit`."""
        most = sorted(lowest, key=lambda milli: (-milli * self._shares[milli], milli))
        kept = {old: lowest[old] for old in most[:MOST_FRACTIONS]}
        while kept:
            freed = {old: self._loss(kept, old) for old in sorted(kept)}
            taken = {old: self._taken(kept, old) for old in freed}
            worst = min(freed, key=lambda o: (round(freed[o] / taken[o], 3), -taken[o]))
            if freed[worst] >= LEAST_RETURN * taken[worst]:
                if limit is None or len(kept) <= limit:
                    break
                worst = min(freed, key=lambda o: (freed[o], -taken[o]))
            del kept[worst]
        return kept

    def raised(self, change: Mapping[int, int]) -> dict[int, int]:
        """Each new value as large as it can be while as many GPUs are freed."""
        found = dict(change)
        need = self.need(found) + _LOOSE * max(1.0, self.need({}))
        for old in sorted(found):
            # the need never falls when a share grows, so the largest value is found by halving
            low, high = found[old], old - 1
            while low + self._grid_milli <= high:
                middle = low + (high - low) // self._grid_milli // 2 * self._grid_milli
                middle = max(middle, low + self._grid_milli)
                if self.need(found | {old: middle}) <= need:
                    low = middle
                else:
                    high = middle - 1
            found[old] = low
        return found

    def listed(self, change: Mapping[int, int]) -> tuple[Cut, ...]:
        """The changes, each time the one that adds most to those before it."""
        made: dict[int, int] = {}
        found = []
        while len(made) < len(change):
            left = [old for old in sorted(change) if old not in made]
            need = {old: self.need(made | {old: change[old]}) for old in left}
            old = min(left, key=lambda milli: need[milli])
            freed = self.need(made) - need[old]
            found.append(Cut(old, change[old], self._shares[old], freed))
            made[old] = change[old]
        return tuple(found)

    def _taken(self, change: Mapping[int, int], old: int) -> float:
        """GPUs' worth of share that a change takes from the requests of one size."""
        return self._shares[old] * (old - change[old]) / WHOLE_MILLI

    def _loss(self, change: Mapping[int, int], old: int) -> float:
        """GPUs that are needed again when the requests of one size stay as they are."""
        without = {milli: new for milli, new in change.items() if milli != old}
        return self.need(without) - self.need(change)
