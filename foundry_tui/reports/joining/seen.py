"""Which devices a try held when, as the history saw it.

Accounting names nodes and counts, never devices. The history keeps who held which device; where
nobody looked, a run that held all GPUs of its nodes can only have held these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from foundry_tui.estate.gpu import WHOLE_MILLI, Share
from foundry_tui.estate.run import run_id
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.reports.joining.lines import Times, spread
from foundry_tui.reports.part import Lines

if TYPE_CHECKING:
    from foundry_tui.reports.part import Ints
    from foundry_tui.store.history import Past

DeviceTime = tuple[int, int, int | None]
"""A device by its number, since when it is on its node and until when; None: still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Stretches `since <= t < until` in which a line held `milli` thousandths of a device.

    `joint`: others held a part of it meanwhile. All of one length.
    """

    line: Ints
    device: Ints
    since: Ints
    until: Ints
    milli: Ints
    joint: Ints

    def joined(self, other: Seen) -> Seen:
        """Both."""
        return Seen(
            **{n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__}
        )


def by_holdings(
    past: Past, records: Sequence[UsageRecord], lines: Lines, times: Times, edges: Sequence[int]
) -> tuple[Seen, Ints]:
    """What the history saw the lines hold within their own time and the window.

    Two tries of one run have one name: each gets what lies in its time. Readings are of whole
    devices, so that those of a MIG instance are never its own alone. What a device did while its
    run was suspended is not the run's; the lines that were are the second thing that comes back.
    """
    names: dict[str, int] = {}
    run = np.empty(len(lines.record), np.int64)
    for line, place in enumerate(lines.record.tolist()):
        record = records[place]
        # Slurm's live list knows a part of a heterogeneous job by its raw id alone
        native = record.native_id if record.het_offset is None else record.raw_id
        run[line] = names.setdefault(run_id(record.source, native), len(names))
    held = past.holdings(tuple(names), edges[0], edges[-1])
    of_instances = np.fromiter((s is Share.MIG for s in held.share), bool, len(held.run))
    order = np.argsort(run, kind="stable")
    begins = np.searchsorted(run[order], held.run, "left")
    counts = np.searchsorted(run[order], held.run, "right") - begins
    counts[held.milli < 0] = 0
    stretch, within = spread(counts)
    line = order[begins[stretch] + within]
    since = np.maximum(held.since[stretch], times.start[line]).clip(edges[0])
    until = np.minimum(held.until[stretch], times.end[line]).clip(None, edges[-1])
    keep = (until > since) & _of_its_kind(past, held.device[stretch], line, lines)
    resting = line[keep & held.suspended[stretch]]
    keep &= ~held.suspended[stretch]
    found = Seen(
        line=line[keep],
        device=held.device[stretch][keep],
        since=since[keep],
        until=until[keep],
        milli=held.milli[stretch][keep],
        joint=(held.joint | of_instances)[stretch][keep].astype(np.int64),
    )
    return found, resting


def _of_its_kind(past: Past, device: Ints, line: Ints, lines: Lines) -> Ints:
    """Whether each device is one of its line's: a try with several kinds of GPU has several lines.

    A device whose model fits no line of its try belongs to the one that names none, or the first.
    """
    fits = np.ones(len(line), bool)
    siblings = np.bincount(lines.record, minlength=1)[lines.record] > 1
    several = np.flatnonzero(siblings[line])
    if not len(several):
        return fits
    facts = past.devices_of(sorted(set(device[several].tolist())))
    of_record: dict[int, list[int]] = {}
    for number, place in enumerate(lines.record.tolist()):
        of_record.setdefault(place, []).append(number)
    for at in several.tolist():
        mine = of_record[int(lines.record[line[at]])]
        model = (facts[int(device[at])].model or "").casefold()
        fitting = [n for n in mine if (lines.gpu_type[n] or "\0").casefold() in model]
        unnamed = [n for n in mine if lines.gpu_type[n] is None]
        best = (fitting or unnamed or mine)[0]
        fits[at] = best == line[at]
    return fits


def by_whole_nodes(
    past: Past, records: Sequence[UsageRecord], lines: Lines, times: Times, wanted: Ints
) -> Seen:
    """The devices of the `wanted` lines that held every GPU of their nodes from begin to end."""
    rows: list[tuple[int, int, int, int]] = []
    on: dict[str, dict[str, tuple[DeviceTime, ...]]] = {}
    for line in wanted.tolist():
        record = records[int(lines.record[line])]
        if lines.share[line] is not Share.WHOLE or not record.nodes:
            continue
        if record.source not in on:
            on[record.source] = dict(past.devices_on(record.source))
        nodes = on[record.source]
        start, end = int(times.start[line]), int(times.end[line])
        found = [
            device
            for node in record.nodes
            for device, since, until in nodes.get(node, ())
            if since < end and (until is None or until > start)
        ]
        if len(found) == int(lines.count[line]) and all(nodes.get(n) for n in record.nodes):
            rows += [(line, device, start, end) for device in found]
    table = np.array(rows, np.int64).reshape(-1, 4)
    return Seen(
        line=table[:, 0],
        device=table[:, 1],
        since=table[:, 2],
        until=table[:, 3],
        milli=np.full(len(table), WHOLE_MILLI, np.int64),
        joint=np.zeros(len(table), np.int64),
    )
