"""One question at a time: a screen asks from several threads, and the simulation has one state."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

ASKED = (
    "snapshot",
    "accounting",
    "accounts",
    "own_totals",
    "logs",
    "details",
    "estimate",
    "estimate_submit",
    "rights",
    "preview",
    "perform",
    "read_back",
    "find_submitted",
)
"""The methods of the ports that look at the simulation."""


class _Locked(Protocol):
    turn: Any


def in_turn(cls: type) -> None:
    """Let those of `ASKED` that a class itself defines wait for each other, by its `turn`."""
    for name in ASKED:
        if name in cls.__dict__:
            setattr(cls, name, _waiting(cls.__dict__[name]))


def _waiting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: _Locked, *args: Any, **named: Any) -> Any:
        with self.turn:
            return method(self, *args, **named)

    return call
