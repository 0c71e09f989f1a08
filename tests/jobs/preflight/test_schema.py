"""Data schemas: what they may say, and where what is wrong in one is named."""

from __future__ import annotations

import pytest

from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.preflight.schema import Column, Dtype, Schema, Within, load, timestamp_s

WHOLE = b"""\
# prices of a shop
rows: {at_least: 10, at_most: 1000}
extra_columns: false
delimiter: ";"
columns:
  id: {dtype: int, unique: true, null_share: 0}
  price: {dtype: float, min: 0, max: 1e3, mean: [5, 20.5], quantiles: {0.5: [-1, 1]}}
  label:
    dtype: text
    allowed: [cat, dog, no]
  seen: {dtype: timestamp, min: 2020-01-01, max: "2021-01-01T00:00:00+01:00"}
  short: bool
"""


def test_a_schema_says_all_that_it_can() -> None:
    assert load("s.yaml", WHOLE) == Schema(
        rows=Within(10, 1000),
        extra_columns=False,
        delimiter=";",
        columns=(
            Column(name="id", dtype=Dtype.INT, unique=True, null_share=0.0),
            Column(
                name="price",
                dtype=Dtype.FLOAT,
                values=Within(0, 1000.0),
                mean=Within(5, 20.5),
                quantiles=((0.5, Within(-1, 1)),),
            ),
            Column(name="label", dtype=Dtype.TEXT, allowed=frozenset({"cat", "dog", "no"})),
            Column(name="seen", dtype=Dtype.TIMESTAMP, values=Within(1577836800.0, 1609455600.0)),
            Column(name="short", dtype=Dtype.BOOL),
        ),
    )


def test_toml_says_the_same() -> None:
    text = b"""
    [rows]
    at_least = 10
    [columns.seen]
    dtype = "timestamp"
    min = 2020-01-01
    [columns.price]
    dtype = "float"
    quantiles = {"0.5" = [1, 2]}
    """
    assert load("s.toml", text) == Schema(
        rows=Within(10, None),
        columns=(
            Column(name="seen", dtype=Dtype.TIMESTAMP, values=Within(1577836800.0, None)),
            Column(name="price", dtype=Dtype.FLOAT, quantiles=((0.5, Within(1, 2)),)),
        ),
    )


@pytest.mark.parametrize(
    ("text", "line", "field", "words"),
    [
        ("rows: {at_least: 1}", None, "columns", "missing"),
        ("column:\n  a: int", 1, "column", "did you mean `columns`?"),
        ("columns: 3", 1, "columns", "a table of columns"),
        ("columns:\n  a: number", 2, "columns.a", "one of int, float, text, bool, timestamp"),
        ("columns:\n  a:\n    unique: true", 2, "columns.a", "dtype is missing"),
        ("columns:\n  a:\n    dtype: int\n    maxx: 3", 4, "columns.a.maxx", "`max`"),
        ("columns:\n  a: {dtype: text, min: 3}", 2, "columns.a.min", "not for text; only for int"),
        ("columns:\n  a: {dtype: int, min: x}", 2, "columns.a.min", "a number, not 'x'"),
        ("columns:\n  a: {dtype: int, min: nan}", 2, "columns.a.min", "a number, not 'nan'"),
        ("columns:\n  a: {dtype: int, min: 3, max: 2}", 2, "columns.a.max", "below `min`"),
        ("columns:\n  a: {dtype: int, null_share: 5}", 2, "columns.a.null_share", "0..1"),
        ("columns:\n  a: {dtype: int, mean: 5}", 2, "columns.a.mean", "[LEAST, MOST]"),
        ("columns:\n  a: {dtype: int, mean: [5, 4]}", 2, "columns.a.mean", "5 is above 4"),
        ("columns:\n  a: {dtype: int, quantiles: {2: [0, 1]}}", 2, "columns.a.quantiles.2", "0..1"),
        ("columns:\n  a: {dtype: text, allowed: []}", 2, "columns.a.allowed", "a list of 1.."),
        ("columns:\n  a: {dtype: int, unique: 1}", 2, "columns.a.unique", "true or false"),
        ("columns:\n  a: {dtype: timestamp, min: soon}", 2, "columns.a.min", "2026-01-31"),
        ("columns: {a: int}\nrows: {at_least: -1}", 2, "rows.at_least", "0 or more"),
        ("columns: {a: int}\nrows: {at_least: 2, at_most: 1}", 2, "rows.at_most", "`at_least`"),
        ("columns: {a: int}\ndelimiter: ';;'", 2, "delimiter", "one character"),
        ("columns: {a: int}\nextra_columns: 1", 2, "extra_columns", "true or false"),
        ("columns: {a: int, a: text}", 1, "columns.a", "already"),
        ("# nothing\n\n", None, "", "give at least `columns`"),
        ("columns: &x {a: int}", 1, "columns", "anchors"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    text: str, line: int | None, field: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load("s.yaml", text.encode())
    assert caught.value.line == line
    assert caught.value.field == field
    assert words in str(caught.value)


def test_a_schema_of_the_wrong_size_or_bytes_is_refused() -> None:
    with pytest.raises(SpecError, match="a data schema has at most 128"):
        load("s.yaml", b"columns: {a: int}\n" + b"#" * (130 << 10))
    with pytest.raises(SpecError, match="line 2: not UTF-8"):
        load("s.yaml", b"columns:\n  \xff: int")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01 01:00:00+01:00", 0.0),
        ("2024-02-29", 1709164800.0),
    ],
)
def test_times_are_iso_8601(text: str, seconds: float) -> None:
    assert timestamp_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["2023-02-29", "20260101", "yesterday", "2026-13-01", "01.02.2026"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        timestamp_s(text)
