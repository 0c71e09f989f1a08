"""Saved views: whole or not at all, the user's own, and never lost for a damaged file."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from foundry_tui.store.views import MAX_BYTES, MAX_VIEWS, SavedView, Views, ViewsError

VIEW = SavedView(
    name="idle-nb",
    place="runs",
    filter='state=running util<1 name="my run"',
    sort="age",
    descending=True,
    columns=("id", "name"),
)


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return Views(tmp_path)


def test_what_was_saved_is_loaded_by_another_process(views: Views, tmp_path: Path) -> None:
    assert (views.load().views, views.load().notice) == ((), None)
    views.save(VIEW)
    views.save(SavedView(name="a", place="nodes"))
    assert Views(tmp_path).load().views == (SavedView(name="a", place="nodes"), VIEW)
    assert stat.S_IMODE(views.path.stat().st_mode) == 0o600
    views.save(SavedView(name="idle-nb", place="nodes"))
    assert [v.place for v in views.load().views] == ["nodes", "nodes"]
    views.delete("a")
    assert [v.name for v in views.load().views] == ["idle-nb"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["views.json", "views.lock"]


def test_what_is_not_there_cannot_be_deleted(views: Views) -> None:
    views.save(VIEW)
    with pytest.raises(ViewsError, match="no view is called 'other'"):
        views.delete("other")
    assert views.load().views == (VIEW,)


@pytest.mark.parametrize(
    "name", ["", "a b", "../x", "a/b", ".hidden", "-x", "é", "a\x1b", "a" * 65]
)
def test_a_name_is_a_plain_word(views: Views, name: str) -> None:
    with pytest.raises(ViewsError, match="letters, digits") as caught:
        views.save(SavedView(name=name, place="runs"))
    assert "\x1b" not in str(caught.value)
    assert not views.path.exists()


def row(**changed: object) -> bytes:
    whole = {"schema": "foundry.views/1", "views": [{"name": "a", "place": "runs", **changed}]}
    return json.dumps(whole).encode()


DAMAGED = {
    b"": "Expecting value",
    b"{": "Expecting",
    b"\xff\xfe": "utf-8",
    b"[]": "its schema is not",
    b'{"schema":"foundry.views/2","views":[]}': "its schema is not",
    b'{"schema":"foundry.views/1","views":{}}': "no list",
    b'{"schema":"foundry.views/1","views":[1]}': "views[0] is no object",
    row(name="a b"): "views[0].name",
    row(filter=3): "views[0].filter",
    row(filter="x" * 5000): "views[0].filter",
    row(sort="a\x1b[2J"): "views[0].sort",
    row(columns="id"): "views[0].columns",
    row(columns=[1]): "views[0].columns",
    row(descending="yes"): "views[0].descending",
    b"[" * 200_000: "",
    b" " * (MAX_BYTES + 1): "larger than",
}


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_told_and_set_aside(views: Views, tmp_path: Path, data: bytes) -> None:
    views.path.write_bytes(data)
    views.path.chmod(0o600)
    kept = views.load()
    assert kept.views == ()
    assert f"{views.path} cannot be used: " in str(kept.notice)
    assert DAMAGED[data] in str(kept.notice)
    assert (tmp_path / "views.damaged-1.json").read_bytes() == data
    views.save(VIEW)
    assert views.load().views == (VIEW,)
    views.path.write_bytes(b"{")
    assert "views.damaged-2.json" in str(views.load().notice)


def test_a_file_cut_at_any_length_is_damaged_or_gone_never_half(views: Views) -> None:
    views.save(VIEW)
    data = views.path.read_bytes().rstrip()
    for size in range(0, len(data), 7):
        views.path.write_bytes(data[:size])
        assert views.load().views == (), size


def test_the_file_of_others_is_not_believed(views: Views, tmp_path: Path) -> None:
    views.save(VIEW)
    views.path.chmod(0o666)
    kept = views.load()
    assert kept.views == ()
    assert "its mode is 0666" in str(kept.notice)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    views.path.symlink_to(victim)
    assert views.load().views == ()
    views.save(VIEW)
    assert victim.read_text() == "mine"
    assert views.load().views == (VIEW,)


def test_a_full_disk_leaves_what_was_kept(views: Views, monkeypatch: pytest.MonkeyPatch) -> None:
    views.save(VIEW)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ViewsError, match="No space left"):
            views.save(SavedView(name="b", place="runs"))
    assert views.load().views == (VIEW,)
    assert not list(views.path.parent.glob(".views.*"))


def test_two_writers_do_not_undo_each_other(views: Views, tmp_path: Path) -> None:
    import fcntl

    views.save(VIEW)
    with (tmp_path / "views.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ViewsError, match="another foundry"):
            views.delete("idle-nb")
    views.delete("idle-nb")
    assert views.load().views == ()


def test_there_is_an_end_to_their_number(views: Views) -> None:
    rows = [{"name": f"v{n}", "place": "runs"} for n in range(MAX_VIEWS)]
    views.path.write_text(json.dumps({"schema": "foundry.views/1", "views": rows}))
    views.path.chmod(0o600)
    with pytest.raises(ViewsError, match="delete one first"):
        views.save(VIEW)
    views.save(SavedView(name="v7", place="nodes"))
    assert len(views.load().views) == MAX_VIEWS
