"""Translated scripts on the terminal: narrow, wide, and in ASCII."""

from __future__ import annotations

import pytest

from foundry_tui.estate.text import SafeText, cells
from foundry_tui.presenters.migration import migration_text
from foundry_tui.presenters.page import Style
from tests.migration.golden import translated

MADE = tuple(translated(name, "kai") for name in ("requeue-self.sh", "unmapped.sh", "unicode.sh"))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = migration_text(MADE, Style(width=width), notes=("a note " * 30,))
    assert max(cells(SafeText(line)) for line in text.split("\n")) <= width
    assert "say `retry:`" in " ".join(text.split())


def test_the_worst_comes_first_and_what_is_ok_is_one_line() -> None:
    lines = migration_text(MADE[:1], Style(width=80)).split("\n")
    assert lines[0] == "requeue-self.sh -> KAI: 2 ok, 3 by table, 2 approximated, 1 lost"
    assert lines[1].startswith("   11  lost          sbatch --dependency")
    assert "  ok            --job-name, --gres" in "\n".join(lines)


def test_wide_is_a_table_in_the_order_of_the_lines() -> None:
    lines = migration_text(MADE[:1], Style(wide=True)).split("\n")
    assert lines[1].split() == ["LINE", "CLASS", "AS", "IT", "STANDS", "BECAME", "WHY"]
    numbers = [line[:4].strip() for line in lines[2:-1]]
    assert numbers == ["2", "3", "4", "5", "6", "7", "11", "", ""][: len(numbers)]


def test_ascii_is_ascii_and_what_stops_a_submit_is_said() -> None:
    text = migration_text(MADE, Style(width=80, ascii=True))
    assert text.isascii()
    assert "no manifest: first mend: --account, path" in text
