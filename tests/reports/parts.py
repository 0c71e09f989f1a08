"""Tries, and what they add up to, for the tests of reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.usage import UsageRecord

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
MARCH_S = int(MARCH.timestamp())


def at(seconds: float) -> datetime:
    """Seconds after the begin of March."""
    return MARCH + timedelta(seconds=seconds)


def try_of(raw_id: str = "17", **fields: Any) -> UsageRecord:
    """Two GPUs for an hour on one node, after a minute of waiting."""
    base = UsageRecord(
        source="lab",
        native_id=raw_id,
        raw_id=raw_id,
        name=safe("train"),
        user="alice",
        account="nlp",
        queue="prod",
        qos="normal",
        state=RunState.COMPLETED,
        submitted_at=at(0),
        eligible_at=at(40),
        started_at=at(100),
        ended_at=at(3700),
        nodes=("a01",),
        gpu_count=2,
        gpu_milli=2000,
        gpu_model="h100",
        exit_code=0,
    )
    if fields.get("gpu_count") is not None:
        fields.setdefault("gpu_milli", 1000 * fields["gpu_count"])
    return replace(base, **fields)
