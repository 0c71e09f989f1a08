"""The run's turn: it waits for room or for those before it, or nothing stands in its way."""

from __future__ import annotations

from datetime import datetime

from foundry_tui.estate.run import Run
from foundry_tui.explain import fit, moves, position, say
from foundry_tui.explain.case import Case
from foundry_tui.explain.fit import Demand, Room
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.shortage import elsewhere
from foundry_tui.explain.verdict import ADMIN, Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.words import kind_of

FRESH_S = 60.0
"""A run that came this recently may simply not have been looked at yet."""

MARGIN_S = 120
"""Seconds by which a run that slips in before another must end earlier (the scheduler's grain)."""


def turn(case: Case) -> Diagnosis:
    """The run waits for room, or for those before it; or nothing stands in its way any more."""
    wanted = fit.demand(case)
    rooms = fit.rooms(case, case.nodes_of(*case.queues), wanted)
    fits = fit.enough(rooms, wanted, now=True)
    before = position.ahead(case.run, case.snapshot) or position.rivals(case)
    word = kind_of(case.reason)
    if before and (fits or word is Kind.PRIORITY):
        return _priority(case, wanted, rooms, before, fits=fits)
    if not fits and rooms:
        return _resources(case, wanted, rooms, before)
    return _unseen(case, wanted, rooms, word)


def _resources(
    case: Case, wanted: Demand, rooms: tuple[Room, ...], before: tuple[Run, ...]
) -> Diagnosis:
    evidence = [f"node list: {_largest(case, wanted, rooms)}"]
    found = _room_by(case, wanted)
    if found is not None:
        moment, last, count = found
        others = f", the last of {count}," if count > 1 else ""
        evidence.append(
            f"job list: room by {say.clock(moment, case.now)} at the latest, when run "
            f"{last.native_id} of {last.user}{others} reaches its time limit"
        )
    if before:
        evidence.append(_before_words(case, before))
    until = case.planned
    wait = Candidate(
        sentence=f"wait for {f'run {found[1].native_id}' if found else 'other runs'} to end",
        act=Deed.WAIT,
        what_if=until is None,
        not_before=until,
    )
    sentence = f"too little is free: it asks for {_asked(wanted)}, and {_free(case, wanted, rooms)}"
    candidates = elsewhere(case, wanted, rooms, now=True)
    return diagnosis(case, Kind.RESOURCES, sentence, evidence, *candidates, wait)


def _priority(
    case: Case, wanted: Demand, rooms: tuple[Room, ...], before: tuple[Run, ...], *, fits: bool
) -> Diagnosis:
    first = before[0]
    evidence = [_before_words(case, before)]
    words = f"job list: the first is run {first.native_id} of {first.user}"
    words += (
        f" ({say.gpus(first.request.gpu_milli or 0)} on {say.counted(first.request.nodes, 'node')})"
    )
    if first.estimated_start_at and first.estimated_start_at > case.now:
        words += f", planned for {say.clock(first.estimated_start_at, case.now)}"
    evidence.append(words)
    evidence.append(f"node list: {_largest(case, wanted, rooms)}")
    shared = position.fair_share(case.run, case.snapshot)
    if shared:
        evidence.append(shared)
    ways = elsewhere(case, wanted, rooms, now=True)
    if fits:  # its choice of nodes and its size are no obstacle
        others = moves.other_queues(case, wanted, now=True)
        ways = (*others, *_slip_in(case, before), *moves.other_model(case, wanted))
    until = case.planned
    top = max(r.priority or 0 for r in before)
    raised = Candidate(
        sentence=f"an administrator raises its priority above {top}, past {say.runs(before)}",
        changes=(("priority", str(top + 1)),),
        owner=ADMIN,
    )
    count = len(before)
    sentence = (
        f"{say.counted(count, 'run')} with higher priority "
        f"{'waits' if count == 1 else 'wait'} before it for the same nodes"
    )
    if fits:
        sentence += "; there is room for it now, but not before their turn"
    return diagnosis(
        case,
        Kind.PRIORITY,
        sentence,
        evidence,
        *ways,
        Candidate(
            sentence="wait for its turn",
            act=Deed.WAIT,
            what_if=until is None,
            not_before=until,
        ),
        raised,
    )


def _slip_in(case: Case, before: tuple[Run, ...]) -> tuple[Candidate, ...]:
    """A time limit short enough to end before the first of those ahead is planned to start."""
    starts = [r.estimated_start_at for r in before if r.estimated_start_at]
    if not starts:
        return ()
    gap_s = int((min(starts) - case.now).total_seconds()) - MARGIN_S
    minutes = gap_s // 60
    limit = case.run.request.time_limit_s
    if minutes < 1 or (limit is not None and limit <= 60 * minutes):
        return ()
    sentence = f"ask for {say.span(60 * minutes)}: then it ends before the runs ahead can start"
    return (
        Candidate(
            sentence=sentence,
            changes=(("time_limit_s", str(60 * minutes)),),
            owner=case.run.user,
            behind_s=max(
                position.work_s(case, q, position.waiting_in(case, q)) for q in case.queues
            ),
        ),
    )


