"""The numbers that stand for sources, nodes, queues and runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from foundry_tui.estate.run import Run
from foundry_tui.store.history.tracks import Key
from foundry_tui.store.history.values import RUN_COLUMNS, run_row, text, unknown_run

NAMELESS = (
    "SELECT id FROM run WHERE scheduler = '' AND id IN "
    "(SELECT run FROM allocation WHERE until IS NULL)"
)
"""Runs of which only their GPUs were seen so far: a job that starts between two questions."""


class Names:
    """What is known by which number. `seen` is when each source answered last."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.sources: dict[str, int] = dict(db.execute("SELECT name, id FROM source"))
        self.seen: dict[int, int | None] = dict(db.execute("SELECT id, seen FROM source"))
        self.runs: dict[str, int] = dict(
            db.execute(
                "SELECT run, id FROM run WHERE id IN "
                "(SELECT run FROM allocation WHERE until IS NULL)"
            )
        )
        self._nodes: dict[Key, int] = {
            (source, name): i for i, source, name in db.execute("SELECT id, source, name FROM node")
        }
        self._queues: dict[Key, int] = {
            (source, kind, name): i
            for i, source, kind, name in db.execute("SELECT id, source, kind, name FROM queue")
        }
        self._new_runs: set[int] = set()
        self._nameless = {number for (number,) in db.execute(NAMELESS)}

    def source(self, name: str, kind: str) -> int:
        """The number of a source; its kind is taken over where it is told."""
        known = self.sources.get(name)
        if known is None:
            known = self.sources[name] = len(self.sources) + 1
            self.seen[known] = None
            self._db.execute(
                "INSERT INTO source (id, name, kind) VALUES (?, ?, ?)", (known, name, kind)
            )
        elif kind:
            self._db.execute(
                "UPDATE source SET kind = ? WHERE id = ? AND kind <> ?", (kind, known, kind)
            )
        return known

    def answered(self, sources: Collection[int], at: int) -> None:
        """These sources answered at this time."""
        self._db.executemany(
            "UPDATE source SET seen = ? WHERE id = ?", [(at, source) for source in sources]
        )
        self.seen |= dict.fromkeys(sources, at)

    def node(self, source: int, name: str) -> int:
        """The number of a node."""
        key = (source, text(name))
        known = self._nodes.get(key)
        if known is None:
            cursor = self._db.execute("INSERT INTO node (source, name) VALUES (?, ?)", key)
            known = self._nodes[key] = int(cursor.lastrowid or 0)
        return known

    def queue(self, source: int, kind: str, name: str) -> int:
        """The number of a queue; a queue and its parent may have one name, but not one kind."""
        key = (source, text(kind), text(name))
        known = self._queues.get(key)
        if known is None:
            cursor = self._db.execute(
                "INSERT INTO queue (source, kind, name) VALUES (?, ?, ?)", key
            )
            known = self._queues[key] = int(cursor.lastrowid or 0)
        return known

    def run(self, run_id: str, run: Run | None, source: int) -> int:
        """The number of a run; `run` is what is known of it."""
        known = self.runs.get(run_id)
        if known is None:
            known = self.runs[run_id] = self._found(run_id, run, source)
        elif run is not None and known in self._nameless:
            self._nameless.discard(known)
            self._update([(*run_row(run, source), known)])
        return known

    def refresh(self, numbers: Collection[int], runs: Mapping[str, Run], source: int) -> None:
        """Bring runs that took GPUs up to date: a requeued one has another begin."""
        old = set(numbers) - self._new_runs
        self._new_runs.clear()
        rows = [
            (*run_row(run, source), number)
            for run in (runs.values() if old else ())
            if (number := self.runs.get(run.id)) in old
        ]
        self._update(rows)

    def keep_runs(self, held: Collection[object]) -> None:
        """Let go of the numbers of all runs but these: they may be deleted."""
        self.runs = {run: number for run, number in self.runs.items() if number in held}

    def _found(self, run_id: str, run: Run | None, source: int) -> int:
        """The number of a run that is new here, or was not held for a while."""
        known = self._db.execute("SELECT id FROM run WHERE run = ?", (text(run_id),)).fetchone()
        if known is not None:
            return int(known[0])
        row = unknown_run(run_id, source) if run is None else run_row(run, source)
        names, marks = ", ".join(RUN_COLUMNS), ", ".join("?" * len(row))
        cursor = self._db.execute(f"INSERT INTO run ({names}) VALUES ({marks})", row)
        number = int(cursor.lastrowid or 0)
        self._new_runs.add(number)
        if run is None:
            self._nameless.add(number)
        return number

    def _update(self, rows: Sequence[tuple[int | str | None, ...]]) -> None:
        """Rows of `RUN_COLUMNS`, each with the number of its run at the end."""
        columns = ", ".join(f"{column} = ?" for column in RUN_COLUMNS)
        self._db.executemany(f"UPDATE run SET {columns} WHERE id = ?", rows)
