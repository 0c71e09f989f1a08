"""A writer that is killed at any step: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from foundry_tui.config.places import MOUNTINFO
from foundry_tui.store.history import History, HistoryError
from tests.store.history.estate import (
    KEEP_LITTLE,
    Levels,
    minute,
    opened,
    past,
    recomputed,
    record_levels,
    rolled,
    stays,
    tables,
)

WINDOWS = 200
LEVELS: Levels = {
    n: {i: None if (n + i) % 11 == 0 else float((n * 7 + i * 13) % 101) for i in range(3)}
    for n in range(1, WINDOWS + 1)
    if n % 17
}


def work(what: str, folder: Path, kill_at: int, by: str, mounts: Path) -> None:
    """In a child: do one piece of work, and die at the n-th statement or thousandth step of one."""
    history = opened(folder, keep=KEEP_LITTLE, mountinfo=mounts)
    count = 0

    def step(_statement: str = "") -> int:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    db = history._db
    if by == "statement":
        db.set_trace_callback(step)
    else:
        db.set_progress_handler(step, 100)
    if what == "compact":
        history.compact()
    else:
        record_levels(history, {WINDOWS + 1: {0: 11.0, 1: None, 2: 0.0}})
    (folder / "steps").write_text(str(count))


def child(what: str, folder: Path, kill_at: int, by: str, mounts: Path = MOUNTINFO) -> int:
    """Let a child do it; its exit status, below 0 the signal that it died of."""
    pid = os.fork()
    if not pid:
        try:
            work(what, folder, kill_at, by, mounts)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history that was never compacted, as a crash leaves it."""
    folder = tmp_path_factory.mktemp("whole")
    history = opened(folder, keep=KEEP_LITTLE)
    record_levels(history, LEVELS)
    history.close()
    return folder


@pytest.fixture(scope="module")
def right(whole: Path) -> dict[str, dict[tuple[int, int], tuple[int | None, ...]]]:
    """The roll-ups that must come out, computed from the rows by loops."""
    rows, here = tables(whole, "SELECT * FROM raw"), stays(whole)
    ready = max(r[0] for r in rows) - 180
    return {
        table: {k: v for k, v in recomputed(rows, here, period).items() if k[0] <= ready}
        for table, period in (("quarter", 900), ("hour", 3600))
    }


def points(whole: Path, tmp_path: Path, what: str, by: str, most: int) -> list[int]:
    """Steps to die at, evenly over the whole work."""
    shutil.copytree(whole, tmp_path / "try")
    assert child(what, tmp_path / "try", 0, by) == 0
    total = int((tmp_path / "try" / "steps").read_text())
    assert total > 10
    return sorted({1 + i * (total - 1) // (most - 1) for i in range(most)})


@pytest.mark.parametrize(("by", "most"), [("statement", 40), ("inside", 15)])
def test_a_kill_within_a_rollup_loses_nothing_and_counts_nothing_twice(
    whole: Path,
    tmp_path: Path,
    right: dict[str, dict[tuple[int, int], tuple[int | None, ...]]],
    by: str,
    most: int,
) -> None:
    for kill_at in points(whole, tmp_path, "compact", by, most):
        folder = tmp_path / str(kill_at)
        shutil.copytree(whole, folder)
        assert child("compact", folder, kill_at, by) == -signal.SIGKILL
        before = past(folder).use("alpha", "n1", 0, minute(0, 0), minute(WINDOWS, 0))
        history = opened(folder, keep=KEEP_LITTLE)
        history.compact()
        for table, wanted in right.items():
            assert rolled(folder, table) == wanted, (kill_at, table)
        after = past(folder).use("alpha", "n1", 0, minute(0, 0), minute(WINDOWS, 0))
        assert before == after, kill_at
        check(history)
        assert tables(folder, "SELECT min(ts) FROM raw") == [(minute(121, 0).timestamp(),)]
        history.close()
        shutil.rmtree(folder)


def test_a_kill_without_wal_is_mended_by_the_next_writer(
    whole: Path,
    tmp_path: Path,
    right: dict[str, dict[tuple[int, int], tuple[int | None, ...]]],
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw - nfs4 server:/home rw\n")
    for kill_at in range(15, 330, 35):
        folder = tmp_path / str(kill_at)
        shutil.copytree(whole, folder)
        assert child("compact", folder, kill_at, "inside", mounts) == -signal.SIGKILL
        history = opened(folder, keep=KEEP_LITTLE, mountinfo=mounts)
        history.compact()
        for table, wanted in right.items():
            assert rolled(folder, table) == wanted, (kill_at, table)
        check(history)
        history.close()
        shutil.rmtree(folder)


def test_a_change_cut_short_on_disk_is_mended_by_the_next_writer(
    whole: Path, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / {tmp_path} rw - nfs4 server:/home rw\n")
    live, dead = tmp_path / "live", tmp_path / "dead"
    shutil.copytree(whole, live)
    before = contents(live)
    history = opened(live, keep=KEEP_LITTLE, mountinfo=mounts)
    history._db.execute("PRAGMA cache_size = 1")
    history._db.execute("BEGIN IMMEDIATE")
    history._db.execute("UPDATE raw SET temp_c = temp_c + 1000000")  # spills into the file
    shutil.copytree(live, dead)  # as it lies there when the machine is switched off now
    history._db.execute("ROLLBACK")
    history.close()
    with pytest.raises(HistoryError, match="its writer died within a change; the next collector"):
        past(dead)
    history = opened(dead, keep=KEEP_LITTLE, mountinfo=mounts)
    check(history)
    assert contents(dead) == before
    history.close()


def test_a_kill_within_a_record_leaves_all_of_it_or_nothing(whole: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    shutil.copytree(whole, done)
    assert child("record", done, 0, "statement") == 0
    wanted = contents(done)
    untouched = contents(whole)
    assert wanted != untouched
    seen = set()
    for kill_at in points(whole, tmp_path, "record", "statement", 15):
        folder = tmp_path / str(kill_at)
        shutil.copytree(whole, folder)
        assert child("record", folder, kill_at, "statement") == -signal.SIGKILL
        left = contents(folder)
        assert left in (wanted, untouched), kill_at
        seen.add(left == wanted)
        history = opened(folder, keep=KEEP_LITTLE)
        check(history)
        record_levels(history, {WINDOWS + 1: {0: 11.0, 1: None, 2: 0.0}})
        assert contents(folder) == wanted
        history.close()
    assert False in seen


def test_a_second_process_can_write_at_once_when_the_first_was_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.store.history.estate import *\n"
        "history = opened(Path(sys.argv[1]))\n"
        "record_levels(history, {1: {0: 5.0}}); print('ready', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"ready\n"
        with pytest.raises(Exception, match="another foundry writes it; this one can only read"):
            opened(tmp_path)
        assert past(tmp_path).at(minute(1)) is not None
        first.kill()
        first.wait()
    history = opened(tmp_path)
    record_levels(history, {2: {0: 5.0}})
    check(history)
    assert tables(tmp_path, "SELECT count(*) FROM raw") == [(2,)]


def contents(folder: Path) -> dict[str, list[tuple[int, ...]]]:
    names = ("raw", "allocation", "node_state", "idle", "meta", "device", "source")
    return {name: sorted(tables(folder, f"SELECT * FROM {name}")) for name in names}


def check(history: History) -> None:
    db = sqlite3.connect(history.file)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
