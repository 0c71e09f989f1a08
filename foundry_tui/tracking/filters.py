"""MLflow's filter of runs, as far as MLflow itself goes: comparisons that are joined by AND.

For the tracker in memory: it refuses what the server refuses, so that no filter works in a
demonstration and fails on a site. It also refuses two comparisons with no AND between them, and
one AND too many, which the server overlooks. Source of the rules: mlflow/utils/search_utils.py of
3.17.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackedRun

_SORTS = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
"""Word before the dot -> what is compared; without a word it is an attribute."""

_NUMBERS = {"start_time", "end_time", "created"}
_WORDS = {"run_id", "run_name", "status", "artifact_uri", "user_id"}
_DATA = {"name", "digest", "context"}

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "IN": lambda found, wanted: found in wanted,
    "NOT IN": lambda found, wanted: found not in wanted,
    "LIKE": lambda found, wanted: _like(found, wanted),
    "ILIKE": lambda found, wanted: _like(found.lower(), wanted.lower()),
}
_OF_NUMBERS = {"=", "!=", ">", ">=", "<", "<="}
_OF_TEXT = {"=", "!=", "LIKE", "ILIKE"}

_CLAUSE = re.compile(
    r"""\s*(?P<name>(?:\w+\.)?(?:`[^`]+`|"[^"]+"|[A-Za-z_][\w.]*))
    \s*(?:
      (?P<null>IS\s+(?:NOT\s+)?NULL)
      |(?P<mark>>=|<=|!=|=|>|<|\bI?LIKE\b|\b(?:NOT\s+)?IN\b)
      \s*(?P<value>'[^']*'|"[^"]*"|-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|\([^()]*\))
    )\s*(?P<next>AND\b|\Z)""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison: of which sort of thing, by what name, with what."""

    sort: str
    key: str
    mark: str
    value: Any

    def holds(self, run: TrackedRun) -> bool:
        """Whether the run is one of these; a run without the thing is none, as in SQL."""
        if self.sort == "dataset":
            inputs = (
                {"name": i.name, "digest": i.digest, "context": "training"} for i in run.inputs
            )
            return any(_COMPARE[self.mark](each[self.key], self.value) for each in inputs)
        found = self._found(run)
        if self.mark in ("IS NULL", "IS NOT NULL"):
            return (found is None) == (self.mark == "IS NULL")
        return found is not None and _COMPARE[self.mark](found, self.value)

    def _found(self, run: TrackedRun) -> Any:
        if self.sort == "metric":
            point = run.metrics.get(safe(self.key))
            return None if point is None or math.isnan(point.value) else point.value
        if self.sort == "param":
            return run.params.get(safe(self.key))
        if self.sort == "tag":
            return run.tags.get(self.key)
        attributes = {
            "run_id": run.run_id,
            "run_name": run.tags.get("mlflow.runName"),
            "status": run.status.value,
            "artifact_uri": run.artifact_uri,
            "user_id": "",
            "start_time": _ms(run.started_at),
            "created": _ms(run.started_at),
            "end_time": _ms(run.ended_at),
        }
        return attributes[self.key]


def parsed(where: str) -> tuple[Clause, ...]:
    """The comparisons of a filter.

    Raises:
        ValueError: MLflow would refuse it; the text tells what.
    """
    clauses: list[Clause] = []
    at, more = 0, bool(where.strip())
    while more:
        match = _CLAUSE.match(where, at)
        if match is None:
            raise ValueError(f"Invalid clause(s) in filter string: {where[at:].strip()!r}")
        clauses.append(_clause(match))
        at, more = match.end(), bool(match["next"])
    return tuple(clauses)


def _clause(match: re.Match[str]) -> Clause:
    sort, key = _named(match["name"])
    if match["null"]:
        mark = " ".join(match["null"].upper().split())
        if sort not in ("tag", "param"):
            raise ValueError(f"{mark} is only supported for tags and params, not for {key!r}")
        return Clause(sort, key, mark, None)
    mark = " ".join(match["mark"].upper().split())
    value = match["value"]
    wanted: float | str | tuple[str, ...]
    if sort == "metric" or (sort == "attribute" and key in _NUMBERS):
        if value[0] in "'\"(":
            raise ValueError(f"Expected numeric value type for {key!r}. Found {value}")
        allowed, wanted = _OF_NUMBERS, float(value)
    elif value.startswith("("):
        if (sort, key) != ("attribute", "run_id") and sort != "dataset":
            raise ValueError(f"Only run_id is compared with a list, not {key!r}")
        allowed, wanted = {"IN", "NOT IN"}, _list(value)
    else:
        if value[0] not in "'\"":
            raise ValueError(f"Expected a quoted string value for {key!r}. Got value {value}")
        allowed, wanted = _OF_TEXT, value[1:-1]
    if mark not in allowed:
        raise ValueError(f"Invalid comparator {mark!r} for {key!r}")
    return Clause(sort, key, mark, wanted)


def _named(name: str) -> tuple[str, str]:
    first, dot, rest = name.partition(".")
    word, key = (first, rest) if dot and not name.startswith(("`", '"')) else ("attribute", name)
    sort = _SORTS.get(word)
    if sort is None:
        raise ValueError(f"Invalid entity type {word!r}")
    key = key.strip('`"')
    known = {"attribute": _WORDS | _NUMBERS, "dataset": _DATA}.get(sort)
    if known is not None and key not in known:
        raise ValueError(f"Invalid {sort} key {key!r}; valid keys are {', '.join(sorted(known))}")
    return sort, key


def _list(text: str) -> tuple[str, ...]:
    try:
        told = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        told = ()
    words = told if isinstance(told, tuple) else (told,)
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"expected a list of quoted string values, but got {text}")
    return words


def _like(found: str, pattern: str) -> bool:
    parts = (".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), found, re.DOTALL) is not None


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
