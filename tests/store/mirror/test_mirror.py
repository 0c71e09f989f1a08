"""The file of the mirror: what is kept, whose it is, damage, and several processes at once."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from foundry_tui.estate.tracked import DataInput, Experiment, Point
from foundry_tui.store.mirror.errors import MirrorDamaged, MirrorError
from foundry_tui.store.mirror.mirror import Mirror
from foundry_tui.store.mirror.writer import Reached, number
from tests.store.mirror.runs import NOW, T0, URL, filled, ids, opened, ordered, run


def put(mirror: Mirror, *runs: object, **more: object) -> int:
    with mirror.writer() as writer:
        assert writer is not None
        return writer.put(runs, NOW, **more)  # type: ignore[arg-type]


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    one = run(
        5,
        metrics={
            "nan": Point(1, T0, math.nan),
            "inf": Point(2, T0 + timedelta(microseconds=7), -math.inf),
        },
        tags={"long": "x" * 8000, "mlflow.user": "ann"},
        inputs=(DataInput(name="c4", digest="ab12", path="/data/c4", kind="dvc"),),
    )
    mirror = filled(opened(tmp_path), [one])
    found = mirror.get(one.run_id)
    assert found is not None
    assert repr(found) == repr(ordered(one))
    assert len(found.tags["long"]) == 8000
    assert found.user == "ann"


def test_a_changed_run_takes_the_place_of_what_it_was(tmp_path: Path) -> None:
    one = run(1, metrics={"loss": Point(1, T0, 0.5)}, tags={"a": "1", "b": "2"})
    mirror = filled(opened(tmp_path), [one])
    assert put(mirror, one) == 0
    later = replace(one, metrics={"loss": Point(2, T0, 0.1)}, tags={"b": "3"})
    assert put(mirror, later) == 1
    assert ids(mirror, where="metric.loss<0.2 tag.b=3 tag.a=none") == [one.run_id]
    assert ids(mirror, where="metric.loss>0.2") == []


def test_a_forgotten_run_leaves_nothing(tmp_path: Path) -> None:
    mirror = filled(opened(tmp_path), [run(n) for n in range(1200)])
    gone = ids(mirror)[100:900]
    with mirror.writer() as writer:
        assert writer is not None
        assert writer.forget(gone) == 800
        assert writer.forget([*gone, "nobody"]) == 0
    assert len(ids(mirror)) == 400
    with sqlite3.connect(mirror.file or "") as db:
        for table in ("metric", "word"):
            stray = f"SELECT count(*) FROM {table} WHERE run NOT IN (SELECT id FROM run)"
            assert db.execute(stray).fetchone() == (0,)


def test_an_experiment_that_is_gone_takes_its_runs_along(tmp_path: Path) -> None:
    mirror = filled(opened(tmp_path), [run(n) for n in range(30)])
    with mirror.writer() as writer:
        assert writer is not None
        everything = Reached(experiment_ids=("0", "1"), since=T0, whole=True)
        writer.put((), NOW, everything)
        writer.experiments([Experiment(id="0", name="exp-0"), Experiment(id="1", name="other")])
    state = mirror.state()
    assert state.runs == 20
    # one of another name under the same id may be another one: it is read anew
    assert [(k.experiment.name, k.whole) for k in state.experiments] == [
        ("exp-0", True),
        ("other", False),
    ]


def test_files_are_the_users_own(tmp_path: Path) -> None:
    mirror = filled(opened(tmp_path), [run(1)])
    assert mirror.file is not None
    assert mirror.file.stat().st_mode & 0o777 == 0o600
    assert mirror.file.parent.stat().st_mode & 0o777 == 0o700
    mirror.file.chmod(0o666)
    with pytest.raises(MirrorError, match="its mode is 0666"):
        opened(tmp_path)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    mirror = opened(tmp_path)
    assert mirror.file is not None
    mirror.file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MirrorError, match="not a regular file"):
        opened(tmp_path)


@pytest.mark.parametrize("what", ["text", "foreign", "newer", "other server"])
def test_what_is_no_mirror_is_set_aside(tmp_path: Path, what: str) -> None:
    mirror = opened(tmp_path)
    assert mirror.file is not None
    if what == "text":
        mirror.file.write_bytes(b"this is no database at all\n" * 100)
        mirror.file.chmod(0o600)
    else:
        filled(mirror, [run(1)])
        with sqlite3.connect(mirror.file) as db:
            if what == "foreign":
                db.execute("PRAGMA application_id = 7")
            elif what == "newer":
                db.execute("PRAGMA user_version = 99")
            else:
                db.execute("UPDATE meta SET value = 'http://other' WHERE name = 'url'")
    with pytest.raises(MirrorDamaged):
        mirror.state()
    assert len(ids(filled(mirror, [run(2)]))) == 1
    assert (mirror.file.parent / f"damaged-{mirror.file.name}").exists()


def test_damage_within_is_found_and_begun_anew(tmp_path: Path) -> None:
    mirror = filled(opened(tmp_path), [run(n) for n in range(300)])
    assert mirror.file is not None
    data = bytearray(mirror.file.read_bytes())
    data[8192:] = os.urandom(len(data) - 8192)
    mirror.file.write_bytes(data)
    with pytest.raises(MirrorDamaged):
        ids(mirror, where="metric.loss<1")
    mirror.begin_anew()
    assert mirror.state().runs == 0
    assert len(ids(filled(mirror, [run(2)]))) == 1


def test_a_network_file_system_gets_no_wal(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 server:/x rw\n")
    mirror = filled(Mirror.open(tmp_path / "mirror", URL, mountinfo=mounts), [run(1)])
    with sqlite3.connect(mirror.file or "") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert len(ids(mirror)) == 1
    local = filled(opened(tmp_path / "local"), [run(1)])
    with sqlite3.connect(local.file or "") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_one_writes_and_others_read(tmp_path: Path) -> None:
    mirror = filled(opened(tmp_path), [run(n) for n in range(50)])
    code = (
        "import sys; from pathlib import Path; from tests.store.mirror.runs import *\n"
        "m = opened(Path(sys.argv[1]))\n"
        "with m.writer() as w: print(w is None, len(ids(m)), flush=True)\n"
    )
    with mirror.writer() as writer:
        assert writer is not None
        writer.put([run(60)], NOW)
        argv = [sys.executable, "-c", code, str(tmp_path)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["True", "51"]
        assert len(ids(mirror)) == 51
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "51"]


def test_in_memory_one_thread_writes_and_another_reads() -> None:
    mirror = filled(Mirror(URL, None), [run(n) for n in range(20)])
    seen: list[int] = []
    with mirror.writer() as writer:
        assert writer is not None
        reader = threading.Thread(target=lambda: seen.append(len(ids(mirror))))
        reader.start()
        reader.join(5)
        with mirror.writer() as second:
            assert second is None
    assert seen == [20]


def test_mirrors_of_servers_not_asked_for_long_are_taken_away(tmp_path: Path) -> None:
    old = filled(Mirror.open(tmp_path / "mirror", "http://127.0.0.1:4711"), [run(1)])
    assert old.file is not None
    os.utime(old.file, (1e9, 1e9))
    mine = filled(opened(tmp_path), [run(2)])
    assert not old.file.exists()
    assert mine.state().runs == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), (" 7 ", 7.0), ("-.5", -0.5), ("nan", None), ("inf", None), ("1_0", None),
     ("1e999", None), ("0x10", None), ("", None), ("١", None)],
)  # fmt: skip
def test_what_counts_as_a_number(text: str, value: float | None) -> None:
    assert number(text) == value
