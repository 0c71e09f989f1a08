"""Requests to one Run:ai control plane: login, kept connections, careful repeats.

Only a request that does no more when it is sent twice is sent twice; creating never is. A
redirection is not followed: it could carry the token to another host.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from foundry_tui import __version__
from foundry_tui.config.sources import RunaiConfig
from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.runai.errors import NoAnswer, failure
from foundry_tui.schedulers.runai.exchange import Answer, Broken, Request, exchange
from foundry_tui.schedulers.runai.token import Login, Token

if TYPE_CHECKING:
    import httpx

PAUSE_S = 0.2
"""Seconds before a reading is repeated after a 5xx."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Client:
    """One control plane. Nothing is imported or opened before the first request.

    `transport` and `pause` stand in for the network and for waiting in tests.
    """

    def __init__(
        self,
        config: RunaiConfig,
        env: Mapping[str, str],
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = config.url.rstrip("/")
        self.timeout_s = config.timeout_s
        self.login = Login(config, env, monotonic)
        self._ca_file = config.ca_file
        self._transport, self._pause = transport, pause
        self._lock = threading.Lock()
        self._httpx: httpx.Client | None = None

    def deadline(self) -> Deadline:
        """The deadline of one call of the adapter."""
        return Deadline.after(self.timeout_s)

    def read(
        self, path: str, deadline: Deadline, params: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        """The successful answer to a GET (200, or 207 for a part of what was asked).

        Raises:
            Unavailable: no answer in time, or the control plane has a trouble of its own.
            Denied: the login or the access rules refuse it.
            Refused: 404 and the other errors of the request itself.
        """
        request = Request("GET", path, params, again=True)
        answer = self.send(request, deadline)
        if not 200 <= answer.status < 300:
            raise failure(str(request), answer)
        return answer

    def send(self, request: Request, deadline: Deadline) -> Answer:
        """The answer, whatever its status.

        Raises:
            NoAnswer: it may have arrived, and no answer came.
            Unavailable: it has not arrived.
            Denied: there is no token for it.
        """
        token = self._token(deadline)
        answer = self._tried(request, deadline, token)
        if answer.status == 401 and token is not None:
            token = self._token(deadline, instead_of=token)
            if request.again:
                answer = self._tried(request, deadline, token)
        return answer

    def who(self, deadline: Deadline) -> str | None:
        """The user that the token names, None when it names none."""
        return self._token(deadline).who

    def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        with self._lock:
            client, self._httpx = self._httpx, None
        if client is not None:
            client.close()

    def _token(self, deadline: Deadline, instead_of: Token | None = None) -> Token:
        def post(request: Request) -> Answer:
            return self._tried(request, deadline, None)

        return self.login.token(post, instead_of=instead_of)

    def _tried(self, request: Request, deadline: Deadline, token: Token | None) -> Answer:
        """The answer; what may be repeated is tried again after 429, 5xx and a broken connection.

        A server closes connections that were idle for long, just when one of them is used again.
        """
        outcome = self._once(request, deadline, token)
        wait_s = _wait_s(outcome)
        if wait_s is not None and request.again and wait_s < deadline.left_s():
            self._pause(wait_s)
            outcome = self._once(request, deadline, token)
        if isinstance(outcome, Answer):
            return outcome
        raise self._broken(str(request), outcome)

    def _once(self, request: Request, deadline: Deadline, token: Token | None) -> Answer | Broken:
        headers = {"User-Agent": f"foundry/{__version__}"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token.secret.reveal()}"
        return exchange(self._opened(str(request)), request, self.url, headers, deadline)

    def _broken(self, asked: str, outcome: Broken) -> Unavailable:
        kind = NoAnswer if outcome.arrived else Unavailable
        hint = outcome.hint or f"see whether {self.url} can be reached from here"
        return kind(asked, self.login.hide(outcome.words), hint)

    def _opened(self, asked: str) -> httpx.Client:
        with self._lock:
            if self._httpx is None:
                import httpx

                # A proxy of the environment does not reach this host's own loopback.
                host = urlsplit(self.url).hostname or ""
                trust_env = self._transport is None and host not in LOOPBACK
                self._httpx = httpx.Client(
                    verify=self._context(asked, trust_env=trust_env),
                    trust_env=trust_env,
                    transport=self._transport,
                    follow_redirects=False,
                )
            return self._httpx

    def _context(self, asked: str, *, trust_env: bool) -> ssl.SSLContext:
        if not (self.url.startswith("https:") or trust_env):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            path = None if self._ca_file is None else str(self._ca_file)
            return ssl.create_default_context(cafile=path)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise Unavailable(
                asked,
                safe(f"ca_file {self._ca_file} cannot be used: {reason}", max_cells=300),
                "set `ca_file` to a PEM file with the authority's certificate",
            ) from None


def _wait_s(outcome: Answer | Broken) -> float | None:
    """Seconds before another try; None when another try would end the same way."""
    if isinstance(outcome, Broken):
        return PAUSE_S if outcome.cut else None
    if outcome.status == 429:
        text = outcome.retry_after
        return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1.0
    return PAUSE_S if outcome.status >= 500 else None
