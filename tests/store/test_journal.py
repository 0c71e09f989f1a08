"""The journal of changes: on record before they are sent, readable whatever happened since."""

from __future__ import annotations

import os
import pwd
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from foundry_tui.estate.acts import Receipt, ReceiptStatus
from foundry_tui.estate.text import safe
from foundry_tui.store.journal import OPEN, Journal, JournalError, Record, Who, new_change_id

NOW = datetime(2026, 11, 21, 2, 31, 57, 250_000, tzinfo=UTC)
WHO = Who(uid=1000, user="ann", host="login1", pid=4711, ssh_connection="10.0.0.9 1 10.0.0.1 22")

APPEND = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from foundry_tui.store.journal import Journal, Who
folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
journal = Journal(folder, lambda: datetime.now(UTC), lock_timeout_s=60)
who = Who.current({})
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    journal.begin(f"{name}-{number}", "hold", "alpha", commands=[["scontrol", "hold", "1"]],
                  items=["alpha/1"], token=None, who=who)
    print(number, flush=True)
"""


class TickingClock:
    """Each look is one second later."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, TickingClock())


def begin(journal: Journal, change_id: str, undoes: str | None = None) -> None:
    journal.begin(
        change_id,
        "hold",
        "alpha",
        commands=[["scontrol", "hold", "17"], ["scontrol", "hold", "18"]],
        items=["alpha/17", "alpha/18"],
        token=None,
        who=WHO,
        undoes=undoes,
    )


def one(journal: Journal, change_id: str) -> Record:
    record = journal.find(change_id)
    assert record is not None
    return record


def worker(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", APPEND, str(folder), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_a_change_is_open_until_it_is_finished(journal: Journal, tmp_path: Path) -> None:
    begin(journal, "c-1")
    again = Journal(tmp_path, TickingClock())  # another process reads the file
    record = one(again, "c-1")
    assert (record.change.status, record.change.act, record.source) == (OPEN, "hold", "alpha")
    assert (record.change.at, record.finished_at) == (NOW + timedelta(seconds=1), None)
    assert record.commands == (("scontrol", "hold", "17"), ("scontrol", "hold", "18"))
    assert record.items == ("alpha/17", "alpha/18")
    assert record.who == WHO

    receipts = (
        Receipt(target="alpha/17", status=ReceiptStatus.DONE, before="PD", after="PD held"),
        Receipt(target="alpha/18", status=ReceiptStatus.REFUSED, message=safe("not yours")),
    )
    journal.finish("c-1", "part", receipts)
    record = one(again, "c-1")
    assert (record.change.status, record.change.receipts) == ("part", receipts)
    assert record.finished_at == NOW + timedelta(seconds=2)
    assert again.verify() == []


def test_changes_come_in_order_with_their_latest_result(journal: Journal) -> None:
    begin(journal, "c-1")
    begin(journal, "c-2", undoes="c-1")
    journal.finish("c-1", "unknown", ())
    begin(journal, "c-3")
    journal.finish("c-1", "done", ())
    views = [(r.change.id, r.change.status, r.change.undoes) for r in journal.changes()]
    assert views == [("c-1", "done", None), ("c-2", OPEN, "c-1"), ("c-3", OPEN, None)]
    assert journal.find("c-4") is None


def test_the_entry_is_what_stands_on_disk(journal: Journal) -> None:
    entry = journal.begin(
        "c-1", "submit", "alpha", commands=[], items=["job.sh"], token="f-1", who=WHO
    )
    line = journal.path.read_text()
    assert (entry.seq, entry.change_id, entry.at) == (1, "c-1", NOW + timedelta(seconds=1))
    assert f'"hash":"{entry.hash}"' in line
    assert '"at":"2026-11-21T02:31:58.250000+00:00"' in line
    assert one(journal, "c-1").token == "f-1"


def test_times_are_utc_whatever_the_clock_says(tmp_path: Path) -> None:
    east = timezone(timedelta(hours=9))
    journal = Journal(tmp_path, lambda: NOW.astimezone(east))
    begin(journal, "c-1")
    assert one(journal, "c-1").change.at == NOW
    assert '"at":"2026-11-21T02:31:57.250000+00:00"' in journal.path.read_text()
    assert new_change_id(lambda: NOW.astimezone(east)).startswith("c-20261121-023157-")


def test_change_ids_sort_by_time_and_differ() -> None:
    clock = TickingClock()
    ids = [new_change_id(clock) for _ in range(100)]
    assert ids == sorted(ids)
    assert len({new_change_id(lambda: NOW) for _ in range(100)}) == 100
    assert re.fullmatch(r"c-\d{8}-\d{6}-[0-9a-f]{6}", ids[0])


def test_raw_text_is_kept_exactly_and_shown_safely(journal: Journal) -> None:
    evil = "job\udcff\x1b]52;c;eA==\x07\n{}"
    journal.begin(
        "c-1",
        "submit",
        "alpha",
        commands=[["sbatch", f"--job-name={evil}"]],
        items=[evil],
        token=evil,
        who=Who(uid=1, user=evil, host="h", pid=1, sudo_user=evil, ssh_connection=evil),
    )
    receipt = Receipt(target=evil, status=ReceiptStatus.UNKNOWN, before=evil, after=evil)
    journal.finish("c-1", "unknown", [receipt])
    record = one(journal, "c-1")
    assert record.commands == (("sbatch", f"--job-name={evil}"),)
    assert (record.items, record.token) == ((evil,), evil)
    shown = record.change.receipts[0]
    for text in (shown.target, shown.before, shown.after, record.who.user, record.who.sudo_user):
        assert text == safe(evil)


def test_who_is_the_real_user(monkeypatch: pytest.MonkeyPatch) -> None:
    who = Who.current({"SUDO_USER": "ann", "SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22", "USER": "x"})
    assert (who.uid, who.pid) == (os.getuid(), os.getpid())
    assert who.user == pwd.getpwuid(os.getuid()).pw_name
    assert (who.sudo_user, who.ssh_connection) == ("ann", "1.2.3.4 5 6.7.8.9 22")
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999)
    nobody = Who.current({})
    assert (nobody.user, nobody.sudo_user, nobody.ssh_connection) == ("3999999", None, None)


