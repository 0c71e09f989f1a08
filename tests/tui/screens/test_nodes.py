"""Nodes, one node, one GPU: what is drawn, and the ways between them."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from foundry_tui.estate.node import NodeState
from foundry_tui.estate.text import safe
from foundry_tui.tui.app import Foundry
from foundry_tui.tui.feed import Seen
from tests.tui.estates import NOW, a_run, an_estate, on, saved, screen, until

ESTATE = an_estate([a_run(n) for n in range(6)])


def test_a_node_is_a_row_with_a_glyph_per_gpu() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3")
        await pilot.pause()
        row = next(line for line in screen(app).splitlines() if " h01" in line)
        assert "012345.." in row
        assert "6/8" in row

    on(saved(ESTATE), test)


def test_a_node_shows_its_gpus_and_the_runs_on_it() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3", "enter")
        await until(pilot, lambda: "8 GPUs of h01" in screen(app))
        assert "6 runs on it" in screen(app)
        await pilot.press("tab", "tab", "down", "enter")
        await until(pilot, lambda: len(app.crumbs()) == 3)
        assert app.crumbs()[:2] == ["Nodes", "h01"]

    on(saved(ESTATE), test, size=(100, 40))


def test_a_gpu_tells_who_holds_it_and_since_when_it_was_read() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3", "enter", "down", "enter")
        await until(pilot, lambda: app.crumbs() == ["Nodes", "h01", "GPU 1"])
        shown = screen(app)
        assert "GPU-h01-1" in shown
        assert "1 run on it" in shown
        await pilot.press("i")
        await until(pilot, lambda: app.crumbs()[-1] == "1")

    on(saved(ESTATE), test)


def test_a_gpu_of_unknown_tenants_is_not_called_free() -> None:
    gpus = tuple(replace(g, tenants=None, how="scontrol does not say") for g in ESTATE.gpus)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3", "enter")
        await pilot.press("enter")
        await until(pilot, lambda: "lab does not say who holds it" in screen(app))

    on(saved(replace(ESTATE, gpus=gpus)), test)


def test_a_node_that_leaves_is_told_and_escape_works() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3", "enter")
        await until(pilot, lambda: "8 GPUs of h01" in screen(app))
        gone = replace(ESTATE, nodes=ESTATE.nodes[1:])
        app._show(Seen(snapshot=gone, runs=gone.runs))
        await pilot.pause()
        assert "lab/h01 is not in this reading: esc goes back." in screen(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.crumbs() == ["Nodes"])

    on(saved(ESTATE), test)


def test_a_drained_node_tells_its_reason() -> None:
    first, *rest = ESTATE.nodes
    ill = replace(first, state=NodeState.DRAINED, reason=safe("ECC errors"), reason_since=NOW)

    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3")
        await pilot.pause()
        assert "takes no new run" in screen(app)
        assert "ECC errors" in screen(app)

    on(saved(replace(ESTATE, nodes=(ill, *rest))), test, size=(160, 45))


def test_the_same_place_is_gone_back_to_instead_of_stacked() -> None:
    async def test(app: Foundry, pilot: Pilot[int]) -> None:
        await pilot.press("3", "enter", "enter", "i")
        await until(pilot, lambda: len(app.crumbs()) == 4)
        app.open_node("lab/h01")
        await until(pilot, lambda: app.crumbs() == ["Nodes", "h01"])

    on(saved(ESTATE), test)
