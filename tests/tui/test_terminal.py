"""The screens on a real terminal: what they send, how they end, and what nobody can make them do.

The estate is the simulated one or a saved file, so nothing here needs a scheduler.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.estate.snapshot import encode
from foundry_tui.estate.text import SafeText, cells, safe
from tests.estate.test_text import HOSTILE
from tests.lab.components import require
from tests.lab.daemons import until
from tests.lab.terminal import Terminal
from tests.lab.tmux import Tmux
from tests.stories.conftest import FOUNDRY
from tests.stories.seated import COLOUR, Seat, seat_env
from tests.tui.estates import a_run, an_estate, waiting

FIRST = 5001
"""The number of the first run with a hostile name."""


def hostile(raw: str | bytes) -> str:
    """A name as a file can hold it; what JSON cannot hold is as an adapter would have kept it."""
    text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
    try:
        text.encode()
    except UnicodeEncodeError:
        return safe(raw)
    return text


NAMES = [hostile(raw) for raw in HOSTILE.values()]
LISTED = sorted(range(len(NAMES)), key=lambda n: n % 2 == 0)
"""The order of their runs in the list: the running ones, whose place is odd, before the waiting."""


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A saved estate: 40 running and waiting runs."""
    runs = [a_run(n) for n in range(1, 11)] + [waiting(n) for n in range(11, 41)]
    path = tmp_path / "estate.json"
    path.write_bytes(encode(an_estate(runs)))
    return path


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """A saved estate in which whatever can have a name has a hostile one."""
    runs = [
        (a_run if n % 2 else waiting)(FIRST + n, request=a_run(0).request)
        for n in range(len(NAMES))
    ]
    told: dict[str, Any] = json.loads(encode(an_estate(runs, nodes=4)))
    for number, (run, name) in enumerate(zip(told["runs"], NAMES, strict=True)):
        run |= {"name": name, "account": name, "reason": name, "native": {"Name": name}}
        if number % 3:
            run |= {"user": name}
    for node, name in zip(told["nodes"], NAMES[:4], strict=True):
        node |= {"reason": name, "gpu_model": name}
    for gpu, name in zip(told["gpus"], NAMES, strict=False):
        gpu |= {"model": name, "how": name}
    told["queues"] += [told["queues"][0] | {"name": name} for name in NAMES]
    told["sources"][0] |= {"state": "stale", "reason": NAMES[2]}
    told["partial"] = NAMES[:3]
    path = tmp_path / "nasty.json"
    path.write_text(json.dumps(told))
    return path


def opened(home: Path, estate: Path, *words: str, **more: Any) -> Seat:
    """The runs of a saved estate on a terminal."""
    seat = Seat(home, "--estate", str(estate), *words, **more)
    seat.until(lambda: bool(seat.text.strip()), "anything")
    seat.do("2", lambda: bool(seat.row))
    return seat


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still are."""
    return [
        int(word)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for word in task.read_text().split()
    ]


def left_tidy(seat: Terminal) -> None:
    """The first screen with its cursor, no mouse, no paste brackets."""
    assert seat.modes <= {7, 25} and 25 in seat.modes, seat.modes
    assert "Overview" not in seat.text


# -- names


def beginning(name: str) -> str:
    """So much of a safe name as every list has room for, without marks."""
    shown = safe(name)
    room = (c for n, c in enumerate(shown) if cells(SafeText(shown[: n + 1])) <= 4)
    return bare("".join(room)).strip()


def bare(text: str) -> str:
    """A text without its marks, which a terminal may join to the letters below them."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(c for c in parts if not unicodedata.category(c).startswith("M"))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=["80x24", "200x50"])
