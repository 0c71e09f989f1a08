"""Saved views: filter, order and columns of a table under a name, in one file of the user's own.

A file that cannot be used is set aside under another name, never overwritten, and the user is told.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from foundry_tui.config.owned import OTHERS_WRITE, open_own
from foundry_tui.config.tables import NAME
from foundry_tui.estate.text import SafeText, safe

SCHEMA = "foundry.views/1"
MAX_BYTES = 1 << 20
MAX_VIEWS = 200
MAX_FILTER = 4096
"""Characters of a filter; more was not typed by a person."""


class ViewsError(Exception):
    """A view could not be kept or taken away; what was kept before is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """One view. `place` is the screen that it belongs to; no `columns` are all of them.

    An empty `sort` is the order as the source gives it.
    """

    name: str
    place: str
    filter: str = ""
    sort: str = ""
    descending: bool = False
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """The views by name, and what the user should know of the file."""

    views: tuple[SavedView, ...] = ()
    notice: SafeText | None = None


class Views:
    """The file `views.json` in a folder of the user's own, mode 0600, replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "views.json"

    def load(self) -> Kept:
        """Every saved view; a damaged file is set aside. Never raises."""
        try:
            with os.fdopen(open_own(self.path, OTHERS_WRITE), "rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ValueError(f"it is larger than {MAX_BYTES} bytes")
            return Kept(_decoded(data))
        except FileNotFoundError:
            return Kept()
        except OSError as error:
            return Kept(notice=self._aside(error.strerror or str(error)))
        except (ValueError, RecursionError) as error:
            return Kept(notice=self._aside(str(error)))

    def save(self, view: SavedView) -> None:
        """Keep a view in place of one of the same name.

        Raises:
            ViewsError: the name cannot be used, there are too many views, or the disk refuses.
        """
        if not NAME.fullmatch(view.name):
            raise ViewsError(
                f"a view cannot be called {safe(view.name)!r}: letters, digits, '.', '_' and '-', "
                "at most 64, a letter or digit first"
            )
        with self._locked():
            others = [v for v in self.load().views if v.name != view.name]
            if len(others) >= MAX_VIEWS:
                raise ViewsError(f"{MAX_VIEWS} views are kept already: delete one first")
            self._replace(sorted((*others, view), key=lambda v: v.name))

    def delete(self, name: str) -> None:
        """Forget a view.

        Raises:
            ViewsError: there is no such view, or the disk refuses.
        """
        with self._locked():
            views = self.load().views
            left = [v for v in views if v.name != name]
            if len(left) == len(views):
                raise ViewsError(f"no view is called {safe(name)!r}")
            self._replace(left)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, so that two open screens do not undo each other's saves."""
        try:
            fd = open_own(self._folder / "views.lock", OTHERS_WRITE, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
            finally:
                os.close(fd)
        except BlockingIOError as error:
            raise ViewsError("another foundry is just saving a view: try again") from error
        except OSError as error:
            words = f"views are not kept: {error.filename}: {error.strerror or error}"
            raise ViewsError(safe(words, max_cells=1000)) from error

    def _replace(self, views: list[SavedView]) -> None:
        text = json.dumps({"schema": SCHEMA, "views": [asdict(v) for v in views]}, indent=1)
        fd, name = tempfile.mkstemp(prefix=".views.", dir=self._folder)
        temp = Path(name)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            temp.replace(self.path)
        except BaseException:
            with suppress(OSError):
                temp.unlink()
            raise

    def _aside(self, reason: str) -> SafeText:
        """Move an unusable file out of the way; what to tell the user."""
        number = 1
        while (target := self.path.with_name(f"views.damaged-{number}.json")).exists():
            number += 1
        words = f"{self.path} cannot be used: {reason}"
        try:
            self.path.rename(target)
        except OSError as error:
            return safe(f"{words}; it is still there: {error.strerror}", max_cells=1000)
        return safe(f"{words}; it is now {target.name}", max_cells=1000)


def _decoded(data: bytes) -> tuple[SavedView, ...]:
    """The views of a file.

    Raises:
        ValueError: it is no JSON or not of this form; the message says which field.
    """
    whole = json.loads(data.decode("utf-8"))
    if not isinstance(whole, dict) or whole.get("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    rows = whole.get("views")
    if not isinstance(rows, list) or len(rows) > MAX_VIEWS:
        raise ValueError(f"its views are no list of at most {MAX_VIEWS}")
    return tuple(_view(number, row) for number, row in enumerate(rows))


def _view(number: int, row: object) -> SavedView:
    where = f"views[{number}]"
    if not isinstance(row, dict):
        raise ValueError(f"{where} is no object")
    name, place = _text(row, "name", where), _text(row, "place", where)
    columns = row.get("columns", [])
    if not NAME.fullmatch(name):
        raise ValueError(f"{where}.name is no name")
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise ValueError(f"{where}.columns is no list of texts")
    if not isinstance(row.get("descending", False), bool):
        raise ValueError(f"{where}.descending is not true or false")
    return SavedView(
        name=name,
        place=place,
        filter=_text(row, "filter", where),
        sort=_text(row, "sort", where),
        descending=row.get("descending", False),
        columns=tuple(columns),
    )


def _text(row: dict[str, object], key: str, where: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str) or len(value) > MAX_FILTER or not value.isprintable():
        raise ValueError(f"{where}.{key} is no text of one line")
    return value
