"""One Prometheus or VictoriaMetrics server: its HTTP API, and what stands in the way in words.

A redirection is not followed: it could carry the token to another host. An answer is read to a cap
and never unpacked. Every request runs in a thread of its own and is waited for until the deadline,
no longer: a time-out per read would let a server that sends one byte a second hold its caller.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from foundry_tui import __version__
from foundry_tui.config.secrets import SecretError, credential
from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.deadline import Deadline
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.prometheus.promql import Result, Trouble, Values, decode, decode_values
from foundry_tui.telemetry.tls import TlsError, context

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 64 << 20
"""Cap on one answer: 100,000 series with four samples each are 40 MB."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ServerError(Exception):
    """The server gave no result: the state of the source, what happened, and what to do.

    `too_much`: less asked for at once may do better.
    """

    def __init__(
        self,
        words: str,
        mend: str,
        *,
        state: SourceState = SourceState.DOWN,
        too_much: bool = False,
    ) -> None:
        self.state, self.too_much = state, too_much
        self.words, self.mend = safe(words, max_cells=400), mend
        super().__init__(f"{self.words}; {mend}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. `at` is the server's own time, to the second."""

    status: int
    body: bytes
    kind: str
    location: str
    at: datetime | None


class _Build(msgspec.Struct):
    version: str = ""


class _BuildInfo(msgspec.Struct):
    data: _Build


class Server:
    """The server that a source is configured with. Nothing is opened before the first request.

    `transport` stands in for the network in tests.
    """

    def __init__(
        self,
        config: TelemetryConfig,
        env: Mapping[str, str],
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = (config.url or "").rstrip("/")
        self.at: datetime | None = None
        self._config, self._env, self._transport = config, env, transport
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def query(self, expression: str, at: float, deadline: Deadline) -> Result:
        """The value of an expression at unix time `at`. Raises `ServerError`."""
        return self._result("/api/v1/query", _instant(expression, at), deadline)

    def values(self, expression: str, at: float, deadline: Deadline) -> Values:
        """The value of an expression at each place at unix time `at`. Raises `ServerError`."""
        answer = self.get("/api/v1/query", _instant(expression, at), deadline)
        found = decode_values(answer.body)
        if answer.status == 200 and isinstance(found, Values):
            return found
        raise self._refusal("/api/v1/query", answer, found)

    def query_range(
        self, expression: str, start: float, end: float, step_s: float, deadline: Deadline
    ) -> Result:
        """The values from `start` to `end`, both included. Raises `ServerError`."""
        asked = {
            "query": expression,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step_s:g}",
        }
        return self._result("/api/v1/query_range", asked, deadline)

    def version(self, deadline: Deadline) -> str:
        """What the server calls itself. Raises `ServerError`."""
        answer = self.get("/api/v1/status/buildinfo", {}, deadline)
        if answer.status in (401, 403) or 300 <= answer.status < 400:
            raise self._refusal("/api/v1/status/buildinfo", answer, None)
        try:
            told = msgspec.json.decode(answer.body, type=_BuildInfo).data
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return "reached; it does not tell its version"
        return safe(f"reached; version {told.version or 'unknown'}", max_cells=80)

    def get(self, path: str, asked: Mapping[str, str], deadline: Deadline) -> Answer:
        """The answer to a GET, whatever its status.

        `at` of this server is set to the time that the answer carries.

        Raises:
            ServerError: there is no answer within the deadline and the cap.
        """
        request_s = min(deadline.left_s(), self._config.timeout_s)
        own = Deadline.after(request_s)
        if not self.url:
            raise ServerError("no address is configured", "set `url` of this source")
        if request_s <= 0:
            raise self._late(deadline.within_s)
        client, token = self._opened(), self._token()
        outcomes: list[Answer | ServerError] = []
        ended, left = threading.Event(), threading.Event()

        def work() -> None:
            outcomes.append(self._exchange(client, path, asked, token, own, left))
            ended.set()

        threading.Thread(target=work, name="prometheus", daemon=True).start()
        if not ended.wait(own.left_s()):
            left.set()
            raise self._late(request_s)
        if isinstance(outcomes[0], ServerError):
            raise outcomes[0]
        self.at = outcomes[0].at
        return outcomes[0]

    def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _result(self, path: str, asked: Mapping[str, str], deadline: Deadline) -> Result:
        answer = self.get(path, asked, deadline)
        decoded = decode(answer.body)
        if answer.status == 200 and isinstance(decoded, Result):
            return decoded
        raise self._refusal(path, answer, decoded)

    def _refusal(
        self, path: str, answer: Answer, decoded: Result | Values | Trouble | None
    ) -> ServerError:
        """What a status and the server's words mean for the one who configured it."""
        said = decoded if isinstance(decoded, Trouble) else None
        words = f"{self.url}{path} answered {answer.status}"
        if said is not None:
            words += f" ({said.kind}: {said.words})"
        if answer.status in (401, 403):
            given = "its credential" if self._credential_given() else "no credential"
            return ServerError(
                f"{words}; foundry sent {given}",
                "correct credential_file, credential_env or client_cert of this source",
                state=SourceState.DENIED,
            )
        if 300 <= answer.status < 400:
            return ServerError(
                f"{words} and sends on to {answer.location or 'nowhere'}, which is not followed",
                "set `url` to the address where the server itself answers",
            )
        if answer.status in (400, 404, 405) and said is None:
            return ServerError(words, "set `url` to what stands before /api/v1 of the server")
        if said is not None and answer.status in (400, 413, 422):
            much = any(text in said.words for text in ("too many", "too large", "limit", "exceed"))
            return ServerError(words, "see the server's log", too_much=much)
        if answer.status == 200:
            kind = answer.kind.partition(";")[0] or "no type"
            return ServerError(
                f"{words} with {kind} that is no answer of a Prometheus",
                "set `url` to what stands before /api/v1 of the server, not to a login page",
            )
        return ServerError(words, "see the server's log", too_much=answer.status == 413)

    def _credential_given(self) -> bool:
        config = self._config
        return any(
            (config.credential_file, config.credential_env, config.credential_command)
        ) or bool(config.client_cert)

    def _token(self) -> str | None:
        try:
            secret = credential(self._config, self._env)
        except SecretError as error:
            raise ServerError(str(error), "then ask again", state=SourceState.DENIED) from None
        return None if secret is None else secret.reveal()

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                import httpx

                # A proxy of the environment does not reach this host's own loopback.
                host = urlsplit(self.url).hostname or ""
                trust_env = self._transport is None and host not in LOOPBACK
                try:
                    verify = context(self._config)
                except TlsError as error:
                    raise ServerError(str(error), "then ask again") from None
                self._client = httpx.Client(
                    verify=verify,
                    trust_env=trust_env,
                    transport=self._transport,
                    follow_redirects=False,
                )
            return self._client

    def _exchange(
        self,
        client: httpx.Client,
        path: str,
        asked: Mapping[str, str],
        token: str | None,
        deadline: Deadline,
        left: threading.Event,
    ) -> Answer | ServerError:
        """No text of an exception that could hold headers is used."""
        import httpx

        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"foundry/{__version__}",
        }
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        reach = f"see whether {self.url} can be reached from here"
        try:
            request = client.build_request(
                "GET",
                self.url + path,
                params=dict(asked),
                headers=headers,
                timeout=max(0.01, deadline.left_s()),
            )
            response = client.send(request, stream=True)
            try:
                return self._read(response, deadline, left)
            finally:
                response.close()
        except httpx.TimeoutException:
            return self._late(deadline.within_s)
        except (httpx.ConnectError, httpx.ProxyError) as error:
            text = str(error)
            if "certificate" in text.lower():
                return ServerError(
                    f"the certificate of {self.url} is not trusted: {text}",
                    "have it renewed, or set `ca_file` to its authority's certificate",
                )
            return ServerError(f"no connection to {self.url}: {text}", reach)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return ServerError(f"{self.url} is no address", "correct `url` of this source")
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError, RuntimeError) as error:
            return ServerError(f"the exchange with {self.url} broke: {type(error).__name__}", reach)

    def _read(
        self, response: httpx.Response, deadline: Deadline, left: threading.Event
    ) -> Answer | ServerError:
        headers = response.headers
        if headers.get("content-encoding", "identity") != "identity":
            return ServerError(
                f"{self.url} sent a compressed answer, which was not asked for",
                "set `url` past what compresses it",
            )
        parts, size = [], 0
        for part in response.iter_raw(1 << 16):
            size += len(part)
            if size > MAX_BYTES:
                return ServerError(
                    f"the answer of {self.url} is larger than {MAX_BYTES >> 20} MiB",
                    "narrow the series with `match` of this source",
                    too_much=True,
                )
            if left.is_set() or deadline.left_s() <= 0:
                return self._late(deadline.within_s)
            parts.append(part)
        return Answer(
            response.status_code,
            b"".join(parts),
            headers.get("content-type", ""),
            safe(headers.get("location", ""), max_cells=120),
            _time(headers.get("date", "")),
        )

    def _late(self, within_s: float) -> ServerError:
        return ServerError(
            f"{self.url} did not answer within {within_s:.3g} s",
            "see whether the server is overloaded, or raise timeout_s of this source",
            too_much=True,
        )


def _instant(expression: str, at: float) -> dict[str, str]:
    """Without `nocache` VictoriaMetrics answers as of 30 s ago; Prometheus does not know it."""
    return {"query": expression, "time": f"{at:.3f}", "nocache": "1"}


def _time(text: str) -> datetime | None:
    """The time of a Date header, None when it has none."""
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
