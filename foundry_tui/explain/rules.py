"""Rules that keep a run out however empty the nodes are: its queues' limits and hardware."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.queue import Queue
from foundry_tui.explain import fit, moves, say
from foundry_tui.explain.case import CLOSED, Case
from foundry_tui.explain.fit import Demand, Room
from foundry_tui.explain.holds import diagnosis
from foundry_tui.explain.verdict import Candidate, Diagnosis, Kind
from foundry_tui.explain.words import kind_of


def queue_rule(case: Case) -> Diagnosis | None:
    """Every queue of the run has a rule that keeps it out, or no nodes that could ever take it.

    The first queue's obstacle is named, that of the others is evidence. Queues that the snapshot
    does not know cannot be judged, so that nothing is said about them.
    """
    queues, wanted = case.queues, fit.demand(case)
    if not queues or len(queues) < len(case.run.queues):
        return None
    found = [_queue_rule(case, queue, wanted) for queue in queues]
    first = found[0]
    if first is None or not all(found):
        return None
    more = tuple(d.sentence for d in found[1:] if d)
    return replace(first, evidence=first.evidence + more) if more else first


def _queue_rule(case: Case, queue: Queue, wanted: Demand) -> Diagnosis | None:
    run, name = case.run, queue.name
    elsewhere = moves.other_queues(case, wanted)
    if queue.state in CLOSED:
        return diagnosis(
            case,
            Kind.PARTITION_DOWN,
            f"queue {name} is {queue.state}: nothing starts there until it is opened",
            [f"queue list: {name} is {queue.state}"],
            *elsewhere,
            moves.ask(f"an administrator opens queue {name}"),
        )
    if not case.admits(queue, run.account, run.qos):
        return _not_admitted(case, queue, elsewhere)
    limit = run.request.time_limit_s
    if queue.time_limit_s is not None and (limit is None or limit > queue.time_limit_s):
        most = say.span(queue.time_limit_s)
        asked = "no limit" if limit is None else say.span(limit)
        shorter = moves.change(
            case,
            f"ask for {most}, after which it would be ended",
            ("time_limit_s", str(queue.time_limit_s)),
        )
        return diagnosis(
            case,
            Kind.PARTITION_TIME_LIMIT,
            f"it can never start in queue {name}, which allows {most} per run; it asks for {asked}",
            [f"queue list: {name} allows {most}", f"job list: time limit {asked}"],
            *elsewhere,
            shorter,
        )
    return _too_many_nodes(case, queue, wanted, elsewhere) or _hardware(
        case, queue, wanted, elsewhere
    )


def _too_many_nodes(
    case: Case, queue: Queue, wanted: Demand, elsewhere: tuple[Candidate, ...]
) -> Diagnosis | None:
    there = len(case.nodes_of(queue))
    if queue.max_nodes is not None and wanted.nodes > queue.max_nodes:
        most, rule = queue.max_nodes, f"allows {say.counted(queue.max_nodes, 'node')} per run"
    elif there and wanted.nodes > there:
        most, rule = there, f"has {say.counted(there, 'node')}"
    else:
        return None
    fewer = moves.change(
        case,
        f"ask for {say.counted(most, 'node')} instead of {wanted.nodes}",
        ("nodes", str(most)),
        wanted=replace(wanted, nodes=most),
    )
    return diagnosis(
        case,
        Kind.PARTITION_NODE_LIMIT,
        f"it can never start in queue {queue.name}, which {rule}; it asks for {wanted.nodes}",
        [f"queue and node lists: {queue.name} {rule}"],
        *elsewhere,
        fewer,
    )


def _not_admitted(case: Case, queue: Queue, elsewhere: tuple[Candidate, ...]) -> Diagnosis:
    run = case.run
    evidence = [f"job list: account {run.account}, QOS {run.qos}"]
    if queue.accounts is not None and run.account not in queue.accounts:
        rule = f"takes {say.listed(queue.accounts, 'or')}"
        sentence = f"queue {queue.name} does not take account {run.account}: it {rule}"
        evidence.append(f"queue list: {queue.name} {rule}")
    elif queue.qos is not None and run.qos not in queue.qos:
        rule = f"takes QOS {say.listed(queue.qos, 'or')}"
        sentence = f"queue {queue.name} does not take QOS {run.qos}: it {rule}"
        evidence.append(f"queue list: {queue.name} {rule}")
    else:
        sentence = f"{run.user} may not use queue {queue.name} with account {run.account}"
        evidence.append(f"accounts: {run.user} has no association for {queue.name}")
    return diagnosis(
        case,
        Kind.ACCOUNT,
        sentence,
        evidence,
        *moves.other_qos(case),
        *moves.other_accounts(case),
        *elsewhere,
        moves.ask(f"an administrator admits it to queue {queue.name}"),
    )


def _hardware(
    case: Case, queue: Queue, wanted: Demand, elsewhere: tuple[Candidate, ...]
) -> Diagnosis | None:
    nodes = case.nodes_of(queue)
    rooms = fit.rooms(case, nodes, wanted)
    if not rooms or fit.enough(rooms, wanted, now=False):
        return None

    def could(other: Demand) -> bool:
        return fit.enough(fit.rooms(case, nodes, other), other, now=False)

    dropped = tuple(
        moves.change(case, f"drop {what}", (field, ""), wanted=other)
        for field, what, other in fit.constraints(wanted)
        if could(other)
    )
    lacks = [f"node list: {words}" for words in _grouped(rooms)]
    if not dropped and could(replace(wanted, memory_bytes=0)):
        return _memory(case, queue, wanted, lacks, elsewhere)
    if not dropped and could(replace(wanted, cpu_milli=0)):
        most = _nth(rooms, wanted, [r.node.cpu_milli or 0 for r in rooms]) // 1000
        asked = wanted.cpu_milli // 1000
        fewer = moves.change(
            case,
            f"ask for {most} CPUs per node",
            ("cpus", str(most * wanted.nodes)),
            wanted=replace(wanted, cpu_milli=1000 * most),
        )
        sentence = f"it asks for {asked} CPUs on one node; queue {queue.name} has {most} at most"
        return diagnosis(case, Kind.CPU_MEMORY, sentence, lacks, *elsewhere, fewer)
    most = _nth(rooms, wanted, [r.node.gpu_count for r in rooms])
    fewer_gpus: tuple[Candidate, ...] = ()
    if not wanted.spread and could(replace(wanted, gpus=most)):
        fewer_gpus = moves.fewer_gpus(case, wanted, most, "no node has more")
    suited = sum(1 for r in rooms if r.lacks is None)
    few = f"{suited or 'no'} node{'' if suited == 1 else 's'}"
    return diagnosis(
        case,
        Kind.BAD_CONSTRAINTS,
        f"it can never start in queue {queue.name}, where {few} can take it and it needs "
        f"{wanted.nodes}",
        lacks,
        *dropped,
        *elsewhere,
        *fewer_gpus,
        *moves.other_model(case, wanted),
    )


def _memory(
    case: Case,
    queue: Queue,
    wanted: Demand,
    lacks: list[str],
    elsewhere: tuple[Candidate, ...],
) -> Diagnosis:
    rooms = fit.rooms(case, case.nodes_of(queue), wanted)
    most = _nth(rooms, wanted, [r.node.memory_bytes or 0 for r in rooms])
    mib = most >> 20
    per_cpu = case.memory_per_cpu
    cpus = max(1, wanted.cpu_milli // 1000)
    change = ("memory_per_cpu", str(mib // cpus)) if per_cpu else ("memory_per_node", str(mib))
    sentence = (
        f"it asks for {say.size(wanted.memory_bytes)} of memory on one node; "
        f"queue {queue.name} has {say.size(most)} at most"
    )
    less = moves.change(
        case,
        f"ask for {say.size(most)} of memory per node",
        change,
        wanted=replace(wanted, memory_bytes=most),
    )
    return diagnosis(case, Kind.CPU_MEMORY, sentence, lacks, *elsewhere, less)


def _nth(rooms: tuple[Room, ...], wanted: Demand, amounts: list[int]) -> int:
    """The most that as many nodes as the run needs can each give."""
    return sorted(amounts, reverse=True)[min(wanted.nodes, len(rooms)) - 1]


def _grouped(rooms: tuple[Room, ...]) -> list[str]:
    """What the nodes lack, each thing once with its nodes."""
    found: dict[str, list[str]] = {}
    for room in rooms:
        if room.lacks:
            found.setdefault(room.lacks, []).append(room.node.name)
    return [f"{say.nodes(names)}: {lack}" for lack, names in found.items()]


def by_word(case: Case) -> Diagnosis | None:
    """The scheduler names a rule of the queue or the hardware that the lists do not show."""
    kind = kind_of(case.reason)
    words = _BY_WORD.get(kind)
    if words is None:
        return None
    wanted = fit.demand(case)
    dropped = tuple(
        moves.change(case, f"drop {what}", (field, ""))
        for field, what, _ in fit.constraints(wanted)
        if kind is Kind.BAD_CONSTRAINTS
    )
    return diagnosis(
        case,
        kind,
        words.format(queue=case.run.queue),
        [f"scheduler: {case.reason}; the queue and node lists show no such rule"],
        *dropped,
        *moves.other_queues(case, wanted),
    )


_BY_WORD = {
    Kind.PARTITION_DOWN: "queue {queue} does not start runs now",
    Kind.PARTITION_TIME_LIMIT: "its time limit is longer than queue {queue} allows",
    Kind.PARTITION_NODE_LIMIT: "it asks for another number of nodes than queue {queue} allows",
    Kind.BAD_CONSTRAINTS: "no set of nodes in queue {queue} meets all that it asks for",
    Kind.CPU_MEMORY: "it asks for more memory on a node, or per CPU, than queue {queue} allows",
}
