"""Where pods can sit: fractions never span GPUs, N devices are N GPUs of one node, gangs whole."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.schedulers.runai.fake.cluster import WHOLE_MILLI, Cluster, Need, Node, Seat


def seats_for(cluster: Cluster, pods: Sequence[Need], pool: str) -> tuple[Seat, ...] | None:
    """A seat for each pod in the node pool, or None where one of them finds no place.

    Nothing stays booked. Nodes and GPUs are filled up before empty ones are begun.
    """
    seats: list[Seat] = []
    for need in pods:
        nodes = [n for n in cluster.nodes if n.pool == pool and n.status == "Ready"]
        nodes.sort(key=lambda n: sum(n.free_gpu_milli))
        seat = next((s for s in (_seat_on(node, need) for node in nodes) if s), None)
        if seat is None:
            break
        cluster.node(seat.node).take(seat)
        seats.append(seat)
    for seat in seats:
        cluster.node(seat.node).take(seat, -1)
    return tuple(seats) if len(seats) == len(pods) else None


def _seat_on(node: Node, need: Need) -> Seat | None:
    if need.cpu_milli > node.free_cpu_milli or need.memory_bytes > node.free_memory_bytes:
        return None
    milli = need.milli_on(node)
    fits = [gpu for gpu, free in enumerate(node.free_gpu_milli) if milli <= free]
    if milli > WHOLE_MILLI or len(fits) < need.devices:
        return None
    fits.sort(key=lambda gpu: node.free_gpu_milli[gpu])
    return Seat(
        node=node.name,
        gpus=tuple(sorted(fits[: need.devices])),
        milli=milli,
        cpu_milli=need.cpu_milli,
        memory_bytes=need.memory_bytes,
    )
