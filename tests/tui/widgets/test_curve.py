"""A curve fills its widget, at any size, with its name and what it could not draw."""

from __future__ import annotations

import math

from textual.pilot import Pilot

from foundry_tui.tui.widgets.curve import Curve
from tests.tui.widgets.shown import WidgetApp, driven, refreshed


class Whole(Curve, can_focus=False):
    """A curve over the whole screen."""

    DEFAULT_CSS = "Whole { height: 1fr; }"


POINTS = [(float(n), math.exp(-n / 30)) for n in range(100)]


def test_name_last_value_scale_and_range() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, curve: Curve) -> None:
        curve.show("loss\x1b[2J", [*POINTS, (100.0, math.nan)])
        await pilot.pause()
        assert app.lines[0] == "loss␛[2J  last 0.03688 at step 99 · 1 NaN not drawn"
        assert app.lines[1].split()[0] == "1" and app.lines[-2].split()[0] == "0.0369"
        assert app.lines[-1].split() == ["0", "step", "99"]
        assert any(0x2800 < ord(c) < 0x2900 for line in app.lines for c in line)

    driven(Whole, test, size=(60, 10))


def test_it_follows_the_size_down_to_one_cell() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, curve: Curve) -> None:
        curve.show("loss", POINTS)
        for size in ((200, 50), (80, 24), (20, 5), (5, 2), (1, 1), (80, 10)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert all(len(line) <= size[0] for line in app.lines)
        assert app.lines[-1].split() == ["0", "step", "99"]

    driven(Whole, test, size=(60, 10))


def test_the_same_points_are_not_painted_again() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, curve: Curve) -> None:
        curve.show("loss", POINTS)
        await pilot.pause()
        asked = refreshed(curve)
        curve.show("loss", list(POINTS))
        assert asked == []
        curve.show("loss", [*POINTS[:-1], (99.0, 0.03689)])
        assert set(asked) < set(range(10)) and 0 in asked

    driven(Whole, test, size=(60, 10))


def test_ascii_and_nothing_to_draw() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, curve: Curve) -> None:
        curve.show("acc", ())
        await pilot.pause()
        assert app.lines[0] == "acc  no value yet"
        curve.show("acc", POINTS, "time")
        await pilot.pause()
        assert all(line.isascii() or "·" in line for line in app.lines)
        assert "*" in "".join(app.lines)

    driven(Whole, test, size=(60, 10), ascii_only=True)
