"""One HTTP exchange, with a deadline for the whole of it and a cap on the answer.

A per-read time-out lets a server that sends one byte a second hold its caller for ever, and no
time-out reaches a name look-up that hangs. So an exchange runs in a thread of its own and the
caller waits for it until the deadline, no longer; then the connection is cut.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.tracking.credentials import Credentials

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 16 << 20
"""Cap on the body of one answer: 100,000 points of a metric are 12.6 MB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is whole; `kind` is the content type, `date` the server's clock.

    `retry_after_s`: how long the server asks to be left alone, where it tells seconds.
    """

    status: int
    body: bytes = b""
    kind: str = ""
    date: str = ""
    location: str = ""
    retry_after_s: float | None = None
    login: Credentials = field(default_factory=Credentials)

    def hide(self, text: str) -> str:
        """`text` of this answer without the secrets that the server may have echoed."""
        for secret in self.login.hidden:
            text = text.replace(secret.reveal(), "***")
        return text


@dataclass(frozen=True, slots=True)
class Broken:
    """Why there is no answer; `lasting` when another try would end the same way."""

    words: SafeText
    lasting: bool = False
    large: bool = False


@dataclass(eq=False, slots=True)
class Lane:
    """One connection, for one exchange at a time: so it is known which one to cut."""

    client: httpx.Client
    _socket: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _abandoned: bool = False

    def run(
        self, request: httpx.Request, deadline: Deadline, most_bytes: int = MAX_BYTES
    ) -> Answer | Broken:
        """The answer, or why there is none; then the lane must not be used again."""
        outcomes: list[Answer | Broken] = []
        ended = threading.Event()
        request.extensions["trace"] = self._trace

        def work() -> None:
            outcome = _exchange(self.client, request, deadline, most_bytes)
            with self._lock:
                outcomes.append(outcome)
                if self._abandoned:
                    self.client.close()
            ended.set()

        threading.Thread(target=work, name="tracking", daemon=True).start()
        ended.wait(deadline.left_s())
        with self._lock:
            if not outcomes:
                self._abandoned = True
                self._cut()
                return _late(deadline)
        (outcome,) = outcomes
        if not isinstance(outcome, Answer):
            self.client.close()
        return outcome

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._abandoned:
                self._cut()

    def _cut(self) -> None:
        """Wake the thread that reads; closing alone would leave it waiting."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _exchange(
    client: httpx.Client, request: httpx.Request, deadline: Deadline, most_bytes: int
) -> Answer | Broken:
    """The answer, or why there is none. No text of an exception that could hold headers is used."""
    import httpx

    try:
        response = client.send(request, stream=True)
        try:
            return _read(response, deadline, most_bytes)
        finally:
            response.close()
    except httpx.TimeoutException:
        return _late(deadline)
    except (httpx.ConnectError, httpx.ProxyError) as error:
        return Broken(safe(f"no connection: {error}", max_cells=300))
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        return Broken(safe(f"the connection broke: {type(error).__name__}"))
    except (OSError, ValueError, RuntimeError) as error:
        return Broken(safe(f"the exchange failed: {type(error).__name__}"), lasting=True)


def _read(response: httpx.Response, deadline: Deadline, most_bytes: int) -> Answer | Broken:
    headers = response.headers
    if headers.get("content-encoding", "identity") != "identity":
        return Broken(safe("the answer is compressed, which was not asked for"), lasting=True)
    if not response.is_success:
        most_bytes = MAX_BYTES  # a refusal may have more words than the file that was asked for
    parts, size = [], 0
    for part in response.iter_raw(1 << 16):
        size += len(part)
        if size > most_bytes:
            words = safe(f"the answer is larger than {_size(most_bytes)}")
            return Broken(words, lasting=True, large=True)
        if deadline.left_s() <= 0:
            return _late(deadline)
        parts.append(part)
    return Answer(
        response.status_code,
        b"".join(parts),
        headers.get("content-type", ""),
        headers.get("date", ""),
        headers.get("location", ""),
        _seconds(headers.get("retry-after", "")),
    )


def _size(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes:,} bytes"


def _seconds(told: str) -> float | None:
    """Retry-After in seconds; its other form, a date, would need both clocks to agree."""
    return float(told) if told.isascii() and told.isdigit() and len(told) < 10 else None


def _late(deadline: Deadline) -> Broken:
    return Broken(safe(f"no answer within {deadline.within_s:g} s"), lasting=True)
