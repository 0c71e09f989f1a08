"""One Kubernetes API server: the kubeconfig's rights, requests under a deadline, watch streams.

The `kubernetes` package finds the server and logs in (certificates, tokens, exec plugins). Answers
stay bytes: its models cost twelve times what the fields needed here do (557 pods: 0.96 s against
0.08 s).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai.login import CommandFailed, Login, log_in, short
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable

MAX_BYTES = 512 << 20
"""Cap on one answer."""

CHUNK_BYTES = 1 << 16

SILENCE_S = 100.0
"""A watch that says nothing for so long is broken: bookmarks come every minute."""

RENEW_S = 30.0
"""A credential that is refused (401) is read anew, but not more often."""

COMMAND_AGAIN_S = 5.0
"""A login command that failed is not run again before: every watch wants to log in."""


class Refused(SchedulerError):
    """The API answered with another status than success; `reason` is its own word."""

    def __init__(self, asked: str, answer: str, status: int, reason: str = "") -> None:
        super().__init__(asked, answer)
        self.status, self.reason = status, reason


class Forbidden(Denied):
    """401 or 403; `again` says that the credential will be read anew, and may then be taken."""

    def __init__(
        self, asked: str, answer: str, status: int, reason: str = "", *, again: bool = False
    ) -> None:
        hint = (
            "log in again: the credentials of the kubeconfig are not accepted"
            if status == 401
            else ""
        )
        super().__init__(asked, answer, hint)
        self.status, self.reason, self.again = status, reason, again


class Overloaded(Unavailable):
    """429 or a status of 500 and above: the server cannot answer now; what was sent may be done.

    `retry_after_s` is the server's own wish, 0 without one.
    """

    def __init__(
        self, asked: str, answer: str, status: int, reason: str = "", retry_after_s: float = 0.0
    ) -> None:
        hint = f"it asks to be left alone for {retry_after_s:g} s" if retry_after_s else ""
        super().__init__(asked, answer, hint)
        self.status, self.reason, self.retry_after_s = status, reason, retry_after_s
        self.sent = status != 429


class Unreached(Unavailable):
    """No answer. `sent` says whether the request may have arrived all the same."""

    def __init__(self, asked: str, answer: str, *, sent: bool, hint: str = "") -> None:
        super().__init__(asked, answer, hint)
        self.sent = sent


class Cluster:
    """The connection of one configured cluster. Nothing is imported or asked before it is used."""

    def __init__(self, config: KubernetesConfig) -> None:
        self.config = config
        self._lock = threading.Lock()
        self._logging_in: threading.Thread | None = None
        self._login: Login | None = None
        self._failed: SchedulerError | None = None
        self._failed_at = 0.0

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | str | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Send one request, once, and return the body of a successful answer.

        Raises:
            Forbidden: 401 or 403.
            Refused: any other status of 300 and above, with the API's own message.
            Unreached: no answer within `timeout_s` (the configured one without it).
            Unavailable: the kubeconfig cannot be used, or the extra is missing.
        """
        limit_s = self.config.timeout_s if timeout_s is None else timeout_s
        until = time.monotonic() + limit_s
        try:
            return self._request(method, path, body, query, content_type, until)
        except Forbidden as error:
            if not error.again:
                raise
        # 401 says that nothing was done: the same request may be sent with a new credential.
        return self._request(method, path, body, query, content_type, until)

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | str | None,
        query: Mapping[str, str] | None,
        content_type: str | None,
        until: float,
    ) -> bytes:
        asked = f"{method} {path}"
        login = self._ready(max(0.0, until - time.monotonic()))
        answer = self._open(login, method, path, body, query, content_type, until)
        try:
            data = self._read(answer, asked, until)
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        if answer.status >= 300:
            raise self._refusal(asked, answer, data, login)
        return data

    def stream(
        self, path: str, query: Mapping[str, str], opened: Callable[[], None] = lambda: None
    ) -> Iterator[bytes]:
        """The lines of a watch, until the server ends it; `opened` is called when it stands.

        Raises as `request`.
        """
        asked = f"watch {path}"
        until = time.monotonic() + self.config.timeout_s
        login = self._ready(self.config.timeout_s)
        answer = self._open(login, "GET", path, None, query, None, until)
        try:
            if answer.status >= 300:
                raise self._refusal(asked, answer, self._read(answer, asked, until), login)
            opened()
            _patience(answer, SILENCE_S)
            yield from self._lines(answer, asked)
        finally:
            answer.close()

    @property
    def server(self) -> str:
        """The address of the API server. Raises as `request`."""
        return self._ready(self.config.timeout_s).host

    @property
    def namespace(self) -> str | None:
        """The namespace that the kubeconfig's context names. Raises as `request`."""
        return self._ready(self.config.timeout_s).namespace

    # -- the connection

    def _open(
        self,
        login: Login,
        method: str,
        path: str,
        body: bytes | str | None,
        query: Mapping[str, str] | None,
        content_type: str | None,
        until: float,
    ) -> Any:
        from urllib.parse import urlencode

        import urllib3

        asked = f"{method} {path}"
        headers = {"Accept": "application/json", "User-Agent": "foundry-tui"}
        if method == "GET" and "watch" not in (query or {}):
            # 12.6 MB of pods took 0.17 s through TLS, packed 0.065 s; a watch would be held back.
            headers["Accept-Encoding"] = "gzip"
        if login.authorization:
            headers["Authorization"] = login.authorization
        if body is not None:
            headers["Content-Type"] = content_type or "application/json"
        url = login.host + path + (f"?{urlencode(query)}" if query else "")
        left_s = max(0.01, until - time.monotonic())
        try:
            return login.pool.request(
                method,
                url,
                body=body.encode() if isinstance(body, str) else body,
                headers=headers,
                preload_content=False,
                retries=False,
                timeout=urllib3.Timeout(connect=min(5.0, left_s), read=left_s),
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unreached(asked, error) from None
        except (OSError, ValueError) as error:
            raise Unreached(asked, str(error), sent=False) from None

    def _unreached(self, asked: str, error: Exception) -> Unreached:
        import urllib3.exceptions as wrong

        name = self.config.name
        if isinstance(error, wrong.SSLError):
            answer = f"the certificate of the server was not accepted ({short(error)})"
            hint = "the kubeconfig names the authority: certificate-authority"
            return Unreached(asked, answer, sent=False, hint=hint)
        if isinstance(error, wrong.NewConnectionError | wrong.ConnectTimeoutError):
            answer = f"the API server of {name} is not reached"
            return Unreached(asked, answer, sent=False)
        if isinstance(error, wrong.ReadTimeoutError):
            return Unreached(asked, f"no answer from the API server of {name}", sent=True)
        return Unreached(asked, f"the connection broke ({short(error)})", sent=True)

    def _read(self, answer: Any, asked: str, until: float) -> bytes:
        import urllib3.exceptions as wrong

        parts: list[bytes] = []
        size = 0
        try:
            while True:
                left_s = until - time.monotonic()
                if left_s <= 0:
                    raise Unreached(asked, "the answer did not end in time", sent=True)
                _patience(answer, left_s)
                part = answer.read1(CHUNK_BYTES)
                if not part:
                    return b"".join(parts)
                parts.append(part)
                size += len(part)
                if size > MAX_BYTES:
                    raise SchedulerError(asked, f"an answer of more than {MAX_BYTES >> 20} MiB")
        except (wrong.HTTPError, OSError) as error:
            raise self._unreached(asked, error) from None

    def _lines(self, answer: Any, asked: str) -> Iterator[bytes]:
        import urllib3.exceptions as wrong

        rest = b""
        try:
            while part := answer.read1(CHUNK_BYTES):
                *lines, rest = (rest + part).split(b"\n")
                if len(rest) > MAX_BYTES:
                    raise SchedulerError(asked, f"a line of more than {MAX_BYTES >> 20} MiB")
                yield from (line for line in lines if line.strip())
        except (wrong.HTTPError, OSError) as error:
            raise self._unreached(asked, error) from None

    def _refusal(self, asked: str, answer: Any, data: bytes, login: Login) -> SchedulerError:
        """The error of an answer, in the words of its Status object, else of its text."""
        status = int(answer.status)
        try:
            told = json.loads(data)
            message, reason = str(told.get("message") or ""), str(told.get("reason") or "")
        except (ValueError, AttributeError):
            message, reason = data[:300].decode(errors="replace"), ""
        words = f"{status} {safe(message.strip(), max_cells=800)}".strip()
        if status in (401, 403):
            again = status == 401 and self._forget(login)
            return Forbidden(asked, words, status, safe(reason), again=again)
        if status == 429 or status >= 500:
            wait = str(answer.headers.get("Retry-After", ""))
            after_s = min(float(wait), 60.0) if wait.isascii() and wait.isdecimal() else 0.0
            return Overloaded(asked, words, status, safe(reason), after_s)
        return Refused(asked, words, status, safe(reason))

    # -- the login

    def _ready(self, limit_s: float) -> Login:
        """The way in; the login runs in a thread, because a kubeconfig can hang in many ways."""
        with self._lock:
            if self._login is not None and not self._login.over:
                return self._login
            lately = time.monotonic() - self._failed_at < COMMAND_AGAIN_S
            if isinstance(self._failed, CommandFailed) and lately:
                raise self._failed
            if self._logging_in is None or not self._logging_in.is_alive():
                self._failed = None
                self._logging_in = threading.Thread(target=self._log_in, daemon=True)
                self._logging_in.start()
            thread = self._logging_in
        thread.join(limit_s)
        with self._lock:
            login, failed = self._login, self._failed
        if thread.is_alive() or (login is None and failed is None):
            raise Unreached(
                f"logging in to {self.config.name}",
                f"no answer in {limit_s:.3g} s: the kubeconfig or its login command hangs",
                sent=False,
                hint="`kubectl get nodes` shows what it waits for",
            )
        if login is None or login.over:
            raise failed or Unavailable(
                f"logging in to {self.config.name}", "the credential that it got has ended"
            )
        return login

    def _log_in(self) -> None:
        login, failed = None, None
        try:
            login = log_in(self.config, self.config.timeout_s)
        except SchedulerError as error:
            failed = error
        with self._lock:
            self._login, self._failed, self._failed_at = login, failed, time.monotonic()

    def _forget(self, login: Login) -> bool:
        """Log in anew at the next request, where the last login is old enough to be worth it."""
        with self._lock:
            if self._login is not login:
                return True
            if time.monotonic() - login.made_at < RENEW_S:
                return False
            self._login = None
            return True


def _patience(answer: Any, seconds: float) -> None:
    """Let the next read of an answer wait so long and no longer."""
    sock = getattr(answer.connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)
