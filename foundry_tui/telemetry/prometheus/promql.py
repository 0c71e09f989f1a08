"""PromQL: expressions built from checked parts, and the answers of the HTTP API decoded.

Nothing of the configuration reaches an expression unescaped: label names must have the grammar of
one, values are quoted. Answers are those of Prometheus and of VictoriaMetrics
(https://prometheus.io/docs/prometheus/latest/querying/api/).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from foundry_tui.estate.text import SafeText, safe

L = TypeVar("L")

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\0": r"\x00"})
_MOST_NAME = 128

EDGE_MS = 1
"""A window [end - w, end] of Prometheus 2 holds a sample at either edge; with this much less of it
every sample is in one window only, as in Prometheus 3 and VictoriaMetrics."""


class PromqlError(ValueError):
    """A part of the configuration cannot stand in an expression; the message names it."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels, the metric's name among them as `__name__`, and (unix s, value)."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def name(self) -> str:
        """The metric, empty where a function dropped it."""
        return self.labels.get("__name__", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a server answered. `partial`: it says itself that a part of the data is absent."""

    series: tuple[Series, ...] = ()
    warnings: tuple[SafeText, ...] = ()
    partial: bool = False


class Place(msgspec.Struct, frozen=True, gc=False):
    """The labels by which values are grouped: who told them, of which node, GPU and instance.

    The fields are named as the labels are.
    """

    name: str = msgspec.field(default="", name="__name__")
    job: str = ""
    instance: str = ""
    Hostname: str = ""
    hostname: str = ""
    node: str = ""
    kubernetes_node: str = ""
    nodename: str = ""
    gpu: str = ""
    GPU_I_ID: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What a server answered where every series is one value at a place."""

    rows: tuple[tuple[Place, float], ...] = ()
    warnings: tuple[SafeText, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The server's own words on why it gave no result, and its kind of error."""

    kind: SafeText
    words: SafeText


def matchers(match: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The configured `name=value` pairs.

    Raises:
        PromqlError: one is no pair, or its name is not that of a label.
    """
    pairs = []
    for text in match:
        name, equals, value = text.partition("=")
        if not equals or not _LABEL.fullmatch(name) or name.startswith("__"):
            raise PromqlError(
                f"match = {safe(text, max_cells=80)!r}: asked for name=value with the name of a "
                "label (letters, digits and _); correct `match` of this source"
            )
        if len(name) > _MOST_NAME:
            raise PromqlError(f"match: a label name of {len(name)} characters; at most 128")
        pairs.append((name, value))
    return tuple(pairs)


def quoted(value: str) -> str:
    """`value` as a string of PromQL, whatever is in it."""
    return f'"{value.encode("utf-8", "replace").decode().translate(_ESCAPES)}"'


def selector(names: Sequence[str], match: Sequence[tuple[str, str]] = ()) -> str:
    """The series with one of these metric names and all of these labels.

    Raises:
        PromqlError: a name is not that of a metric or a label.
    """
    for name in names:
        if not _METRIC.fullmatch(name):
            raise PromqlError(f"{safe(name, max_cells=80)!r} is not the name of a metric")
    for label, _ in match:
        if not _LABEL.fullmatch(label):
            raise PromqlError(f"{safe(label, max_cells=80)!r} is not the name of a label")
    pairs = [f"{label}={quoted(value)}" for label, value in match]
    if len(names) > 1:
        pairs.insert(0, f"__name__=~{quoted('|'.join(names))}")
    return f"{names[0] if len(names) == 1 else ''}{{{','.join(pairs)}}}"


def samples(selected: str, window_s: float) -> str:
    """The raw samples of the last `window_s` seconds."""
    return f"{selected}[{_milliseconds(window_s)}]"


def over_time(function: str, selected: str, window_s: float, *, ahead_s: float = 0) -> str:
    """`avg`, `max`, `count`, `sum` or `last` of each series over a window.

    The window ends `ahead_s` after the time that is asked for.
    """
    shifted = f" offset -{round(ahead_s * 1000)}ms" if ahead_s else ""
    return f"{function}_over_time({selected}[{_milliseconds(window_s)}]{shifted})"


def by_place(aggregation: str, expression: str, *, named: bool = False) -> str:
    """One value for each place (`Place`); with `named` for each metric there.

    Most of an answer are labels, and these are a third of them.
    """
    labels = msgspec.structs.fields(Place)[0 if named else 1 :]
    grouped = ",".join(field.encode_name for field in labels)
    return f"{aggregation} by ({grouped}) ({expression})"


def _milliseconds(window_s: float) -> str:
    return f"{round(window_s * 1000) - EDGE_MS}ms"


class _Series(msgspec.Struct, Generic[L], gc=False):
    metric: L
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct, Generic[L]):
    resultType: str = ""
    result: list[_Series[L]] = []


class _Answer(msgspec.Struct, Generic[L]):
    """All shapes at once: success, Prometheus' error, VictoriaMetrics' error and `isPartial`."""

    status: str
    data: _Data[L] | None = None
    errorType: str = ""
    error: str = ""
    warnings: list[str] = []
    infos: list[str] = []
    isPartial: bool = False


_SERIES = msgspec.json.Decoder(_Answer[dict[str, str]])
_VALUES = msgspec.json.Decoder(_Answer[Place])


def decode(body: bytes) -> Result | Trouble | None:
    """The series of an answer, or why the server gave none; None for what is no such answer.

    Values that are no finite number (NaN, Inf, the marks of stale series) are left out: nothing
    that is measured on a GPU is infinite.
    """
    answer = _decoded(_SERIES, body)
    if not isinstance(answer, _Answer) or answer.data is None:
        return None if isinstance(answer, _Answer) else answer
    try:
        series = [Series(one.metric, _points(one)) for one in answer.data.result]
    except ValueError:
        return None
    return Result(
        series=tuple(one for one in series if one.points),
        warnings=_said(answer),
        partial=answer.isPartial,
    )


def decode_values(body: bytes) -> Values | Trouble | None:
    """As `decode`, of a vector: one value at each place."""
    answer = _decoded(_VALUES, body)
    if not isinstance(answer, _Answer) or answer.data is None:
        return None if isinstance(answer, _Answer) else answer
    found = answer.data.result
    try:
        rows = [(one.metric, float(one.value[1])) for one in found if one.value is not None]
    except ValueError:
        return None
    return Values(
        rows=tuple(row for row in rows if math.isfinite(row[1])),
        warnings=_said(answer),
        partial=answer.isPartial,
    )


def _decoded(decoder: msgspec.json.Decoder[_Answer[L]], body: bytes) -> _Answer[L] | Trouble | None:
    try:
        answer = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if answer.status != "success":
        return Trouble(
            kind=safe(answer.errorType or "error", max_cells=40),
            words=safe(answer.error or "no reason given", max_cells=300),
        )
    if answer.data is None or answer.data.resultType not in ("vector", "matrix"):
        return None
    return answer


def _points(one: _Series[dict[str, str]]) -> tuple[tuple[float, float], ...]:
    points = one.values if one.value is None else [one.value]
    numbers = [(at, float(text)) for at, text in points]
    return tuple(point for point in numbers if math.isfinite(point[1]))


def _said(answer: _Answer[L]) -> tuple[SafeText, ...]:
    return tuple(safe(text) for text in answer.warnings[:16])
