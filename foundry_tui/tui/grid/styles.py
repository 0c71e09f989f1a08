"""How a cell looks: its tone, and whether its row is under the cursor or marked."""

from __future__ import annotations

from functools import lru_cache

from rich.style import Style

from foundry_tui.presenters.rows import Tone
from foundry_tui.tui.tones import tone_style


@lru_cache(maxsize=256)
def style_of(
    tone: Tone, theme: str, *, selected: bool, marked: bool, focused: bool = True
) -> Style:
    """The style of a cell.

    The row under the cursor has one style, whatever its tones are: every change of style within
    a row costs bytes at each key. Without the focus the cursor is an underline.
    """
    tones: list[str] = ["" if selected and focused else tone]
    if marked:
        tones.append("strong")
    if selected:
        tones.append("cursor" if focused else "resting")
    return tone_style(" ".join(tones), theme)
