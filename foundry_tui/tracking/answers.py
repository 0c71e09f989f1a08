"""The answers of a tracking server as nouns, and its refusals as errors.

An error body is JSON, `{"error_code", "message"}`, or plain text, depending on which part of the
server refuses. All text of the server passes `safe` here.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.tracking.credentials import LOOKED_FOR
from foundry_tui.tracking.exchange import Answer
from foundry_tui.tracking.ports import (
    Point,
    TrackedRun,
    TrackerDenied,
    TrackerDown,
    TrackingError,
    TrackStatus,
)

T = TypeVar("T")

LARGEST = 1.797e308
"""From here on a value stands for infinity: an SQL store keeps the largest double instead."""

EPOCH = datetime.fromtimestamp(0, UTC)
MESSAGE_CELLS = 300
KEY_CELLS = 512
"""More than the 250 characters that a server allows, so that a key can be asked for again."""

VALUE_CELLS = 1000

Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_.:-]{1,256}\Z")]
"""The id of a run or an experiment: it is drawn, sent and put into addresses as it is."""


class Refused(TrackingError):
    """The server understood and said no; `code` is its error code, such as INVALID_STATE."""

    def __init__(self, asked: str, answer: str, code: str, hint: str = "") -> None:
        super().__init__(asked, answer, hint)
        self.code = code


class NoEndpoint(TrackerDown):
    """The server does not know this address of its interface."""


class Pair(msgspec.Struct):
    """A tag or a parameter."""

    key: str
    value: str = ""


class Metric(msgspec.Struct):
    """One value of a metric. A text is NaN or Infinity, which JSON has no number for."""

    key: str
    value: float | str
    timestamp: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        value = float(self.value)
        self.value = math.copysign(math.inf, value) if abs(value) >= LARGEST else value

    def point(self) -> Point:
        """The value with its step and time."""
        return Point(self.step, _time(self.timestamp) or EPOCH, float(self.value))


class Info(msgspec.Struct):
    """What a run is. Times are milliseconds since 1970, 0 where there is none."""

    run_id: Id
    experiment_id: Id
    status: TrackStatus
    run_name: str = ""
    start_time: int = 0
    end_time: int = 0
    lifecycle_stage: str = "active"


class Data(msgspec.Struct):
    """What a run has logged."""

    metrics: list[Metric] = []
    params: list[Pair] = []
    tags: list[Pair] = []


class Run(msgspec.Struct):
    """One run as the server tells it."""

    info: Info
    data: Data = msgspec.field(default_factory=Data)

    def noun(self) -> TrackedRun:
        """The run in the words of the port."""
        return TrackedRun(
            run_id=self.info.run_id,
            experiment_id=self.info.experiment_id,
            name=safe(self.info.run_name),
            status=self.info.status,
            started_at=_time(self.info.start_time),
            ended_at=_time(self.info.end_time),
            params={_key(p.key): safe(p.value, max_cells=VALUE_CELLS) for p in self.data.params},
            metrics={_key(m.key): m.point() for m in self.data.metrics},
            tags={t.key: t.value for t in self.data.tags},
        )


class OneRun(msgspec.Struct):
    """The answer of runs/create and runs/get."""

    run: Run


class Runs(msgspec.Struct):
    """One page of runs/search."""

    runs: list[Run] = []
    next_page_token: str = ""


class Experiment(msgspec.Struct):
    """One experiment."""

    experiment_id: Id
    lifecycle_stage: str = "active"


class OneExperiment(msgspec.Struct):
    """The answer of experiments/get-by-name."""

    experiment: Experiment


class Experiments(msgspec.Struct):
    """One page of experiments/search."""

    experiments: list[Experiment] = []
    next_page_token: str = ""


class Created(msgspec.Struct):
    """The answer of experiments/create."""

    experiment_id: Id


class Metrics(msgspec.Struct):
    """The answer of a metric's history, or one page of it."""

    metrics: list[Metric] = []
    next_page_token: str = ""


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
        return TrackerDown(asked, said, "try again later, or look into the server's log")
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
    return "html" in answer.kind or answer.body.lstrip()[:1] == b"<"


def _page(answer: Answer) -> SafeText:
    kind = answer.kind.partition(";")[0] or "no content type"
    return _line(f"{kind}, {len(answer.body)} bytes", answer)


def _line(text: str, answer: Answer) -> SafeText:
    """The first line; the further ones repeat the server's SQL."""
    first = answer.hide(text).strip().partition("\n")[0]
    return safe(first, max_cells=MESSAGE_CELLS)


def _time(ms: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC) if ms > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


def _key(raw: str) -> SafeText:
    return safe(raw, max_cells=KEY_CELLS)
