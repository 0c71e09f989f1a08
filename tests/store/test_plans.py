"""Applied plans are kept whole, for their owner alone, and under no name but their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundry_tui.store.plans import Plans


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    plans = Plans(tmp_path / "plans")
    assert (plans.ids(), plans.load("p1")) == ((), None)
    plans.keep("p1", b"one")
    plans.keep("p2", b"two")
    plans.keep("p1", b"again")
    assert plans.load("p1") == b"again"
    assert set(plans.ids()) == {"p1", "p2"}
    assert plans.folder.stat().st_mode & 0o777 == 0o700
    assert (plans.folder / "p1.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["", "../p1", "a/b", ".p", "p\n", "x" * 65])
def test_a_name_that_leads_elsewhere_is_none(tmp_path: Path, name: str) -> None:
    plans = Plans(tmp_path / "plans")
    with pytest.raises(ValueError, match="no id of a plan"):
        plans.keep(name, b"x")
    assert plans.load(name) is None


def test_what_others_could_have_written_is_not_read(tmp_path: Path) -> None:
    plans = Plans(tmp_path / "plans")
    plans.keep("p1", b"one")
    (plans.folder / "p1.json").chmod(0o666)
    with pytest.raises(PermissionError):
        plans.load("p1")
