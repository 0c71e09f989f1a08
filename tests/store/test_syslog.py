"""The system log as a second witness, on a real datagram socket."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.acts import Receipt, ReceiptStatus
from foundry_tui.store.journal import Journal, Purpose, Who
from foundry_tui.store.syslog import MOST_BYTES, Syslog

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
FRAME = re.compile(rb"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d foundry\[\d+\]: ([ -~]*)")
ALICE = Who(uid=1001, user="alice", host="login", pid=1, sudo_user="bob\n<0>root")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "log"))
        bound.settimeout(20)
        yield bound


def test_each_change_is_told_with_the_hash_of_its_journal_line(
    daemon: socket.socket, tmp_path: Path
) -> None:
    journal = Journal(tmp_path, lambda: NOW, log=Syslog("authpriv", tmp_path / "log"))
    purpose = Purpose(plan="p1", move="m1")
    begun = journal.begin(
        "c-1", "cancel", "lab", commands=[], items=["lab/1"], token=None, who=ALICE, purpose=purpose
    )
    receipt = Receipt(target="lab/1", status=ReceiptStatus.DONE)
    finished = journal.finish("c-1", "done", [receipt])
    first, second = (FRAME.fullmatch(daemon.recv(4096)) for _ in range(2))
    assert first is not None and second is not None
    assert int(first[1]) == 10 * 8 + 5
    words = first[2].decode()
    assert f"event=begin change=c-1 hash={begun.hash} user=alice uid=1001" in words
    assert r'sudo_user="bob\n<0>root"' in words
    assert words.endswith("act=cancel source=lab plan=p1 targets=lab/1")
    assert f"event=finish change=c-1 hash={finished.hash}" in second[2].decode()
    assert "status=done act=cancel" in second[2].decode()


def test_what_is_long_is_cut_at_a_field_and_says_so(daemon: socket.socket, tmp_path: Path) -> None:
    targets = "x" * 900
    assert Syslog("user", tmp_path / "log").tell(
        {"hash": "h", "targets": targets, "user": "a" * 99}
    )
    line = daemon.recv(4096)
    assert len(line) <= MOST_BYTES
    assert line.endswith(b"cut=1") and b"hash=h" in line


def test_neither_an_absent_nor_a_full_daemon_stops_a_change(tmp_path: Path) -> None:
    log = Syslog("user", tmp_path / "log")
    assert not log.tell({"event": "begin"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "log"))
        while log.tell({"event": "begin"}):
            pass  # until the queue of a daemon that never reads is full
        journal = Journal(tmp_path, lambda: NOW, log=log)
        journal.begin("c-1", "hold", "lab", commands=[], items=[], token=None, who=ALICE)
        assert [record.change.id for record in journal.changes()] == ["c-1"]


@given(st.dictionaries(st.sampled_from(("hash", "user", "plan", "targets")), st.text()))
def test_no_text_forges_a_line_or_a_field(fields: dict[str, str]) -> None:
    line = Syslog("user")._line(fields)
    found = FRAME.fullmatch(line)
    assert found is not None and len(line) <= MOST_BYTES
    names = re.findall(rb'(\w+)=(?:"(?:[^"\\]|\\.)*"|[^" ]*)(?: |$)', found[2])
    assert [n.decode() for n in names if n != b"cut"] == [
        name for name, text in fields.items() if text
    ][: len(names) - (b"cut" in names)]
