"""A snapshot: the whole estate at one moment, and its file.

The file is one JSON object with the nouns' own fields, which are not those of the command line's
records. Text in a file comes from outside like any other: it goes through the safe-text door when
the file holds anything but plain printable ASCII.
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
_TIMES = {
    "sources": ("read_at",),
    "nodes": ("reason_since", "read_at"),
    "gpus": ("idle_since", "read_at"),
    "queues": ("created_at", "read_at"),
    "runs": (
        "submitted_at",
        "eligible_at",
        "started_at",
        "ended_at",
        "ends_by",
        "estimated_start_at",
        "read_at",
    ),
}


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

    def source_id(self, name: str) -> str:
        """What one source looks like: how many nodes it has, and a digest of their names.

        A plan says so of each source that it was made for. It is no proof of being the same
        cluster, but one of other nodes is told apart.
        """
        kinds = [s.kind for s in self.sources if s.name == name]
        names = sorted(n.name for n in self.nodes if n.source == name)
        words = "\n".join((*kinds, *names))
        return f"{len(names)} nodes {hashlib.sha256(words.encode()).hexdigest()[:12]}"


class SnapshotError(ValueError):
    """A snapshot file that cannot be read: says which field and why."""


def encode(snapshot: Snapshot) -> bytes:
    """The snapshot as a JSON file, times in RFC 3339 UTC."""
    import msgspec

    return msgspec.json.encode({"schema": SCHEMA, **_fields(snapshot)}) + b"\n"


def decode(data: bytes) -> Snapshot:
    """Read a snapshot file.

    Raises:
        SnapshotError: the bytes are no JSON, of another schema, or a field has a wrong type; a
            time without its zone is one.
    """
    snapshot = _decoded(data)
    _check_zones(snapshot)
    return snapshot


def _decoded(data: bytes) -> Snapshot:
    import msgspec

    try:
        if suspect(data):
            raw = safe_tree(msgspec.json.decode(data))
            _check_schema(raw.get("schema") if isinstance(raw, dict) else None)
            return msgspec.convert(raw, Snapshot)
        if not data.startswith(_OURS):
            _check_schema(msgspec.json.decode(data, type=_Head).schema)
        return msgspec.json.decode(data, type=Snapshot)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"not a snapshot file of foundry: {error}") from error
    except UnicodeDecodeError as error:
        raise SnapshotError(f"not a snapshot file of foundry: {error}") from error
    except RecursionError as error:
        raise SnapshotError("not a snapshot file of foundry: it is nested too deep") from error


def _check_zones(snapshot: Snapshot) -> None:
    """Refuse a time without a zone: no age could be told from it, and arithmetic on it fails."""
    if snapshot.generated_at.tzinfo is None:
        raise _no_zone("generated_at", snapshot.generated_at)
    for nouns, times in _TIMES.items():
        for number, noun in enumerate(getattr(snapshot, nouns)):
            for name in times:
                time = getattr(noun, name)
                if time is not None and time.tzinfo is None:
                    raise _no_zone(f"{nouns}[{number}].{name}", time)


def _no_zone(where: str, time: datetime) -> SnapshotError:
    return SnapshotError(f"{where}: {time.isoformat()} has no time zone; write it with a Z for UTC")


def suspect(data: bytes) -> bool:
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


def safe_tree(value: object) -> Any:
    """Every string below `value` made safe; keys of objects too."""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else safe(value)
    if isinstance(value, dict):
        return {safe(k): safe_tree(v) for k, v in value.items()}
    if isinstance(value, list):
        return [safe_tree(v) for v in value]
    return value


def find_run(runs: Iterable[Run], run_id: str) -> Run | None:
    """The run with this estate-wide id, or None."""
    return next((r for r in runs if r.id == run_id), None)