def test_hostile_names_in_every_list_and_page(
    tmp_path: Path, nasty: Path, size: tuple[int, int]
) -> None:
    with opened(tmp_path, nasty, size=size) as seat:
        for number in LISTED:
            name, native_id = NAMES[number], f" {FIRST + number} "
            seat.until(lambda n=native_id: n in seat.row, native_id)  # type: ignore[misc]
            assert beginning(name) in bare(seat.row), (name[:40], seat.row)
            if size[0] < 120 or number % 4 == 0:
                seat.do("i", lambda: not seat.row.startswith("  50"))
                seat.do("escape", lambda n=native_id: n in seat.row)  # type: ignore[misc]
            seat.press("down")
        for key, shows in (("w", "why"), ("l", "log")):
            seat.do(key, f"› {shows}")
            seat.walk("", "escape")
        assert not seat.strays()
        for place in "1345":
            seat.walk(place, "tab", "down", "down", "enter", "", "tab", "down", "enter", "")
            seat.walk("escape", "escape", "escape", "escape")
        seat.do("?", "What works here")
        seat.settle(0.2)
        assert not seat.strays()
        assert seat.leave() == 0
        left_tidy(seat)


def test_hostile_names_in_what_is_typed_chosen_and_copied(tmp_path: Path, nasty: Path) -> None:
    with opened(tmp_path, nasty, size=(200, 50)) as seat:
        seat.do(":", lambda: seat.last.startswith(":"))
        seat.type("run 50")
        seat.wait_for("esc leaves")
        for _ in NAMES:
            seat.press("tab")
        for text in ("user ", "queue ", "csi", "[/]"):
            seat.press(*["backspace"] * 12)
            seat.type(text)
            seat.until(lambda t=text: seat.last == f":{t}".rstrip(), text)  # type: ignore[misc]
        seat.do("escape", lambda: not seat.last.startswith(":"))
        seat.paste("q\ny\x07\x00\x9b31m" * 50)
        seat.settle(0.2)
        assert seat.alive, "what is pasted is no key"
        assert not seat.copied
        seat.filter("")
        seat.press("home", "*")
        seat.wait_for(f"{len(NAMES)} runs marked")
        for menu in "nir":
            seat.do("y", "copy:")
            seat.do(menu, "copied")
        assert len(seat.copied) == 3
        names, ids, table = seat.copied
        assert ids.split("\n") == [str(FIRST + n) for n in LISTED]
        assert len(names.split("\n")) == len(NAMES), "a name cannot be two"
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]", names + table)
        assert not seat.strays()


# -- keys in bursts, as a slow link brings them


def test_keys_that_come_together_are_done_one_after_the_other(tmp_path: Path, plain: Path) -> None:
    with opened(tmp_path, plain) as seat:
        seat.press("down", "down", "space", "down", "down", "space")
        seat.until(lambda: "2 marked" in seat.lines[2], "two marks")
        marked = [line.split()[1] for line in seat.lines if line.startswith("*")]
        assert marked == ["3", "6"]
        seat.press("home", "down", "down", "down", "down", "i")
        seat.wait_for("Runs › 5")
        seat.walk("escape")
        seat.press("/", *"id=13", "backspace", "2", "enter", "i")
        seat.wait_for("Runs › 12")
        seat.walk("escape", "escape")
        seat.press("/", *"idx", "backspace", "=", "7", "enter", "w")
        seat.wait_for("7 train-7")
        assert seat.leave() == 0


# -- colours and signs


def test_no_color_means_none(tmp_path: Path, plain: Path) -> None:
    with opened(tmp_path, plain, env={"NO_COLOR": "1"}) as seat:
        seat.walk("down", "space", "1", "3", "enter", "", "escape", "4", "", "5", "", "?", "")
        assert COLOUR.findall(bytes(seat.raw)) == []
        seat.walk("escape", "2")
        seat.until(lambda: "train-" in seat.row, "the cursor, which is still seen")
    with opened(tmp_path, plain) as seat:
        assert COLOUR.findall(bytes(seat.raw)), "else the colours are there to be found"


def test_ascii_means_ascii(tmp_path: Path, nasty: Path) -> None:
    with opened(tmp_path, nasty, "--ascii", size=(120, 40)) as seat:
        seat.walk("down", "space", "i", "", "escape", "1", "", "3", "enter", "", "escape")
        seat.walk("4", "", "5", "", "?", "")
        seat.do("escape", lambda: "What works here" not in seat.text)
        seat.press(":")
        seat.type("run 50")
        seat.settle(0.1)
        found = [s for s in bytes(seat.raw).decode().splitlines() if not s.isascii()]
        assert not found, found[:3]
        assert not seat.strays()


