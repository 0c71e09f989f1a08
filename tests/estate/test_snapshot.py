"""A snapshot's file: what is read back, and how a file that cannot be used is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import Any, get_type_hints

import pytest

from foundry_tui.estate import snapshot as module
from foundry_tui.estate.snapshot import SCHEMA, Snapshot, SnapshotError, decode, encode
from tests.presenters.estate import SNAPSHOT

NAIVE = "2026-03-14T09:30:00"


def test_a_snapshot_survives_its_file() -> None:
    assert decode(encode(SNAPSHOT)) == SNAPSHOT


@pytest.mark.parametrize("escape", [b"", b"\\u0041"])
def test_json_that_is_nested_too_deep_is_refused(escape: bytes) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    head = b'{"schema":"%s","y":"%s","x":' % (SCHEMA.encode(), escape)
    with pytest.raises(SnapshotError, match="nested too deep"):
        decode(head + deep + b"}")


def times() -> list[tuple[str, str]]:
    """Every field of the nouns that holds a time."""
    found = []
    for nouns, hint in get_type_hints(Snapshot).items():
        for noun in getattr(hint, "__args__", ())[:1]:
            hints = get_type_hints(noun) if hasattr(noun, "__slots__") else {}
            found += [(nouns, name) for name, kind in hints.items() if kind == datetime | None]
    return found


def test_every_time_of_every_noun_is_looked_at() -> None:
    assert sorted(times()) == sorted((n, t) for n, names in module._TIMES.items() for t in names)
    assert len(times()) >= 13
    assert [f.name for f in fields(Snapshot) if f.type == "datetime"] == ["generated_at"]


@pytest.mark.parametrize(("nouns", "name"), [("", "generated_at"), *times()])
def test_a_time_without_its_zone_is_refused_by_name(nouns: str, name: str) -> None:
    raw: dict[str, Any] = json.loads(encode(SNAPSHOT))
    (raw[nouns][1] if nouns else raw)[name] = NAIVE
    where = f"{nouns}[1].{name}" if nouns else name
    with pytest.raises(SnapshotError) as caught:
        decode(json.dumps(raw, ensure_ascii=False).encode())
    assert str(caught.value).startswith(f"{where}: {NAIVE} has no time zone")


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    raw = json.loads(encode(SNAPSHOT))
    raw["generated_at"] = "2026-03-14T10:30:00+01:00"
    assert decode(json.dumps(raw).encode()).generated_at == SNAPSHOT.generated_at
