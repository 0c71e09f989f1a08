"""Whom a spec is rendered for, and the notes that are taken on the way."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A source and the kind of scheduler behind it: slurm, runai or kai.

    `shards_per_gpu` is into how many shards a GPU is cut there; None where it is not.
    """

    source: str
    kind: str
    shards_per_gpu: int | None = None


class FieldError(ValueError):
    """A field of a spec that this target cannot take."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


@dataclass(slots=True)
class Notes:
    """What the user should know, in the order in which it came up."""

    found: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.found.append(line)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self.found)
