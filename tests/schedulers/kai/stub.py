"""A cluster in memory: enough of an API server to see what acts send and how they take answers."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from foundry_tui.schedulers.kai.connect import Forbidden, Overloaded, Refused

COLLECTIONS = ("/jobs", "/pods", "/pytorchjobs", "/podgroups", "/queues", "/nodes")
UID = "0f0e0d0c-0000-4000-8000-00000000000{}"


def answer(status: int, text: str) -> Exception:
    """The error that the connection raises for an answer."""
    said = ("asked", f"{status} {text}", status)
    if status in (401, 403):
        return Forbidden(*said)
    return Overloaded(*said) if status == 429 or status >= 500 else Refused(*said)


class StubCluster:
    """Objects by address. `asked` are the requests in order: method, path, body, dry run or not.

    `trouble` may raise for a request before it is carried out, and `after` once it is.
    """

    def __init__(self, *things: tuple[str, dict[str, Any]]) -> None:
        self.things = dict(things)
        self.namespace: str | None = None
        self.asked: list[tuple[str, str, Any, bool]] = []
        self.trouble: Callable[[str, str, bool], None] = lambda *_: None
        self.after: Callable[[str, str, bool], None] = lambda *_: None
        self._lock = threading.Lock()

    @property
    def changes(self) -> list[tuple[str, str, Any]]:
        """The requests that were meant to have an effect."""
        return [(m, p, b) for m, p, b, dry in self.asked if m != "GET" and not dry]

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
        """As `Cluster.request`."""
        with self._lock:
            sent = json.loads(body) if body else None
            options = sent if method == "DELETE" else query
            dry = bool((options or {}).get("dryRun"))
            self.asked.append((method, path, sent, dry))
            self.trouble(method, path, dry)
            kept = copy.deepcopy(self.things)
            found = self._answer(method, path, sent, dict(query or {}), content_type)
            if dry:
                self.things = kept
            self.after(method, path, dry)
            return json.dumps(found).encode()

    def _answer(
        self, method: str, path: str, sent: Any, query: dict[str, str], content_type: str | None
    ) -> Any:
        if method == "POST":
            return self._create(path, sent)
        if method == "GET" and path.endswith(COLLECTIONS):
            return {"items": self._list(path, query)}
        if path not in self.things:
            raise answer(404, f'"{path.rpartition("/")[2]}" not found')
        thing = self.things[path]
        if method == "DELETE":
            self._same(thing, sent["preconditions"]["uid"])
            del self.things[path]
        elif method == "PATCH":
            assert content_type == "application/json-patch+json"
            for op in sent:
                _patch(thing, op)
        return thing

    def _list(self, path: str, query: dict[str, str]) -> list[Any]:
        group, _, plural = path.rpartition("/")
        found = [
            thing
            for home, thing in self.things.items()
            if home.startswith(group) and home.split("/")[-2] == plural
        ]
        label, _, value = query.get("labelSelector", "").partition("=")
        if not label:
            return found
        if label.startswith("!"):
            return [t for t in found if label[1:] not in t["metadata"].get("labels", {})]
        return [t for t in found if t["metadata"].get("labels", {}).get(label) == value]

    def _create(self, path: str, sent: Any) -> Any:
        home = f"{path}/{sent['metadata']['name']}"
        if home in self.things:
            raise answer(409, f'"{sent["metadata"]["name"]}" already exists')
        made = copy.deepcopy(sent)
        made["metadata"]["uid"] = UID.format(len(self.things))
        self.things[home] = made
        return made

    def _same(self, thing: Any, uid: str) -> None:
        seen = thing["metadata"]["uid"]
        if seen != uid:
            text = f"the UID in the precondition ({uid}) does not match the UID in record ({seen})"
            raise answer(409, text)


def _patch(thing: Any, op: dict[str, Any]) -> None:
    steps = [s.replace("~1", "/").replace("~0", "~") for s in op["path"].split("/")[1:]]
    for step in steps[:-1]:
        thing = thing[step]
    if op["op"] == "test":
        if thing.get(steps[-1]) != op["value"]:
            raise answer(422, "the server rejected our request due to an error in our request")
    elif op["op"] == "add":
        thing[steps[-1]] = op["value"]
    else:
        del thing[steps[-1]]
