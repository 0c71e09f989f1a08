"""Which GPU a number stands for: one per device and stay, so that a swapped one is another.

A GPU is expected to be measured from the first window it was in the estate, or was measured, to
the last. Only a source that answers can take it out of the estate.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from foundry_tui.estate.gpu import Gpu
from foundry_tui.store.history.shapes import GpuKey
from foundry_tui.store.history.values import MIB, maybe, text


@dataclass(slots=True)
class Device:
    """One stay of one GPU; `since` is the begin of its first window, `until` the end of its last.

    `node` and the texts are as the history keeps them.
    """

    id: int
    source: int
    uuid: str | None
    model: str | None
    minor: int | None
    mem_mib: int | None
    since: int
    until: int | None = None

    def other_than(self, uuid: str | None) -> bool:
        """Whether this is surely another device than the one with `uuid`."""
        return uuid is not None and self.uuid is not None and uuid != self.uuid

    def learn(self, gpu: Gpu) -> bool:
        """Take over what a GPU tells of itself; whether something is new."""
        memory = gpu.mem_total_bytes
        mem_mib = self.mem_mib if memory is None else -(-memory // MIB)
        minor = self.minor if gpu.minor is None else gpu.minor
        uuid, model = maybe(gpu.uuid) or self.uuid, maybe(gpu.model) or self.model
        new = (uuid, model, minor, mem_mib)
        if new == (self.uuid, self.model, self.minor, self.mem_mib):
            return False
        self.uuid, self.model, self.minor, self.mem_mib = new
        return True


_COLUMNS = "id, source, uuid, model, minor, mem_mib, since, until"


class Devices:
    """The devices that are in the estate now, by source, node and index."""

    def __init__(self) -> None:
        self.here: dict[GpuKey, Device] = {}
        self._next_id = 1

    def load(self, db: sqlite3.Connection) -> None:
        """Take over what is in the file."""
        query = (
            f"SELECT s.name, d.node, d.idx, {', '.join('d.' + c for c in _COLUMNS.split(', '))} "
            "FROM device d JOIN source s ON s.id = d.source WHERE d.until IS NULL"
        )
        self.here = {
            (name, node, index): Device(*rest) for name, node, index, *rest in db.execute(query)
        }
        (last,) = db.execute("SELECT max(id) FROM device").fetchone()
        self._next_id = (last or 0) + 1

    def meet(
        self, db: sqlite3.Connection, key: GpuKey, gpu: Gpu, source: int, ts: int, step: int
    ) -> tuple[Device, Device | None]:
        """The device at a place now, and the one that went when it was swapped."""
        device = self.here.get(key)
        gone = None
        if device is not None and device.other_than(maybe(gpu.uuid)):
            gone, device = device, None
        if device is None:
            device = self.here[key] = self._new(db, key, gpu, source, ts - step, None)
        elif device.learn(gpu):
            _keep(db, device)
        return device, gone

    def leave(self, db: sqlite3.Connection, device: Device, until: int) -> None:
        """Take a device out of the estate; `until` is the end of its last window."""
        device.until = max(until, device.since)
        _keep(db, device)

    def reach_back(self, db: sqlite3.Connection, device: Device, since: int) -> None:
        """A device was measured before it was known: it was there already."""
        device.since = since
        _keep(db, device)

    def then(
        self, db: sqlite3.Connection, key: GpuKey, gpu: Gpu, source: int, ts: int, step: int
    ) -> tuple[Device, int] | None:
        """The device that was measured at a place in an earlier window, `ts` its end.

        A stay that holds the window is taken; None when it is another device's. Else the nearest
        stay of the same device is made longer, else there was a short one of which nobody knew.
        With it comes the first window since which it counts as there.
        """
        here = self.here.get(key)
        if here is not None and here.since < ts and not here.other_than(maybe(gpu.uuid)):
            return here, ts  # as nearly always: without asking the file for each of them
        rows = db.execute(
            f"SELECT {_COLUMNS} FROM device WHERE source = ? AND node = ? AND idx = ?",
            (source, text(key[1]), key[2]),
        )
        stays = [Device(*row) for row in rows]
        stays = [self.here[key] if key in self.here and s.until is None else s for s in stays]
        same = [s for s in stays if not s.other_than(maybe(gpu.uuid))]
        for stay in stays:
            if stay.since < ts and (stay.until is None or ts <= stay.until):
                return (stay, ts) if stay in same else None
        reach = [s for s in same if not _between(stays, s, ts)]
        if not reach:
            return self._new(db, key, gpu, source, ts - step, ts), ts
        stay = min(reach, key=lambda s: min(abs(s.since - ts), abs((s.until or s.since) - ts)))
        first = ts
        if ts <= stay.since:
            stay.since = ts - step
        else:
            first, stay.until = (stay.until or ts) + step, ts
        _keep(db, stay)
        return stay, first

    def _new(
        self,
        db: sqlite3.Connection,
        key: GpuKey,
        gpu: Gpu,
        source: int,
        since: int,
        until: int | None,
    ) -> Device:
        device = Device(self._next_id, source, None, None, None, None, since, until)
        device.learn(gpu)
        self._next_id += 1
        db.execute(
            "INSERT INTO device (id, source, node, idx, since) VALUES (?, ?, ?, ?, ?)",
            (device.id, source, text(key[1]), key[2], since),
        )
        _keep(db, device)
        return device


def _between(stays: list[Device], stay: Device, ts: int) -> bool:
    """Whether another stay lies between a stay and a window."""
    low, high = min(ts, stay.since), max(ts, stay.since)
    return any(low <= s.since <= high for s in stays if s.id != stay.id)


def _keep(db: sqlite3.Connection, device: Device) -> None:
    db.execute(
        "UPDATE device SET uuid = ?, model = ?, minor = ?, mem_mib = ?, since = ?, until = ? "
        "WHERE id = ?",
        (device.uuid, device.model, device.minor, device.mem_mib, device.since, device.until,
         device.id),
    )  # fmt: skip
