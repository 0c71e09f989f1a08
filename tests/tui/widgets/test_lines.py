"""Lines that scroll: keys, following, sideways, hostile text, and what is painted again."""

from __future__ import annotations

from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from foundry_tui.estate.text import cells, safe
from foundry_tui.tui.widgets.lines import Lines, Parts
from tests.estate.test_text import HOSTILE
from tests.tui.widgets.shown import WidgetApp, driven, refreshed


def numbered(count: int) -> list[Parts]:
    """Lines with their numbers."""
    return [[(f"line {n}", "")] for n in range(count)]


def test_scrolling_by_keys_ends_at_the_ends() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put(numbered(30))
        await pilot.pause()
        assert app.lines[0] == "line 0" and app.lines[4].startswith("line 4")
        for keys, top in (
            (["up"], 0),
            (["down"], 1),
            (["j", "k", "k"], 0),
            (["pagedown"], 4),
            (["pagedown", "pageup"], 4),
            (["G"], 25),
            (["down", "pagedown"], 25),
            (["g"], 0),
            (["end"], 25),
            (["home"], 0),
        ):
            await pilot.press(*keys)
            assert lines.top == top, keys
            assert app.lines[0].startswith(f"line {top}")

    driven(Lines, test, size=(40, 5))


def test_arrows_say_that_there_is_more() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put(numbered(9), head=[[("head", "dim")]])
        await pilot.pause()
        assert [line[-1] for line in app.lines] == ["d", "0", "1", "2", "↓"]
        await pilot.press("down")
        assert [line[-1] for line in app.lines] == ["d", "↑", "2", "3", "↓"]
        await pilot.press("G")
        assert [line[-1] for line in app.lines] == ["d", "↑", "6", "7", "8"]
        assert app.lines[0] == "head"

    driven(Lines, test, size=(20, 5))


def test_the_wheel_scrolls() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put(numbered(30))
        for event, top in ((MouseScrollDown, 3), (MouseScrollDown, 6), (MouseScrollUp, 3)):
            lines.post_message(event(lines, 1, 1, 0, 0, 0, False, False, False))
            await pilot.pause()
            assert lines.top == top

    driven(Lines, test, size=(40, 5))


def test_a_log_is_followed_until_the_user_scrolls_up() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put(numbered(3))
        await pilot.pause()
        assert app.lines[0] == "line 0"
        lines.put(numbered(20))
        await pilot.pause()
        assert app.lines[4] == "line 19"
        await pilot.press("up")
        lines.put(numbered(40))
        await pilot.pause()
        assert lines.top == 14
        await pilot.press("G")
        lines.put(numbered(50))
        await pilot.pause()
        assert app.lines[4] == "line 49"
        await pilot.resize_terminal(40, 8)
        await pilot.pause()
        assert app.lines[7] == "line 49"

    driven(lambda: Lines(follow=True), test, size=(40, 5))


def test_resizing_while_reading_does_not_jump_to_the_end_of_a_log() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put(numbered(40))
        await pilot.press("g")
        await pilot.resize_terminal(30, 7)
        await pilot.pause()
        assert lines.top == 0

    driven(lambda: Lines(follow=True), test, size=(40, 5))


def test_fewer_lines_leave_nothing_of_the_old_ones() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put(numbered(30))
        await pilot.press("G")
        lines.put(numbered(2))
        await pilot.pause()
        assert app.lines == ["line 0", "line 1", "", "", ""]
        lines.put([])
        await pilot.pause()
        assert app.lines == [""] * 5
        await pilot.press("down", "up", "G", "g", "pagedown", "right", "left")

    driven(Lines, test, size=(40, 5))


def test_only_changed_lines_are_painted() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put(numbered(30), head=[[("head", "")]])
        await pilot.pause()
        asked = refreshed(lines)
        lines.put(numbered(30), head=[[("head", "")]])
        assert asked == []
        changed = numbered(30)
        changed[2] = [("other", "")]
        changed[3] = [("line 3", "bad")]
        changed[20] = [("out of sight", "")]
        lines.put(changed, head=[[("head", "")]])
        assert asked == [3, 4]
        await pilot.pause()
        assert app.lines[3] == "other"

    driven(Lines, test, size=(40, 10))


def test_long_lines_are_cut_and_can_be_moved_sideways() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put([[("0123456789" * 3, ""), ("tail", "bad")], [("short", "")]])
        await pilot.pause()
        assert app.lines[:2] == ["0123456789012345678…", "short"]
        await pilot.press("right")
        assert app.lines[0].startswith("89012345")
        await pilot.press("right", "right", "right")
        assert app.lines[0].endswith("6789tail")
        assert app.lines[1] == ""
        await pilot.press("left", "left", "left")
        assert app.lines[0].startswith("0123")

    driven(Lines, test, size=(20, 3))


def test_hostile_text_is_shown_and_never_markup() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        texts = [v if isinstance(v, str) else v.decode("latin-1") for v in HOSTILE.values()]
        lines.put([[(text, "bad"), (" [bold]end[/]", "")] for text in texts])
        for size in ((100, 40), (40, 10), (20, 5), (3, 2), (1, 1)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            for key in ("g", "right", "pagedown", "G", "left"):
                await pilot.press(key)
            for line in app.lines:
                assert safe(line, max_cells=9999) == line
                assert cells(safe(line)) <= size[0]
        await pilot.resize_terminal(100, 40)
        await pilot.press("g")
        assert app.lines[0] == "␛[31mred [bold]end[/]"

    driven(Lines, test, size=(80, 24))


def test_ascii_only() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put([[("— a › b … 訓", "")], *numbered(9)])
        await pilot.pause()
        assert app.lines[0].startswith("- a > b ~ ??")
        assert all(line.isascii() for line in app.lines)

    driven(Lines, test, size=(20, 4), ascii_only=True)


def test_the_themes_of_ours_colour_text_and_ground() -> None:
    async def test(pilot: Pilot[None], app: WidgetApp, lines: Lines) -> None:
        lines.put([[("plain", ""), ("bad", "bad")]])
        await pilot.pause()
        assert {str(s.style) for s in lines.render_line(0) if s.text.strip()} == {"none", "red"}
        app.theme = "foundry-light"
        await pilot.pause()
        styles = [s.style for s in lines.render_line(0) if s.text.strip()]
        assert all(style and style.color and style.bgcolor for style in styles)

    driven(Lines, test, size=(20, 4))
