"""Kinds of terminals: no colours, ASCII only, dumb ones; looked at on a pty."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.lab.terminal import Terminal

HOME = Path(__file__).parents[2]
FOUNDRY = [sys.executable, "-c", "from foundry_tui.start import main; raise SystemExit(main())"]

SGR = re.compile(rb"\x1b\[([0-9;:]*)m")
PLAIN = {"", "0", "1", "2", "3", "4", "7", "22", "23", "24", "27", "39", "49"}
"""Weights, lines and reverse, and back to the terminal's own colours."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    made = {"COLORTERM": "truecolor"}
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        (tmp_path / name).mkdir(mode=0o700)
        made[name] = str(tmp_path / name)
    return made


def codes(terminal: Terminal) -> set[str]:
    return {
        code for found in SGR.findall(bytes(terminal.raw)) for code in found.decode().split(";")
    }


def pressed_alone(terminal: Terminal, key: str) -> None:
    """Press a key with nothing right behind it: what follows Escape at once is one key with it."""
    terminal.press(key)
    terminal.settle()


def walked(terminal: Terminal) -> None:
    """Every kind of thing on the screen: places, line, list above it, help."""
    terminal.wait_for("1 Overview", within_s=20)
    terminal.wait_for("help")
    terminal.press("2", "?")
    terminal.wait_for("What works here")
    pressed_alone(terminal, "escape")
    terminal.press(":", "a")
    terminal.wait_for("enter runs it")
    terminal.settle()


def test_no_color_sends_no_colour_whatever_the_theme(env: dict[str, str]) -> None:
    with Terminal([*FOUNDRY, "--demo"], env=env | {"NO_COLOR": "1"}, cwd=HOME) as terminal:
        walked(terminal)
        for _ in range(4):
            pressed_alone(terminal, "escape")
            terminal.press("T")
            terminal.wait_for("theme ")
            terminal.settle()
        assert codes(terminal) <= PLAIN
        assert "7" in codes(terminal)


def test_the_theme_of_the_file_is_used_and_mono_sends_no_colour(
    env: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "XDG_CONFIG_HOME/foundry/config.toml"
    file.parent.mkdir()
    file.write_text('[screens]\ntheme = "mono"\nmouse = false\nascii = true\n[keys]\nhelp = "f1"\n')
    file.chmod(0o600)
    with Terminal([*FOUNDRY, "--demo"], env=env, cwd=HOME) as terminal:
        terminal.wait_for("1 Overview", within_s=20)
        terminal.wait_for("f1 help")
        terminal.press("2", ":", "a")
        terminal.wait_for("enter runs it")
        terminal.settle()
        assert codes(terminal) <= PLAIN
        assert 1000 not in terminal.modes
        assert terminal.text.isascii()


def test_who_types_ahead_of_the_screen_loses_no_key(env: dict[str, str]) -> None:
    with Terminal([*FOUNDRY, "--demo"], env=env, cwd=HOME) as terminal:
        terminal.wait_for("1 Overview", within_s=20)
        terminal.wait_for("help")
        terminal.type("3:theme mono\r")
        terminal.wait_for("theme mono")
        terminal.type("2/zzzz")
        terminal.wait_for("/zzzz")
        pressed_alone(terminal, "escape")
        terminal.type("1:q\r")
        assert terminal.exit_code() == 0


def test_colours_are_sent_where_nobody_minds(env: dict[str, str]) -> None:
    with Terminal([*FOUNDRY, "--demo"], env=env, cwd=HOME) as terminal:
        terminal.wait_for("1 Overview", within_s=20)
        terminal.settle()
        assert not codes(terminal) <= PLAIN
        assert 1000 in terminal.modes


def test_the_linux_console_gets_ascii(env: dict[str, str]) -> None:
    with Terminal([*FOUNDRY, "--demo"], env=env | {"TERM": "linux"}, cwd=HOME) as terminal:
        walked(terminal)
        assert terminal.text.isascii()
        assert bytes(terminal.raw).isascii()


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_dumb_terminal_is_refused_with_a_hint(env: dict[str, str], term: str) -> None:
    with Terminal([*FOUNDRY, "--demo"], env=env | {"TERM": term}, cwd=HOME) as terminal:
        assert terminal.exit_code(within_s=20) == 2
        terminal.settle()
        assert "foundry overview" in terminal.text
        assert b"\x1b" not in terminal.raw
