"""The port of GPU readings: what every source of them can do, whatever it speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from foundry_tui.estate.reading import Reading
from foundry_tui.estate.source import Source
from foundry_tui.estate.text import SafeText

KIND = "telemetry"
"""The kind of every source of readings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of what `foundry doctor` says: what was looked for, how it stands, what to do."""

    what: str
    state: str
    found: SafeText
    mend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a source gave in one sweep.

    `asked` is how many nodes were asked and `silent` why some gave nothing, by node; a server that
    answers for all of them is asked once.
    """

    readings: tuple[Reading, ...] = ()
    source: Source
    asked: int = 0
    silent: Mapping[str, SafeText] = field(default_factory=dict)


class TelemetrySource(Protocol):
    """A source of readings. Nothing here raises: what goes wrong is a state with its reason."""

    @property
    def name(self) -> str: ...

    def read(self, nodes: Sequence[str], deadline_s: float) -> Sweep:
        """A reading of every GPU that can be had within `deadline_s`.

        `nodes` are the names of the nodes that the schedulers list.
        """

    def probe(self, nodes: Sequence[str]) -> tuple[Found, ...]:
        """What `foundry doctor` shows."""

    def close(self) -> None:
        """Give connections back."""
