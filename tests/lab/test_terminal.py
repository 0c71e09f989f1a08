"""The terminals that tests look through: what they show, how slow they are, how they end."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import terminal
from tests.lab.components import require
from tests.lab.daemons import LabError, until
from tests.lab.terminal import Terminal
from tests.lab.tmux import Tmux

HOME = Path(__file__).parents[2]
TABLE = [sys.executable, "-m", "benchmarks.datatable_app", "--rows", "100"]
RAW = "import os, sys, time, tty, pathlib; tty.setraw(0); out = sys.stdout\n"
ECHO = RAW + (
    "print('ready', end='', flush=True)\nwhile True: print(os.read(0, 100), end=' ', flush=True)\n"
)
"""A program that shows the bytes it gets."""


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.fixture
def tmux_table() -> Iterator[Tmux]:
    require("tmux", Tmux.missing())
    with Tmux(TABLE, cwd=HOME) as tmux:
        tmux.wait_for("100020")
        yield tmux


# -- the screen


def test_the_screen_is_that_of_another_emulator(tmux_table: Tmux) -> None:
    with Terminal(TABLE, cwd=HOME) as ours:
        ours.wait_for("100020")
        ours.press("down", "down", "pagedown", "up", "m")
        ours.wait_for("the key has arrived")
        tmux_table.press("Down", "Down", "PageDown", "Up", "m")
        tmux_table.wait_for("the key has arrived")
        ours.until(lambda: ours.text == tmux_table.text(), "the same text", within_s=5)
        assert "100029" in ours.text


def test_a_cell_has_its_style() -> None:
    with Terminal(python("print('a\\x1b[1;31mb\\x1b[0m\\u6f22c', end='')")) as shown:
        shown.exit_code()
        shown.wait_for("ab漢c")
        assert (shown.screen.cell(1, 0).bold, shown.screen.cell(1, 0).fg) == (True, "red")
        assert (shown.screen.cell(0, 0).bold, shown.screen.cell(4, 0).data) == (False, "c")


def test_the_first_screen_comes_back_after_a_full_screen_program() -> None:
    script = "print('before'); print('\\x1b[?1049h\\x1b[?25lfull', end='', flush=True); input()"
    leave = "; print('\\x1b[?1049l\\x1b[?25h', end=''); print('after')"
    with Terminal(python(script + leave)) as shown:
        shown.wait_for("full")
        assert "before" not in shown.text
        assert {1049} <= shown.modes and 25 not in shown.modes
        shown.press("enter")
        shown.wait_for("after")
        assert "before" in shown.text and "full" not in shown.text
        assert shown.modes == {7, 25}


def test_a_new_size_reaches_the_program() -> None:
    script = (
        "import os, signal\n"
        "def tell(*_): print(*os.get_terminal_size(), sep='x', flush=True)\n"
        "signal.signal(signal.SIGWINCH, tell)\n"
        "tell()\n"
        "while True: signal.pause()\n"
    )
    with Terminal(python(script), size=(200, 50)) as shown:
        shown.wait_for("200x50")
        shown.resize(20, 5)
        shown.wait_for("20x5\n")
        assert len(shown.lines) == 5


def test_waiting_in_vain_shows_the_screen() -> None:
    with Terminal(python("print('sun'); input()")) as shown:
        with pytest.raises(LabError, match=r"waited 0\.5 s in vain for: 'rain'\nsun"):
            shown.wait_for("rain", within_s=0.5)
        shown.press("enter")
        with pytest.raises(LabError, match=r"ended without showing 'rain'\nsun"):
            shown.wait_for("rain")


# -- what the user does


def test_keys_pastes_and_the_mouse_reach_the_program_as_xterm_sends_them() -> None:
    with Terminal(python(ECHO)) as shown:
        shown.wait_for("ready")
        shown.press("down", "ctrl+c", "x", "escape")
        shown.wait_for(r"b'\x1b[B\x03x\x1b'")
        shown.move_mouse(3, 4)
        shown.paste("one\ntwo")
        shown.wait_for(r"b'one\rtwo'")
        assert "[<35" not in shown.text


def test_a_program_gets_brackets_and_motion_when_it_asks() -> None:
    with Terminal(python(f"print('\\x1b[?2004h\\x1b[?1003h', end='')\n{ECHO}")) as shown:
        shown.wait_for("ready")
        shown.paste("a")
        shown.wait_for(r"b'\x1b[200~a\x1b[201~'")
        shown.move_mouse(3, 4)
        shown.wait_for(r"b'\x1b[<35;4;5M'")


# -- the link


def test_a_slow_link_shows_what_the_program_wrote_long_ago(tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f"{RAW}out.write('x' * 8000 + 'END'); out.flush(); pathlib.Path({str(done)!r}).touch()"
    with Terminal(python(f"{script}; os.read(0, 1)"), rate_bytes_s=16_000) as slow:
        slow.until(done.exists, "all is written")
        seconds = slow.wait_for("END", within_s=5)
        written = len(slow.raw)
    assert written == 8003
    assert 0.3 < seconds < 2


def test_a_question_is_answered_when_the_screen_has_read_it(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    script = (
        f"{RAW}out.write('x' * 500 + '\\x1b[?2026$p'); out.flush()\n"
        f"pathlib.Path({str(answer)!r}).write_bytes(os.read(0, 100))"
    )
    with Terminal(python(script), rate_bytes_s=0) as stopped:
        stopped.until(lambda: stopped.queued_bytes == 509, "all is on the link")
        with pytest.raises(LabError, match="in vain"):
            stopped.until(answer.exists, "an answer", within_s=0.5)
        stopped.rate_bytes_s = None
        stopped.exit_code()
    assert answer.read_bytes() == b"\x1b[?2026;2$y"


@pytest.mark.parametrize(("sync", "answer"), [(True, "2026;2$y"), (False, "2026;0$y")])
def test_an_older_terminal_does_not_know_synchronised_output(sync: bool, answer: str) -> None:
    asks = f"print('\\x1b[?2026$p', end='', flush=True)\n{ECHO}"
    with Terminal(python(asks), sync=sync) as shown:
        shown.wait_for(answer)


def test_a_terminal_may_say_nothing() -> None:
    asks = f"print('\\x1b[?2026$p\\x1b[6n\\x1b[c', end='', flush=True)\n{ECHO}"
    with Terminal(python(asks), answers=False) as silent:
        silent.wait_for("ready")
        silent.press("k")
        silent.wait_for("b'k'")


def test_a_full_link_holds_the_program_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "LINK_BYTES", 10_000)
    done = tmp_path / "done"
    script = f"print('x' * 300_000, flush=True); open({str(done)!r}, 'w')"
    with Terminal(python(script), rate_bytes_s=0) as stopped:
        stopped.until(lambda: stopped.queued_bytes >= 10_000, "a full link")
        with pytest.raises(LabError, match="in vain"):
            stopped.until(done.exists, "all is written", within_s=0.5)
        stopped.rate_bytes_s = None
        stopped.until(done.exists, "all is written")


def test_frames_and_bytes_are_counted() -> None:
    script = "print('\\x1b[?2026hab\\x1b[?2026l' * 3, end='')"
    with Terminal(python(script)) as shown:
        shown.exit_code()
        shown.until(lambda: len(shown.raw) == 54, "54 bytes")
        assert shown.frames == 3


# -- the end


def test_hanging_up_ends_the_program() -> None:
    with Terminal(python(ECHO)) as shown:
        shown.wait_for("ready")
        assert shown.alive
        shown.hang_up()
        assert shown.exit_code() == -signal.SIGHUP


def test_a_program_that_ignores_the_hang_up_is_killed() -> None:
    script = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); print('ready')\n"
    with Terminal(python(script + "while True: signal.pause()")) as shown:
        shown.wait_for("ready")
    assert shown.exit_code() == -signal.SIGKILL


def test_status_cpu_time_and_memory_are_those_of_the_program() -> None:
    script = "import sys; b = bytearray(40 << 20); sum(range(3_000_000)); input('x'); sys.exit(7)"
    with Terminal(python(script)) as shown:
        shown.wait_for("x")
        spent_s, memory = shown.cpu_s, shown.memory
        shown.press("enter")
        assert shown.exit_code() == 7
        assert 0.01 < spent_s <= shown.cpu_s < 5
    assert 40 << 20 < memory.pss_bytes <= memory.rss_bytes < 120 << 20


# -- tmux


def test_tmux_shows_styles_and_the_exit_status(tmux_table: Tmux) -> None:
    assert "\x1b[" in tmux_table.text(styles=True)
    assert "\x1b[" not in tmux_table.text()
    tmux_table.press("q")
    assert tmux_table.exit_code() == 0


def test_a_program_in_tmux_lives_on_detached_and_takes_the_size_of_the_next_terminal(
    tmux_table: Tmux,
) -> None:
    with tmux_table.attach((80, 24)) as first:
        first.wait_for("100020")
        tmux_table.detach()
        assert first.exit_code() == 0
    pid = tmux_table.pid
    with tmux_table.attach((100, 30)) as second:
        second.wait_for("100026")
        second.press("m")
        second.wait_for("the key has arrived")
        assert (tmux_table.size, tmux_table.pid) == ((100, 30), pid)


def test_tmux_types_pastes_and_resizes() -> None:
    require("tmux", Tmux.missing())
    with Tmux(python(f"print('\\x1b[?2004h', end='')\n{ECHO}"), env={"A": "b"}) as tmux:
        tmux.wait_for("ready")
        tmux.type("-q;")
        tmux.wait_for("b'-q;'")
        tmux.paste("a b")
        tmux.wait_for(r"b'\x1b[200~a b\x1b[201~'")
        tmux.resize(60, 10)
        assert tmux.size == (60, 10)


def test_closing_tmux_ends_the_program() -> None:
    require("tmux", Tmux.missing())
    with Tmux(python(ECHO)) as tmux:
        tmux.wait_for("ready")
        pid = tmux.pid
    until(lambda: not Path(f"/proc/{pid}").exists(), 30, "the end of the program")


def test_tmux_tells_of_the_signal_that_ended_a_program() -> None:
    require("tmux", Tmux.missing())
    with Tmux(python(ECHO)) as tmux:
        tmux.wait_for("ready")
        os.kill(tmux.pid, signal.SIGKILL)
        assert tmux.exit_code() == -signal.SIGKILL