def test_damaged_and_foreign_lines_do_not_count(journal: Journal) -> None:
    begin(journal, "c-1")
    begin(journal, "c-2")
    journal.finish("c-9", "done", ())
    chain = journal._chain
    chain.append({"event": "begin", "change": "c-3"})
    chain.append({"event": "finish", "change": "c-1", "at": "yesterday", "status": 3})
    chain.append({"event": "note", "text": "of a later version"})
    text = journal.path.read_bytes()
    journal.path.write_bytes(text.replace(b'"change":"c-2"', b'"change":"c-8"'))
    assert [(r.change.id, r.change.status) for r in journal.changes()] == [("c-1", OPEN)]
    assert [(p.line, p.kind) for p in journal.verify()] == [(2, "edited")]


def test_a_journal_that_cannot_be_written_stops_the_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "none", tmp_path / "file", Path("/proc/self")):
        journal = Journal(folder, TickingClock())
        with pytest.raises(JournalError, match="so nothing was sent") as caught:
            begin(journal, "c-1")
        assert str(folder) in str(caught.value)
        assert "set state_dir" in str(caught.value)
        with pytest.raises(JournalError, match="c-1 stays open"):
            journal.finish("c-1", "done", ())


def test_an_unreadable_journal_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, TickingClock())
    journal.path.mkdir()
    for read in (journal.changes, journal.verify, lambda: journal.find("c-1")):
        with pytest.raises(JournalError, match=r"cannot be read: .*journal\.jsonl"):
            read()


def test_a_real_write_limit_keeps_what_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, TickingClock())
    begin(journal, "c-0")
    size = journal.path.stat().st_size
    child = worker(tmp_path, "limited", 50)
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size * 3, size * 3))
    out, _ = child.communicate("\n", timeout=60)
    assert child.returncode != 0
    written = len(out.split())
    assert 0 < written < 50
    assert len(journal.changes()) == 1 + written
    assert journal.verify() == []
    begin(journal, "c-1")
    assert journal.verify() == []


def test_two_processes_append_at_once(tmp_path: Path) -> None:
    children = [worker(tmp_path, name, 200) for name in ("a", "b")]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=120)
        assert child.returncode == 0
    journal = Journal(tmp_path, TickingClock())
    assert journal.verify() == []
    ids = [r.change.id for r in journal.changes()]
    assert len(ids) == 400
    for name in ("a", "b"):
        assert [i for i in ids if i.startswith(name)] == [f"{name}-{n}" for n in range(200)]


def test_a_killed_process_leaves_a_whole_journal_and_no_lock(tmp_path: Path) -> None:
    child = worker(tmp_path, "a", 5000)
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    while child.stdout.readline() not in ("20\n", ""):
        pass
    child.kill()
    out, _ = child.communicate(timeout=60)
    promised = max([20, *(int(word) for word in out.split())]) + 1
    journal = Journal(tmp_path, TickingClock())
    begin(journal, "after")
    ids = [r.change.id for r in journal.changes()]
    assert ids[:promised] == [f"a-{n}" for n in range(promised)]
    assert ids[-1] == "after"
    assert {p.kind for p in journal.verify()} <= {"torn"}
