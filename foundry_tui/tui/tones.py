"""Tones: what a text means, as a style. A shape or a word always says it too, colour comes second.

Presenters and widgets name a tone; how it looks is decided here, once per theme.
"""

from __future__ import annotations

from functools import lru_cache

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

TERMINAL = "ansi-dark"
"""The default theme: the terminal's own 16 colours on its own background. Half the bytes."""

_TERMINAL = {
    "": "",
    "strong": "bold",
    "dim": "bright_black",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
    "accent": "cyan",
    "title": "bold cyan",
    "key": "bold",
    "cursor": "reverse",
    "resting": "underline",
    "letter": "bold underline",
    "marked": "bold yellow",
    # curves over each other; a letter on each says the same
    **{
        f"line{i}": colour
        for i, colour in enumerate(
            "cyan yellow green magenta red blue bright_cyan bright_magenta".split()  # noqa: SIM905
        )
    },
    # use in tens of per cent: one hue, ever brighter
    **{f"heat{i}": "bright_black" for i in range(2)},
    **{f"heat{i}": "blue" for i in range(2, 5)},
    **{f"heat{i}": "cyan" for i in range(5, 8)},
    **{f"heat{i}": "bright_cyan" for i in range(8, 10)},
}

_DARK_RAMP = (
    "#4d5a66",
    "#4a6478",
    "#47708b",
    "#457c9e",
    "#4688b0",
    "#4b95c0",
    "#58a2cf",
    "#6bb0dd",
    "#86bfe8",
    "#a9d0f1",
)
_LIGHT_RAMP = (
    "#9aa7b3",
    "#869cb0",
    "#7290ab",
    "#5f84a5",
    "#4d789e",
    "#3d6c96",
    "#2f608c",
    "#235480",
    "#184872",
    "#0e3c62",
)

# Okabe and Ito's palette, which colour-blind readers tell apart (jfly.uni-koeln.de/color, 2008).
_CURVES = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442", "#999999")
_DARK_CURVES = {f"line{i}": shade for i, shade in enumerate(_CURVES)}
_LIGHT_CURVES = _DARK_CURVES | {"line1": "#2a7fb8", "line6": "#8a7a00", "line7": "#555555"}
_DARK = _TERMINAL | {
    **_DARK_CURVES,
    "dim": "#8a8f98",
    "good": "#56b4e9",
    "warn": "#e69f00",
    "bad": "bold #ff7f50",
    "accent": "#56b4e9",
    "title": "bold #56b4e9",
    "marked": "bold #f0e442",
    **{
        f"heat{i}": shade
        for i, shade in enumerate(
            (
                "#4d5a66",
                "#4a6478",
                "#47708b",
                "#457c9e",
                "#4688b0",
                "#4b95c0",
                "#58a2cf",
                "#6bb0dd",
                "#86bfe8",
                "#a9d0f1",
            )
        )
    },
}
_LIGHT = _TERMINAL | {
    **_LIGHT_CURVES,
    "dim": "#6a6f78",
    "good": "#0072b2",
    "warn": "#8a5a00",
    "bad": "bold #b03a00",
    "accent": "#0072b2",
    "title": "bold #0072b2",
    "marked": "bold #7a4a00",
    **{
        f"heat{i}": shade
        for i, shade in enumerate(
            (
                "#9aa7b3",
                "#869cb0",
                "#7290ab",
                "#5f84a5",
                "#4d789e",
                "#3d6c96",
                "#2f608c",
                "#235480",
                "#184872",
                "#0e3c62",
            )
        )
    },
}
# No colours at all: what matters stands out by weight, and the words say the rest.
_MONO = {
    "strong": "bold",
    "warn": "bold",
    "bad": "bold underline",
    "title": "bold",
    "key": "bold",
    "accent": "underline",
    "cursor": "reverse",
    "resting": "underline",
    "letter": "bold underline",
    "marked": "bold",
}
PALETTES = {"foundry-dark": _DARK, "foundry-light": _LIGHT, "mono": _MONO}

THEMES = (
    Theme(
        name="foundry-dark",
        primary="#56b4e9",
        secondary="#56b4e9",
        warning="#e69f00",
        error="#ff7f50",
        success="#56b4e9",
        accent="#56b4e9",
        foreground="#d8dee6",
        background="#14181d",
        surface="#14181d",
        panel="#1d232a",
        dark=True,
    ),
    Theme(
        name="foundry-light",
        primary="#0072b2",
        secondary="#0072b2",
        warning="#8a5a00",
        error="#b03a00",
        success="#0072b2",
        accent="#0072b2",
        foreground="#1c2228",
        background="#fafafa",
        surface="#fafafa",
        panel="#eceff2",
        dark=False,
    ),
    Theme(
        name="mono",
        ansi=True,
        primary="ansi_default",
        secondary="ansi_default",
        warning="ansi_default",
        error="ansi_default",
        success="ansi_default",
        accent="ansi_default",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        variables=dict.fromkeys(BUILTIN_THEMES["ansi-dark"].variables, "ansi_default")
        | {
            "block-cursor-text-style": "reverse",
            "input-cursor-text-style": "reverse",
        },
    ),
)
NAMES = {
    "terminal": TERMINAL,
    "foundry-dark": "foundry-dark",
    "foundry-light": "foundry-light",
    "mono": "mono",
}
"""A theme as the user calls it -> its name here, in the order of the theme key."""
ORDER = tuple(NAMES.values())
"""The themes in the order in which the theme key goes through them."""


@lru_cache(maxsize=256)
def tone_style(tone: str, theme: str = TERMINAL) -> Style:
    """The style of a tone; an unknown tone has none. Several tones may stand, space between."""
    palette = PALETTES.get(theme, _TERMINAL)
    return Style.combine(Style.parse(palette.get(one, "")) for one in tone.split(" "))
