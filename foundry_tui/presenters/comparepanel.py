"""Runs side by side as a live table: runs as columns or as rows, alone or as groups of seeds."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.filter import Field
from foundry_tui.estate.recorded import COST, SYSTEM
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import Point, TrackedRun
from foundry_tui.experiments.best import guessed
from foundry_tui.experiments.markdown import table
from foundry_tui.experiments.nouns import Comparison, Difference, Reduce
from foundry_tui.experiments.reduce import reduced
from foundry_tui.experiments.seeds import groups, mean_sd
from foundry_tui.presenters import units
from foundry_tui.presenters.compared import key_text, value_text
from foundry_tui.presenters.records import Record
from foundry_tui.presenters.rows.model import GridColumn, Rows, lazy, natural
from foundry_tui.presenters.rows.tracked import delta_text
from foundry_tui.presenters.table import Column
from foundry_tui.presenters.tracked import LARGEST, metric_text

RANKS: tuple[Reduce | None, ...] = (None, Reduce.LAST, Reduce.MIN, Reduce.SMOOTH)
"""Orders of the runs: as they were chosen, then by one value each; MIN stands for the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """One column: the places of its runs among the sides, and what it is called."""

    places: tuple[int, ...]
    label: SafeText


def alone(compared: Comparison) -> tuple[Stand, ...]:
    """Each run by itself."""
    return tuple(Stand(places=(n,), label=side.label) for n, side in enumerate(compared.sides))


def by_seed(compared: Comparison) -> tuple[Stand, ...]:
    """Runs that differ in their seed alone together, under the label of the first."""
    runs = [side.run for side in compared.sides]
    place = {run.run_id: n for n, run in enumerate(runs)}
    found = []
    for group in groups(runs, {}):
        places = tuple(place[run.run_id] for run in group.runs)
        label = compared.sides[places[0]].label
        if len(places) > 1:
            label = safe(f"{label} x{len(places)}")
        found.append(Stand(places=places, label=label))
    return tuple(found)


def metrics_of(runs: Sequence[TrackedRun]) -> tuple[str, ...]:
    """The metrics that can be drawn, those of most runs first; what they cost is not among them."""
    counts = Counter(
        key for run in runs for key in run.metrics if key not in COST and not key.startswith(SYSTEM)
    )
    return tuple(sorted(counts, key=lambda key: (-counts[key], key)))


def ranked(
    stands: Sequence[Stand],
    compared: Comparison,
    how: Reduce | None,
    metric: str | None,
    curves: Mapping[str, Sequence[Point]],
    *,
    baseline: int | None,
) -> tuple[Stand, ...]:
    """The columns in order: the baseline first, then as chosen or the best by the metric.

    `Reduce.MIN` stands for the best of a curve, whichever way is better. Runs without a value come
    last; where the metric's name does not tell what is better, less is.
    """
    lower = guessed(metric or "") is not False

    def value(place: int) -> float | None:
        run = compared.sides[place].run
        which = how or Reduce.LAST
        if which is Reduce.MIN and not lower:
            which = Reduce.MAX
        last = run.metrics.get(metric or "")
        found = reduced(which, curves.get(run.run_id, ()), last=last)
        return found if found is not None and math.isfinite(found) else None

    def key(stand: Stand) -> tuple[bool, bool, float]:
        first = baseline is None or baseline not in stand.places
        if how is None or metric is None:
            return first, False, 0.0
        known = [v for place in stand.places if (v := value(place)) is not None]
        mean, _ = mean_sd(known)
        return first, mean is None, (mean or 0.0) * (1 if lower else -1)

    return tuple(sorted(stands, key=key))


def chosen_rows(compared: Comparison, *, every: bool, pattern: str = "") -> tuple[Difference, ...]:
    """The rows that differ, or all; of these the ones whose group, key or value the pattern finds.

    Raises:
        re.error: the pattern is no regular expression.
    """
    rows = compared.rows if every else compared.differing
    if not pattern:
        return rows
    found = re.compile(pattern, re.IGNORECASE)
    return tuple(
        row
        for row in rows
        if found.search(f"{row.group.value}.{row.key}")
        or any(value is not None and found.search(value) for value in row.values)
    )


def cell(row: Difference, stand: Stand, base: Stand | None) -> SafeText:
    """What a column says in a row; numbers with their distance to the baseline's."""
    timed = row.key == "duration_s"
    if len(stand.places) == 1:
        text = value_text(row, stand.places[0])
    elif numbers := _numbers(row, stand):
        mean, sd = mean_sd(numbers)
        text = _text(mean, timed=timed)
        if sd is not None:
            text = SafeText(f"{text} sd {units.duration(sd) if timed else f'{sd:.2g}'}")
    else:
        said = dict.fromkeys(value_text(row, place) for place in stand.places)
        text = next(iter(said)) if len(said) == 1 else SafeText(f"{len(said)} values")
    if base is None or base is stand:
        return text
    own, other = _mean(row, stand), _mean(row, base)
    if own is None or other is None or own == other or not math.isfinite(own - other):
        return text
    delta = own - other
    if timed:
        return SafeText(f"{text} ({'+' if delta > 0 else '-'}{units.duration(abs(delta))})")
    return SafeText(f"{text} ({delta_text(delta)})")


