"""Parquet for a judge, by pyarrow, which the extra `data` installs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foundry_tui.jobs.preflight.judge import Judge
from foundry_tui.jobs.preflight.schema import Dtype, Schema
from foundry_tui.jobs.preflight.tables import Judged, Unreadable

LOOKED_ROWS = 100_000
"""A file with no more rows is read whole."""

GROUPS = 50
BATCH_ROWS = 1000


def judge_parquet(path: Path, schema: Schema) -> Judged:
    """A Parquet file against a schema.

    Raises:
        Unreadable: it is broken.
        ModuleNotFoundError: pyarrow is not installed.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return _judged(file, schema)
    except (pyarrow.ArrowException, NotImplementedError) as error:
        raise Unreadable(f"the Parquet file cannot be read: {error}") from error


def _judged(file: Any, schema: Schema) -> Judged:
    judge = Judge(schema)
    names = [str(name) for name in file.schema_arrow.names]
    judge.header(names)
    right = []
    for column in schema.columns:
        if names.count(column.name) != 1:
            continue
        found = file.schema_arrow.field(column.name).type
        if _fits(column.dtype, found):
            right.append(column.name)
        else:
            judge.finding(column.name, f"expected {column.dtype}, found the Parquet type {found}")
    rows = int(file.metadata.num_rows)
    starts, groups = _starts(file), 0
    for start, batch in _batches(file, starts, right, whole=rows <= LOOKED_ROWS):
        groups += start in starts
        _judge_batch(judge, start, batch, right)
    looked = f"all {rows:,} rows" if right else f"the names of the columns, of {rows:,} rows"
    if judge.looked < rows and right:
        of = f"{groups} of its {len(starts)} row groups"
        looked = f"{judge.looked:,} of {rows:,} rows, the first of {of}"
    return Judged(judge.findings(rows, columns=len(names)), looked, rows)


def _fits(dtype: Dtype, found: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(found):
        found = found.value_type
    tests = {
        Dtype.INT: (types.is_integer,),
        Dtype.FLOAT: (types.is_floating, types.is_decimal),
        Dtype.TEXT: (types.is_string, types.is_large_string),
        Dtype.BOOL: (types.is_boolean,),
        Dtype.TIMESTAMP: (types.is_timestamp, types.is_date),
    }
    return any(test(found) for test in tests[dtype])


def _starts(file: Any) -> list[int]:
    """The number of the row before each row group."""
    starts, total = [], 0
    for group in range(file.metadata.num_row_groups):
        starts.append(total)
        total += file.metadata.row_group(group).num_rows
    return starts


def _batches(
    file: Any, starts: list[int], names: list[str], *, whole: bool
) -> Iterator[tuple[int, Any]]:
    """Batches with the number of the row before each; the first of a spread of groups or all."""
    if not names:
        return
    groups = len(starts)
    chosen = range(groups)
    if not whole and groups > GROUPS:
        chosen = range(0, groups, -(-groups // GROUPS))
    most = None if whole else max(1, LOOKED_ROWS // BATCH_ROWS // max(1, len(chosen)))
    for group in chosen:
        at, taken = starts[group], 0
        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=names):
            yield at, batch
            at, taken = at + batch.num_rows, taken + 1
            if most is not None and taken >= most:
                break


def _judge_batch(judge: Judge, start: int, batch: Any, names: list[str]) -> None:
    judge.looked += batch.num_rows
    for name in names:
        watched = judge.watched[name]
        cells = _plain(watched.column.dtype, batch.column(name)).to_pylist()
        for n, value in enumerate(cells, start + 1):
            watched.value(("row", n), value, value)


def _plain(dtype: Dtype, cells: Any) -> Any:
    """The cells as Python can have them: times as seconds since 1970 UTC, decimals as floats."""
    import pyarrow
    import pyarrow.compute

    if pyarrow.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if dtype is Dtype.FLOAT:
        return cells.cast(pyarrow.float64(), safe=False)
    if dtype is Dtype.TIMESTAMP:
        whole = cells.cast(pyarrow.timestamp("us"), safe=False).cast(pyarrow.int64())
        return pyarrow.compute.divide(whole.cast(pyarrow.float64()), 1e6)
    return cells
