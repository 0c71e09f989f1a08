"""A private tmux: programs in a terminal emulator that is not ours, detached and reattached."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.lab.daemons import LabError, call, until
from tests.lab.terminal import PATIENCE_S, Terminal


class Tmux:
    """A tmux server of its own with one program in one pane; a context manager that ends both.

    No configuration of the user is read. The pane stays when the program ends, so that its last
    words and its exit status can be read. `env` goes to the program, besides PATH, HOME and LANG.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="foundry-tmux-"))
        home = os.environ.get("HOME", "/")
        self._env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LANG": "C.UTF-8"}
        given = [f"{name}={value}" for name, value in (env or {}).items()]
        columns, lines = map(str, size)
        # Two words or more after the options are run as they are: tmux gives one alone to a shell.
        self._tmux(
            *("start-server", ";", "set", "-g", "remain-on-exit", "on", ";"),
            *("set", "-g", "status", "off", ";", "set", "-g", "remain-on-exit-format", "", ";"),
            *("set", "-g", "default-terminal", "tmux-256color", ";"),
            *("new-session", "-d", "-x", columns, "-y", lines, "-c", str(cwd or Path.cwd())),
            *("env", *map(_word, given), *map(_word, argv)),
        )

    @staticmethod
    def missing() -> str | None:
        """Why there is no tmux here; None when there is."""
        return None if shutil.which("tmux") else "tmux is not installed"

    def __enter__(self) -> "Tmux":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _argv(self, *words: str) -> list[str]:
        return ["tmux", "-S", str(self._folder / "s"), "-f", "/dev/null", *words]

    def _tmux(self, *words: str) -> str:
        return call(self._argv(*words), self._env).stdout.decode()

    def press(self, *keys: str) -> None:
        """Press keys in tmux's words: Enter, Escape, Up, C-c, or a character."""
        self._tmux("send-keys", "--", *map(_word, keys))

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._tmux("send-keys", "-l", "--", _word(text))

    def paste(self, text: str) -> None:
        """Paste a text, in brackets when the program asked for them."""
        self._tmux("set-buffer", "--", _word(text))
        self._tmux("paste-buffer", "-p")

    def text(self, *, styles: bool = False) -> str:
        """What the pane shows; with `styles` the escape sequences that draw it so."""
        return self._tmux("capture-pane", "-p", *(["-e"] if styles else [])).rstrip("\n")

    def wait_for(self, text: str, within_s: float = PATIENCE_S) -> None:
        """Wait until the pane shows a text. Raises `LabError` with the pane."""
        try:
            until(lambda: text in self.text(), within_s, repr(text))
        except LabError as error:
            raise LabError(f"{error}\n{self.text()}") from None

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size, as no attached terminal has."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def attach(
        self, size: tuple[int, int] = (80, 24), rate_bytes_s: float | None = None
    ) -> Terminal:
        """A terminal of ours attached to the session; the window takes its size."""
        self._tmux("set", "-g", "window-size", "latest")
        self._tmux("set", "-w", "-u", "window-size")
        return Terminal(self._argv("attach"), size=size, env=self._env, rate_bytes_s=rate_bytes_s)

    def detach(self) -> None:
        """Detach every terminal; the program goes on."""
        self._tmux("detach-client", "-s", "0")

    def _ask(self, what: str) -> str:
        return self._tmux("display-message", "-p", what).rstrip("\n")

    @property
    def pid(self) -> int:
        """The process id of the program."""
        return int(self._ask("#{pane_pid}"))

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the pane."""
        columns, lines = self._ask("#{pane_width} #{pane_height}").split()
        return int(columns), int(lines)

    def exit_code(self, within_s: float = PATIENCE_S) -> int:
        """Wait for the program's end; its exit status, negative for a signal."""
        until(lambda: self._ended() != "", within_s, "the end of the program")
        return int(self._ended())

    def _ended(self) -> str:
        how = "#{pane_dead_status}#{?pane_dead_signal,-#{pane_dead_signal},}"
        dead, server, status = self._ask(f"#{{pane_dead}} #{{pid}} {how}").split(" ")
        if dead == "1" and not status:
            # tmux 3.3a at times misses that its child has ended, until the next one does
            os.kill(int(server), signal.SIGCHLD)
        return status

    def close(self) -> None:
        """End the server and with it the program."""
        subprocess.run(self._argv("kill-server"), env=self._env, capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def _word(text: str) -> str:
    """A word for tmux, which takes a semicolon at its end for the end of the command."""
    return f"{text[:-1]}\\;" if text.endswith(";") else text
