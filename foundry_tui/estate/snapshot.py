"""A snapshot: the whole estate at one moment, and its file.

The file is one JSON object with the record fields of the command line, so that a saved estate is
read with the same words as live output. Text in a file comes from outside like any other: it goes
through the safe-text door when the file holds anything but plain printable ASCII.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Run
from foundry_tui.estate.source import Source
from foundry_tui.estate.text import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = "foundry.snapshot/1"
_OURS = b'{"schema":"foundry.snapshot/1",'


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything seen at one moment, frozen. `partial` names what is missing, in words."""

    generated_at: datetime
    sources: tuple[Source, ...] = ()
    nodes: tuple[Node, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    queues: tuple[Queue, ...] = ()
    runs: tuple[Run, ...] = ()
    partial: tuple[str, ...] = ()

    @property
    def estate_id(self) -> str:
        """Which estate a plan was made for: a digest of the sources and node names."""
        words = sorted(f"{s.kind}:{s.name}" for s in self.sources)
        words += sorted(f"{n.source}/{n.name}" for n in self.nodes)
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


class SnapshotError(ValueError):
    """A snapshot file that cannot be read: says which field and why."""


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as a JSON file, times in RFC 3339 UTC."""
    import msgspec

    return msgspec.json.encode({"schema": SCHEMA, **_fields(snapshot)}) + b"\n"


def decode(data: bytes) -> Snapshot:
    """Read a snapshot file.

    Raises:
        SnapshotError: the bytes are no JSON, of another schema, or a field has a wrong type.
    """
    import msgspec

    try:
        if _suspect(data):
            raw = _safe_tree(msgspec.json.decode(data))
            _check_schema(raw.get("schema") if isinstance(raw, dict) else None)
            return msgspec.convert(raw, Snapshot)
        if not data.startswith(_OURS):
            _check_schema(msgspec.json.decode(data, type=_Head).schema)
        return msgspec.json.decode(data, type=Snapshot)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"not a snapshot file of foundry: {error}") from error
    except UnicodeDecodeError as error:
        raise SnapshotError(f"not a snapshot file of foundry: {error}") from error


def _suspect(data: bytes) -> bool:
    """Whether a text in the file may be anything but printable ASCII.

    JSON itself forbids raw control characters in strings, so only escapes can bring them in.
    """
    return not data.isascii() or b"\\" in data or b"\x7f" in data


@dataclass(frozen=True, slots=True)
class _Head:
    schema: str | None = None


def _check_schema(schema: object) -> None:
    if schema != SCHEMA:
        raise SnapshotError(f"schema: {SCHEMA} is read here, the file says {schema!r}")


def _fields(snapshot: Snapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in Snapshot.__slots__}


def _safe_tree(value: object) -> Any:
    """Every string below `value` made safe; keys of objects too."""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else safe(value)
    if isinstance(value, dict):
        return {safe(k): _safe_tree(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_safe_tree(v) for v in value]
    return value


def find_run(runs: Iterable[Run], run_id: str) -> Run | None:
    """The run with this estate-wide id, or None."""
    return next((r for r in runs if r.id == run_id), None)
