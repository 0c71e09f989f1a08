"""What the screens remember from one start to the next: saved views, and that they were seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Site
from foundry_tui.config.places import PlaceError, state_dir
from foundry_tui.store.views import Kept, SavedView, Views, ViewsError

__all__ = ["Kept", "SavedView", "delete_view", "first_start", "save_view", "saved_views"]

T = TypeVar("T")

MARKER = "welcomed"
"""The file that says that the first start is over."""


def saved_views(site: Site) -> Kept:
    """Every saved view, and what is wrong with the file.

    Raises:
        ActionError: there is no folder to keep them in.
    """
    return Views(_folder(site)).load()


def save_view(site: Site, view: SavedView) -> Kept:
    """Keep a view in place of one of its name; all views there are now.

    Raises:
        ActionError: the name cannot be used, or it cannot be written.
    """
    return _with(site, lambda views: views.save(view))


def delete_view(site: Site, name: str) -> Kept:
    """Forget a view; all views that are left.

    Raises:
        ActionError: there is no such view, or it cannot be written.
    """
    return _with(site, lambda views: views.delete(name))


def first_start(site: Site) -> bool:
    """Whether the screens were never shown to this user; from now on they were.

    Where nothing can be kept the answer is no: better never welcomed than every time.
    """
    try:
        fd = os.open(_folder(site) / MARKER, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except (OSError, ActionError):
        return False
    os.close(fd)
    return True


def _with(site: Site, change: Callable[[Views], None]) -> Kept:
    views = Views(_folder(site))
    before = views.load()
    try:
        change(views)
    except ViewsError as error:
        raise ActionError(str(error)) from error
    after = views.load()
    return Kept(after.views, before.notice or after.notice)


def _folder(site: Site) -> Path:
    try:
        return state_dir(site.config.state_dir, os.environ).path
    except PlaceError as error:
        raise ActionError(f"nothing can be kept: {error}") from error
