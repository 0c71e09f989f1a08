"""The schema checker: what holds passes, and each single thing that does not is found and named."""

from __future__ import annotations

import csv
import io
import string
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.preflight.judge import Judge, parse, quantile
from foundry_tui.jobs.preflight.schema import Column, Dtype, Schema, Within
from foundry_tui.jobs.preflight.tables import Judged, judge_file

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\r"),
    min_size=1,
    max_size=12,
)
NAMES = st.lists(
    st.text(string.ascii_letters + "_ ,\"'é", min_size=1, max_size=8).filter(str.strip),
    min_size=1,
    max_size=5,
    unique=True,
)
START = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Table:
    """A schema, and cells that hold to it."""

    schema: Schema
    rows: list[list[str]]

    def write(self, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerow([c.name for c in self.schema.columns])
            writer.writerows(self.rows)


def cells_of(draw: st.DrawFn, column: Column, count: int) -> list[str]:
    if column.allowed is not None:
        return [draw(st.sampled_from(sorted(column.allowed))) for _ in range(count)]
    if column.dtype is Dtype.INT:
        return [
            str(v) for v in draw(st.lists(st.integers(-50, 50), min_size=count, max_size=count))
        ]
    if column.dtype is Dtype.FLOAT:
        numbers = st.floats(-50, 50, allow_nan=False)
        return [repr(v) for v in draw(st.lists(numbers, min_size=count, max_size=count))]
    if column.dtype is Dtype.BOOL:
        return [draw(st.sampled_from(["true", "False", "1", "0"])) for _ in range(count)]
    if column.dtype is Dtype.TIMESTAMP:
        days = draw(st.lists(st.integers(0, 300), min_size=count, max_size=count))
        return [(START + timedelta(days=d)).isoformat() for d in days]
    return draw(st.lists(TEXT, min_size=count, max_size=count))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of 2 to 12 rows and a schema that it holds to."""
    count = draw(st.integers(2, 12))
    columns, cells = [], []
    for name in draw(NAMES):
        dtype = draw(st.sampled_from(list(Dtype)))
        column = Column(name=name, dtype=dtype, null_share=0.0)
        if dtype in (Dtype.INT, Dtype.FLOAT):
            column = replace(
                column,
                values=Within(-50, 50),
                mean=Within(-50, 50),
                quantiles=((0.5, Within(-50, 50)),),
            )
        elif dtype is Dtype.TIMESTAMP:
            column = replace(
                column, values=Within(START.timestamp(), (START + timedelta(300)).timestamp())
            )
        elif dtype is Dtype.TEXT and draw(st.booleans()):
            column = replace(column, allowed=frozenset({"cat", "dog", "a,b"}))
        columns.append(column)
        cells.append(cells_of(draw, column, count))
    rows = [list(row) for row in zip(*cells, strict=True)]
    schema = Schema(columns=tuple(columns), rows=Within(2, 12), extra_columns=False)
    return Table(schema, rows)


def judged(table: Table, schema: Schema, folder: Path) -> Judged:
    path = folder / "table.csv"
    table.write(path)
    return judge_file(path, schema)


def told(found: Judged) -> list[tuple[str | None, str]]:
    return [(f.column, f.words) for f in found.findings]


relaxed = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@relaxed
@given(table=tables())
def test_a_table_that_holds_to_its_schema_passes(table: Table, tmp_path: Path) -> None:
    found = judged(table, table.schema, tmp_path)
    assert found.findings == ()
    assert found.rows == len(table.rows)
    assert found.looked == f"all {len(table.rows)} rows"


@relaxed
@given(table=tables(), data=st.data())
def test_each_single_wrong_cell_is_found_and_named(
    table: Table, data: st.DataObject, tmp_path: Path
) -> None:
    """One cell is spoilt; the finding names its column, its row and the cell itself."""
    at = data.draw(st.integers(0, len(table.rows) - 1), label="row")
    n = data.draw(st.integers(0, len(table.schema.columns) - 1), label="column")
    column = table.schema.columns[n]
    spoilt = {
        Dtype.INT: ("1.5", "expected int"),
        Dtype.FLOAT: ("wide", "expected float"),
        Dtype.BOOL: ("maybe", "expected bool"),
        Dtype.TIMESTAMP: ("2023-02-30", "expected timestamp"),
        Dtype.TEXT: ("bird", "expected one of"),
    }
    assume(column.dtype is not Dtype.TEXT or column.allowed is not None)
    cell, words = spoilt[column.dtype]
    table.rows[at][n] = cell
    ((name, said),) = [t for t in told(judged(table, table.schema, tmp_path)) if words in t[1]]
    assert name == column.name
    assert said.startswith(f"row {at + 1}: {words}")
    assert said.endswith(f"found {cell!r}")


@relaxed
@given(table=tables(), data=st.data())
def test_each_single_value_outside_its_range_is_found(
    table: Table, data: st.DataObject, tmp_path: Path
) -> None:
    ranged = [n for n, c in enumerate(table.schema.columns) if c.values is not None]
    assume(ranged)
    n = data.draw(st.sampled_from(ranged))
    at = data.draw(st.integers(0, len(table.rows) - 1))
    column = table.schema.columns[n]
    table.rows[at][n] = "2019-12-31" if column.dtype is Dtype.TIMESTAMP else "51"
    found = told(judged(table, table.schema, tmp_path))
    assert found[0][0] == column.name
    assert found[0][1].startswith(f"row {at + 1}: expected from ")


@relaxed
@given(table=tables(), data=st.data())
def test_each_empty_cell_counts(table: Table, data: st.DataObject, tmp_path: Path) -> None:
    at = data.draw(st.integers(0, len(table.rows) - 1))
    n = data.draw(st.integers(0, len(table.schema.columns) - 1))
    table.rows[at][n] = ""
    name = table.schema.columns[n].name
    found = [w for c, w in told(judged(table, table.schema, tmp_path)) if c == name]
    assert f"(1 of {len(table.rows)}), the first in row {at + 1}" in found[0]
    some = replace(table.schema.columns[n], null_share=0.5, mean=None, quantiles=())
    columns = (*table.schema.columns[:n], some, *table.schema.columns[n + 1 :])
    enough = judged(table, replace(table.schema, columns=columns), tmp_path)
    assert enough.findings == ()


@relaxed
@given(table=tables(), data=st.data())
def test_columns_and_rows_that_are_missing_or_too_many_are_found(
    table: Table, data: st.DataObject, tmp_path: Path
) -> None:
    columns = table.schema.columns
    one = data.draw(st.sampled_from(columns))
    fewer = replace(table.schema, columns=tuple(c for c in columns if c is not one))
    assert told(judged(table, fewer, tmp_path)) == [
        (one.name, "expected no column of that name, found one")
    ]
    more = replace(table.schema, columns=(*columns, Column(name="MORE!", dtype=Dtype.INT)))
    ((name, words),) = told(judged(table, more, tmp_path))
    assert name == "MORE!"
    assert words.startswith("expected this column, found none of that name; there is ")
    count = len(table.rows)
    for bound, said in (
        (Within(count + 1, None), f"expected at least {count + 1} rows, found {count}"),
        (Within(None, count - 1), f"expected at most {count - 1} rows, found {count}"),
    ):
        assert told(judged(table, replace(table.schema, rows=bound), tmp_path)) == [(None, said)]


@relaxed
@given(values=st.lists(st.integers(-9, 9), min_size=1, max_size=30))
def test_uniqueness_is_that_of_a_set(values: list[int]) -> None:
    judge = Judge(Schema(columns=(Column(name="a", dtype=Dtype.INT, unique=True),)))
    for n, value in enumerate(values, 1):
        judge.row(("row", n), ["a"], [str(value)])
    twice = len(values) - len(set(values))
    found = judge.findings(len(values), columns=1)
    assert bool(found) == bool(twice)
    if twice > 1:
        assert f"(and {twice - 1} more)" in found[0].words
    if twice:
        first = next(n for n, v in enumerate(values) if v in values[:n])
        assert found[0].words.startswith(f"row {first + 1}: expected each value once")


@relaxed
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    at=st.floats(0, 1, allow_nan=False),
)
def test_quantiles_are_those_of_numpy(values: list[float], at: float) -> None:
    import numpy as np

    assert quantile(sorted(values), at) == pytest.approx(float(np.quantile(values, at)), abs=1e-6)


def test_a_shifted_distribution_is_found() -> None:
    column = Column(
        name="a", dtype=Dtype.FLOAT, mean=Within(0, 1), quantiles=((0.9, Within(0, 2)),)
    )
    judge = Judge(Schema(columns=(column,)))
    for n in range(100):
        judge.row(("row", n + 1), ["a"], [str(n / 10)])
    assert [f.words for f in judge.findings(100, columns=1)] == [
        "expected a mean from 0 to 1, found 4.95 over 100 rows looked at",
        "expected its 0.9 quantile from 0 to 2, found 8.91 over 100 rows looked at",
    ]


def test_a_column_without_a_number_has_no_distribution() -> None:
    judge = Judge(Schema(columns=(Column(name="a", dtype=Dtype.INT, mean=Within(0, 1)),)))
    judge.row(("row", 1), ["a"], ["x"])
    words = [f.words for f in judge.findings(1, columns=1)]
    assert words == [
        "row 1: expected int, found 'x'",
        "expected a distribution, found no number at all",
    ]


@pytest.mark.parametrize(
    ("dtype", "cell", "value"),
    [
        (Dtype.INT, " -3 ", -3),
        (Dtype.INT, "NA", None),
        (Dtype.FLOAT, "1e3", 1000.0),
        (Dtype.FLOAT, ".5", 0.5),
        (Dtype.FLOAT, "nan", None),
        (Dtype.FLOAT, "-inf", float("-inf")),
        (Dtype.TEXT, "NA", "NA"),
        (Dtype.TEXT, "", None),
        (Dtype.TEXT, " ", " "),
        (Dtype.BOOL, "TRUE", True),
        (Dtype.BOOL, "0", False),
    ],
)
def test_cells_have_the_values_of_their_type(dtype: Dtype, cell: str, value: object) -> None:
    assert parse(dtype, cell) == value


@pytest.mark.parametrize(
    ("dtype", "cell"),
    [
        (Dtype.INT, "1_000"),
        (Dtype.INT, "٣"),
        (Dtype.INT, "9" * 5000),
        (Dtype.FLOAT, "1,5"),
        (Dtype.FLOAT, "0x10"),
        (Dtype.BOOL, "yes"),
    ],
)
def test_what_python_alone_would_read_is_no_number(dtype: Dtype, cell: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(dtype, cell)


def test_an_integer_beyond_all_floats_has_a_mean_too() -> None:
    judge = Judge(Schema(columns=(Column(name="a", dtype=Dtype.INT, mean=Within(0, 1)),)))
    judge.row(("row", 1), ["a"], ["9" * 400])
    assert "found inf" in judge.findings(1, columns=1)[0].words


def test_a_name_twice_in_the_header_is_found() -> None:
    judge = Judge(Schema(columns=(Column(name="a", dtype=Dtype.INT),)))
    judge.header(next(csv.reader(io.StringIO("a,a"))))
    assert "found 2" in judge.findings(0, columns=2)[0].words
