"""What could not be read: counted, the first ones named, none dropped in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SHOWN = 2
"""How many rows are kept with file, line and value for each reason; the others only count."""


class HistoryError(ValueError):
    """A history that cannot be read at all; the text says what was read, and what to do."""


class Unfit(ValueError):
    """One row that cannot be replayed: the field, why, and what stood there.

    `reason` is one of a few fixed phrases, so that rejects can be counted by it; what varies is in
    `value`.
    """

    def __init__(self, field: str, reason: str, value: object = None) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason, self.value = field, reason, value


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not read: `line` counts from 1, `value` is None when nothing stood there."""

    file: str
    line: int
    field: str
    reason: str
    value: str | None = None

    def __str__(self) -> str:
        found = "" if self.value is None else f": {self.value}"
        return f"{self.file} line {self.line}: {self.field}: {self.reason}{found}"


@dataclass(frozen=True, slots=True)
class Rejects:
    """All that was not read: how many rows, the first few of each reason, and how many for each."""

    count: int
    first: tuple[Reject, ...]
    by_reason: tuple[tuple[str, int], ...]

    def lines(self) -> tuple[str, ...]:
        """What to show a person: the counts by reason, most frequent first, then the first few."""
        counts = tuple(f"{count} rows: {reason}" for reason, count in self.by_reason)
        return counts + tuple(str(reject) for reject in self.first)


class Tally:
    """Collects rejects while a history is read; bounded, however many there are."""

    def __init__(self) -> None:
        self._first: list[Reject] = []
        self._reasons: Counter[str] = Counter()

    def add(self, path: Path, line: int, unfit: Unfit) -> None:
        """Count one row, and keep it if it is among the first of its reason."""
        self._reasons[str(unfit)] += 1
        if self._reasons[str(unfit)] <= SHOWN:
            value = None if unfit.value is None else shown(unfit.value)
            self._first.append(Reject(path.name, line, unfit.field, unfit.reason, value))

    def done(self) -> Rejects:
        """What was collected."""
        return Rejects(
            self._reasons.total(), tuple(self._first), tuple(self._reasons.most_common())
        )


def shown(value: object) -> str:
    """A value from a file as it may be printed: quoted, ASCII, and not longer than a line."""
    text = ascii(str(value)[:60])
    return text if len(text) <= 60 else text[:57] + "..."
