"""The nouns of comparing: a run with what its record kept, what differs, and groups over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from foundry_tui.estate.text import SafeText
from foundry_tui.estate.tracked import TrackedRun


class Group(StrEnum):
    """What a difference is about, in the order in which it is shown."""

    PARAMS = "params"
    CODE = "code"
    ENVIRONMENT = "environment"
    DATA = "data"
    SPEC = "spec"
    PLACEMENT = "placement"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the artifacts of a record say; `missing` tells what it does not have, and why.

    `spec` is the resolved spec with dotted keys, `environment` one line for each package, `data`
    name -> digest. What is empty here is not known, and no difference is made of it.
    """

    spec: Mapping[str, SafeText] = field(default_factory=dict)
    environment: tuple[SafeText, ...] = ()
    patch: str | None = None
    data: Mapping[str, SafeText] = field(default_factory=dict)
    missing: tuple[SafeText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run of a comparison. `label` is what it is called there, short and different."""

    run: TrackedRun
    experiment: SafeText
    label: SafeText
    evidence: Evidence = Evidence()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One row: a key and its value on each side, None where the side does not have it.

    `numbers` are the values of a metric, for sorting and for the distance to a baseline. `unknown`
    are the places of the sides whose record does not tell: they make no difference.
    """

    group: Group
    key: SafeText
    values: tuple[SafeText | None, ...]
    numbers: tuple[float | None, ...] = ()
    unknown: frozenset[int] = frozenset()

    @property
    def same(self) -> bool:
        """Whether all sides that tell of it say the same."""
        told = {value for n, value in enumerate(self.values) if n not in self.unknown}
        return len(told) <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side. `rows` has all rows, the equal ones too; a face hides those."""

    sides: tuple[Side, ...]
    rows: tuple[Difference, ...]

    @property
    def differing(self) -> tuple[Difference, ...]:
        """The rows in which the sides differ."""
        return tuple(row for row in self.rows if not row.same)


class Reduce(StrEnum):
    """Which of a metric's values stands for the run."""

    LAST = "last"
    MIN = "min"
    MAX = "max"
    SMOOTH = "smooth"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedGroup:
    """Runs that differ in nothing but their seed. `sd` is the sample deviation; None of one run.

    `values` are those of the metric, one for each run that has it.
    """

    runs: tuple[TrackedRun, ...]
    params: Mapping[str, SafeText]
    values: tuple[float, ...]
    mean: float | None
    sd: float | None
    best: float | None
