"""Hosts without a scheduler: their GPUs as the readings alone tell of them.

A workstation has no queue and nobody who gives its GPUs out, so that nothing is known of who holds
them; what they do is known all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe

REASON = safe("no scheduler gives its GPUs out")


def estate(readings: Iterable[Reading], now: datetime) -> Snapshot:
    """A node per host and a GPU per device, without the values: these are joined to them later.

    A GPU that two sources measure is one, of the source that names it first.
    """
    by_node: dict[str, dict[int, Reading]] = {}
    for reading in readings:
        by_node.setdefault(reading.node, {}).setdefault(reading.index, reading)
    nodes, gpus = [], []
    for name, made in sorted(by_node.items()):
        first = made[min(made)]
        models = {r.model for r in made.values()}
        nodes.append(
            Node(
                name=name,
                source=first.source,
                state=NodeState.UNKNOWN,
                gpu_model=models.pop() if len(models) == 1 else None,
                gpu_count=len(made),
                reason=REASON,
                read_at=max(r.read_at for r in made.values()),
            )
        )
        gpus += [
            Gpu(
                node=name,
                index=index,
                source=first.source,
                model=made[index].model,
                uuid=made[index].uuid,
                tenants=None,
                how=REASON,
            )
            for index in sorted(made)
        ]
    return Snapshot(generated_at=now, nodes=tuple(nodes), gpus=tuple(gpus))
