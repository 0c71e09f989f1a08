"""The chart of a report as a picture, drawn by matplotlib (extra `charts`).

The same chart gives the same bytes. Parts differ by their hatching too, for readers and printers
without colours.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from foundry_tui.reports.drawing.charting import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("svg", "png")

MOST_TICKS = 16
"""Names below upright bars; of more periods every second, third … is named."""

# Okabe and Ito's palette, which colour-blind readers tell apart; what is unknown has no hue
_LOOKS: Mapping[str, tuple[str, str]] = {
    "used": ("#0072b2", ""),
    "allocated": ("#0072b2", ""),
    "idle": ("#e69f00", ".."),
    "drained": ("#cc79a7", "\\\\"),
    "down": ("#d55e00", "xx"),
    "maint": ("#009e73", "--"),
    "unknown": ("#d0d0d0", "//"),
}

_SETTINGS: Any = {
    "svg.hashsalt": "foundry",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "hatch.linewidth": 0.5,
}


class PictureError(OSError):
    """No picture can be drawn here: what is missing, and what to do."""


def draw(chart: Chart, kind: str) -> bytes:
    """The chart as an SVG or PNG file.

    Raises:
        PictureError: matplotlib is not installed, or there is no such kind of file.
    """
    if kind not in KINDS:
        raise PictureError(f"a picture of the kind {kind!r}: there are {' and '.join(KINDS)}")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError(
            f"a picture needs matplotlib, which is not installed ({error}): "
            "pip install 'foundry-tui[charts]', or draw it as text"
        ) from error
    upright = chart.by == "period"
    height = 4.8 if upright else max(2.4, 1.4 + 0.28 * len(chart.labels))
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # a name in a script that the font lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axes = figure.add_subplot()
        _bars(axes, chart, upright=upright)
        axes.set_title(chart.title, loc="left")
        if chart.labels:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        else:
            axes.text(0.5, 0.5, "nothing was held", ha="center", transform=axes.transAxes)
        file = io.BytesIO()
        told = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(file, format=kind, dpi=120, metadata=told)
    return file.getvalue()


def _bars(axes: Axes, chart: Chart, *, upright: bool) -> None:
    """Stacked bars, upright for periods, else lying with the longest on top."""
    places = list(range(len(chart.labels)))
    reached = [Decimal(0)] * len(places)
    for k, part in enumerate(chart.parts):
        amounts = [bar[k] for bar in chart.amounts]
        if not any(amounts):
            continue
        colour, hatch = _LOOKS[part]
        look: dict[str, Any] = {
            "color": colour,
            "hatch": hatch,
            "edgecolor": "white",
            "linewidth": 0.5,
            "label": part,
        }
        lengths, starts = [float(a) for a in amounts], [float(r) for r in reached]
        if upright:
            axes.bar(places, lengths, bottom=starts, **look)
        else:
            axes.barh(places, lengths, left=starts, **look)
        reached = [r + a for r, a in zip(reached, amounts, strict=True)]
    if upright:
        step = -(-len(places) // MOST_TICKS) or 1
        axes.set_xticks(places[::step], chart.labels[::step], rotation=45, ha="right")
        axes.set_ylabel(chart.unit)
    else:
        axes.set_yticks(places, chart.labels)
        axes.invert_yaxis()
        axes.set_xlabel(chart.unit)
    axes.spines[["top", "right"]].set_visible(False)
