"""One HTTP exchange with the control plane: a deadline for the whole of it, a cap on the answer.

A per-read time-out lets a server that sends one byte a second hold its caller for ever, and none
reaches a name look-up that hangs. So an exchange runs in a thread of its own, and the caller waits
for it until the deadline, no longer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import SafeText, safe

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 64 << 20
"""Cap on one answer: a page of 500 workloads with all their variables is a few MB."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `form` is sent as a form, `body` as JSON; `again`: twice does no more than once.

    `path` starts with a slash and is escaped already.
    """

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    form: Mapping[str, str] | None = None
    again: bool = False

    def __repr__(self) -> str:
        return f"Request({self})"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status. `body` is whole, `kind` its content type."""

    status: int
    body: bytes = b""
    kind: str = ""
    retry_after: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """Why there is no answer. `arrived`: the request may have reached the server.

    `cut`: the connection broke, and a new one may do better.
    """

    words: SafeText
    arrived: bool
    hint: str = ""
    cut: bool = False


def exchange(
    client: httpx.Client, request: Request, url: str, headers: Mapping[str, str], deadline: Deadline
) -> Answer | Broken:
    """The answer, or why there is none, before the deadline."""
    outcomes: list[Answer | Broken] = []
    ended, left = threading.Event(), threading.Event()

    def work() -> None:
        outcomes.append(_exchange(client, request, url, headers, deadline, left))
        ended.set()

    if deadline.left_s() <= 0:
        return Broken(safe(f"no time is left of {deadline.within_s:g} s"), arrived=False)
    threading.Thread(target=work, name="runai", daemon=True).start()
    if not ended.wait(deadline.left_s()):
        left.set()
        return _late(deadline)
    return outcomes[0]


def _exchange(
    client: httpx.Client,
    request: Request,
    url: str,
    headers: Mapping[str, str],
    deadline: Deadline,
    left: threading.Event,
) -> Answer | Broken:
    """No text of an exception that could hold headers or the body is used."""
    import httpx

    try:
        made = client.build_request(
            request.method,
            url + request.path,
            params=list(request.params) or None,
            content=request.body,
            data=request.form,
            # Compressed answers could unfold to any size, so none is asked for.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
            timeout=max(0.01, deadline.left_s()),
        )
        response = client.send(made, stream=True)
        try:
            return _read(response, deadline, left)
        finally:
            response.close()
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        return Broken(safe(f"no connection within {deadline.within_s:g} s"), arrived=False)
    except httpx.TimeoutException:
        return _late(deadline)
    except (httpx.ConnectError, httpx.ProxyError) as error:
        return _unreachable(str(error))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return Broken(safe("the address is none"), arrived=False, hint="correct its `url`")
    except (httpx.HTTPError, httpx.StreamError) as error:
        words = safe(f"the connection broke: {type(error).__name__}")
        return Broken(words, arrived=True, cut=True)
    except (OSError, ValueError, RuntimeError) as error:
        return Broken(safe(f"the exchange failed: {type(error).__name__}"), arrived=True)


def _unreachable(text: str) -> Broken:
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text:
        return Broken(
            safe(f"its certificate is not trusted: {text}", max_cells=300),
            arrived=False,
            hint="set `ca_file` to the certificate of the authority that signed it",
        )
    return Broken(safe(f"no connection: {text}", max_cells=300), arrived=False)


def _read(response: httpx.Response, deadline: Deadline, left: threading.Event) -> Answer | Broken:
    headers = response.headers
    if headers.get("content-encoding", "identity") != "identity":
        return Broken(safe("the answer is compressed, which was not asked for"), arrived=True)
    parts, size = [], 0
    for part in response.iter_raw(1 << 16):
        size += len(part)
        if size > MAX_BYTES:
            return Broken(safe(f"the answer is larger than {MAX_BYTES >> 20} MiB"), arrived=True)
        if left.is_set() or deadline.left_s() <= 0:
            return _late(deadline)
        parts.append(part)
    return Answer(
        response.status_code,
        b"".join(parts),
        headers.get("content-type", ""),
        headers.get("retry-after", ""),
        headers.get("location", ""),
    )


def _late(deadline: Deadline) -> Broken:
    return Broken(safe(f"no answer within {deadline.within_s:g} s"), arrived=True)
