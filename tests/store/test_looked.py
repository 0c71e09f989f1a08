"""The last glance on disk: private, replaced as a whole, and damage is as good as nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from foundry_tui.estate.glance import MOST_RUNS, glance
from foundry_tui.estate.run import RunState
from foundry_tui.store import looked
from foundry_tui.store.looked import Looked
from tests.presenters.estate import NODES, NOW, RUNS, run

GLANCE = glance(RUNS, NODES, at=NOW, me=frozenset({"alice"}), advice=3)


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    kept = Looked(tmp_path, "lab")
    assert kept.load() is None
    assert kept.save(GLANCE)
    assert kept.load() == GLANCE
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [kept.path.name]
    assert Looked(tmp_path, "../other").load() is None
    assert Looked(tmp_path, "../other").path.parent == tmp_path


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b'["foundry.glance/1",{}]',
        b'["foundry.glance/2",{"at":"2026-01-01T00:00:00Z","runs":{},"nodes":{}}]',
        b'["foundry.glance/1",{"at":"2026-01-01T00:00:00","runs":{},"nodes":{}}]',
        b'["foundry.glance/1",{"at":"2026-01-01T00:00:00Z","runs":[],"nodes":{}}]',
        b"[" * 100_000,
        b"\xff" * 100,
    ],
)
def test_damage_is_ignored_and_replaced(tmp_path: Path, data: bytes) -> None:
    kept = Looked(tmp_path, "lab")
    kept.path.write_bytes(data)
    kept.path.chmod(0o600)
    assert kept.load() is None
    assert kept.save(GLANCE)
    assert kept.load() == GLANCE


def test_a_file_that_others_may_write_or_that_is_a_link_is_ignored(tmp_path: Path) -> None:
    kept = Looked(tmp_path, "lab")
    assert kept.save(GLANCE)
    kept.path.chmod(0o622)
    assert kept.load() is None
    kept.path.rename(tmp_path / "real")
    (tmp_path / "real").chmod(0o600)
    kept.path.symlink_to(tmp_path / "real")
    assert kept.load() is None
    assert kept.save(GLANCE)
    assert not kept.path.is_symlink()
    assert kept.load() == GLANCE


def test_a_large_estate_fits(tmp_path: Path) -> None:
    runs = [run(f"{n:08}_{n}", "x", RunState.RUNNING) for n in range(MOST_RUNS + 5)]
    many = glance(runs, NODES, at=NOW, me=frozenset({"alice"}))
    kept = Looked(tmp_path, "lab")
    assert kept.save(many)
    assert kept.path.stat().st_size < looked.MAX_BYTES
    assert kept.load() == many


def test_too_large_is_neither_kept_nor_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Looked(tmp_path, "lab")
    assert kept.save(GLANCE)
    monkeypatch.setattr(looked, "MAX_BYTES", 100)
    assert kept.load() is None
    assert not kept.save(GLANCE)


def test_no_folder_and_odd_names_are_no_error(tmp_path: Path) -> None:
    assert not Looked(tmp_path / "missing", "lab").save(GLANCE)
    assert Looked(tmp_path / "missing", "lab").load() is None
    odd = glance([run("\udcff", "x", RunState.RUNNING)], (), at=NOW, me=frozenset())
    assert not Looked(tmp_path, os.fsdecode(b"\xff")).save(odd)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Looked(tmp_path, "lab")
    assert kept.save(GLANCE)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert not kept.save(glance((), (), at=NOW, me=frozenset()))
    assert kept.load() == GLANCE
    assert [p.name for p in tmp_path.iterdir()] == [kept.path.name]
