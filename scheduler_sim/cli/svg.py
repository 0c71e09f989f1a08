"""Allocation and fragmentation against arrivals as an SVG picture, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from scheduler_sim.cli.output import visible
from scheduler_sim.cli.plot import Curve, ceiling

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 760, 220, 56, 120, 46, 62

_INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6f6f00", "#56b4e9", "#000000")
"""Colours that colour-blind people can tell apart (Okabe and Ito, yellow darkened for white)."""

_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 4")
"""A second way to tell the lines apart."""


def picture(title: str, curves: Sequence[Curve]) -> str:
    """The document: two panels, a line per policy, its name in the legend at the right."""
    length = max(2, max(len(curve.alloc_pct) for curve in curves))
    height = TOP + 2 * PANEL + GAP + 50
    frag = [curve.frag_pct for curve in curves]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{_text(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{_text(title)}</text>',
        *_panel(TOP, "GPUs allocated, %", 100.0, [c.alloc_pct for c in curves], length),
        *_panel(TOP + PANEL + GAP, "GPUs idle but stranded, %", ceiling(frag), frag, length),
        f'<text x="{LEFT}" y="{height - 10}">GPU request arrived, % of all GPUs</text>',
    ]
    for index, curve in enumerate(curves):
        y = TOP + 14 + 20 * index
        x = WIDTH - RIGHT + 12
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 24}" y2="{y}" {_style(index)}/>')
        parts.append(f'<text x="{x + 30}" y="{y + 4}">{_text(curve.name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    y: int, name: str, top: float, lines: Sequence[Sequence[float | None]], length: int
) -> list[str]:
    wide = WIDTH - LEFT - RIGHT
    parts = [f'<text x="{LEFT}" y="{y - 8}">{name}</text>']
    for step in range(6):
        value = top * step / 5
        at_y = y + PANEL - PANEL * step / 5
        parts.append(
            f'<line x1="{LEFT}" y1="{at_y:.1f}" x2="{LEFT + wide}" y2="{at_y:.1f}" '
            'stroke="#dddddd"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{at_y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for column in range(0, length, max(1, (length - 1) // 6 // 5 * 5)):
        at_x = LEFT + wide * column / (length - 1)
        parts.append(
            f'<text x="{at_x:.1f}" y="{y + PANEL + 16}" text-anchor="middle">{column}</text>'
        )
    for index, line in enumerate(lines):
        points = " ".join(
            f"{LEFT + wide * i / (length - 1):.1f},{y + PANEL - PANEL * min(v, top) / top:.1f}"
            for i, v in enumerate(line)
            if v is not None
        )
        parts.append(f'<polyline points="{points}" fill="none" {_style(index)}/>')
    return parts


def _style(index: int) -> str:
    dash = _DASHES[index % len(_DASHES)]
    extra = f' stroke-dasharray="{dash}"' if dash else ""
    return f'stroke="{_INKS[index % len(_INKS)]}" stroke-width="1.8"{extra}'


def _text(text: str) -> str:
    return escape(visible(text))