def _text(value: float | None, *, timed: bool) -> SafeText:
    if value is None:
        return units.UNKNOWN
    return units.duration(value) if timed else metric_text(value)


def side_rows(stands: Sequence[Stand], base: Stand | None) -> Rows[Difference]:
    """The table with the runs as columns; the first column names what differs."""
    labels = _unlike([stand.label for stand in stands])

    def cells(row: Difference, _now: datetime) -> Sequence[SafeText]:
        return (
            key_text(row),
            SafeText(row.group.value),
            *(cell(row, stand, base) for stand in stands),
        )

    def record(row: Difference, _now: datetime) -> Record:
        values: Record = {
            str(label): cell(row, s, None) for label, s in zip(labels, stands, strict=True)
        }
        return {"group": row.group.value, "key": row.key, **values}

    def order(stand: Stand) -> Callable[[Difference, datetime], object]:
        return lambda row, _: natural(cell(row, stand, None))

    columns: list[GridColumn[Difference]] = [
        GridColumn(
            id="key",
            column=Column("WHAT", min_width=12, stretch=True),
            order=lambda row, _: natural(row.key),
        ),
        GridColumn(
            id="group", column=Column("OF", min_width=6), order=lambda row, _: row.group.value
        ),
    ]
    for n, (label, stand) in enumerate(zip(labels, stands, strict=True)):
        title = f"> {label}" if stand is base else label
        columns.append(
            GridColumn(
                id=f"run{n}",
                column=Column(title, min_width=10, priority=1, stretch=True),
                order=order(stand),
            )
        )
    return Rows(
        noun="row",
        plural="comparison",
        columns=tuple(columns),
        key=lambda row: f"{row.group.value}/{row.key}",
        cells=cells,
        glyph=lambda row: "?" if row.unknown else "",
        fields=_FIELDS,
        get=lazy(lambda row: row.key, _FIELDS, {"key": lambda row: row.key}, {}),
        record=record,
        copied=(("key", lambda row: row.key),),
        csv=("group", "key", *labels),
    )


def stand_rows(rows: Sequence[Difference], base: Stand | None) -> Rows[Stand]:
    """The table with the runs as rows, and what differs as columns."""
    names = _unlike([safe(f"{row.group.value}.{row.key}") for row in rows])

    def cells(stand: Stand, _now: datetime) -> Sequence[SafeText]:
        label = safe(f"> {stand.label}") if stand is base else stand.label
        return (label, *(cell(row, stand, base) for row in rows))

    def record(stand: Stand, _now: datetime) -> Record:
        values: Record = {
            str(name): cell(row, stand, None) for name, row in zip(names, rows, strict=True)
        }
        return {"run": stand.label, **values}

    def order(row: Difference) -> Callable[[Stand, datetime], object]:
        if row.numbers:
            return lambda stand, _: _mean(row, stand)
        return lambda stand, _: natural(cell(row, stand, None))

    columns: list[GridColumn[Stand]] = [
        GridColumn(
            id="run",
            column=Column("RUN", min_width=12, stretch=True),
            order=lambda stand, _: natural(stand.label),
        )
    ]
    for name, row in zip(names, rows, strict=True):
        title = safe(key_text(row), max_cells=18).upper()
        columns.append(
            GridColumn(
                id=name,
                column=Column(title, min_width=8, priority=1, stretch=True),
                order=order(row),
            )
        )
    return Rows(
        noun="run",
        plural="comparison",
        columns=tuple(columns),
        key=lambda stand: stand.label,
        cells=cells,
        glyph=lambda _: "",
        fields=_FIELDS,
        get=lazy(lambda stand: stand.label, _FIELDS, {"key": lambda s: s.label}, {}),
        record=record,
        copied=(("run", lambda stand: stand.label),),
        csv=("run", *names),
    )


def markdown(
    rows: Sequence[Difference], stands: Sequence[Stand], base: Stand | None, *, turned: bool
) -> str:
    """What is shown as a Markdown table."""
    labels = [stand.label for stand in stands]
    body = [
        [f"{row.group.value}: {key_text(row)}", *(cell(row, s, base) for s in stands)]
        for row in rows
    ]
    if not turned:
        return "\n".join(table(["what", *labels], body))
    header = ["run", *(line[0] for line in body)]
    lines = [[label, *(line[n + 1] for line in body)] for n, label in enumerate(labels)]
    return "\n".join(table(header, lines))


_FIELDS = {"key": Field("text", fuzzy=True)}


def _numbers(row: Difference, stand: Stand) -> list[float]:
    if not row.numbers:
        return []
    found = [row.numbers[place] for place in stand.places]
    return [v for v in found if v is not None and math.isfinite(v) and abs(v) < LARGEST]


def _mean(row: Difference, stand: Stand) -> float | None:
    return mean_sd(_numbers(row, stand))[0]


def _unlike(labels: Sequence[SafeText]) -> list[SafeText]:
    """The labels, with a number behind those that are there before: CSV needs each once."""
    seen: Counter[str] = Counter()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if seen[label] == 1 else safe(f"{label} #{seen[label]}"))
    return found
