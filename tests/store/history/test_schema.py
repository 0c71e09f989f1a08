"""How an older file becomes a newer one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from foundry_tui.store.history import HistoryError, schema
from tests.store.history.estate import minute, opened, past, record_levels, tables

if TYPE_CHECKING:
    from sqlite_utils import Database


def add_column(db: Database) -> None:
    db.table("device").add_column("serial", str)
    db.table("device").transform(rename={"minor": "minor_number"})


def fail(db: Database) -> None:
    db.table("device").add_column("serial", str)
    db.execute("SELECT * FROM no_such_table")


def test_an_empty_file_becomes_the_newest(tmp_path: Path) -> None:
    opened(tmp_path).close()
    assert tables(tmp_path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
    assert tables(tmp_path, "PRAGMA auto_vacuum") == [(2,)]
    assert tables(tmp_path, "PRAGMA page_size") == [(8192,)]


def test_a_file_is_migrated_with_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 5.0}})
    history.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, add_column))
    opened(tmp_path).close()
    assert tables(tmp_path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]
    assert tables(tmp_path, "SELECT minor_number, serial FROM device") == [(0, None)]


def test_a_step_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 5.0}})
    history.close()
    known = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*known, fail))
    with pytest.raises(HistoryError, match="no such table"):
        opened(tmp_path)
    monkeypatch.setattr(schema, "MIGRATIONS", known)
    record_levels(opened(tmp_path), {2: {0: 5.0}})
    assert past(tmp_path).at(minute(1)) is not None
    assert "serial" not in {row[1] for row in tables(tmp_path, "PRAGMA table_info(device)")}


def test_schema_1_is_made_of_nothing_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(db: Database) -> None:
        schema.tables(db)
        fail(db)

    monkeypatch.setattr(schema, "MIGRATIONS", (half,))
    with pytest.raises(HistoryError, match="no such table"):
        opened(tmp_path)
    assert tables(tmp_path, "SELECT count(*) FROM sqlite_master") == [(0,)]


def test_nothing_heavy_is_imported_to_read_or_to_go_on_writing(tmp_path: Path) -> None:
    history = opened(tmp_path)
    record_levels(history, {1: {0: 5.0}})
    history.close()
    script = (
        "import sys; from pathlib import Path; from tests.store.history.estate import *\n"
        "p = Path(sys.argv[1]); h = opened(p); record_levels(h, {2: {0: 5.0}}); h.compact()\n"
        "assert past(p).at(minute(2)); print([m for m in ('sqlite_utils', 'click', 'numpy') "
        "if m in sys.modules])"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.check_output(words, text=True, timeout=60) == "[]\n"
