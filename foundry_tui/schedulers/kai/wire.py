"""Requests of acts: what stands in a preview, its dry run, and what comes back.

A request is three words: method, path and body, the body as compact JSON. The content type follows
from the body: a list is a JSON patch (RFC 6902), anything else is plain JSON.
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from foundry_tui.schedulers.kai import connect
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.ports import SchedulerError, Unavailable

DRY_RUN = "All"

_NO_DRY_RUN = re.compile(r"admission webhook \"([^\"]+)\" .*does not support dry run", re.DOTALL)
_UID = ("preconditions", "uid")
_WEBHOOK_DOWN = "failed calling webhook"

# Answers of Kubernetes 1.34 to a JSON patch whose test fails, and to another uid in a deletion.
_GUARD_FAILED = "the server rejected our request due to an error in our request"
_OTHER_UID = "the UID in the precondition"


class Trouble(Exception):
    """A request that did not do what it should; the text is for the user."""


class Wrong(Trouble):
    """What was asked for cannot be, whatever the API would say."""


class Refused(Trouble):
    """The API said no."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    @property
    def untried(self) -> str | None:
        """The warning that nothing can be tried here, and why; None if it said no otherwise."""
        found = _NO_DRY_RUN.search(str(self))
        if found is None:
            return None
        return f"not tried: webhook {found[1]} cannot be asked without effect, and may still refuse"


class Changed(Refused):
    """A guard of the request failed: the object is not as it was, or is another one."""


class Gone(Refused):
    """There is no such object."""


class NotSent(Trouble):
    """The API cannot be reached, so nothing was sent."""


class Lost(Trouble):
    """It was sent and no answer came, or one that does not say whether it was done."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stands in a preview."""

    method: str
    path: str
    body: str

    @classmethod
    def of(cls, command: Sequence[str]) -> tuple[Request, ...]:
        """The requests of a previewed command, three words each."""
        return tuple(cls(*command[i : i + 3]) for i in range(0, len(command), 3))

    @property
    def words(self) -> tuple[str, str, str]:
        return (self.method, self.path, self.body)

    @property
    def object_path(self) -> str:
        """The address of the object itself, of whose part the request may be."""
        return self.path.removesuffix("/status")

    @property
    def uid(self) -> str | None:
        """The uid of the one object that the request may touch."""
        body = json.loads(self.body)
        found = self.guard("/metadata/uid") if isinstance(body, list) else at(body, *_UID)
        return None if found is None else str(found)

    def guard(self, path: str) -> object:
        """The value that a patch expects at a path; None where it expects none."""
        tests = (op for op in json.loads(self.body) if op["op"] == "test" and op["path"] == path)
        return next((op["value"] for op in tests), None)

    def not_shown_by(self, thing: Mapping[str, Any]) -> str | None:
        """The first change of a patch that an object does not show, in words."""
        for op in json.loads(self.body):
            seen = at(thing, *_steps(op["path"]))
            if op["op"] == "add" and not _holds(seen, op["value"]):
                return f"{op['path']} {json.dumps(seen)}, not {json.dumps(op['value'])}"
            if op["op"] == "remove" and seen is not None:
                return f"{op['path']} {json.dumps(seen)} still"
        return None


def create(path: str, body: Mapping[str, Any]) -> Request:
    return Request("POST", path, compact(body))


def delete(path: str, uid: str) -> Request:
    """Delete an object and then what it owns; one of the same name made since is not touched."""
    options = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Background",
        "preconditions": {"uid": uid},
    }
    return Request("DELETE", path, compact(options))


def patch(path: str, thing: Mapping[str, Any], *changes: Change) -> Request:
    """Change fields of one object, if it still is this one.

    `thing` is the object as it was read: parents that it lacks are added with the field.
    """
    ops: list[dict[str, object]] = [{"op": "test", "path": "/metadata/uid", "value": uid_of(thing)}]
    shown = copy.deepcopy(dict(thing))
    for change in changes:
        ops += change.ops(shown)
        _put(shown, change)
    return Request("PATCH", path, compact(ops))


def _put(thing: dict[str, Any], change: Change) -> None:
    """Make a change in an object, so that the next one finds the parents that it made."""
    for step in change.steps[:-1]:
        thing = thing.setdefault(step, {})
    thing[change.steps[-1]] = change.value