def _unseen(case: Case, wanted: Demand, rooms: tuple[Room, ...], word: Kind) -> Diagnosis:
    """The lists show no obstacle: a stale word, or something that they do not tell."""
    waited = case.run.wait_s(case.now)
    evidence = [f"node list: {_largest(case, wanted, rooms)}"] if rooms else []
    until = case.planned
    wait = Candidate(
        sentence="wait for the scheduler's next look",
        act=Deed.WAIT,
        what_if=until is None,
        not_before=until,
    )
    fresh = waited is not None and waited < FRESH_S
    if rooms and (fresh or not case.reason):
        sentence = "nothing seen stands in its way; the scheduler has not come to it yet"
        return diagnosis(case, Kind.NEXT_CYCLE, sentence, evidence, wait)
    if word in (Kind.PRIORITY, Kind.RESOURCES):
        sentence = (
            f"the scheduler says {case.reason}, though the lists show room for it; what they do "
            "not show (reservations, topology) may keep it, or the word is old"
        )
    else:
        word = Kind.UNKNOWN
        said = f"says {case.reason}" if case.reason else "gives no reason"
        sentence = f"the scheduler {said}, and the lists show no obstacle"
    return diagnosis(
        case, word, sentence, evidence, *moves.other_queues(case, wanted, now=True), wait
    )


def _room_by(case: Case, wanted: Demand) -> tuple[datetime, Run, int] | None:
    """When enough runs have reached their time limits, which one is the last, and how many end.

    Halving finds the smallest number of ends after which it fits, as room only grows.
    """
    mine = {n.name for n in case.nodes_of(*case.queues)}
    ends = sorted(
        (r for r in case.holding if r.ends_by and any(p.node in mine for p in r.placement)),
        key=lambda r: (r.ends_by, r.id),
    )

    def fits_after(count: int) -> bool:
        later = position.without(case, ends[:count])
        rooms = fit.rooms(later, later.nodes_of(*later.queues), wanted)
        return fit.enough(rooms, wanted, now=True)

    low, high = 1, len(ends)
    if not ends or not fits_after(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits_after(middle) else (middle + 1, high)
    last = ends[low - 1]
    assert last.ends_by is not None
    return last.ends_by, last, low


def _asked(wanted: Demand) -> str:
    parts = []
    if wanted.gpus:
        parts.append(say.gpus(wanted.gpus * wanted.milli) if wanted.milli > 1 else "a GPU share")
    if not wanted.gpus or wanted.cpu_milli > 1000:
        parts.append(say.counted(max(1, wanted.cpu_milli // 1000), "CPU"))
    if not wanted.gpus and wanted.memory_bytes:
        parts.append(say.size(wanted.memory_bytes))
    where = "in all" if wanted.spread else f"on {say.counted(wanted.nodes, 'node')}"
    each = " each" if wanted.nodes > 1 and not wanted.spread else ""
    return f"{say.listed(parts)}{each} {where}"


def _free(case: Case, wanted: Demand, rooms: tuple[Room, ...]) -> str:
    opened = fit.open_rooms(rooms)
    if not opened:
        return "no node that suits it is in service"
    count = sum(1 for r in opened if r.fits)
    if wanted.nodes > 1:
        return f"{say.counted(count, 'node')} {'has' if count == 1 else 'have'} room for that"
    if wanted.gpus:
        best = opened[0]
        return (
            f"the most free on one node is {say.counted(best.free_gpus, 'GPU')} ({best.node.name})"
        )
    return f"{count} of {len(opened)} nodes have room"


def _largest(case: Case, wanted: Demand, rooms: tuple[Room, ...]) -> str:
    opened = fit.open_rooms(rooms)
    queues = say.listed([q.name for q in case.queues]) or "its queue"
    if not opened:
        return f"no node of {queues} that suits it is in service"
    if not wanted.gpus:
        count = sum(1 for r in opened if r.fits)
        return f"{count} of {len(opened)} nodes of {queues} have room for it"
    best = opened[0]
    words = f"largest free block on nodes of {queues}: {say.counted(best.free_gpus, 'GPU')}"
    return f"{words} on {best.node.name}; it asks for {_asked(wanted)}"


def _before_words(case: Case, before: tuple[Run, ...]) -> str:
    milli = sum((r.request.gpu_milli or 0) * r.count for r in before)
    count = say.counted(sum(r.count for r in before), "run")
    return f"job list: ahead of it by priority: {count} asking for {say.gpus(milli)}"
