"""Every test of a screen has a home of its own, in which the first start is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundry_tui.actions.views import first_start
from tests.tui.estates import still
from tests.tui.opened import alone


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for all that is kept; the working folder is in it."""
    alone(tmp_path, monkeypatch)
    cache = tmp_path / "XDG_CACHE_HOME"
    cache.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    work = tmp_path / "work"
    work.mkdir(mode=0o700)
    monkeypatch.chdir(work)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    first_start(still())
    return work
