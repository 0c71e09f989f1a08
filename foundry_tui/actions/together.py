"""Several job specs in one submit: which goes first, so that what is needed has an id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foundry_tui.actions.beside import NOTHING, Beside
from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.scripts import SPECS, program_of, read_script


def ordered(paths: Sequence[str], beside: Beside = NOTHING) -> tuple[tuple[str, str], ...]:
    """Path and name of each spec, those that others need first; else as they were given.

    Raises:
        WrongUse: one cannot be read, two have the same name, or they need each other in a circle.
    """
    from foundry_tui.actions import spec

    names: dict[str, str] = {}
    needs: dict[str, set[str]] = {}
    for path in paths:
        found = spec.read_spec(*read_script(program_of(path)), beside).spec
        if found.name in names:
            raise WrongUse(
                f"submit: {names[found.name]} and {path} are both called {found.name!r}: give each "
                "its own `name`, by which others can need it"
            )
        names[found.name] = path
        needs[found.name] = set(found.needs)
    found_order: list[tuple[str, str]] = []
    left = dict(names)
    while left:
        ready = next((n for n in left if not needs[n] & left.keys()), None)
        if ready is None:
            raise WrongUse(f"submit: {', '.join(left)} need each other in a circle (`needs`)")
        found_order.append((left.pop(ready), ready))
    return tuple(found_order)


def is_named_spec(path: str) -> bool:
    """Whether a path names a spec, or a folder with an MLproject, and no batch script."""
    if program_of(path) != path:
        return True
    if not path.lower().endswith(SPECS):
        return False
    place = Path(path).expanduser()
    try:
        if not place.is_file():
            return True  # whoever reads it next says what is wrong; a pipe would hold us for ever
        with place.open("rb") as file:
            return file.read(2) != b"#!"
    except (OSError, ValueError):
        return True
