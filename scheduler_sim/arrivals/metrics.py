"""What decisions are worth: GPU share allocated and stranded as pods arrive.

After every arrival, arrived % is the GPU share requested so far, placed or not, over that of the
cluster. The value of a quantity at column c is its mean over all arrivals whose arrived %, rounded
to a whole number, is c; c = 130 is the published headline. Sums are integers until the last
division, so that the numbers are the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from scheduler_sim.arrivals.arrays import NodeArrays, node_arrays
from scheduler_sim.arrivals.decisions import REFUSED, Decisions
from scheduler_sim.arrivals.ledger import states
from scheduler_sim.arrivals.state import CPU, node_table
from scheduler_sim.arrivals.stranding import Stranding, stranding, typical_pods
from scheduler_sim.arrivals.stream import Stream
from scheduler_sim.arrivals.trace import Trace
from scheduler_sim.arrivals.vectors import stranded

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """State of the cluster after each arrival, in thousandths of GPU: (arrivals,).

    `served` counts the original request of what was placed. `stranded` is the measure F of
    `scheduler_sim.fragmentation` times `weight`.
    """

    arrived: Ints
    allocated: Ints
    served: Ints
    stranded: Ints
    weight: int
    capacity_milli: int

    def at(self, values: Ints, column: int, weight: int = 1) -> float | None:
        """Mean of values / weight in % of the cluster at a column; None where no arrival is."""
        rounded = (200 * self.arrived + self.capacity_milli) // (2 * self.capacity_milli)
        here = values[rounded == column]
        if not here.size:
            return None
        return float(100 * int(here.sum()) / (here.size * weight * self.capacity_milli))


def curve(
    trace: Trace, stream: Stream, decisions: Decisions, original: Trace | None = None
) -> Curve:
    """The course of an experiment.

    `original` is the trace before requests were cut, with the same pods: what it asked for is what
    arrives and what is served. Without it nothing was cut.

    Raises:
        ValueError: a decision breaks a rule, as `ledger.check`.
    """
    placed = decisions.node != REFUSED
    milli = _milli(trace)[stream.kinds]
    asked = milli if original is None else _milli(original)[original.kind_of[stream.pods]]
    tables = stranding(trace, typical_pods(trace))
    return Curve(
        arrived=asked.cumsum(),
        allocated=np.where(placed, milli, 0).cumsum(),
        served=np.where(placed, asked, 0).cumsum(),
        stranded=_stranded(trace, stream, decisions, tables),
        weight=tables.total,
        capacity_milli=trace.capacity_milli,
    )


def metrics(
    trace: Trace,
    stream: Stream,
    decisions: Decisions,
    original: Trace | None = None,
    course: Curve | None = None,
) -> dict[str, float | int | None]:
    """The numbers of one experiment; None where no arrival falls into the column.

    `first_refusal_pct` is arrived % with the first refused pod, and that of a full list where
    nothing was refused. `course` spares computing the curve again.

    Raises:
        ValueError: a decision breaks a rule, as `ledger.check`.
    """
    course = curve(trace, stream, decisions, original) if course is None else course
    refused = np.flatnonzero(decisions.node == REFUSED)
    turned_away = [trace.kinds[kind] for kind in stream.kinds[refused].tolist()]
    first = 100 * stream.inflate
    if refused.size:
        first = 100 * int(course.arrived[refused[0]]) / trace.capacity_milli
    return {
        "alloc_pct_at_100": course.at(course.allocated, 100),
        "alloc_pct_at_130": course.at(course.allocated, 130),
        "frag_pct_at_130": course.at(course.stranded, 130, course.weight),
        "first_refusal_pct": first,
        "refused_8gpu_milli": sum(kind.total_milli for kind in turned_away if kind.gpus == 8),
        "migrations": len(decisions.moves),
        "served_pct_of_original": course.at(course.served, 130),
    }


def _milli(trace: Trace) -> Ints:
    return np.array([kind.total_milli for kind in trace.kinds], dtype=np.int64)


def _stranded(trace: Trace, stream: Stream, decisions: Decisions, tables: Stranding) -> Ints:
    """N F of the whole cluster after each arrival."""
    empty = node_arrays(trace, stream)
    at_first = node_table(empty)
    before = stranded(at_first, at_first[:, CPU], tables)
    rows = list(states(trace, stream, decisions))
    rises = np.zeros(stream.kinds.size, dtype=np.int64)
    if rows:
        node = np.array([row[1] for row in rows], dtype=np.int64)
        left = np.zeros((len(rows), empty.gpu_left.shape[1]), dtype=np.int32)
        for i, row in enumerate(rows):
            left[i, : len(row[2])] = row[2]
        cpu = np.array([row[3] for row in rows], dtype=np.int64)
        later = node_table(NodeArrays(left, cpu, cpu, empty.model[node], empty.gpus[node]))
        of_rows = _rises(before, node, stranded(later, cpu, tables))
        np.add.at(rises, [row[0] for row in rows], of_rows)
    return cast(Ints, before.sum() + rises.cumsum())


def _rises(before: Ints, node: Ints, after: Ints) -> Ints:
    """By how much each row changes the value of its node."""
    order = np.argsort(node, kind="stable")
    sorted_node, sorted_after = node[order], after[order]
    previous = np.concatenate(([0], sorted_after[:-1]))
    first = np.concatenate(([True], sorted_node[1:] != sorted_node[:-1]))
    rises = np.empty_like(after)
    rises[order] = sorted_after - np.where(first, before[sorted_node], previous)
    return rises
