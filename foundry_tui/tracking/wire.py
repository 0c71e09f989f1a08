"""Requests to one tracking server: credentials, certificates, kept connections, careful repeats.

Only a request that does no more when it is sent twice is sent twice. A redirection is never
followed: it could carry the credentials to another host.
"""

from __future__ import annotations

import json
import math
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from foundry_tui import __version__
from foundry_tui.config.secrets import SecretError
from foundry_tui.deadline import Deadline
from foundry_tui.tracking.credentials import CLIENT_CERT, SERVER_CERT, Credentials, Tls
from foundry_tui.tracking.exchange import MAX_BYTES, Answer, Broken, Lane
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown, TrackingError

if TYPE_CHECKING:
    import httpx

PAUSES_S = (0.2, 0.5)
"""Seconds before the second and the third try of a request that may be sent again."""

TRANSIENT = frozenset({429, 502, 503, 504})
"""Statuses after which the same request can succeed."""

IDLE_S = 4.0
"""Seconds that an unused connection is kept: less than the 5 s after which uvicorn closes it."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `again`: sending it twice does no more than sending it once.

    `data` is a body that is no JSON. Of the answer at most `most_bytes` are taken.
    """

    method: str
    path: str
    params: Mapping[str, str | Sequence[str]] | None = None
    body: Mapping[str, Any] | None = None
    again: bool = False
    data: bytes | None = None
    most_bytes: int = MAX_BYTES


class TooLarge(TrackerDown):
    """The answer is larger than the request allows."""


class Wire:
    """Connections to one server. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        credentials: Callable[[], Credentials],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.host = urlsplit(self.url).hostname or ""
        self._credentials = credentials
        self._transport = transport
        self._lock = threading.Lock()
        self._idle: list[Lane] = []
        self._tls: tuple[Tls, ssl.SSLContext] | None = None

    def send(self, request: Request, asked: str, deadline: Deadline) -> Answer:
        """The answer, whatever its status, before the deadline.

        Raises:
            TrackerDown: no connection, or no answer in time.
            TooLarge: the answer is larger than the request allows.
            TrackerDenied: credentials are set and cannot be used.
            TrackingError: a certificate file cannot be read.
        """
        for pause_s in (*(PAUSES_S if request.again else ()), math.inf):
            outcome = self._once(request, asked, deadline)
            if isinstance(outcome, Answer):
                settled = outcome.status not in TRANSIENT
            else:
                settled = outcome.lasting
            if isinstance(outcome, Answer) and outcome.retry_after_s is not None:
                pause_s = max(pause_s, outcome.retry_after_s)
            if settled or pause_s >= deadline.left_s():
                break
            time.sleep(pause_s)
        if isinstance(outcome, Answer):
            return outcome
        if outcome.large:
            raise TooLarge(asked, outcome.words)
        raise TrackerDown(asked, outcome.words, f"see whether the server at {self.url} is up")

    def close(self) -> None:
        """Close what is idle. A later request opens a new connection."""
        with self._lock:
            lanes, self._idle = self._idle, []
        for lane in lanes:
            lane.client.close()

    def _once(self, request: Request, asked: str, deadline: Deadline) -> Answer | Broken:
        try:
            login = self._credentials()
        except SecretError as error:
            raise TrackerDenied(asked, f"the credentials cannot be used: {error}") from None
        lane = self._lane(login.tls, asked)
        built = self._build(lane.client, request, login, deadline)
        outcome = lane.run(built, deadline, request.most_bytes)
        if isinstance(outcome, Broken):
            return outcome
        with self._lock:
            self._idle.append(lane)
        return replace(outcome, login=login)

    def _build(
        self, client: httpx.Client, request: Request, login: Credentials, deadline: Deadline
    ) -> httpx.Request:
        # Compressed answers could unfold to any size, so none is asked for.
        headers = {"User-Agent": f"foundry/{__version__}", "Accept-Encoding": "identity"}
        content = request.data
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            content = sendable(json.dumps(request.body, ensure_ascii=False)).encode()
        if login.authorization is not None:
            headers["Authorization"] = login.authorization.reveal()
        return client.build_request(
            request.method,
            self.url + request.path,
            params={
                key: sendable(told) if isinstance(told, str) else [sendable(one) for one in told]
                for key, told in (request.params or {}).items()
            },
            content=content,
            headers=headers,
            timeout=max(0.01, deadline.left_s()),
        )

    def _lane(self, tls: Tls, asked: str) -> Lane:
        with self._lock:
            kept = self._tls
            if kept is not None and kept[0] == tls and self._idle:
                return self._idle.pop()
        import httpx

        # A proxy of the environment does not reach this host's own loopback.
        trust_env = self._transport is None and self.host not in LOOPBACK
        if kept is None or kept[0] != tls:
            self.close()  # connections that were made with other certificates
            kept = (tls, _context(tls, asked, self.url.startswith("https:") or trust_env))
            with self._lock:
                self._tls = kept
        return Lane(
            httpx.Client(
                verify=kept[1],
                trust_env=trust_env,
                transport=self._transport,
                follow_redirects=False,
                limits=httpx.Limits(max_connections=1, keepalive_expiry=IDLE_S),
            )
        )


def sendable(text: str) -> str:
    """`text` as UTF-8 can carry it: a job's name may hold bytes that are none."""
    return text.encode("utf-8", "replace").decode()


def _context(tls: Tls, asked: str, needed: bool) -> ssl.SSLContext:
    """The certificates to trust and to show; none are read where no TLS is `needed`.

    Raises:
        TrackingError: a certificate file cannot be read.
    """
    import httpx

    if not needed:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    name, path = SERVER_CERT, tls.ca
    try:
        if tls.insecure:
            context = httpx.create_ssl_context(verify=False)
        elif tls.ca is None:
            context = httpx.create_ssl_context()
            context.load_default_certs()  # a site's own authority is often the system's only
        elif tls.ca.is_dir():
            context = ssl.create_default_context(capath=str(tls.ca))
        else:
            context = ssl.create_default_context(cafile=str(tls.ca))
        if tls.client is not None:
            name, path = CLIENT_CERT, tls.client
            # With a password given, OpenSSL does not ask for one on the terminal.
            context.load_cert_chain(str(tls.client), password="")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TrackingError(asked, f"${name}: {path}: {reason}", "it must be a PEM file") from None
    return context
