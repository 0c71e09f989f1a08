"""What the run needs is away: licences, a reservation, nodes in service."""

from __future__ import annotations

from foundry_tui.explain import fit, moves, say
from foundry_tui.explain.case import Case
from foundry_tui.explain.fit import Demand, Room
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.moves import change
from foundry_tui.explain.verdict import Candidate, Deed, Diagnosis, Kind
from foundry_tui.explain.words import kind_of

GIVEN = frozenset({"reserved", "maintenance"})


def licences(case: Case) -> Diagnosis | None:
    """The licences it asks for are all in use; the lists do not tell by whom."""
    if kind_of(case.reason) is not Kind.LICENSES:
        return None
    asked = case.word("licenses") or "its licences"
    drop = change(case, "start without the licence, if the program can", ("licenses", ""))
    wait = Candidate(sentence="wait for a licence to be freed", act=Deed.WAIT, what_if=False)
    return diagnosis(
        case,
        Kind.LICENSES,
        f"it asks for {asked}, and not so many licences are free",
        [f"the run: licences {asked}"],
        drop,
        wait,
    )


def reservation(case: Case) -> Diagnosis | None:
    """It is bound to a reservation that is not open, or its nodes are promised to others."""
    if kind_of(case.reason) is not Kind.RESERVATION:
        return None
    wanted = fit.demand(case)
    name = case.word("reservation")
    until = case.planned
    wait = Candidate(
        sentence="wait for the reservation", act=Deed.WAIT, what_if=False, not_before=until
    )
    if name:
        outside = change(case, f"start outside of reservation {name}", ("reservation", ""))
        sentence = f"it may start only in reservation {name}, which is not open to it now"
        evidence = [f"the run: reservation {name}"]
        return diagnosis(case, Kind.RESERVATION, sentence, evidence, outside, wait)
    rooms = fit.rooms(case, case.nodes_of(*case.queues), wanted)
    evidence = _closed_words(rooms) or [
        "scheduler: a reservation begins before the run would end on these nodes"
    ]
    return diagnosis(
        case,
        Kind.RESERVATION,
        "the nodes that it could use are reserved for others",
        evidence,
        *elsewhere(case, wanted, rooms),
        wait,
    )


def unavailable(case: Case) -> Diagnosis | None:
    """Too few of the nodes that suit it are in service."""
    wanted = fit.demand(case)
    rooms = fit.rooms(case, case.nodes_of(*case.queues), wanted)
    suited = [r for r in rooms if r.lacks is None]
    opened = [r for r in suited if r.closed is None]
    by_word = kind_of(case.reason) is Kind.NODE_UNAVAILABLE
    if not suited or (fit.enough(_closing(rooms), wanted, now=False) and not by_word):
        return None
    closed = [r for r in suited if r.closed is not None]
    names = [r.node.name for r in closed]
    if names:
        sentence = (
            f"it needs {say.counted(wanted.nodes, 'node')}, and of those that suit it "
            f"{say.nodes(names)} {'is' if len(names) == 1 else 'are'} out of service"
        )
    else:
        sentence = "the nodes that it needs are not available, by the scheduler's own word"
    reserved = bool(closed) and all(r.node.state.value in GIVEN for r in closed)
    mend: tuple[Candidate, ...] = ()
    if names:
        mend = (moves.ask(f"an administrator returns {say.nodes(names)} to service"),)
    return diagnosis(
        case,
        Kind.RESERVATION if reserved else Kind.NODE_UNAVAILABLE,
        sentence,
        [
            f"node list: {len(opened)} of {len(suited)} nodes that suit it are in service",
            *_closed_words(rooms),
        ],
        *elsewhere(case, wanted, rooms),
        Candidate(sentence="wait for the nodes", act=Deed.WAIT, what_if=False),
        *mend,
    )


def _closing(rooms: tuple[Room, ...]) -> tuple[Room, ...]:
    """The rooms with those out of service counted as unfit, so that an insisted-on node counts."""
    return tuple(
        r if r.closed is None else Room(r.node, 0, r.closed, r.closed, None, r.must) for r in rooms
    )


def _closed_words(rooms: tuple[Room, ...]) -> list[str]:
    return [f"node list: {r.node.name} is {r.closed}" for r in rooms if r.closed and not r.lacks]


def elsewhere(
    case: Case, wanted: Demand, rooms: tuple[Room, ...], *, now: bool = False
) -> tuple[Candidate, ...]:
    """Other nodes and queues for the same run, then the run made smaller, then another model.

    With `now` only queues that have room now.
    """
    nodes = [r.node for r in rooms]
    dropped = tuple(
        change(case, f"drop {what}: other nodes have room now", (field, ""), wanted=other)
        for field, what, other in fit.constraints(wanted)
        if fit.roomy(case, fit.rooms(case, nodes, other), other)
    )
    return (
        *dropped,
        *moves.other_queues(case, wanted, now=now),
        *moves.smaller(case, rooms, wanted),
        *moves.other_model(case, wanted),
    )
