"""Runs side by side, as a page and as records."""

from __future__ import annotations

import math

import msgspec
import pytest

from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.experiments.compare import compare
from foundry_tui.experiments.nouns import Comparison, Evidence
from foundry_tui.presenters.compared import comparison_text
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.records.experiments import comparison_record
from foundry_tui.presenters.runreport import report_text
from tests.experiments.records import NOW, points, run, sided


@pytest.fixture
def two() -> Comparison:
    one = run(
        1,
        name="base",
        params={"lr": "1e-3", "bs": "32", "text": "word " * 40},
        metrics={"loss": math.nan},
        tags={"mlflow.source.git.commit": "c0ffee", "mlflow.user": "ann"},
        inputs=[("c4", "md5:1")],
        took_min=90,
    )
    other = run(2, name="wide", params={"lr": "5e-4", "bs": "32"}, metrics={"loss": 1.0})
    told = Evidence(environment=(safe("numpy==2"),))
    return compare(sided(one, other, evidence=[told, Evidence()]))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_only_what_differs_and_nothing_cut(two: Comparison, width: int) -> None:
    text = comparison_text(two, Style(width=width))
    lines = text.splitlines()
    assert all(cells(SafeText(line)) <= width for line in lines)
    assert "bs" not in text.split() and "…" not in text
    assert text.count("word") == 40
    assert "NaN" in text and "1h30m" in text
    assert "numpy" not in text, "the other record does not tell"
    assert any("alike; --all shows every row" in line for line in lines)
    assert "not known: wide:" in text and "no commit is" in text


def test_every_row(two: Comparison) -> None:
    text = comparison_text(two, Style(width=200), every=True, notes=["the server was slow"])
    assert any(line.split() == ["bs", "32", "32"] for line in text.splitlines())
    (line,) = [line for line in text.splitlines() if line.startswith("numpy")]
    assert line.split() == ["numpy", "2", "not", "known"]
    (line,) = [line for line in text.splitlines() if line.startswith("text")]
    assert line.endswith("—"), "one that has not logged it has none: that is known"
    assert "note: the server was slow" in text


def test_ascii(two: Comparison) -> None:
    assert comparison_text(two, Style(width=80, ascii=True), every=True).isascii()


def test_runs_that_are_alike() -> None:
    text = comparison_text(compare(sided(run(1), run(2))), Style(width=80))
    assert "Nothing that is recorded of all of them differs." in text


def test_record(two: Comparison) -> None:
    record = msgspec.json.decode(msgspec.json.encode(comparison_record(two, every=False)))
    rows = {row["key"]: row for row in record["rows"]}
    assert rows["loss"] == {
        "group": "result",
        "key": "loss",
        "same": False,
        "values": ["NaN", "1"],
        "numbers": [None, 1.0],
        "unknown": [],
    }
    assert rows["lr"]["values"] == ["1e-3", "5e-4"] and rows["lr"]["numbers"] is None
    assert [side["label"] for side in record["sides"]] == ["base", "wide"]
    assert record["sides"][0]["missing"] == []
    every = comparison_record(two, every=True)["rows"]
    (numpy,) = [row for row in every if row["key"] == "numpy"]
    assert (numpy["values"], numpy["unknown"], numpy["same"]) == (["2", None], [1], True)
    assert len(every) - len(rows) == record["alike"]


def test_report_draws_finite_curves(two: Comparison) -> None:
    base, wide = (side.run.run_id for side in two.sides)
    curves = {
        "loss": {base: points(3, 2, 1), wide: points(math.nan)},
        "acc": {},
    }
    text = report_text(two, curves, server="http://mlflow", made_at=NOW, ascii_only=True)
    assert text.count("### ") == 1 and "### loss of base: last 1 at step 2" in text
    braille = report_text(two, curves, server="http://mlflow", made_at=NOW)
    assert any(0x2800 < ord(char) < 0x2900 for char in braille)
    many = compare(sided(*(run(n, name=f"r{n}") for n in range(8))))
    lines = {side.run.run_id: points(1, 2) for side in many.sides}
    text = report_text(many, {"loss": lines}, server="http://mlflow", made_at=NOW)
    assert text.count("### ") == 6 and "the curves of the first 6" in text
