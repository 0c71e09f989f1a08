"""Fractions: what a share of a GPU costs here now, and what its run could ask for instead.

A share that leaves a rest for which nobody asks costs the whole GPU. What it costs follows from the
demand alone; whether a run can live on less only its measurements tell. So a cost is always named,
and advice is given only where a history, or a prior that somebody states, carries it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foundry_tui.estate.fractions import Assumed, Fractions, ShareAdvice, ShareCost
from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser.migprofile import smallest_profile

if TYPE_CHECKING:
    from scheduler_sim.fractions.history import Usage
    from scheduler_sim.fractions.partners import Tariff
    from scheduler_sim.fractions.safe import SafeShare

GRID_MILLI = 10
"""Shares are proposed in hundredths of a GPU."""

MOST_CUT = 0.25
"""A share is compared with others that are smaller by at most this part of it."""

LEAST_SAVING_MILLI = 50.0
"""What a smaller share must save beyond what it gives up."""

ONE_LOOK = 8
"""One sample of each GPU of a node: so many readings are one look, and no history."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a run's use: its measurements, the memory and the model of its device."""

    usage: Usage
    device_bytes: int | None
    gpu_model: str | None = None


def fractions(
    snapshot: Snapshot,
    *,
    assumed: Assumed | None = None,
    known: Mapping[str, Known] | None = None,
    wanted: Sequence[int] = (),
) -> Fractions:
    """The costs of all shares that live runs ask for, and advice for these runs.

    Advice is for runs, too, that have one whole GPU and, as measured, need at most half of it; at
    their source they are each other's partners.

    `known` are measurements by run id; without them each run has at most the one reading of the
    snapshot, which is too little to advise by. `assumed` stands in for a run whose measurements do
    not suffice. `wanted` are shares whose cost is told, too, at every source whose runs ask for
    shares.

    Raises:
        ValueError: a level outside 0..100 %, or a peak above the memory of its device.
    """
    measured = readings(snapshot) if known is None else known
    asking = [run for run in snapshot.runs if _share(run) is not None]
    less = halves(snapshot.runs, measured)
    here = tariffs(asking)
    shared = tariffs(asking, less)
    asked_by = Counter({(source, milli): 0 for source in here for milli in wanted})
    for run in asking:
        asked_by[run.source, _share(run) or 0] += run.count
    costs = {(s, milli): cost(here[s], s, milli, count) for (s, milli), count in asked_by.items()}
    runs = []
    for run in asking:
        its = costs[run.source, _share(run) or 0]
        runs.append(_advice(run, its, here[run.source], measured.get(run.id), assumed))
    for run, _ in less:
        whole = cost(shared[run.source], run.source, WHOLE_MILLI, run.count)
        runs.append(_advice(run, whole, shared[run.source], measured[run.id], None))
    runs.sort(key=lambda a: (a.advised_milli is None, a.asked_milli - a.effective_milli, a.run))
    return Fractions(
        generated_at=snapshot.generated_at,
        costs=tuple(sorted(costs.values(), key=_loss)),
        runs=tuple(runs),
        notes=tuple(_notes(snapshot.runs, asking)),
    )


def only(found: Fractions, shares: Sequence[int], runs: Collection[str]) -> Fractions:
    """The costs of these shares and of what these runs ask for, and the advice for these runs."""
    advice = tuple(a for a in found.runs if a.run in runs)
    asked = {(a.run.partition("/")[0], a.asked_milli) for a in advice}
    costs = tuple(c for c in found.costs if c.milli in shares or (c.source, c.milli) in asked)
    left = len(runs) - len(advice)
    why = "ask for no share, and are not known to need less than half of one GPU, or have ended"
    notes = (f"{left} of the runs {why}",) if left else ()
    return replace(found, costs=costs, runs=advice, notes=(*found.notes, *notes))


MANY = 1000
"""Runs like it that each run stands for, where prices follow from the mix."""


def tariffs(runs: Iterable[Run], could: Iterable[tuple[Run, int]] = ()) -> dict[str, Tariff]:
    """By source what room on its GPUs is worth, from the shares that its live runs ask for.

    `could` are runs with the shares on which they could live, as if they asked for those.

    What counts is the mix, so each run stands for `MANY` like it: of two quarters alone a GPU could
    not be filled, and a third one would cost nothing.
    """
    from scheduler_sim.fractions.partners import tariff

    wanted: dict[str, Counter[int]] = {}
    for run in runs:
        milli = _share(run)
        if milli is not None:
            wanted.setdefault(run.source, Counter())[milli] += (
                MANY * run.count * run.request.gpu_count
            )
    for run, milli in could:
        wanted.setdefault(run.source, Counter())[milli] += MANY * run.count
    return {source: tariff(shares) for source, shares in wanted.items()}