@dataclass(frozen=True, slots=True)
class Change:
    """A field's new value, None to remove it. `steps` are the keys that lead to it.

    With `guarded` the patch fails if the field changed since it was read, or has come to be.
    """

    steps: tuple[str, ...]
    value: object
    guarded: bool = False

    def ops(self, thing: Mapping[str, Any]) -> list[dict[str, object]]:
        """The operations of a JSON patch: `add` replaces what is there (RFC 6902, 4.1)."""
        present = at(thing, *self.steps)
        depth = len(self.steps)
        value = self.value
        while depth > 1 and not isinstance(at(thing, *self.steps[: depth - 1]), Mapping):
            depth -= 1
            value = {self.steps[depth]: value}
        path = _pointer(self.steps[:depth])
        found: list[dict[str, object]] = []
        if self.guarded:
            # Of a field that is not there the API server takes null for a test of its absence.
            found.append({"op": "test", "path": path, "value": present})
        if self.value is None:
            return [*found, {"op": "remove", "path": path}] if present is not None else found
        return [*found, {"op": "add", "path": path, "value": value}]


@dataclass(frozen=True, slots=True)
class Api:
    """The API as acts use it: objects as JSON, and what went wrong in the classes above.

    `until` is the moment of `time.monotonic` at which every request has to have ended; None gives
    each of them the configured time.
    """

    cluster: Cluster
    until: float | None = None

    @property
    def namespace(self) -> str | None:
        """The namespace of the kubeconfig's context. Raises NotSent."""
        try:
            return self.cluster.namespace
        except Unavailable as error:
            raise NotSent(_told(error)) from None

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """An object or a list.

        Raises:
            Gone, Refused, NotSent, Lost: as their names say.
        """
        return self._ask("GET", path, None, query, None)

    def send(self, request: Request) -> dict[str, Any]:
        """Carry a request out. Raises as `get`."""
        return self._ask(*request.words, {}, _content_type(request))

    def rehearse(self, request: Request) -> dict[str, Any]:
        """The request without its effect: admission, quota and rights say what they would say.

        A deletion carries its options in the body, and then the query is not looked at.
        """
        if request.method == "DELETE":
            body = compact({**json.loads(request.body), "dryRun": [DRY_RUN]})
            return self._ask("DELETE", request.path, body, {}, _content_type(request))
        return self._ask(*request.words, {"dryRun": DRY_RUN}, _content_type(request))

    def _ask(
        self,
        method: str,
        path: str,
        body: str | None,
        query: Mapping[str, str],
        content_type: str | None,
    ) -> dict[str, Any]:
        left_s = None if self.until is None else self.until - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise NotSent("the API server took too long")
        try:
            answer = self.cluster.request(
                method, path, body=body, query=query, content_type=content_type, timeout_s=left_s
            )
        except (connect.Forbidden, connect.Refused, connect.Overloaded) as error:
            raise _refusal(error) from None
        except connect.Unreached as error:
            raise (Lost if error.sent else NotSent)(_told(error)) from None
        except Unavailable as error:
            raise NotSent(_told(error)) from None
        except SchedulerError as error:
            raise Lost(_told(error)) from None
        try:
            found = json.loads(answer)
        except ValueError:
            raise Lost("the answer is no JSON") from None
        return found if isinstance(found, dict) else {}


def _refusal(error: connect.Forbidden | connect.Refused | connect.Overloaded) -> Trouble:
    text = _told(error)
    if error.status == HTTPStatus.NOT_FOUND:
        return Gone(error.status, text)
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Refused(error.status, f"{text}; it is busy: try again later")
    if error.status == HTTPStatus.UNPROCESSABLE_ENTITY and text.endswith(_GUARD_FAILED):
        return Changed(error.status, "it was changed since it was last read: look again")
    if error.status == HTTPStatus.CONFLICT and _OTHER_UID in text:
        return Changed(error.status, "another one of the same name was made since")
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and _WEBHOOK_DOWN not in text:
        return Lost(text)
    return Refused(error.status, text)


def _told(error: SchedulerError) -> str:
    return f"{error.answer}; {error.hint}" if error.hint else error.answer


def at(thing: Any, *steps: str) -> Any:
    """What stands in an object at the end of some keys; None where one is missing."""
    for step in steps:
        if not isinstance(thing, Mapping):
            return None
        thing = thing.get(step)
    return thing


def uid_of(thing: Mapping[str, Any]) -> str:
    return str(at(thing, "metadata", "uid") or "")


def compact(body: object) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def _holds(seen: object, wanted: object) -> bool:
    """Whether a value is as wanted; of an object the keys that were given."""
    if isinstance(seen, Mapping) and isinstance(wanted, Mapping):
        return all(_holds(seen.get(key), value) for key, value in wanted.items())
    return seen == wanted


def _content_type(request: Request) -> str:
    return "application/json-patch+json" if request.method == "PATCH" else "application/json"


def _pointer(steps: Sequence[str]) -> str:
    """RFC 6901."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _steps(pointer: str) -> list[str]:
    return [s.replace("~1", "/").replace("~0", "~") for s in pointer.split("/")[1:]]
