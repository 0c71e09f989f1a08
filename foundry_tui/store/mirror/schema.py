"""The tables of the mirror. There are no migrations: another schema is set aside and read anew.

`body` holds a run as a whole, for showing it; what it is sorted and filtered by stands beside it in
columns. `metric` and `word` are ordered by key first, because a question is about one key of all
runs. A metric that is NaN is a row without a value: SQLite keeps no NaN. `number` is the text as a
number, where it is one. Times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

import sqlite3

SCHEMA = 1
APPLICATION = 0x466E6D72
"""In the header of the file, so that another program's database is not taken for a mirror."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE experiment (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, tags BLOB NOT NULL,
    reached_us INTEGER, whole INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE run (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, experiment TEXT NOT NULL,
    name TEXT NOT NULL, status TEXT NOT NULL, user TEXT,
    started_us INTEGER, ended_us INTEGER, seen_us INTEGER NOT NULL
);
CREATE INDEX run_newest ON run (started_us DESC, run_id);
CREATE INDEX run_newest_of ON run (experiment, started_us DESC, run_id);
CREATE INDEX run_seen ON run (seen_us);
CREATE INDEX run_live ON run (seen_us) WHERE status IN ('RUNNING', 'SCHEDULED');
CREATE TABLE body (run INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE key (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,
    UNIQUE (kind, name));
CREATE TABLE metric (key INTEGER, run INTEGER, value REAL, PRIMARY KEY (key, run)) WITHOUT ROWID;
CREATE TABLE word (key INTEGER, run INTEGER, text TEXT NOT NULL, number REAL,
    PRIMARY KEY (key, run)) WITHOUT ROWID;
"""


def made(db: sqlite3.Connection, url: str) -> None:
    """Make the tables in an empty file, in one transaction."""
    script = f"BEGIN IMMEDIATE;{TABLES}PRAGMA application_id={APPLICATION};"
    db.executescript(f"{script}PRAGMA user_version={SCHEMA};")
    db.execute("INSERT INTO meta VALUES ('url', ?)", (url,))
    db.execute("COMMIT")


def known(db: sqlite3.Connection, url: str) -> bool | None:
    """Whether the file is a mirror of this server; None for an empty file.

    Raises:
        sqlite3.Error: it cannot be read, or is no database.
    """
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    found = [int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in
             ("application_id", "user_version")]  # fmt: skip
    if not tables and found == [0, 0]:
        return None
    if found != [APPLICATION, SCHEMA]:
        return False
    row = db.execute("SELECT value FROM meta WHERE name = 'url'").fetchone()
    return row is not None and row[0] == url
