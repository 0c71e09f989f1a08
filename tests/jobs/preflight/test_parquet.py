"""Parquet against a schema, with files that pyarrow wrote."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.jobs.preflight import data, parquet
from foundry_tui.jobs.preflight.schema import load
from foundry_tui.jobs.preflight.tables import Judged, Unreadable, judge_file
from foundry_tui.jobs.preflight.verdict import State
from foundry_tui.jobs.spec import Data

ALL = b"""
columns:
  id: {dtype: int, unique: true, min: 0}
  price: {dtype: float, null_share: 0.1, mean: [0, 10]}
  cost: {dtype: float, max: 3}
  label: {dtype: text, allowed: [cat, dog]}
  kind: text
  good: bool
  at: {dtype: timestamp, min: 2020-01-01, max: 2030-01-01}
  day: {dtype: timestamp, min: 2020-01-01}
"""


def write(path: Path, columns: Mapping[str, Any], group_rows: int = 1000) -> Path:
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table(dict(columns)), path, row_group_size=group_rows)
    return path


def right(rows: int = 10) -> dict[str, Any]:
    import pyarrow as pa

    return {
        "id": list(range(rows)),
        "price": [None, *([1.5] * (rows - 1))],
        "cost": [Decimal("2.50")] * rows,
        "label": pa.array(["cat"] * rows).dictionary_encode(),
        "kind": ["\x1b[2J"] * rows,
        "good": [True] * rows,
        "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * rows, pa.timestamp("ns", "UTC")),
        "day": [date(2026, 1, 1)] * rows,
    }


def judged(path: Path, schema: bytes = ALL) -> Judged:
    return judge_file(path, load("s.yaml", schema))


def test_a_file_that_holds_to_its_schema_passes(tmp_path: Path) -> None:
    found = judged(write(tmp_path / "a.parquet", right()))
    assert (found.findings, found.looked, found.rows) == ((), "all 10 rows", 10)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("id", -1, "row 4: expected at least 0, found the number -1"),
        ("id", 0, "row 4: expected each value once, found the number 0"),
        ("cost", Decimal("3.50"), "row 4: expected at most 3, found the number 3.5"),
        ("kind", None, None),
        ("day", date(2019, 12, 31), "row 4: expected at least 2020-01-01T00:00:00Z, found"),
    ],
)
def test_each_wrong_value_is_named_by_column_and_row(
    tmp_path: Path, column: str, value: object, words: str | None
) -> None:
    columns = right()
    columns[column][3] = value
    found = judged(write(tmp_path / "a.parquet", columns)).findings
    if words is None:
        assert found == ()
        return
    assert found[0].column == column
    assert found[0].words.startswith(words)


def test_types_and_columns_are_those_of_the_file(tmp_path: Path) -> None:
    columns = right() | {"id": ["1"] * 10, "extra": [[1]] * 10}
    del columns["good"]
    schema = b"extra_columns: false" + ALL
    words = {f.column: f.words for f in judged(write(tmp_path / "a", columns), schema).findings}
    assert words["id"] == "expected int, found the Parquet type string"
    assert words["extra"] == "expected no column of that name, found one"
    assert words["good"].startswith("expected this column, found none of that name")


def test_of_a_large_file_a_spread_of_rows_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "LOOKED_ROWS", 5000)
    monkeypatch.setattr(parquet, "GROUPS", 4)
    ids = list(range(20_000))
    ids[15_000] = -1
    path = write(tmp_path / "large.parquet", {"id": ids}, group_rows=2500)
    found = judged(path, b"columns: {id: {dtype: int, min: 0}}")
    assert found.looked == "4,000 of 20,000 rows, the first of 4 of its 8 row groups"
    assert [f.words for f in found.findings] == [
        "row 15,001: expected at least 0, found the number -1"
    ]


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", right())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Unreadable, match="the Parquet file cannot be read"):
        judged(path)
    path.write_text("id\n1\n")
    with pytest.raises(Unreadable, match="does not begin with PAR1"):
        judged(path)


def test_without_pyarrow_the_check_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.parquet", right())
    (tmp_path / "s.yaml").write_bytes(ALL)
    whole = builtins.__import__

    def lacking(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return whole(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", lacking)
    entry = Data(name="x", path="a.parquet", schema="s.yaml")
    (check,) = data.check(entry, tmp_path / "a.parquet", tmp_path)
    assert check.state is State.SKIPPED
    assert "foundry-tui[data]" in check.words
