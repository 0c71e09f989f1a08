"""The hash-chained file: what was written stays, and what was changed is named by its line."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from foundry_tui.store.chain import FIRST_PREV, Chain


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path, "journal", lock_timeout_s=0.2)


def filled(chain: Chain, count: int = 6) -> list[bytes]:
    """A chain with `count` lines; its lines with their newlines."""
    for number in range(count):
        chain.append({"event": "test", "number": number, "text": "x" * number})
    return chain.file.read_bytes().splitlines(keepends=True)


def numbers(chain: Chain) -> list[int]:
    return [line.data["number"] for line in chain.lines()]


def found(chain: Chain) -> list[tuple[int, str]]:
    return [(p.line, p.kind) for p in chain.verify()]


def test_each_line_follows_the_one_before(chain: Chain) -> None:
    lines = [json.loads(raw) for raw in filled(chain)]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["prev"] for line in lines] == [FIRST_PREV, *(x["hash"] for x in lines[:-1])]
    assert chain.verify() == []
    assert numbers(chain) == [0, 1, 2, 3, 4, 5]


def test_files_are_closed_to_others_whatever_the_umask(chain: Chain) -> None:
    umask = os.umask(0)
    try:
        filled(chain)
    finally:
        os.umask(umask)
    for path in (chain.file, chain.lock):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_written_is_nothing_wrong(chain: Chain, tmp_path: Path) -> None:
    assert (chain.lines(), chain.verify()) == ([], [])
    missing = Chain(tmp_path / "none", "journal")
    assert (missing.lines(), missing.verify()) == ([], [])
    assert not (tmp_path / "none").exists()


def test_any_text_comes_back_as_it_was(chain: Chain) -> None:
    texts = ["\udcff\x1b]52;c;x\x07", 'a","hash":"' + "0" * 64 + '"}', "a\nb\u2028c\0", "日本😀"]
    for text in texts:
        chain.append({"text": text})
    assert [line.data["text"] for line in chain.lines()] == texts
    assert chain.file.read_bytes().isascii()
    assert chain.verify() == []


EDITS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], list[tuple[int, str]]]] = {
    "one character": (
        lambda x: [*x[:2], x[2].replace(b'"number":2', b'"number":7'), *x[3:]],
        [(3, "edited")],
    ),
    "a space": (lambda x: [*x[:2], x[2].replace(b":2,", b": 2,"), *x[3:]], [(3, "edited")]),
    "the last line": (
        lambda x: [*x[:5], x[5].replace(b"test", b"tset")],
        [(6, "edited")],
    ),
    "a line taken out": (lambda x: x[:2] + x[3:], [(3, "missing")]),
    "the first line taken out": (lambda x: x[1:], [(1, "missing")]),
    "two lines swapped": (
        lambda x: [x[0], x[2], x[1], *x[3:]],
        [(2, "order"), (3, "order"), (4, "order")],
    ),
    "a line repeated": (lambda x: [*x[:3], x[2], *x[3:]], [(4, "order")]),
    "a line cut short": (
        lambda x: [*x[:2], x[2][:-9] + b"\n", *x[3:]],
        [(3, "torn"), (4, "missing")],
    ),
    "a line of rubbish put in": (lambda x: [*x[:2], b"\0rubbish\n", *x[2:]], [(3, "torn")]),
    "an empty line put in": (lambda x: [*x[:2], b"\n", *x[2:]], [(3, "torn")]),
    "last lines cut off": (lambda x: x[:4], [(5, "missing")]),
    "all lines cut off": (lambda x: [], [(1, "missing")]),
    "deep nesting": (
        lambda x: [*x, b'{"a":' + b"[" * 99999 + b',"hash":"' + b"0" * 64 + b'"}\n'],
        [(7, "torn")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named_by_its_line(chain: Chain, name: str) -> None:
    edit, expected = EDITS[name]
    chain.file.write_bytes(b"".join(edit(filled(chain))))
    assert found(chain) == expected
    assert str(chain.verify()[0]).startswith(f"line {expected[0][0]}: ")


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_still_named_after_the_next_line(chain: Chain, name: str) -> None:
    edit, expected = EDITS[name]
    chain.file.write_bytes(b"".join(edit(filled(chain))))
    before = numbers(chain)
    chain.append({"number": 99})
    assert numbers(chain) == [*before, 99]
    assert set(found(chain)) >= set(expected)


def test_a_replaced_line_is_seen_although_its_own_hash_fits(chain: Chain, tmp_path: Path) -> None:
    lines = filled(chain)
    (tmp_path / "other").mkdir()
    forger = Chain(tmp_path / "other", "journal")
    forger.file.write_bytes(b"".join(lines[:2]))
    forger.append({"event": "test", "number": 77})
    forged = forger.file.read_bytes().splitlines(keepends=True)[2]
    chain.file.write_bytes(b"".join([*lines[:2], forged, *lines[3:]]))
    assert found(chain) == [(4, "edited")]
    chain.file.write_bytes(b"".join([*lines[:2], forged]))
    assert found(chain) == [(4, "missing")]


def test_a_last_line_that_was_replaced_is_seen(chain: Chain, tmp_path: Path) -> None:
    lines = filled(chain, 3)
    (tmp_path / "other").mkdir()
    forger = Chain(tmp_path / "other", "journal")
    forger.file.write_bytes(b"".join(lines[:2]))
    forger.append({"event": "test", "number": 77})
    chain.file.write_bytes(forger.file.read_bytes())
    assert found(chain) == [(3, "edited")]


def test_a_kill_in_the_middle_of_a_write_costs_that_line_only(chain: Chain) -> None:
    lines = filled(chain, 3)
    lock = chain.lock.read_bytes()
    chain.append({"number": 3, "text": "\udcff" * 3})
    whole = chain.file.read_bytes()
    intact = b"".join(lines)
    for size in range(len(intact), len(whole) + 1):
        chain.file.write_bytes(whole[:size])
        chain.lock.write_bytes(lock)  # it is written after the line
        complete = size >= len(whole) - 1
        cut = [] if complete or size == len(intact) else [(4, "torn")]
        assert found(chain) == cut, size
        assert numbers(chain) == [0, 1, 2] + [3] * complete, size
        chain.append({"number": 4})
        assert chain.file.read_bytes().startswith(whole[:size]), size
        assert numbers(chain) == [0, 1, 2] + [3] * complete + [4], size
        assert found(chain) == cut, size


def test_a_block_of_zeros_after_a_power_cut_is_a_torn_line(chain: Chain) -> None:
    lines = filled(chain, 2)
    chain.file.write_bytes(b"".join(lines) + bytes(4096))
    assert found(chain) == [(3, "torn")]
    chain.append({"number": 5})
    assert numbers(chain) == [0, 1, 5]


def test_the_last_whole_line_is_found_far_from_the_end(chain: Chain) -> None:
    chain.append({"number": 0, "text": "x" * 300_000})
    with chain.file.open("ab") as file:
        file.write(b"y\n" * 200_000)
    chain.append({"number": 1})
    assert numbers(chain) == [0, 1]
    assert {p.kind for p in chain.verify()} == {"torn"}


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"999999999999999999999 x\n", b"2 abc"])
def test_a_damaged_lock_file_costs_nothing(chain: Chain, damage: bytes) -> None:
    filled(chain, 3)
    chain.lock.write_bytes(damage)
    assert found(chain) == []
    chain.append({"number": 3})
    assert (numbers(chain), found(chain)) == ([0, 1, 2, 3], [])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk_adds_nothing(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    filled(chain, 2)
    before = chain.file.read_bytes()
    real_write = os.write

    def fail(fd: int, data: bytes = b"") -> int:
        if call == "write" and len(data) > 20:
            return real_write(fd, data[:20])  # some bytes still fit
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match=os.strerror(code)):
            chain.append({"number": 2, "text": "x" * 200})
    assert chain.file.read_bytes() == before
    chain.append({"number": 3})
    assert (numbers(chain), found(chain)) == ([0, 1, 3], [])


def test_a_write_that_cannot_be_taken_back_is_torn(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(chain, 2)
    real_write = os.write

    def half(fd: int, data: bytes) -> int:
        if len(data) > 100:
            return real_write(fd, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="No space"):
            chain.append({"number": 2, "text": "x" * 150})
    assert found(chain) == [(3, "torn")]
    chain.append({"number": 3})
    assert (numbers(chain), found(chain)) == ([0, 1, 3], [(3, "torn")])


def test_a_lock_that_is_held_is_waited_for_and_then_given_up(chain: Chain) -> None:
    filled(chain, 1)
    with chain.lock.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"another foundry has held it for 0\.2 s"):
            chain.append({"number": 1})
        assert found(chain) == []
    chain.append({"number": 2})
    assert numbers(chain) == [0, 2]


def test_a_file_that_is_not_ones_own_is_not_used(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(chain, 1)
    chain.file.chmod(0o622)
    with pytest.raises(PermissionError, match="its mode is 0622"):
        chain.append({})
    with pytest.raises(PermissionError, match="its mode is 0622"):
        chain.lines()
    chain.file.chmod(0o600)

    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with pytest.raises(PermissionError, match="belongs to uid"):
            chain.append({})
        with pytest.raises(PermissionError, match="belongs to uid"):
            chain.verify()

    chain.file.rename(tmp_path / "real")
    chain.file.symlink_to("real")
    with pytest.raises(OSError, match="symbolic links"):
        chain.append({})
    chain.file.unlink()
    os.mkfifo(chain.file, 0o600)
    with pytest.raises(PermissionError, match="not a regular file"):
        chain.append({})


def test_a_folder_that_may_only_be_read_can_still_be_verified(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(chain, 2)
    real_open = os.open

    def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real_open(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    assert (numbers(chain), found(chain)) == ([0, 1], [])
    with pytest.raises(OSError, match="Read-only file system"):
        chain.append({})
