"""The table of paths: which function of the API answers what."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from foundry_tui.schedulers.runai.fake import metrics
from foundry_tui.schedulers.runai.fake.control import ControlPlane
from foundry_tui.schedulers.runai.fake.requests import Rejected, body_of
from foundry_tui.schedulers.runai.fake.tokens import OAuthError, Tokens
from foundry_tui.schedulers.runai.fake.workload_json import Json


@dataclass(slots=True, kw_only=True)
class Call:
    """One request, as a function of the API sees it."""

    control: ControlPlane
    tokens: Tokens
    query: dict[str, str]
    raw: bytes
    user: str = ""
    partial: bool = False

    @property
    def body(self) -> object:
        """The request's JSON. Raises `Rejected`."""
        return parse(self.raw)


Answer = tuple[int, object]
Function = Callable[..., Answer]


class Table:
    """Which function answers which method and path."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, re.Pattern[str], Function]] = []

    def route(self, method: str, path: str) -> Callable[[Function], Function]:
        """Register a function; `{word}` in the path is one of its arguments."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def register(function: Function) -> Function:
            self._rows.append((method, pattern, function))
            return function

        return register

    def find(self, method: str, path: str) -> tuple[Function, dict[str, str]] | None:
        """The first function for this path, with the words in it."""
        for known, pattern, function in self._rows:
            if known == method and (found := pattern.fullmatch(path)):
                return function, found.groupdict()
        return None


TOKENS = Table()
"""What is answered without a token."""


def parse(raw: bytes) -> object:
    """JSON from bytes. Raises `Rejected`."""
    try:
        return json.loads(raw)
    except ValueError:
        raise Rejected(400, "The request body is not JSON") from None


def answer(
    call: Call, method: str, path: str, authorization: str | None, tables: Sequence[Table]
) -> Answer:
    """Answer a request, errors included; a fault of the fake itself is a 500."""
    try:
        found = TOKENS.find(method, path)
        if found is None:
            call.user = call.tokens.check(authorization, call.control.now)
            found = next((hit for table in tables if (hit := table.find(method, path))), None)
        if found is None:
            raise Rejected(404, f"There is no {method} {path}")
        return found[0](call, **found[1])
    except OAuthError as error:
        return error.status, {"error": error.error, "error_description": error.description}
    except Rejected as error:
        body: Json = {"code": error.status, "message": error.message}
        if error.issues:
            body["complianceIssues"] = list(error.issues)
        return error.status, body
    except Exception as error:
        return 500, {"code": 500, "message": f"The fake failed: {type(error).__name__}: {error}"}


@TOKENS.route("POST", "/api/v1/token")
def _token(call: Call) -> Answer:
    return 200, call.tokens.first(body_of(call.body), call.control.now)


@TOKENS.route("POST", "/api/v2/token")
def _token_v2(call: Call) -> Answer:
    form = {name: values[0] for name, values in parse_qs(call.raw.decode("latin-1")).items()}
    return 200, call.tokens.second(form, call.control.now)


def metrics_answer(call: Call, series: Mapping[str, list[tuple[Any, metrics.Value]]]) -> Answer:
    """Answer a request for metrics out of all that there are. Raises `Rejected`."""
    at = metrics.times(call.query, call.control.started_at, call.control.now)
    body = metrics.composite(call.query, dict(series), at, partial=call.partial)
    return (207 if call.partial else 200), body
