"""The JSON object that a command prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from foundry_tui.estate.source import Source
from foundry_tui.presenters.records.nouns import source_record


def envelope(
    noun: str,
    payload: object,
    *,
    sources: Iterable[Source],
    now: datetime,
    partial: Sequence[str] = (),
) -> bytes:
    """The JSON object around a payload, which stands under its noun.

    `partial` names in words what is missing from the payload.
    """
    import msgspec

    whole = {
        "schema": f"foundry.{noun}/1",
        "generated_at": now,
        "sources": [source_record(one, now) for one in sources],
        "partial": partial,
        noun: payload,
    }
    return msgspec.json.encode(whole) + b"\n"
