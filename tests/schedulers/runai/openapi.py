"""A judge from outside: answers and requests against Run:ai's published OpenAPI document.

The document is not part of the project; where a checkout has it beside itself, the judge speaks.
It is OpenAPI 3.0 with a small vocabulary: $ref, allOf, nullable, enum, pattern, format, bounds.
Stricter than OpenAPI in one thing: a field that the document does not know is a fault.

What of the document itself has to be tolerated:

- Many calls document no 400, 404, 409 or 422: an undocumented error passes as the general `Error`.
- The list filters of the document are one comma list in one parameter; commas within values
  cannot be told apart.
- Its examples break its own schemas (numbers where the schema says string); they are not used.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

Schema = Mapping[str, Any]

DOCUMENT = Path(__file__).resolve().parents[4] / "shared" / "runai" / "openapi.json"


def missing() -> str | None:
    """Why the judge cannot speak; None when it can."""
    return None if DOCUMENT.is_file() else f"{DOCUMENT} is not there"


def judge(method: str, path: str, status: int, body: object) -> list[str]:
    """What is wrong with an answer; nothing at all where there is no document."""
    operation = _operation(method, path)
    if operation is None:
        return _unknown(method, path)
    answers = operation["responses"]
    if str(status) not in answers:
        if status < 400:
            return [f"{method} {path}: answer {status} is not documented"]
        return list(_faults({"$ref": "#/components/schemas/Error"}, body, f"answer {status}"))
    content = _resolved(answers[str(status)]).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return [] if body is None else [f"{method} {path}: answer {status} has no body"]
    return [f"{method} {path} {fault}" for fault in _faults(schema, body, f"answer {status}")]


def judge_request(method: str, path: str, body: object, query: str = "") -> list[str]:
    """What is wrong with a request: its body (parsed; None: none) and its query string."""
    operation = _operation(method, path)
    if operation is None:
        return _unknown(method, path)
    faults = list(_query_faults(method, path, operation, query))
    content = _resolved(operation.get("requestBody", {})).get("content", {})
    found = content.get("application/json") or content.get("application/x-www-form-urlencoded")
    if found is None:
        return faults if body is None else [*faults, f"{method} {path}: takes no body"]
    return [*faults, *(f"{method} {path} {f}" for f in _faults(found["schema"], body, "request"))]


def judge_asked(requests: Iterable[tuple[str, str, str, bytes]]) -> list[str]:
    """What is wrong with requests as the fake noted them: method, path, query and raw body."""
    faults = []
    for method, path, query, raw in requests:
        is_form = path.endswith("/v2/token")
        body = dict(parse_qsl(raw.decode())) if is_form else json.loads(raw) if raw else None
        faults += judge_request(method, path, body, query)
    return faults


def _unknown(method: str, path: str) -> list[str]:
    return [] if missing() else [f"{method} {path}: not in the document"]


def _query_faults(method: str, path: str, operation: Schema, query: str) -> Iterator[str]:
    known = {}
    for told in operation.get("parameters", ()):
        parameter = _resolved(told)
        if parameter["in"] == "query":
            known[parameter["name"]] = parameter
    given = parse_qsl(query, keep_blank_values=True)
    for name, parameter in known.items():
        if parameter.get("required") and name not in dict(given):
            yield f"{method} {path}: query {name} is required"
    for name, text in given:
        if name not in known:
            yield f"{method} {path}: query {name} is not in the document"
            continue
        yield from _faults(known[name]["schema"], _of_text(known[name]["schema"], text), name)


def _of_text(schema: Schema, text: str) -> object:
    """A query parameter's text as the value that its schema describes."""
    schema = _resolved(schema)
    kind = schema.get("type")
    if kind == "array":
        return [_of_text(schema["items"], part) for part in text.split(",")]
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


@cache
def _document() -> Schema:
    found: Schema = json.loads(DOCUMENT.read_text()) if missing() is None else {"paths": {}}
    return found


@cache
def _operation(method: str, path: str) -> Schema | None:
    """The operation of this path: the one with the fewest `{}` in it."""
    found = [
        (template.count("{"), methods[method.lower()])
        for template, methods in _document()["paths"].items()
        if method.lower() in methods and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path)
    ]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = _document()
        for part in schema["$ref"].split("/")[1:]:
            found = found[part]
        schema = found
    return schema


def _nullable(schema: Schema) -> bool:
    schema = _resolved(schema)
    parts = schema.get("allOf", ())
    told = any(word in schema for word in ("type", "enum", "properties"))
    return bool(
        schema.get("nullable")
        or (parts and not told and all(_nullable(part) for part in parts))
        or (not parts and not told and not schema.keys() & {"format", "pattern"})
    )


def _properties(schema: Schema) -> tuple[dict[str, Schema], bool]:
    """The fields of an object over all its parts, and whether others may stand beside them."""
    schema = _resolved(schema)
    known: dict[str, Schema] = dict(schema.get("properties", {}))
    is_open = bool(schema.get("additionalProperties"))
    for part in schema.get("allOf", ()):
        fields, part_open = _properties(part)
        known |= fields
        is_open = is_open or part_open
    return known, is_open


def _faults(schema: Schema, value: object, at: str) -> Iterator[str]:
    if value is None:
        if not _nullable(schema):
            yield f"{at}: null is not allowed"
        return
    yield from _part_faults(schema, value, at)
    if isinstance(value, dict):
        known, is_open = _properties(schema)
        if known and not is_open:
            yield from (f"{at}.{name}: not in the document" for name in value.keys() - known.keys())


def _part_faults(schema: Schema, value: object, at: str) -> Iterator[str]:
    """The faults under one schema, without those of fields that no part of an allOf knows."""
    schema = _resolved(schema)
    for part in schema.get("allOf", ()):
        yield from _part_faults(part, value, at)
    kind = schema.get("type")
    if kind is not None and not _TYPES[kind](value):
        yield f"{at}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    if isinstance(value, str):
        yield from _text_faults(schema, value, at)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_faults(schema, value, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(schema.get("items", {}), item, f"{at}[{index}]")
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at}: {len(value)} items"
    elif isinstance(value, dict):
        yield from _object_faults(schema, value, at)


def _object_faults(schema: Schema, value: dict[str, object], at: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}.{name}: is required"
    for name, item in value.items():
        if name in properties:
            yield from _faults(properties[name], item, f"{at}.{name}")
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from _faults(schema["additionalProperties"], item, f"{at}.{name}")


def _text_faults(schema: Schema, value: str, at: str) -> Iterator[str]:
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not fit {schema['pattern']}"
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{at}: {value!r} is too short or too long"
    read = _FORMATS.get(schema.get("format", ""))
    if read is not None:
        try:
            read(value)
        except ValueError:
            yield f"{at}: {value!r} is no {schema['format']}"


def _number_faults(schema: Schema, value: float, at: str) -> Iterator[str]:
    least, most = schema.get("minimum", value), schema.get("maximum", value)
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits is not None:
        least, most = max(least, -(2**bits)), min(most, 2**bits - 1)
    if not least <= value <= most:
        yield f"{at}: {value} is not in {least}..{most}"


def _zoned(text: str) -> None:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(text)


_FORMATS: Mapping[str, Callable[[str], object]] = {"date-time": _zoned, "uuid": uuid.UUID}

_TYPES: Mapping[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
