"""The program `foundry` on a terminal, as a user has it: keys in, what the screen shows out.

Its folders are its own, and nothing of the caller's configuration is seen.
"""

from __future__ import annotations

import base64
import re
import threading
import time
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.lab.daemons import LabError
from tests.lab.terminal import PATIENCE_S, Terminal
from tests.stories.conftest import FOUNDRY

FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that must not reach a terminal from a name."""

COPY = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07")
"""What gives a text to the terminal's clipboard."""

OURS = re.compile(
    rb"\x1b\[[0-9;]*m"  # a style
    rb"|\x1b\[[0-9]+;[0-9]+H"  # a place of the cursor
    rb"|\x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1049|2004|2026)[hl]"
    rb"|\x1b\[\?(?:2026|2048)\$p|\x1b\[6n"  # questions
    rb"|\x1b\[>25u|\x1b\[<u"  # the keyboard's protocol
    rb"|\x1b\]22;default\x07"  # the mouse's shape
    rb"|\r\n"
)
"""All that the program itself has to say to a terminal, besides `COPY`."""

COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")
"""A style with a colour of any kind."""


def seat_env(home: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a user whose home is this folder, and who has seen the first page."""
    runtime, state = home / "run", home / "state" / "foundry"
    runtime.mkdir(mode=0o700, exist_ok=True)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    (state / "welcomed").touch(mode=0o600)
    return {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        **(env or {}),
    }


class Seat(Terminal):
    """`foundry` with these words on a terminal; a context manager that ends it."""

    def __init__(
        self,
        home: Path,
        *words: str,
        size: tuple[int, int] = (80, 24),
        env: Mapping[str, str] | None = None,
        rate_bytes_s: float | None = None,
        answers: bool = True,
    ) -> None:
        super().__init__(
            [FOUNDRY, *words],
            size=size,
            env=seat_env(home, env),
            cwd=home,
            rate_bytes_s=rate_bytes_s,
            answers=answers,
        )

    def __enter__(self) -> Seat:
        return self

    # -- keys

    def do(self, keys: str, shows: str | Callable[[], bool], within_s: float = PATIENCE_S) -> float:
        """Press one key, or type a text, and wait for what it shows; return the seconds."""
        self.press(keys)
        if isinstance(shows, str):
            return self.wait_for(shows, within_s)
        return self.until(shows, f"what {keys!r} does", within_s)

    def walk(self, *keys: str) -> None:
        """Press keys; an empty one stands for a look at what they did.

        Escape is given time of its own: with the next byte it would be that key with alt.
        """
        for key in keys:
            if key:
                self.press(key)
            if key in ("", "escape"):
                self.settle(0.15)

    def key_s(self) -> float:
        """Seconds until a key is answered on the screen: that of the filter, then taken back."""
        seconds = self.do("/", lambda: self.last.startswith("/"))
        self.do("escape", lambda: not self.last.startswith("/"))
        return seconds

    def refreshed(self, holds: Callable[[], bool], what: str, within_s: float = 40.0) -> None:
        """Press r, as somebody does who cannot wait, until something is shown."""
        end = time.monotonic() + within_s
        while True:
            self.press("r")
            try:
                self.until(holds, what, 1.5)
                return
            except LabError:
                if time.monotonic() > end:
                    raise

    def filter(self, text: str) -> None:
        """Filter the list that is shown, by this alone."""
        self.do("/", lambda: self.last.startswith("/"))
        self.press("end", *["backspace"] * len(self.last))
        self.type(text)
        self.until(lambda: self.last == f"/{text}".rstrip(), "the whole filter", 10)
        self.do("enter", lambda: not self.last.startswith("/"))

    def leave(self) -> int:
        """Press q; the exit code."""
        self.press("q")
        return self.exit_code()

    # -- what is seen

    @property
    def last(self) -> str:
        """The last line: what is said, or asked, or typed."""
        return self.lines[-1]

    @property
    def row(self) -> str:
        """The row that the cursor is on, which stands reversed; empty where there is none."""
        with self._changed:
            for y, line in enumerate(self._screen.text.split("\n")):
                if y and self._screen.cell(0, y).reverse:
                    return line
        return ""

    def line_with(self, text: str) -> str:
        """The first line that shows a text."""
        return next((line for line in self.lines if text in line), "")

    # -- what was sent to the terminal

    @property
    def copied(self) -> list[str]:
        """Every text that was given to the clipboard."""
        return [base64.b64decode(found[1]).decode() for found in COPY.finditer(self.raw)]

    def strays(self) -> list[str]:
        """What the terminal was sent that neither is text nor is what the program itself says."""
        text = OURS.sub(b"", COPY.sub(b"", bytes(self.raw))).decode("utf-8", "surrogateescape")
        return [
            f"{text[max(0, at - 20) : at + 20]!r}"
            for at, char in enumerate(text)
            if unicodedata.category(char) in FORBIDDEN
        ]


class Gate:
    """A way to a tracking server that can be shut, in a thread of its own.

    `shut` answers instead of the server: a status with a text, or `HANGS`. `bend` changes what
    the server answers to a GET.
    """

    HANGS = 0

    def __init__(self, url: str) -> None:
        self.shut: tuple[int, str] | None = None
        self.bend: Callable[[bytes], bytes] = lambda data: data
        self.asked = 0
        self._open = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate._answer(self, url, None)

            def do_POST(self) -> None:
                gate._answer(self, url, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler, url: str, body: bytes | None) -> None:
        self.asked += 1
        if self.shut is not None and self.shut[0] == self.HANGS:
            self._open.wait()
            return
        code, data, kind = self._passed_on(url + handler.path, body)
        handler.send_response(code)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _passed_on(self, url: str, body: bytes | None) -> tuple[int, bytes, str]:
        if self.shut is not None:
            return self.shut[0], self.shut[1].encode(), "text/plain"
        asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                data = answer.read()
                return answer.status, self.bend(data) if body is None else data, "application/json"
        except urllib.error.HTTPError as error:
            return error.code, error.read(), "application/json"

    def close(self) -> None:
        """Answer nothing any more."""
        self._open.set()
        self._server.shutdown()
        self._server.server_close()