def test_a_terminal_that_cannot(tmp_path: Path) -> None:
    for term in ("dumb", "unknown", ""):
        with Seat(tmp_path, "--demo", env={"TERM": term}) as seat:
            assert seat.exit_code() == 2
            assert "`foundry overview` prints" in seat.text.replace("\n", "")
            assert b"\x1b" not in seat.raw


# -- sizes


def test_a_window_of_20x5_and_every_other(tmp_path: Path, plain: Path) -> None:
    with opened(tmp_path, plain, size=(20, 5)) as seat:
        assert "20x5" in seat.lines[0]
        assert seat.row
        assert all(len(line) <= 20 for line in seat.lines)
        seat.walk("down", "1", "3", "4", "5", "2", "enter", "", "escape", "w", "", "escape", "?")
        seat.walk("", "escape", "/", "escape", ":", "escape", "y", "escape", "n", "escape")
        assert seat.alive
        for size in ((1, 1), (2, 1), (1, 200), (300, 100), (80, 24)):
            seat.resize(*size)
            seat.settle(0.2)
        seat.do("2", lambda: bool(seat.row))
        assert "80x24" not in seat.text
        assert not seat.strays()


def test_a_storm_of_sizes_ends_with_the_right_screen(tmp_path: Path, plain: Path) -> None:
    with opened(tmp_path, plain) as calm:
        calm.press("down", "down")
        calm.settle()
        expected = calm.text
    with opened(tmp_path, plain) as seat:
        seat.press("down", "down")
        for turn in range(60):
            seat.resize(20 + 7 * turn % 190, 5 + 5 * turn % 60)
            if turn % 5 == 0:
                seat.press("1", "2")
        seat.resize(80, 24)
        seat.until(lambda: _still(seat.text) == _still(expected), f"again:\n{expected}", 30.0)


def _still(text: str) -> str:
    """A screen without what the link measures."""
    return re.sub(r"link +[\d.]+ m?s|(?m:^ foundry · saved estate.*)", "", text)


# -- the end


@pytest.mark.parametrize("estate", ["saved", "demo"])
def test_a_closed_terminal_ends_it(tmp_path: Path, plain: Path, estate: str) -> None:
    words = ("--estate", str(plain)) if estate == "saved" else ("--demo",)
    seat = Seat(tmp_path, *words)
    with seat:
        seat.wait_for("Overview")
        seat.do("2", lambda: bool(seat.row))
        seat.hang_up()
        seat.exit_code(within_s=10)
    assert not _left(tmp_path), "no process of it is left"


def _left(home: Path) -> list[str]:
    """The command lines of processes whose home is this folder."""
    mark, found = f"HOME={home}\0".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_a_signal_leaves_the_terminal_as_it_was(
    tmp_path: Path, plain: Path, number: signal.Signals
) -> None:
    with opened(tmp_path, plain) as seat:
        assert {1049, 1006} <= seat.modes
        seat.kill(number)
        assert seat.exit_code(within_s=10) == 128 + number
        left_tidy(seat)
        assert b"Traceback" not in seat.raw


def test_killed_and_started_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Seat(tmp_path, "--demo") as seat:
            seat.wait_for("Overview")
            seat.do("2", lambda s=seat: bool(s.row))  # type: ignore[misc]
            seat.kill(signal.SIGKILL)
            assert seat.exit_code() == -signal.SIGKILL
    with Seat(tmp_path, "--demo") as seat:
        seat.do("2", lambda: bool(seat.row))
        assert seat.leave() == 0


def test_suspended_and_resumed(tmp_path: Path, plain: Path) -> None:
    with opened(tmp_path, plain) as seat:
        seat.settle()
        before = seat.text
        os.kill(seat.pid, signal.SIGTSTP)
        until(lambda: _state(seat.pid) == "T", 30, "the program to be stopped")
        seat.until(lambda: 1049 not in seat.modes, "the first screen")
        left_tidy(seat)
        os.kill(seat.pid, signal.SIGCONT)
        seat.until(lambda: _still(seat.text) == _still(before), f"again:\n{before}")
        assert {1049, 1006, 2004} <= seat.modes
        assert seat.key_s() < 3
        assert seat.leave() == 0


