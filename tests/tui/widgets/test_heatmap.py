"""The map with its cursor: keys, messages, folds, hostile names, and what is painted again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.pilot import Pilot

from foundry_tui.estate.gpu import Gpu, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.text import cells, safe
from foundry_tui.tui.widgets.heatmap import HeatMap
from tests.estate.test_text import HOSTILE
from tests.presenters.estate import GPUS, NODES, NOW, RUNS, gpu
from tests.tui.widgets.shown import WidgetApp, driven, refreshed


def cluster(count: int, gpus_each: int = 8, shift: int = 0) -> tuple[list[Node], list[Gpu]]:
    """Nodes whose GPUs are all held and measured."""
    nodes = [
        Node(name=f"n{i:04}", source="lab", state=NodeState.ALLOCATED, gpu_count=gpus_each)
        for i in range(count)
    ]
    gpus = [
        gpu(n.name, i, Tenant("lab/17", 1000), util_pct=float((7 * i + 13 * at + shift) % 100))
        for at, n in enumerate(nodes)
        for i in range(gpus_each)
    ]
    return nodes, gpus


def under(app: WidgetApp, heat_map: HeatMap) -> str:
    """The text that is drawn as the cursor."""
    return " | ".join(
        segment.text.strip()
        for y in range(heat_map.size.height)
        for segment in heat_map.render_line(y)
        if segment.style and (segment.style.reverse or segment.style.underline)
    )


def entered(app: WidgetApp) -> list[str | tuple[str, ...]]:
    """What was opened."""
    found: list[str | tuple[str, ...]] = []
    for message in app.told:
        if isinstance(message, HeatMap.NodeEntered):
            found.append(message.key)
        elif isinstance(message, HeatMap.RackEntered):
            found.append(message.nodes)
    return found


def test_the_cursor_goes_over_the_nodes_and_opens_one() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        heat_map.show(*cluster(12), RUNS, NOW)
        await pilot.pause()
        assert under(app, heat_map).startswith("n0000 ")
        for keys, name in (
            (["down"], "n0001"),
            (["right"], "n0007"),
            (["right", "l"], "n0007"),
            (["h", "k"], "n0000"),
            (["up", "left"], "n0000"),
            (["G"], "n0011"),
            (["down"], "n0011"),
            (["g"], "n0000"),
            (["j", "j", "l"], "n0008"),
        ):
            await pilot.press(*keys)
            assert under(app, heat_map).startswith(f"{name} "), keys
        await pilot.press("enter")
        assert entered(app) == ["lab/n0008"]
        moved = [m.cell.key for m in app.told if isinstance(m, HeatMap.Moved)]
        assert moved[:3] == ["lab/n0000", "lab/n0001", "lab/n0007"]
        assert len(moved) == len(
            [m for m, before in zip(moved, ["", *moved], strict=False) if m != before]
        )

    driven(HeatMap, test)


def test_without_the_keys_the_cursor_is_an_underline() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        heat_map.show(*cluster(4), RUNS, NOW)
        await pilot.pause()
        styles = [s.style for s in heat_map.render_line(1) if s.text.strip()]
        assert styles[0] and styles[0].reverse
        app.set_focus(None)
        await pilot.pause()
        styles = [s.style for s in heat_map.render_line(1) if s.text.strip()]
        assert styles[0] and styles[0].underline and not styles[0].reverse

    driven(HeatMap, test)


def test_the_cursor_stays_on_its_node_when_others_come_and_go() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        nodes, gpus = cluster(12)
        heat_map.show(nodes[3:], gpus[24:], RUNS, NOW)
        await pilot.press("down", "down")
        assert heat_map.cursor and heat_map.cursor.key == "lab/n0005"
        heat_map.show(nodes, gpus, RUNS, NOW)
        await pilot.pause()
        assert under(app, heat_map).startswith("n0005 ")
        heat_map.show(nodes[:2], gpus[:16], RUNS, NOW)
        await pilot.pause()
        assert under(app, heat_map).startswith("n0001 ")
        heat_map.show((), (), RUNS, NOW)
        await pilot.press("down", "up", "left", "right", "enter", "G", "pagedown")
        assert under(app, heat_map) == ""
        assert app.lines[0] == "no node with a GPU is known"
        heat_map.show(nodes, gpus, RUNS, NOW)
        assert heat_map.move_to("lab/n0009") and not heat_map.move_to("lab/none")
        await pilot.pause()
        assert under(app, heat_map).startswith("n0009 ")

    driven(HeatMap, test)


def test_only_lines_that_changed_are_painted() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        nodes, gpus = cluster(12)
        heat_map.show(nodes, gpus, RUNS, NOW)
        await pilot.pause()
        asked = refreshed(heat_map)
        heat_map.show(nodes, list(gpus), RUNS, NOW)
        assert asked == []
        heat_map.show(nodes, [replace(gpus[0], tenants=()), *gpus[1:]], RUNS, NOW)
        assert asked == [1]
        await pilot.press("down")
        assert sorted(asked[1:]) == [1, 2]

    driven(HeatMap, test)


def test_more_lines_than_the_screen_scroll_with_the_cursor() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        heat_map.show(*cluster(60), RUNS, NOW)
        await pilot.pause()
        assert app.lines[0].split()[0] == "node"
        for key in ("G", "pageup", "pagedown", "g", "pagedown", "pagedown"):
            await pilot.press(key)
            assert under(app, heat_map)
            assert app.lines[0].split()[0] == "node"

    driven(HeatMap, test, size=(80, 8))


@pytest.mark.parametrize(("count", "fold"), [(200, "glyphs"), (1250, "racks")])
def test_folded_maps_have_a_cursor_over_every_cell(count: int, fold: str) -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        heat_map.show(*cluster(count), RUNS, NOW)
        await pilot.pause()
        assert heat_map.map and heat_map.map.fold == fold
        await pilot.press("right", "down", "enter")
        if fold == "glyphs":
            assert entered(app) == ["lab/n0033"]
        else:
            (nodes,) = entered(app)
            assert len(nodes) == 32 and nodes[0].startswith("lab/n")
        cursor = heat_map.cursor
        heat_map.show(*cluster(count, shift=11), RUNS, NOW)
        await pilot.pause()
        assert heat_map.cursor == cursor
        await pilot.press("G", "g", "pagedown", "pageup")
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        assert len(under(app, heat_map)) > 0

    driven(HeatMap, test, size=(80, 24))


def test_a_click_moves_and_another_opens() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        heat_map.show(*cluster(12), RUNS, NOW)
        await pilot.click(HeatMap, offset=(50, 3))
        assert under(app, heat_map).startswith("n0008 ")
        assert entered(app) == []
        await pilot.click(HeatMap, offset=(50, 3))
        assert entered(app) == ["lab/n0008"]

    driven(HeatMap, test)


def test_hostile_names_and_every_size() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        names = [v if isinstance(v, str) else v.decode("latin-1") for v in HOSTILE.values()]
        nodes = [replace(NODES[0], name=name, reason=safe(name)) for name in names]
        gpus = [gpu(name, 0, Tenant("lab/17", 1000)) for name in names]
        users = [replace(run, user=names[1]) for run in RUNS]
        heat_map.show([*nodes, *NODES], [*gpus, *GPUS], users, NOW)
        for size in ((200, 50), (80, 24), (20, 5), (7, 3), (1, 1), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            await pilot.press("G", "g", "down", "right", "pagedown")
            for line in app.lines:
                assert safe(line, max_cells=9999) == line
                assert cells(safe(line)) <= size[0]
        assert heat_map.cursor is not None

    driven(HeatMap, test)


def test_ascii_only() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        heat_map.show(NODES, GPUS, RUNS, NOW)
        await pilot.pause()
        assert all(line.isascii() for line in app.lines)

    driven(HeatMap, test, ascii_only=True)


def test_colour_follows_the_digit_and_the_digit_stands_without_it() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, heat_map: HeatMap) -> None:
        nodes, gpus = cluster(2, gpus_each=4)
        use = (5.0, 35.0, 65.0, 95.0)
        gpus = [replace(g, util_pct=use[g.index]) for g in gpus]
        heat_map.show(nodes, gpus, RUNS, NOW)
        await pilot.pause()
        tones = {
            s.text.strip(): s.style.color.name
            for s in heat_map.render_line(1).crop(40)
            if s.style and s.style.color
        }
        assert list(tones) == ["0", "3", "6", "9"]
        assert len(set(tones.values())) == 4

    driven(HeatMap, test, size=(80, 6))
