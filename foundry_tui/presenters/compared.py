"""Runs side by side as text: what differs, group by group, and what no record tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.experiments.compare import missing
from foundry_tui.experiments.nouns import Comparison, Difference, Group, Side
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.wrapped import Section, wrapped

NOT_KNOWN = SafeText("not known")
"""Stands where a record does not tell; a dash where it tells that there is none."""

TITLES = {
    Group.PARAMS: "Parameters",
    Group.CODE: "Code",
    Group.ENVIRONMENT: "Environment",
    Group.DATA: "Data",
    Group.SPEC: "Spec",
    Group.PLACEMENT: "Placement",
    Group.RESULT: "Result",
}
"""Group -> its heading."""


def comparison_text(
    compared: Comparison, style: Style, *, every: bool = False, notes: Sequence[str] = ()
) -> str:
    """The page of `foundry diff`: the rows that differ, or `every` row."""
    lines = _sides(compared.sides, style)
    rows = compared.rows if every else compared.differing
    labels = [side.label for side in compared.sides]
    sections: list[Section] = []
    for group in Group:
        chosen = [_cells(row) for row in rows if row.group is group]
        if chosen:
            sections.append(([SafeText(TITLES[group]), *labels], chosen))
    lines += wrapped(sections, style)
    if not rows:
        lines += ["Nothing that is recorded of all of them differs.", ""]
    alike = len(compared.rows) - len(compared.differing)
    if alike and not every:
        told_alike = "1 row is alike" if alike == 1 else f"{alike} rows are alike"
        lines += wrap(f"{told_alike}; --all shows every row.", style.width)
    for words in told(compared):
        lines += wrap(f"not known: {words}", style.width, rest="  ")
    for note in notes:
        lines += wrap(f"note: {note}", style.width, rest="  ")
    return finish(lines, style)


def told(compared: Comparison) -> Iterator[str]:
    """What the records do not tell: such things make no difference above. Alike sides together."""
    sides: dict[str, list[SafeText]] = {}
    for side in compared.sides:
        if words := missing(side):
            sides.setdefault("; ".join(words), []).append(side.label)
    for told_words, labels in sides.items():
        every = len(labels) == len(compared.sides) > 1
        yield f"{'every run' if every else ', '.join(labels)}: {told_words}"


def value_text(row: Difference, place: int) -> SafeText:
    """What a side says: a dash for nothing, words where its record does not tell."""
    value = row.values[place]
    if value is None:
        return NOT_KNOWN if place in row.unknown else units.UNKNOWN
    if row.key == "duration_s" and row.numbers:
        return units.duration(row.numbers[place])
    return value


def key_text(row: Difference) -> SafeText:
    """The name of a row for a person."""
    return SafeText("duration") if row.key == "duration_s" and row.numbers else row.key


def _cells(row: Difference) -> list[SafeText]:
    return [key_text(row), *(value_text(row, place) for place in range(len(row.values)))]


def _sides(sides: Sequence[Side], style: Style) -> list[str]:
    header = [SafeText(word) for word in ("RUN", "ID", "EXPERIMENT", "STATUS", "BEGAN", "USER")]
    rows = [
        [
            side.label,
            safe(side.run.run_id),
            side.experiment,
            SafeText(side.run.status.value),
            units.when(side.run.started_at),
            side.run.user or units.UNKNOWN,
        ]
        for side in sides
    ]
    return wrapped([(header, rows)], style)
