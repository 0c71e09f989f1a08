"""Trade-offs in words, as lines and as points of a curve: gain against number of moves."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tradeoff import TradeOff
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, wrap
from foundry_tui.presenters.table import Column, draw

MOST = 0.8
"""The share of the gain that is most of it."""

MOST_POINTS = 12
"""Points that a page shows; the screen has all."""

POINTS = (
    Column("MOVES", "right"),
    Column("ADDS", min_width=4, stretch=True),
    Column("GAIN", "right"),
    Column("COST", "right"),
    Column("NET", "right", priority=1),
    Column("GPUS", "right", priority=2),
    Column("ASK", "right"),
    Column("STOPS", "right", priority=3),
)
"""Gain, cost and net are GPU-hours; `GPUS` are those allocated, `ASK` the people to ask."""


def point_cells(point: TradeOff) -> tuple[SafeText, ...]:
    """The cells of a point, in the order of `POINTS`."""
    return (
        safe(str(point.moves)),
        safe(" ".join(point.added)),
        gain_text(point),
        units.number(point.cost),
        units.number(point.net),
        units.number(point.gpus_allocated),
        safe(str(len(point.owners))),
        safe(str(len(point.stopped))),
    )


def gain_text(point: TradeOff) -> SafeText:
    """The known gain, `+?` behind it where that of a move is not known."""
    known = units.number(point.gain)
    return SafeText(f"{known}+?") if point.gain_unknown else known


def curve(points: Sequence[TradeOff]) -> list[tuple[float, float]]:
    """Number of moves and net gain in GPU-hours."""
    return [(float(point.moves), point.net) for point in points]


def best(points: Sequence[TradeOff]) -> TradeOff | None:
    """The point of the greatest net gain, with as few moves as that takes; None without moves."""
    return max(points[1:], key=lambda point: (point.net, -point.moves), default=None)


def told(points: Sequence[TradeOff]) -> list[str]:
    """What the trade-offs come to, in sentences."""
    top = best(points)
    if top is None:
        return ["There is nothing to trade: the plan has no moves."]
    last, said = points[-1], list[str]()
    if top.net <= 0:
        said.append("No move is known to gain more than it costs.")
    else:
        early = next(p for p in points[1:] if p.net >= MOST * top.net)
        share, verb = round(100 * early.net / top.net), "brings" if early.moves == 1 else "bring"
        said.append(
            f"The {_first(early)} of {last.moves} moves {verb} {share} % of the net gain of "
            f"{units.number(top.net)} GPU-hours{_disturbing(early)}."
            if early.moves < last.moves
            else f"Most of the gain needs every move{_disturbing(early)}."
        )
    if top.net > 0 and last.net < top.net:
        said.append(f"After the {_first(top)}, moves cost more than they are known to gain.")
    if last.gain_unknown:
        said.append(
            "The gain of one is not known: it comes last, and adds none."
            if last.gain_unknown == 1
            else f"The gain of {last.gain_unknown} is not known: they come last, and add none."
        )
    return said


def _first(point: TradeOff) -> str:
    return "first" if point.moves == 1 else f"first {point.moves}"


def _disturbing(point: TradeOff) -> str:
    parts = []
    if point.owners:
        noun = "person has" if len(point.owners) == 1 else "people have"
        parts.append(f"{len(point.owners)} {noun} to agree")
    if point.stopped:
        noun = "run is" if len(point.stopped) == 1 else "runs are"
        parts.append(f"{len(point.stopped)} {noun} stopped")
    return f"; {' and '.join(parts)}" if parts else "; nobody is disturbed"


def tradeoff_text(points: Sequence[TradeOff], style: Style) -> list[str]:
    """The trade-offs as lines of a page; of many points a choice of them."""
    if len(points) < 2:
        return []
    chosen = _chosen(points[1:])
    lines = ["Gain against number of moves (GPU-hours)"]
    lines += draw(POINTS, [point_cells(point) for point in chosen], style).lines
    if len(chosen) < len(points) - 1:
        count = f"{len(chosen)} of {len(points) - 1} points"
        words = f"shown are {count} (--json has all); ADDS tells the last step to each"
        lines += wrap(words, style.width)
    for sentence in told(points):
        lines += wrap(sentence, style.width)
    return lines


def _chosen(points: Sequence[TradeOff]) -> list[TradeOff]:
    """At most `MOST_POINTS` of them, dense at the start and with the last."""
    if len(points) <= MOST_POINTS:
        return list(points)
    ratio = len(points) ** (1 / (MOST_POINTS - 1))
    places = {0, len(points) - 1}
    places |= {min(len(points), round(ratio**n)) - 1 for n in range(MOST_POINTS)}
    return [points[i] for i in sorted(places)]
