"""What a report looks like as bars: amounts by period, or by who held the GPUs, in parts.

Numbers only; a terminal and a picture draw them alike. Time that nobody measured is a part of its
own, because it is not idle.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from foundry_tui.estate import csvtext
from foundry_tui.reports.columns import names
from foundry_tui.reports.made import Made

USED, IDLE, UNKNOWN = "used", "idle", "unknown"

MOST_BARS = 20
"""Bars of who held the GPUs; the others are one bar. Periods are all drawn."""

_NOBODY = "(none)"
_PERIOD = "period_start_utc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Bars with their parts: `amounts[i][k]` is part `parts[k]` of the bar `labels[i]`, in `unit`.

    `by` says what a bar is: a period, an account, a node. `untold_count` are rows whose amount
    nobody knows: they are in no bar.
    """

    title: str
    unit: str
    by: str
    parts: tuple[str, ...]
    labels: tuple[str, ...]
    amounts: tuple[tuple[Decimal, ...], ...]
    untold_count: int = 0

    @property
    def largest(self) -> Decimal:
        """The length of the longest bar."""
        return max((sum(bar, Decimal(0)) for bar in self.amounts), default=Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Which columns of a report are drawn: a bar is `whole`, its parts are `parts`.

    What `parts` leave of the whole goes to `rest`; all of it is unknown where no part is known.
    Rows with a value in `but_not` say again what others say, and are left out. Where `by` is empty
    `or_by` says whose it is: runs of Run:ai and KAI have a project and no account. Amounts that do
    not add up over time, as GPUs do, are those of the last moment in the column `latest`.
    """

    whole: str
    by: str
    parts: Mapping[str, str]
    rest: str = UNKNOWN
    unit: str = "GPU-hours"
    but_not: str = ""
    or_by: str = ""
    latest: str = ""


_USE = {USED: "gpu_active_hours", IDLE: "gpu_idle_hours", UNKNOWN: "gpu_unknown_hours"}

_DRAWN: Mapping[str, _Drawn] = {
    "usage-by-account": _Drawn(whole="gpu_allocated_hours", by="account", parts=_USE),
    "usage-by-user": _Drawn(whole="gpu_allocated_hours", by="user", parts=_USE),
    "jobs": _Drawn(whole="gpu_hours_in_window", by="account", parts=_USE, or_by="partition"),
    "gpu-health": _Drawn(
        whole="allocated_hours",
        by="node",
        parts={USED: "busy_hours", IDLE: "idle_while_allocated_hours"},
    ),
    "capacity": _Drawn(
        whole="gpus_total_hours",
        by="cluster",
        parts={
            "allocated": "allocated_hours",
            IDLE: "idle_hours",
            "drained": "drained_hours",
            "down": "down_hours",
            "maint": "maint_hours",
            UNKNOWN: "unknown_hours",
        },
        but_not="partition",
    ),
    "queue-balance": _Drawn(
        whole="allocated_gpus",
        by="queue",
        parts={USED: "used_gpus"},
        rest=IDLE,
        unit="GPUs",
        latest="asof_utc",
    ),
}


def charted(made: Made) -> Chart:
    """The chart of a report; of all its rows, also where `made` has only the first of them."""
    columns = names(made.columns)
    if len(made.rows) == made.row_count:
        rows = ([row.get(name) for name in columns] for row in made.rows)
        return chart_of(made.asked.name, columns, rows)
    lines = csv.reader(made.lines())
    return chart_of(made.asked.name, next(lines, list(columns)), lines)


def chart_of(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Chart:
    """The chart of a report: by period where there are several, else by who held the GPUs.

    `columns` name the values of a row. They may be as a report has them or as its file does: text,
    empty where unknown.
    """
    drawn = _DRAWN[name]
    at = {column: place for place, column in enumerate(columns)}
    parts = tuple(dict.fromkeys((*drawn.parts, drawn.rest, UNKNOWN)))
    by_period: dict[str, list[Decimal]] = {}
    by_name: dict[str, list[Decimal]] = {}
    untold = 0
    period, group, whole = at.get(_PERIOD), at[drawn.by], at[drawn.whole]
    again, instead = at.get(drawn.but_not), at.get(drawn.or_by)
    columns_of = {part: at[column] for part, column in drawn.parts.items()}
    if drawn.latest:
        rows = _last(rows, at[drawn.latest])
    for row in rows:
        if again is not None and row[again]:
            continue
        amount = _amount(row[whole])
        if amount is None:
            untold += 1
            continue
        found = _parts(drawn, parts, amount, {p: _amount(row[c]) for p, c in columns_of.items()})
        name_of = row[group] or (row[instead] if instead is not None else None) or _NOBODY
        _add(by_name, str(name_of), found)
        if period is not None:
            _add(by_period, _moment(row[period]), found)
    several = len(by_period) > 1
    bars = sorted(by_period.items()) if several else _largest(by_name)
    return Chart(
        title=f"{drawn.unit} of {name}",
        unit=drawn.unit,
        by="period" if several else drawn.by,
        parts=parts,
        labels=_periods([label for label, _ in bars]) if several else tuple(n for n, _ in bars),
        amounts=tuple(tuple(amounts) for _, amounts in bars),
        untold_count=untold,
    )


def _last(rows: Iterable[Sequence[object]], moment: int) -> list[Sequence[object]]:
    """The rows of the last moment that there is."""
    found = [(_moment(row[moment]), row) for row in rows]
    last = max((when for when, _ in found), default="")
    return [row for when, row in found if when == last]


def _parts(
    drawn: _Drawn,
    parts: Sequence[str],
    whole: Decimal,
    known: Mapping[str, Decimal | None],
) -> list[Decimal]:
    """The amounts of a row in the order of the parts; together they are the whole."""
    if all(amount is None for amount in known.values()):
        return [whole if part == UNKNOWN else Decimal(0) for part in parts]
    found = {part: amount or Decimal(0) for part, amount in known.items()}
    left = whole - sum(found.values(), Decimal(0))
    if left < 0:  # a GPU may be at work while nobody holds it
        first = next(iter(found))
        found[first] = max(Decimal(0), found[first] + left)
    elif known.get(drawn.rest) is None:
        found[drawn.rest] = left
    return [found.get(part, Decimal(0)) for part in parts]


def _add(sums: dict[str, list[Decimal]], label: str, amounts: Sequence[Decimal]) -> None:
    have = sums.get(label)
    if have is None:
        sums[label] = list(amounts)
    else:
        for place, amount in enumerate(amounts):
            have[place] += amount


def _largest(sums: Mapping[str, list[Decimal]]) -> list[tuple[str, list[Decimal]]]:
    """The longest bars first; those beyond `MOST_BARS` as one."""
    bars = sorted(sums.items(), key=lambda bar: (-sum(bar[1]), bar[0]))
    if len(bars) <= MOST_BARS:
        return bars
    rest = bars[MOST_BARS - 1 :]
    others = [sum(amounts, Decimal(0)) for amounts in zip(*(a for _, a in rest), strict=True)]
    return [*bars[: MOST_BARS - 1], (f"{len(rest)} others", others)]


def _amount(value: object) -> Decimal | None:
    return None if value is None or value == "" else Decimal(str(value))


def _moment(value: object) -> str:
    return csvtext.rfc3339(value) if isinstance(value, datetime) else str(value or "")


def _periods(starts: Sequence[str]) -> tuple[str, ...]:
    """Starts of periods, without the time of day where all begin at midnight in UTC."""
    if all(start.endswith("T00:00:00Z") for start in starts):
        return tuple(start[:10] for start in starts)
    times = (datetime.fromisoformat(start).astimezone(UTC) for start in starts)
    return tuple(f"{time:%Y-%m-%d %H:%MZ}" for time in times)
