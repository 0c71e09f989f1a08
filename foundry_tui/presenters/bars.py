"""A bar of how much of an amount is used."""

from __future__ import annotations

from foundry_tui.estate.text import SafeText

FULL, EMPTY, OVER = "█", "░", "+"
ASCII_FULL, ASCII_EMPTY = "#", "."


def bar(used_milli: int | None, of_milli: int | None, width: int, *, ascii_only: bool) -> SafeText:
    """`width` cells of how much of an amount is used, the last one `+` where it is more.

    All is full only when everything is used, and none empty once anything is. Empty text when
    either amount is unknown: a bar at zero would say that nothing is used.
    """
    if used_milli is None or of_milli is None or width < 1:
        return SafeText("")
    full, empty = (ASCII_FULL, ASCII_EMPTY) if ascii_only else (FULL, EMPTY)
    if used_milli > of_milli:
        return SafeText(full * (width - 1) + OVER)
    blocks = width * used_milli // of_milli if of_milli else 0
    if used_milli > 0:
        blocks = max(1, blocks)
    return SafeText(full * blocks + empty * (width - blocks))
