"""What the lists have in common: filterBy, search, sortBy, sortOrder, offset, limit and next."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from foundry_tui.schedulers.runai.fake.requests import Rejected

Json = dict[str, Any]
Query = Mapping[str, str]

MOST = 500
_FILTER = re.compile(r"([A-Za-z0-9]+)(==|!=|<=|>=|=@|!@|=\^|=\$)(.+)", re.DOTALL)

_ELSEWHERE = {
    "allocatedGPU": "allocatedResources.gpu",
    "nodepool": "currentNodePools",
    "gpuType": "gpuInfo.gpuType",
    "departmentId": "parentId",
    "parentName": "parent.name",
    "totalGpuQuota": "totalResources.gpuQuota",
    "gpuAllocated": "status.quotaStatus.allocated.gpu",
}
"""Names of filters and sort keys whose value stands elsewhere in the record."""


def page(name: str, records: list[Json], query: Query, *, paged: bool = True) -> Json:
    """A page of records, filtered and sorted as asked. Raises `Rejected`."""
    kept = filtered(records, query)
    if key := query.get("sortBy"):
        kept.sort(key=_order(key), reverse=query.get("sortOrder") == "desc")
    if not paged:
        return {name: kept}
    offset, limit = _number(query, "offset", 0, 0), _number(query, "limit", 50, 1)
    end = offset + limit
    more = {"next": end} if end < len(kept) else {}
    return {name: kept[offset:end], **more}


def filtered(records: list[Json], query: Query) -> list[Json]:
    """The records that search and every filter let through. Raises `Rejected`."""
    tests = [_test(word) for word in (query.get("filterBy") or "").split(",") if word]
    wanted = (query.get("search") or "").casefold()
    return [
        record
        for record in records
        if all(test(record) for test in tests) and (not wanted or _found(record, wanted))
    ]


def _number(query: Query, name: str, default: int, least: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    most = MOST if name == "limit" else 2**31 - 1
    if not re.fullmatch(r"\d{1,10}", text) or not least <= int(text) <= most:
        raise Rejected(400, f"{name} must be a number of {least} to {most}, not {text}")
    return int(text)


def _value(record: Json, name: str) -> object:
    if name in record:
        return record[name]
    value: object = record
    for part in _ELSEWHERE.get(name, name).split("."):
        if not isinstance(value, dict) or part not in value:
            raise Rejected(400, f"{name} is not a field to filter or sort by")
        value = value[part]
    return value


def _order(name: str) -> Callable[[Json], tuple[bool, float, str]]:
    def key(record: Json) -> tuple[bool, float, str]:
        value = _value(record, name)
        number = float(value) if isinstance(value, int | float) else 0.0
        return value is not None, number, "" if value is None else str(value)

    return key


def _test(word: str) -> Callable[[Json], bool]:
    found = _FILTER.fullmatch(word)
    if found is None:
        raise Rejected(400, f"filterBy {word} is not a field, an operator and a value")
    name, operator, wanted = found.groups()

    def test(record: Json) -> bool:
        value = _value(record, name)
        if isinstance(value, list):
            held = any(_compare(str(v), operator.replace("!", "=", 1), wanted) for v in value)
            return held is not operator.startswith("!")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return value is not None and _compare(text, operator, wanted)

    return test


def _compare(text: str, operator: str, wanted: str) -> bool:
    simple: Mapping[str, Callable[[], bool]] = {
        "==": lambda: text == wanted,
        "!=": lambda: text != wanted,
        "=@": lambda: wanted in text,
        "!@": lambda: wanted not in text,
        "=^": lambda: text.startswith(wanted),
        "=$": lambda: text.endswith(wanted),
    }
    if operator in simple:
        return simple[operator]()
    left, right = _ordered(text), _ordered(wanted)
    return left <= right if operator == "<=" else left >= right


def _ordered(text: str) -> tuple[float, str]:
    """A number or a time by its size, anything else by its letters."""
    try:
        return float(text), ""
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp(), ""
    except ValueError:
        return 0.0, text


def _found(record: Json, wanted: str) -> bool:
    return any(wanted in str(value).casefold() for value in record.values() if value)
