"""A terminal for programs under test: a pty, a screen, and a link between them as slow as wished.

The link is what ssh is: it takes up to 2 MiB of the program's output at once and hands it on at
its rate. So a program that writes too much is not held up, it only shows ever later. Questions
(`CSI ? 2026 $ p`) are answered when the screen has read them, not when the program wrote them.
"""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage
from types import TracebackType

from tests.lab.daemons import LabError
from tests.lab.screen import SYNC, Screen

LINK_BYTES = 2 << 20
"""What ssh and TCP hold of a program's output before it must wait."""

TICK_S = 0.02
PATIENCE_S = 30.0
"""So long something is waited for that comes at once where two cores are not shared by many."""
FRAME = b"\x1b[?%dh" % SYNC

KEYS = {
    "enter": b"\r",
    "escape": b"\x1b",
    "tab": b"\t",
    "space": b" ",
    "backspace": b"\x7f",
    "delete": b"\x1b[3~",
    "up": b"\x1b[A",
    "down": b"\x1b[B",
    "right": b"\x1b[C",
    "left": b"\x1b[D",
    "home": b"\x1b[H",
    "end": b"\x1b[F",
    "pageup": b"\x1b[5~",
    "pagedown": b"\x1b[6~",
    "shift+tab": b"\x1b[Z",
} | {f"ctrl+{letter}": bytes([ord(letter) & 31]) for letter in "abcdefghijklmnopqrstuvwxyz"}


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process: all of it, and with shared pages divided by who shares them."""

    rss_bytes: int
    pss_bytes: int


class Terminal:
    """A program on a terminal of `size` (columns, lines); a context manager that ends it.

    The program gets PATH, HOME, LANG and TERM, and what `env` says; nothing else of this process.
    `rate_bytes_s` is the link's rate, None for one without limit, and may be changed at any time;
    0 is a terminal that does not read. `sync` False: synchronised output is not known; `answers`
    False: the terminal says nothing ever.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        rate_bytes_s: float | None = None,
        sync: bool = True,
        answers: bool = True,
    ) -> None:
        self.rate_bytes_s = rate_bytes_s
        self.raw = bytearray()
        """All that the screen has read."""
        self._screen = Screen(*size, self._type if answers else lambda _: None, sync=sync)
        self._changed = threading.Condition()
        self._pending = bytearray()
        self._typed = bytearray()
        self._typing = threading.Lock()
        self._over = self._closing = False
        self._fault: Exception | None = None
        self._allowed, self._allowed_at = 0.0, time.monotonic()
        self._read_at = time.monotonic()
        self._status: int | None = None
        self._usage: struct_rusage | None = None
        self._master, slave = os.openpty()
        os.set_blocking(self._master, False)
        self._set_size(*size)
        base = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(Path.home())}
        # setsid makes the pty the program's own terminal and becomes the program: same process id
        self._child = subprocess.Popen(
            ["setsid", "--ctty", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env=base | {"LANG": "C.UTF-8", "TERM": "xterm-256color"} | dict(env or {}),
        )
        os.close(slave)
        self.pid = self._child.pid
        self._thread = threading.Thread(target=self._loop, name="terminal", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- the link, in a thread of its own

    def _loop(self) -> None:
        try:
            while not self._closing and (not self._over or self._pending):
                self._take()
                self._flush()
                self._show()
        except Exception as error:
            self._fault = error
        with self._changed:
            self._changed.notify_all()

    def _take(self) -> None:
        """Take output of the program while the link has room."""
        room = not self._over and len(self._pending) < LINK_BYTES
        wait_s = TICK_S if self._pending or self._typed else 5 * TICK_S
        if not select.select([self._master] if room else [], [], [], wait_s)[0]:
            return
        try:
            data = os.read(self._master, 1 << 16)
        except BlockingIOError:
            return
        except OSError:  # EIO: no process has the terminal open any more
            data = b""
        self._over = not data
        self._pending += data

    def _show(self) -> None:
        """Let the screen read what the link has carried by now."""
        now = time.monotonic()
        size = len(self._pending)
        if (rate := self.rate_bytes_s) is not None:
            waited_s = now - self._allowed_at
            self._allowed = self._allowed + rate * waited_s if size else 0.0
            size = min(size, int(self._allowed))
            self._allowed -= size
        self._allowed_at = now
        if not size:
            return
        data = bytes(self._pending[:size])
        with self._changed:
            del self._pending[:size]
            self._read_at = now
            self.raw += data
            self._screen.feed(data)
            self._changed.notify_all()

    def _type(self, data: bytes) -> None:
        with self._typing:
            self._typed += data
        self._flush()

    def _flush(self) -> None:
        """Hand the program what was typed; the rest stays while it does not read."""
        with self._typing:
            if self._typed and not self._closing:
                try:
                    del self._typed[: os.write(self._master, self._typed)]
                except BlockingIOError:
                    return
                except OSError:
                    self._typed.clear()

    # -- what the user does

    def press(self, *keys: str) -> None:
        """Press keys: a name of `KEYS`, or one character."""
        self._type(b"".join(KEYS.get(key) or key.encode() for key in keys))

    def type(self, text: str) -> None:
        """Type a text, character by character."""
        self._type(text.encode())

    def paste(self, text: str) -> None:
        """Paste a text, in brackets when the program asked for them (mode 2004)."""
        data = text.replace("\n", "\r").encode()
        self._type(b"\x1b[200~%s\x1b[201~" % data if 2004 in self.modes else data)

    def move_mouse(self, column: int, line: int) -> None:
        """Move the mouse over a cell, from 0; nothing is said unless the program asked (1003)."""
        if 1003 in self.modes:
            self._type(b"\x1b[<35;%d;%dM" % (column + 1, line + 1))

    def resize(self, columns: int, lines: int) -> None:
        """Change the size; the kernel tells the program (SIGWINCH)."""
        with self._changed:
            self._screen.resize(columns, lines)
        self._set_size(columns, lines)

    def _set_size(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def hang_up(self) -> None:
        """Close the terminal; the kernel tells the program (SIGHUP)."""
        if not self._closing:
            self._closing = True
            self._thread.join()
            os.close(self._master)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the program a signal, if it still lives."""
        if self.alive:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Hang up, and kill what does not heed it."""
        self.hang_up()
        try:
            self.exit_code(within_s=3)
        except LabError:
            self.kill()
            self.exit_code()

    # -- what is seen

    @property
    def text(self) -> str:
        """What the screen shows, line by line."""
        with self._changed:
            return self._screen.text

    @property
    def lines(self) -> list[str]:
        """The lines that the screen shows, without the blanks at their ends."""
        return self.text.split("\n")

    @property
    def screen(self) -> Screen:
        """The screen itself, for the style of a cell; ask it when the program is quiet."""
        return self._screen

    @property
    def modes(self) -> frozenset[int]:
        """The private modes that the program has set."""
        with self._changed:
            return self._screen.modes

    @property
    def frames(self) -> int:
        """Whole frames that were begun (synchronised output)."""
        return self.raw.count(FRAME)

    @property
    def queued_bytes(self) -> int:
        """What the link holds: written by the program, not yet shown."""
        return len(self._pending)

    def until(self, holds: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> float:
        """Wait until something holds, asked again whenever the screen changed; return the seconds.

        Raises `LabError` with the screen after `within_s`.
        """
        started = time.monotonic()
        with self._changed:
            while not holds():
                if self._fault is not None:
                    raise LabError(f"the terminal broke: {self._fault!r}") from self._fault
                if time.monotonic() - started > within_s:
                    raise LabError(f"waited {within_s:g} s in vain for: {what}\n{self.text}")
                self._changed.wait(TICK_S)
        return time.monotonic() - started

    def wait_for(self, text: str, within_s: float = PATIENCE_S) -> float:
        """Wait until the screen shows a text; return the seconds.

        Raises `LabError` with the screen when it does not in time, or the program has ended.
        """
        seconds = self.until(
            lambda: text in self.text or not self._thread.is_alive(), repr(text), within_s
        )
        if text not in self.text:
            raise LabError(f"the program ended without showing {text!r}\n{self.text}")
        return seconds

    def wait_gone(self, text: str, within_s: float = PATIENCE_S) -> float:
        """Wait until the screen does not show a text any more; return the seconds."""
        return self.until(lambda: text not in self.text, f"no {text!r}", within_s)

    def settle(self, quiet_s: float = 0.3, within_s: float = PATIENCE_S) -> None:
        """Wait until nothing has come for `quiet_s` from now on."""
        called = time.monotonic()
        self.until(
            lambda: not self._pending and time.monotonic() - max(called, self._read_at) >= quiet_s,
            f"{quiet_s:g} s without output",
            within_s,
        )

    # -- the process

    @property
    def alive(self) -> bool:
        """Whether the program has not ended."""
        if self._status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._usage = usage
                self._status = self._child.returncode = os.waitstatus_to_exitcode(status)
        return self._status is None

    def exit_code(self, within_s: float = PATIENCE_S) -> int:
        """Wait for the program's end; its exit status, negative for a signal."""
        self.until(lambda: not self.alive, "the end of the program", within_s)
        assert self._status is not None
        return self._status

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the program, all threads, user and system; not those of its children.

        While it lives they are read from the process's own CPU clock, whose number is made as
        clock_getcpuclockid(3) does; that counts nanoseconds where /proc counts 10 ms.
        """
        if self.alive:
            return time.clock_gettime((~self.pid << 3) | 2)
        assert self._usage is not None
        return self._usage.ru_utime + self._usage.ru_stime

    @property
    def memory(self) -> Memory:
        """The program's resident memory now."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        kib = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
        return Memory(rss_bytes=kib["Rss:"] << 10, pss_bytes=kib["Pss:"] << 10)
