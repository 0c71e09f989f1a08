"""The tracked side of a run, as text and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import records
from foundry_tui.presenters.details import run_details
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.tracked import MOST_PARAMS, metric_text, sync_text, tracked_lines
from tests.presenters.estate import NOW, RUNS

LLAMA = safe("llama")
AT = datetime(2026, 11, 21, 2, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Value:
    step: int
    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    status: str = "RUNNING"
    started_at: datetime | None = AT
    ended_at: datetime | None = None
    params: dict[str, SafeText] = field(default_factory=dict)
    metrics: dict[str, Value] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    server: str | None = "https://mlflow.example.org"
    experiment: SafeText | None = LLAMA
    mlflow_run_id: str | None = "r1"
    address: str | None = "https://mlflow.example.org/#/experiments/1/runs/r1"
    record: Record | None = None
    reason: SafeText | None = None
    note: str | None = None
    at_risk: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    source: str = "lab"
    token: str = "t0ken1"
    native_id: str | None = "17"
    mlflow_run_id: str | None = "r1"
    experiment: str = "llama"
    state: str | None = "cancelled"
    before: str | None = "RUNNING"
    after: str | None = "KILLED"
    did: str = "wrote"
    words: str = "RUNNING -> KILLED: the job is cancelled"


FULL = Side(
    record=Record(
        params={"lr": safe("0.003")},
        metrics={
            "loss": Value(3, AT, 0.123456789),
            "bad": Value(3, AT, math.nan),
            "high": Value(3, AT, math.inf),
            "low": Value(3, AT, -1.797e308),
        },
    )
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (123456789.0, "1.23457e+08"),
        (0.0, "0"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (1.797e308, "∞"),
    ],
)
def test_a_metric(value: float, text: str) -> None:
    assert metric_text(value) == text


def test_a_record_as_text() -> None:
    text = run_details(RUNS[0], now=NOW, style=Style(width=100), tracked=FULL)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "experiment llama",
        "record r1",
        "status RUNNING",
        "page https://mlflow.example.org/#/experiments/1/runs/r1",
        "lr 0.003",
        "loss 0.123457 (step 3, 11-21 02:31Z)",
        "bad NaN (step 3, 11-21 02:31Z)",
        "high ∞ (step 3, 11-21 02:31Z)",
        "low -∞ (step 3, 11-21 02:31Z)",
    ):
        assert line in lines, text


def test_a_record_that_is_not_there_says_why() -> None:
    side = Side(address=None, reason=safe("no answer within 5 s"))
    lines = tracked_lines(side, Style())
    assert any("not known" in line and "no answer within 5 s" in line for line in lines)
    assert not any("status" in line for line in lines)


def test_hostile_tags_and_many_params() -> None:
    many = {f"p{n:03}": safe("1") for n in range(MOST_PARAMS + 7)}
    record = Record(params=many, tags={"foundry.reason": "x\x1b[31m\ny"})
    lines = tracked_lines(replace(FULL, record=record), Style())
    assert "\x1b" not in "".join(lines)
    assert "  and 7 more" in lines


def test_a_record_as_json() -> None:
    shown: Any = records.tracked_record(FULL)
    assert shown is not None
    assert shown["metrics"]["loss"]["value"] == 0.123456789
    for key, word in (("bad", "NaN"), ("high", "∞"), ("low", "-∞")):
        assert (shown["metrics"][key]["value"], shown["metrics"][key]["shown"]) == (None, word)
    payload = records.envelope("runs", [{"mlflow": shown}], sources=(), now=NOW)
    read = json.loads(payload)
    assert read["runs"][0]["mlflow"]["started_at"] == "2026-11-21T02:31:00Z"
    assert records.tracked_record(None) is None
    bare: Any = records.tracked_record(Side(reason=safe("gone")))
    assert (bare["status"], bare["params"], bare["reason"]) == (None, {}, "gone")


def test_what_a_pass_did() -> None:
    text = sync_text([Item(), Item(native_id=None, state=None, did="waits")], Style(width=200))
    first, second = text.splitlines()[1:]
    assert first.split()[:5] == ["lab/17", "cancelled", "RUNNING", "KILLED", "wrote"]
    assert second.split()[:2] == ["t0ken1", "—"]
    assert "nothing to do" in sync_text([], Style())
    shown = records.sync_record(Item())
    assert (shown["run"], shown["after"], shown["did"]) == ("lab/17", "KILLED", "wrote")
    assert records.sync_record(Item(native_id=None))["run"] is None
