"""The error of a job spec that cannot be used."""

from __future__ import annotations

from foundry_tui.estate.text import safe

MAX_CELLS = 600


class SpecError(ValueError):
    """One thing in a job spec is wrong: its file, the line where that is known, and the field."""

    def __init__(self, name: str, line: int | None, field: str, problem: str) -> None:
        place = name if line is None else f"{name}: line {line}"
        where = f"{place}: {field}" if field else place
        super().__init__(safe(f"{where}: {problem}", max_cells=MAX_CELLS))
        self.line, self.field = line, field


def shown(value: object) -> str:
    """What stands in the file, in words and not at length."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:60]}…")
    if isinstance(value, dict):
        return "a table" if value else "an empty table"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return f"the number {value}" if isinstance(value, int | float) else "a date or time"
