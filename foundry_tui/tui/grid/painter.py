"""Lines of a table as strips, kept as long as their row looks the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip

from foundry_tui.estate.text import SafeText
from foundry_tui.presenters.rows import GLYPH_TONES, Rows, Tone
from foundry_tui.tui.grid.layout import (
    GUTTER,
    Layout,
    cell_text,
    drawable,
    title_text,
)
from foundry_tui.tui.grid.styles import style_of
from foundry_tui.tui.tones import TERMINAL, tone_style

N = TypeVar("N")

KEPT_LINES = 1024
"""Lines that are kept: many pages of the largest terminal."""

FADED = Style(dim=True)
"""What the rows of a silent source have on top of their own look."""

ARROWS = ("▲", "▼")
ASCII_ARROWS = ("^", "v")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is drawn: its strip, and the text and style of the gutter and each column."""

    strip: Strip
    parts: tuple[tuple[str, Style], ...]


class Painter(Generic[N]):
    """Draws rows in one layout. `base` lies below every style, such as a theme's background."""

    def __init__(self) -> None:
        self.layout = Layout(0)
        self.base = Style.null()
        self.theme = TERMINAL
        self.ascii_only = False
        self._kept: LRUCache[object, Line] = LRUCache(KEPT_LINES)
        self._known = (self.layout, self.base, self.theme, self.ascii_only)

    def row(
        self,
        model: Rows[N],
        row: N,
        texts: Sequence[SafeText],
        *,
        selected: bool,
        marked: bool,
        focused: bool,
        faded: bool = False,
    ) -> Line:
        """The line of a row whose cells are `texts`; `faded` where its source is silent."""
        if self._known != (self.layout, self.base, self.theme, self.ascii_only):
            self._known = (self.layout, self.base, self.theme, self.ascii_only)
            self._kept.clear()
        glyph = model.glyph(row)
        tones = tuple(
            tone(row, texts[place.at]) if (tone := model.columns[place.at].tone) else ""
            for place in self.layout.places
        )
        looks = (tuple(texts), tones, glyph, selected, marked, focused, faded)
        line = self._kept.get(looks)
        if line is None:
            line = self._kept[looks] = self._draw(
                model,
                texts,
                tones,
                glyph,
                selected=selected,
                marked=marked,
                focused=focused,
                faded=faded,
            )
        return line

    def _draw(
        self,
        model: Rows[N],
        texts: Sequence[SafeText],
        tones: Sequence[Tone],
        glyph: str,
        *,
        selected: bool,
        marked: bool,
        focused: bool,
        faded: bool,
    ) -> Line:
        first = ("*" if marked else glyph).ljust(GUTTER)
        gutter_tone: Tone = "" if marked else GLYPH_TONES.get(glyph, "")

        def style(tone: Tone) -> Style:
            look = style_of(tone, self.theme, selected=selected, marked=marked, focused=focused)
            return look + FADED if faded else look

        parts = [(first, style(gutter_tone))]
        for place, tone in zip(self.layout.places, tones, strict=True):
            text = cell_text(
                texts[place.at], place, model.columns[place.at], ascii_only=self.ascii_only
            )
            parts.append((text, style(tone)))
        return self._line(parts, style(""))

    def header(
        self,
        model: Rows[N],
        *,
        sort: str,
        descending: bool,
        letters: Mapping[str, str],
    ) -> Line:
        """The titles; `letters` are the keys to sort by (letter -> column id) while one is asked.

        `>` in the gutter tells of columns out of sight on the right, `<` of some on the left alone.
        """
        more = ">" if self.layout.hidden else "<" if self.layout.skipped else ""
        title, chord = tone_style("strong", self.theme), tone_style("letter", self.theme)
        parts = [(more.ljust(GUTTER), title)]
        arrows = ASCII_ARROWS if self.ascii_only else ARROWS
        of_column = {column: letter for letter, column in letters.items()}
        for place in self.layout.places:
            column = model.columns[place.at]
            arrow = arrows[descending] if column.id == sort else ""
            letter = of_column.get(column.id, "")
            text = title_text(column, place, arrow=arrow, letter=letter, ascii_only=self.ascii_only)
            spot = text.find(letter.upper()) if letter else -1
            if spot < 0:
                parts.append((text, title))
            else:
                parts.append((text[:spot], title))
                parts.append((text[spot], chord))
                parts.append((text[spot + 1 :], title))
        return self._line(parts, Style.null())

    def message(self, text: SafeText, tone: Tone) -> Line:
        """A line of words in the place of rows."""
        shown = drawable(text, self.ascii_only)
        return self._line([(" " * GUTTER + shown, tone_style(tone, self.theme))], Style.null())

    def _line(self, parts: list[tuple[str, Style]], rest: Style) -> Line:
        """The parts on a line of exactly the layout's width."""
        width = self.layout.width
        drawn = [(text, self.base + style) for text, style in parts]
        strip = Strip([Segment(text, style) for text, style in drawn if text])
        strip = strip.adjust_cell_length(width, self.base + rest).simplify()
        return Line(Strip(strip, width), tuple(drawn))
