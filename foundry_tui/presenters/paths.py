"""Completion of a path that is being typed, over a listing of its folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile


@dataclass(frozen=True, slots=True)
class Listed:
    """One name in a folder, as the system tells it."""

    name: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """What a typed path may become: the text with all that is certain, and the names to choose."""

    text: str
    choices: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether one name is left and stands there in full."""
        return len(self.choices) == 1 and self.text.endswith(self.choices[0])


def parted(typed: str) -> tuple[str, str]:
    """The folder that a typed path is in, with its last `/`, and the beginning of a name in it."""
    head, slash, name = typed.rpartition("/")
    return head + slash, name


def complete(typed: str, listed: Iterable[Listed]) -> Completion:
    """Complete the last name of a path; folders end in `/`, and stand last among the choices.

    A name that begins with a dot is offered only where a dot was typed, and one that cannot be
    typed on one line never is.
    """
    folder, begun = parted(typed)
    fitting = [
        one
        for one in listed
        if one.name.startswith(begun)
        and one.name.isprintable()
        and (begun.startswith(".") or not one.name.startswith("."))
    ]
    fitting.sort(key=lambda one: (one.folder, one.name))
    names = tuple(f"{one.name}/" if one.folder else one.name for one in fitting)
    certain = _shared(names) if names else begun
    return Completion(folder + certain, names)


def _shared(names: tuple[str, ...]) -> str:
    """The beginning that all names have: that of the first and the last in order."""
    pairs = zip(min(names), max(names), strict=False)
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
