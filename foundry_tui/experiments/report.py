"""A report of one or several runs as one Markdown file: what they are, differ in, and cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from foundry_tui.estate import recorded
from foundry_tui.estate.text import SafeText
from foundry_tui.experiments.compare import missing
from foundry_tui.experiments.markdown import block, escape, table
from foundry_tui.experiments.nouns import Comparison, Difference, Group

COSTS = ("duration_s", *recorded.COST)
"""Keys of the results that are a cost."""

_STATE = frozenset({"status", "reason", "exit code"})

PROMISE = (
    "The same inputs: commit and patch, resolved spec, image, data and seed. Not the same bits: "
    "kernels, their order and the hardware may give other last digits."
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn curve: what it shows and its lines."""

    title: str
    lines: tuple[str, ...]


def report(
    compared: Comparison,
    *,
    server: str,
    made_at: datetime,
    charts: Sequence[Chart] = (),
    notes: Sequence[str] = (),
) -> str:
    """The whole file. Text from outside is escaped; `notes` are lines at its end, ours."""
    several = len(compared.sides) > 1
    title = "Comparison of " if several else "Run "
    title += ", ".join(side.label for side in compared.sides)
    lines = [
        f"# {escape(title)}",
        "",
        f"{_when(made_at)}, from the records on {escape(server)}.",
        "",
        *_summary(compared),
        *_part("Metrics", compared, _metrics(compared), "latest values"),
        *_part("Parameters", compared, _of(compared, Group.PARAMS), ""),
        *_charts(charts),
        *_part("Code", compared, _of(compared, Group.CODE), ""),
        *_part("Data", compared, _of(compared, Group.DATA), "digests"),
        *_part("Environment", compared, *_few(compared, Group.ENVIRONMENT)),
        *_part("Spec", compared, *_few(compared, Group.SPEC)),
        *_part("Placement", compared, _of(compared, Group.PLACEMENT), ""),
        *_part("Cost", compared, [r for r in compared.rows if _cost(r)], ""),
        *_unknown(compared),
        *_again(compared, notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _summary(compared: Comparison) -> list[str]:
    header = ("run", "id", "experiment", "status", "began", "ended", "user", "reason")
    rows = [
        (
            side.label,
            side.run.run_id,
            side.experiment,
            side.run.status.value,
            _when(side.run.started_at),
            _when(side.run.ended_at),
            side.run.user,
            side.run.tags.get(recorded.REASON_TAG),
        )
        for side in compared.sides
    ]
    return ["## Runs", "", *table(header, rows), ""]


def _part(title: str, compared: Comparison, rows: Sequence[Difference], note: str) -> list[str]:
    """Rows as a table, those that differ first; nothing where there is none."""
    if not rows:
        return []
    several = len(compared.sides) > 1
    ordered = sorted(rows, key=lambda row: row.same)
    header = ["", *(side.label for side in compared.sides), *(["differs"] if several else [])]
    told = [[row.key, *_values(row), *([_differs(row)] if several else [])] for row in ordered]
    return [
        f"## {title}",
        "",
        *([note[0].upper() + note[1:] + ".", ""] if note else []),
        *table(header, told),
        "",
    ]


def _values(row: Difference) -> list[str | None]:
    return [
        "not known" if n in row.unknown and value is None else value
        for n, value in enumerate(row.values)
    ]


def _differs(row: Difference) -> str:
    return " " if row.same else "yes"


def _of(compared: Comparison, group: Group) -> list[Difference]:
    return [row for row in compared.rows if row.group is group]


def _few(compared: Comparison, group: Group) -> tuple[list[Difference], str]:
    """Of long lists of equal rows only what differs, and how many are alike; of one run all."""
    rows = _of(compared, group)
    if len(compared.sides) == 1:
        return rows, ""
    kept = [row for row in rows if not row.same]
    alike = len(rows) - len(kept)
    return kept, f"{alike} more {'is' if alike == 1 else 'are'} alike" if alike else ""


def _metrics(compared: Comparison) -> list[Difference]:
    return [
        row
        for row in _of(compared, Group.RESULT)
        if not _cost(row) and row.key not in _STATE and row.numbers
    ]


def _cost(row: Difference) -> bool:
    return row.group is Group.RESULT and row.key in COSTS


def _charts(charts: Sequence[Chart]) -> list[str]:
    lines: list[str] = []
    for chart in charts:
        lines += [f"### {escape(chart.title)}", "", *block(chart.lines), ""]
    return ["## Curves", "", *lines] if lines else []


def _unknown(compared: Comparison) -> list[str]:
    told = [(side.label, what) for side in compared.sides for what in missing(side)]
    if not told:
        return []
    return ["## Not known", "", *table(("run", "what the record does not tell"), told), ""]


def _again(compared: Comparison, notes: Iterable[str]) -> list[str]:
    commands = [SafeText(f"foundry reproduce {side.run.run_id}") for side in compared.sides]
    told = [f"Note: {escape(note)}" for note in notes]
    return ["## To reproduce", "", *block(commands), "", PROMISE, "", *told]


def _when(moment: datetime | None) -> str:
    return "—" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