def _state(pid: int) -> str:
    """The kernel's letter for what a process does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_pipe_that_breaks(tmp_path: Path) -> None:
    script = f"{FOUNDRY} --demo runs | head -n 1; {FOUNDRY} --demo | head -n 1; echo ended"
    with Terminal(["bash", "-c", script], env=seat_env(tmp_path)) as seat:
        seat.wait_for("ended")
        assert seat.exit_code() == 0
        assert "Traceback" not in seat.text and "Broken pipe" not in seat.text
        assert 1049 not in seat.modes and b"\x1b[?1049h" not in seat.raw


def test_no_keyboard_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [FOUNDRY, "--demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**seat_env(tmp_path), "PATH": os.environ["PATH"]},
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout, "the overview, printed"


# -- silence, and a terminal that says nothing


def test_nothing_is_sent_while_nothing_happens(tmp_path: Path, plain: Path) -> None:
    with opened(tmp_path, plain) as seat:
        for key, shows in (("1", "QUEUE"), ("3", "NODE"), ("2", "RUN")):
            seat.do(key, shows)
        seat.settle(1.0)
        sent = len(seat.raw)
        with pytest.raises(Exception, match="in vain"):
            seat.until(lambda: len(seat.raw) > sent, "bytes", within_s=5)
        assert len(seat.raw) == sent


def test_a_terminal_that_never_answers(tmp_path: Path) -> None:
    with Seat(tmp_path, "--demo", answers=False) as seat:
        seat.wait_for("Overview")
        seat.do("2", lambda: bool(seat.row))
        assert max(seat.key_s() for _ in range(3)) < 3
        sent = len(seat.raw)
        seat.until(lambda: seat.raw.count(b"\x1b[6n", sent - 20) >= 0, "it goes on")
        seat.press("1")
        seat.until(lambda: len(seat.raw) > sent, "data paints go on", within_s=30)
        assert "link" not in seat.lines[0], "nothing is known of the link"
        assert seat.leave() == 0
        left_tidy(seat)


# -- tmux


@pytest.fixture
def in_tmux(tmp_path: Path, plain: Path) -> Iterator[Tmux]:
    """The program in a tmux that no terminal is attached to."""
    require("tmux", Tmux.missing())
    argv = [FOUNDRY, "--estate", str(plain)]
    with Tmux(argv, env=seat_env(tmp_path), cwd=tmp_path) as tmux:
        tmux.wait_for("Overview")
        tmux.press("2")
        tmux.wait_for("40 runs")
        yield tmux


def test_detached_and_attached_at_another_size(in_tmux: Tmux) -> None:
    with in_tmux.attach((80, 24)) as first:
        first.wait_for("40 runs")
        first.press("down", "down")
        in_tmux.detach()
        first.exit_code()
    assert in_tmux.text().count("\n") == 22
    with in_tmux.attach((200, 50)) as second:
        second.until(lambda: in_tmux.size == (200, 50), "the new size")
        second.wait_for("train-3")
        second.until(lambda: second.text.rstrip() == in_tmux.text(), "the screen of the pane")
        assert len(second.lines) == 50
        second.press("/")
        second.until(lambda: second.lines[-1].startswith("/"), "the filter")
        second.press("escape")
        second.until(lambda: not second.lines[-1].startswith("/"), "the filter left")
        second.hang_up()
    in_tmux.press("q")
    assert in_tmux.exit_code() == 0


def test_killed_in_tmux(in_tmux: Tmux) -> None:
    os.kill(in_tmux.pid, signal.SIGTERM)
    assert in_tmux.exit_code() == 128 + signal.SIGTERM
    assert "Overview" not in in_tmux.text()


def test_the_program_of_the_tests_is_the_one_installed() -> None:
    assert Path(FOUNDRY).parent == Path(sys.executable).parent
