"""What an answer means: its shape, or the error that a refusal is.

An error body is JSON, `{"error_code", "message"}`, or plain text, depending on which part of the
server refuses.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.tracking.credentials import LOOKED_FOR
from foundry_tui.tracking.exchange import Answer
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown, TrackingError

T = TypeVar("T")

MESSAGE_CELLS = 300


class Refused(TrackingError):
    """The server understood and said no; `code` is its error code, such as INVALID_STATE."""

    def __init__(self, asked: str, answer: str, code: str, hint: str = "") -> None:
        super().__init__(asked, answer, hint)
        self.code = code


class NoEndpoint(TrackerDown):
    """The server does not know this address of its interface."""


def read(answer: Answer, shape: type[T], asked: str, host: str) -> T:
    """The answer in its shape.

    Raises:
        TrackerDenied: 401 and 403.
        Refused: another refusal of the tracking server itself.
        NoEndpoint: nothing at this address.
        TrackerDown: the answer is not one of a tracking server.
    """
    if not 200 <= answer.status < 300:
        raise refusal(answer, asked, host)
    try:
        return msgspec.convert(_json(answer), shape, strict=False)
    except msgspec.ValidationError as error:
        raise TrackerDown(
            asked, f"the answer has another shape than MLflow's: {_line(str(error), answer)}"
        ) from None
    except ValueError:
        raise TrackerDown(
            asked,
            f"the answer is no JSON ({_page(answer)})",
            "a login page or a proxy may stand before the server: open the address in a browser",
        ) from None


def refusal(answer: Answer, asked: str, host: str) -> TrackingError:
    """The error that this answer means."""
    status = answer.status
    if 300 <= status < 400:
        target = urlsplit(answer.location)
        where = answer.hide(f"{target.scheme}://{target.netloc.rpartition('@')[2]}")
        return TrackerDown(
            asked,
            safe(f"{status}: it sends to {where if target.netloc else 'another page'}"),
            "no redirection is followed; configure the address of the server itself",
        )
    code, message = _words(answer)
    if status == 401:
        return TrackerDenied(asked, "401: the login is refused", _login_hint(answer))
    if status == 403 and "invalid host header" in message.lower():
        return TrackerDenied(
            asked,
            f"403: the server does not accept the host name {safe(host)}",
            f"it must be started with --allowed-hosts '{safe(host)},{safe(host)}:*'",
        )
    said = f"{status}: {message}" if message else str(status)
    if status == 403:
        return TrackerDenied(asked, said, _login_hint(answer))
    if (status in (404, 405) and not code) or code == "ENDPOINT_NOT_FOUND":
        return NoEndpoint(asked, said, "is this the address of an MLflow tracking server?")
    if status == 429 or status >= 500:
        wait_s = answer.retry_after_s
        hint = "try again later, or look into the server's log"
        return TrackerDown(asked, said, hint if wait_s is None else f"it asks to wait {wait_s:g} s")
    return Refused(asked, said, code)


def _login_hint(answer: Answer) -> str:
    if answer.login.origin is None:
        return f"no credentials were sent; looked for {LOOKED_FOR}"
    return f"the credentials of {answer.login.origin} were sent"


def _words(answer: Answer) -> tuple[str, SafeText]:
    """The error code and the message; the code is empty where the body is no JSON of MLflow."""
    try:
        told = _json(answer)
    except ValueError:
        if _html(answer):
            return "", _page(answer)
        return "", _line(answer.body.decode("utf-8", "replace"), answer)
    if not isinstance(told, dict):
        return "", safe("")
    code, message = told.get("error_code", ""), told.get("message", "")
    return str(code), _line(str(message) or str(code), answer)


def _json(answer: Answer) -> Any:
    """The body. NaN and Infinity are taken as numbers too. Raises `ValueError`."""
    try:
        return json.loads(answer.body)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _html(answer: Answer) -> bool:
    """Whether it is a page. The content type alone does not tell: MLflow's own refusals of a
    missing permission are two words of text/html."""
    return answer.body.lstrip()[:1] == b"<"


def _page(answer: Answer) -> SafeText:
    kind = answer.kind.partition(";")[0] or "no content type"
    return _line(f"{kind}, {len(answer.body)} bytes", answer)


def _line(text: str, answer: Answer) -> SafeText:
    """The first line; the further ones repeat the server's SQL."""
    first = answer.hide(text).strip().partition("\n")[0]
    return safe(first, max_cells=MESSAGE_CELLS)