def cost(here: Tariff, source: str, milli: int, asked_by: int) -> ShareCost:
    """What a share costs at a source; `asked_by` live runs ask for it there.

    Raises:
        ValueError: it is not within 1..1000.
    """
    if not 1 <= milli <= WHOLE_MILLI:
        raise ValueError(f"milli: a share is 1..1000 thousandths of a GPU, got {milli}")
    found = here.cost(milli)
    instead = _instead(here, milli)
    effective = None if instead is None else here.cost(instead).effective_milli
    return ShareCost(
        source=source,
        milli=milli,
        asked_by=asked_by,
        effective_milli=found.effective_milli,
        stranded_milli=found.stranded_milli,
        partners=found.partners,
        instead_milli=instead,
        instead_effective_milli=effective,
        why=_words(found.words, here, milli, instead),
    )


def readings(snapshot: Snapshot) -> dict[str, Known]:
    """What one snapshot tells of its runs: one sample of each that has its devices to itself.

    Of a device with several tenants only the size is taken: its reading is that of all of them.
    """
    from scheduler_sim.fractions.history import Histogram, Usage

    held: dict[str, list[Gpu]] = {}
    for gpu in snapshot.gpus:
        for run in gpu.runs:
            held.setdefault(run, []).append(gpu)
    found = {}
    for run, gpus in held.items():
        sizes = [g.mem_total_bytes for g in gpus if g.mem_total_bytes is not None]
        usage = Usage()
        if all(len(gpu.runs) == 1 for gpu in gpus):
            levels = [None if g.util_pct is None else min(1.0, g.util_pct / 100) for g in gpus]
            used = [g.mem_used_bytes for g in gpus if g.mem_used_bytes is not None]
            peak = max(used) if len(used) == len(gpus) else None
            usage = Usage(gpu_util=Histogram.of(levels), mem_peak_bytes=peak)
        size = min(sizes) if len(sizes) == len(gpus) else None
        found[run] = Known(usage, size, gpus[0].model)
    return found


def recorded(
    util_counts: tuple[int, ...],
    util_missing: int,
    *,
    mem_peak_bytes: int | None,
    device_bytes: int | None,
    gpu_model: str | None,
) -> Known:
    """What a history tells of a run: how often each level of use was seen (`Histogram`), its peak.

    Raises:
        ValueError: fewer than two levels, or a negative count or peak.
    """
    from scheduler_sim.fractions.history import Histogram, Usage

    usage = Usage(gpu_util=Histogram(util_counts, util_missing), mem_peak_bytes=mem_peak_bytes)
    return Known(usage, device_bytes, gpu_model)


def _share(run: Run) -> int | None:
    """The share of each of its devices that a live run asks for; None for whole ones and others."""
    each = run.request.milli_per_gpu
    if run.state not in LIVE or each is None or not 1 <= each < WHOLE_MILLI:
        return None
    return each


def halves(runs: Iterable[Run], known: Mapping[str, Known]) -> list[tuple[Run, int]]:
    """Live runs with one whole GPU each of which, as measured, half is enough; and how much is.

    With several GPUs each their processes wait for each other, and a share of one slows them all.
    """
    from scheduler_sim.fractions.partners import rounded_up

    found = []
    for run in runs:
        asks = run.request
        alone = asks.gpu_count == 1 and asks.milli_per_gpu == WHOLE_MILLI and run.state in LIVE
        if not alone or run.id not in known:
            continue
        safe, basis, _ = _safe(known[run.id], None)
        if basis == "measured" and safe is not None and safe.milli is not None:
            milli = rounded_up(safe.milli, GRID_MILLI)
            if milli <= WHOLE_MILLI // 2:
                found.append((run, milli))
    return found


