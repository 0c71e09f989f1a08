"""What the history knows of devices: what they are, and when they were on which node."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foundry_tui.estate.text import SafeText
from foundry_tui.store.history.values import maybe, text

_FACTS = """
SELECT d.id, s.name, d.node, d.idx, d.model, d.uuid, d.minor, d.mem_mib
FROM json_each(?) j JOIN device d ON d.id = j.value JOIN source s ON s.id = d.source ORDER BY d.id
"""

_ON = """
SELECT d.node, d.id, d.since, d.until FROM device d JOIN source s ON s.id = d.source
WHERE s.name = ? ORDER BY d.node, d.idx, d.since
"""

DeviceTime = tuple[int, int, int | None]
"""A device by its number, since when it is on its node and until when; None: still."""


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a device is, and where; None is not known. `minor` is the number of its device file."""

    source: str
    node: SafeText
    index: int
    model: SafeText | None
    uuid: SafeText | None
    minor: int | None
    mem_mib: int | None


def of(db: sqlite3.Connection, devices: Iterable[int]) -> dict[int, DeviceFacts]:
    """The facts of devices by their numbers; those that are not kept any more are left out."""
    asked = json.dumps([int(device) for device in devices])
    return {
        number: DeviceFacts(source, text(node), index, maybe(model), maybe(uuid), minor, memory)
        for number, source, node, index, model, uuid, minor, memory in db.execute(_FACTS, (asked,))
    }


def on(db: sqlite3.Connection, source: str) -> Mapping[str, tuple[DeviceTime, ...]]:
    """By node the devices that were ever on it, as far back as the history reaches."""
    found: dict[str, list[DeviceTime]] = {}
    for node, *stay in db.execute(_ON, (source,)):
        found.setdefault(text(node), []).append((stay[0], stay[1], stay[2]))
    return {node: tuple(stays) for node, stays in found.items()}
