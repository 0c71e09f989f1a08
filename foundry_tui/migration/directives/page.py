"""The table of directives as it stands in docs/migrate.md."""

from __future__ import annotations

from foundry_tui.migration.directives.table import ROWS


def lines() -> tuple[str, ...]:
    """One line of Markdown for each row."""
    return (
        "| directive | becomes | class | reason |",
        "|---|---|---|---|",
        *(
            f"| {' '.join(f'`--{name}`' for name in row.options)} | {row.becomes} "
            f"| {', '.join(klass.value for klass in row.classes)} | {row.why} |"
            for row in ROWS
        ),
    )