def _instead(here: Tariff, milli: int) -> int | None:
    """The smaller share that saves most per thousandth given up; None when none saves more."""
    now = here.cost(milli).effective_milli
    lowest = -(-round(milli * (1 - MOST_CUT)) // GRID_MILLI) * GRID_MILLI
    best, most = None, 1.0
    for less in range(
        milli - 1 - (milli - 1) % GRID_MILLI, max(lowest, GRID_MILLI) - 1, -GRID_MILLI
    ):
        saved, given = now - here.cost(less).effective_milli, milli - less
        if saved - given >= LEAST_SAVING_MILLI and saved / given > most:
            best, most = less, saved / given
    return best


def _words(costs: str, here: Tariff, milli: int, instead: int | None) -> str:
    if instead is None:
        return costs
    other = here.cost(instead)
    partners = " + ".join(_times(each, count) for each, count in other.partners)
    beside = f" ({partners} beside it)" if partners else ""
    saved = here.cost(milli).effective_milli - other.effective_milli
    return (
        f"{costs}; {instead / WHOLE_MILLI:.2f} finds partners{beside}: it gives up "
        f"{(milli - instead) / WHOLE_MILLI:.2f} and saves {saved / WHOLE_MILLI:.2f}"
    )


def _times(milli: int, count: int) -> str:
    share = f"{milli / WHOLE_MILLI:.2f}"
    return share if count == 1 else f"{count} x {share}"


def _loss(costs: ShareCost) -> tuple[float, str, int]:
    """What strands most comes first."""
    return -costs.stranded_milli * costs.asked_by, costs.source, costs.milli


def _advice(
    run: Run,
    costs: ShareCost,
    here: Tariff,
    known: Known | None,
    assumed: Assumed | None,
) -> ShareAdvice:
    from scheduler_sim.fractions.partners import friendly

    safe, basis, device_bytes = _safe(known, assumed)
    profile: str | None = None
    advised: int | None = None
    evidence: tuple[str, ...] = ()
    if safe is None or safe.milli is None:
        why = f"not advised: {_missing(known, safe, assumed)}"
    else:
        # A whole GPU that is cut to more than half would leave a rest that none like it fits in.
        most = WHOLE_MILLI // 2 if costs.milli == WHOLE_MILLI else costs.milli
        advised = friendly(here, safe.milli, most, GRID_MILLI)
        why, evidence = _verdict(costs.milli, safe.milli, advised), safe.evidence
        model = run.request.gpu_model if known is None else known.gpu_model
        profile = smallest_profile(safe, model, device_bytes)
    return ShareAdvice(
        run=run.id,
        user=run.user,
        state=str(run.state),
        asked_milli=costs.milli,
        effective_milli=costs.effective_milli,
        safe_milli=None if safe is None else safe.milli,
        advised_milli=advised,
        basis=basis,
        why=why,
        evidence=evidence,
        mig_profile=profile,
    )


def _safe(known: Known | None, assumed: Assumed | None) -> tuple[SafeShare | None, str, int]:
    """The smallest safe share, what it rests on, and the memory of the device (0 where unknown).

    What was measured comes before what is assumed.
    """
    from scheduler_sim.fractions.history import Prior
    from scheduler_sim.fractions.safe import smallest_safe

    found = None
    device_bytes = None if known is None else known.device_bytes
    if known is not None and device_bytes is not None:
        found = smallest_safe(known.usage, device_bytes)
        if found.milli is not None:
            return found, "measured", device_bytes
    if assumed is None:
        return found, "none", device_bytes or 0
    device_bytes = assumed.device_bytes or device_bytes
    if device_bytes is None:
        return None, "none", 0
    memory_pct = assumed.memory_util_pct
    prior = Prior(
        gpu_util=assumed.gpu_util_pct / 100,
        memory_util=None if memory_pct is None else memory_pct / 100,
        mem_peak_bytes=assumed.mem_peak_bytes,
        origin=assumed.origin,
    )
    return smallest_safe(prior, device_bytes), "prior", device_bytes


def _missing(known: Known | None, safe: SafeShare | None, assumed: Assumed | None) -> str:
    """Why nothing is advised."""
    usage = None if known is None else known.usage.gpu_util
    seen = 0 if usage is None else usage.seen
    if assumed is not None and safe is None:
        return "no history, and the memory of its device is not known"
    if known is None or not seen:
        return "no history"
    if seen <= ONE_LOOK:
        return f"no history, {seen} {'reading' if seen == 1 else 'readings'}"
    if known.device_bytes is None:
        return "how much memory its device has is not known"
    return "too little was measured" if safe is None or safe.reason is None else safe.reason


def _verdict(asked: int, safe: int, advised: int) -> str:
    told = f"{safe / WHOLE_MILLI:.2f} is safe"
    if advised == asked:
        return f"{told}: keep {asked / WHOLE_MILLI:.2f}"
    if advised > asked:
        return f"{asked / WHOLE_MILLI:.2f} is too little, ask for {advised / WHOLE_MILLI:.2f}"
    return f"{told}: ask for {advised / WHOLE_MILLI:.2f}, after a canary"


def _notes(runs: Iterable[Run], asking: Iterable[Run]) -> Iterator[str]:
    """What was left out, and what the costs rest on."""
    unknown = sum(
        run.state in LIVE and run.request.gpu_count > 0 and run.request.gpu_milli is None
        for run in runs
    )
    total = sum(run.count for run in asking)
    if total:
        yield (
            f"costs follow from the {total} live runs that ask for shares, source by source, as if "
            "they could be packed anew; cores, memory and nodes are not looked at"
        )
    else:
        yield "no live run asks for a share of a GPU: what the rest of one is worth is not known"
    if unknown:
        tell = "run tells" if unknown == 1 else "runs tell"
        yield f"left out: {unknown} {tell} no share of a GPU"
