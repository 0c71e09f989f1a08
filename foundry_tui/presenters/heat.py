"""One glyph per GPU: what a node's devices do, on one line."""

from __future__ import annotations

from collections.abc import Iterable

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.text import SafeText
from foundry_tui.presenters.health import grave

BUSY_PCT = 10.0
"""A GPU that nobody was given and that works harder than this is used past the scheduler."""

LEGEND = {
    "0": "0-9 tens of % in use",
    "#": "# allocated, not measured",
    "+": "+ partly allocated, not measured",
    ".": ". free",
    "x": "x node takes no work",
    "!": "! busy, yet allocated to nobody",
    "F": "F faulty",
    "?": "? unknown",
}
"""Glyph (`0` for every digit) -> its meaning."""


def glyph(gpu: Gpu, *, placeable: bool) -> str:
    """The glyph of one GPU; a digit is its measured use, 9 also for 100 %, unless it is faulty."""
    if grave(gpu):
        return "F"
    if gpu.milli_allocated is None:
        return "?" if gpu.util_pct is None else _tens(gpu.util_pct)
    if gpu.milli_allocated == 0:
        if gpu.util_pct is not None and gpu.util_pct >= BUSY_PCT:
            return "!"
        return "." if placeable else "x"
    if gpu.util_pct is not None:
        return _tens(gpu.util_pct)
    return "#" if gpu.milli_allocated >= WHOLE_MILLI else "+"


def _tens(util_pct: float) -> str:
    return str(min(9, int(util_pct // 10)))


def heat(gpus: Iterable[Gpu], count: int, *, placeable: bool) -> SafeText:
    """The glyphs of a node's GPUs by index; `?` for each of `count` that nothing is known of."""
    known = {gpu.index: gpu for gpu in gpus}
    indices = sorted(known) + [-1] * (count - len(known))
    return SafeText(
        "".join(glyph(known[i], placeable=placeable) if i in known else "?" for i in indices)
    )


def legend(shown: Iterable[str]) -> str:
    """The meaning of the glyphs that occur in the shown texts; empty without any."""
    glyphs = {"0" if c in "0123456789" else c for text in shown for c in text}
    words = [meaning for key, meaning in LEGEND.items() if key in glyphs]
    return f"GPUs: {', '.join(words)}" if words else ""
