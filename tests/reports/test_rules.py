"""The rules of the reports, each of which some test must name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
RULES = (
    "GPU-hours from the plain count, else the typed ones",
    "time is clipped at the window, half open",
    "one command, checked rows, rejects counted",
    "several records of one id",
    "a requeue submits anew",
    "arrays and heterogeneous jobs",
    "telemetry joins by node and device",
    "active, idle and unknown; missing is not zero",
    "MIG, shards and fractions by weight",
    "the parts add up, and equal accounting",
    "running, lost and runaway tries",
    "accounts are a tree that is not counted twice",
    "percentiles by nearest rank",
    "money is decimal and prices have times",
    "everything in UTC",
    "Run:ai by its API, a restart is a new try",
)


@pytest.mark.parametrize("number", range(1, len(RULES) + 1))
def test_some_test_names_the_rule(number: int) -> None:
    name = re.compile(rf"def test_(?:r\d\d_)*r{number:02}_")
    files = (path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    assert any(name.search(text) for text in files), RULES[number - 1]
