"""The control plane's own words about one workload, with why it waits in each node pool."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from foundry_tui.deadline import Deadline
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.errors import Refused

MAX_WORDS = 200
MAX_DEPTH = 4
MAX_CELLS = 2000


def read_details(client: Client, run: Run) -> dict[str, SafeText]:
    """Every field of the workload and of its spec, as path and text; empty for one that is gone.

    Raises:
        Unavailable, Denied: the control plane does not answer, or refuses it.
    """
    deadline = client.deadline()
    native = quote(run.native_id, safe="")
    try:
        found = _object(client, f"/api/v1/workloads/{native}", deadline)
    except Refused as error:
        if error.status in (400, 404, 422):
            return {}
        raise
    return dict(_words(found, ""))


def _object(client: Client, path: str, deadline: Deadline) -> object:
    body = client.read(path, deadline).body
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"GET {path}", safe(str(error)), f"look at {client.url}") from None


def _words(value: object, path: str) -> list[tuple[SafeText, SafeText]]:
    found: list[tuple[SafeText, SafeText]] = []
    for name, text in _leaves(value, path, 0):
        if len(found) >= MAX_WORDS:
            break
        found.append((safe(name), safe(text, max_cells=MAX_CELLS)))
    return found


def _leaves(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Path and text of everything that is set."""
    if depth > MAX_DEPTH or value in (None, "", [], {}):
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list):
        if all(isinstance(item, str | int | float) for item in value):
            yield path, ", ".join(str(item) for item in value)
            return
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]", depth + 1)
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)
