"""A tiny API server on loopback: lists in pages, watches, and whatever trouble a test wants."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Trouble = tuple[int, str, dict[str, str]]


class TinyApi:
    """Objects by collection and uid, with their history.

    `asked` are method, path and query of every request; `trouble` may give another answer instead:
    status, message and headers. `served` counts the watches that stand.
    """

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.trouble: Callable[[str, str, dict[str, str]], Trouble | None] = lambda *_: None
        self.changed = threading.Condition()
        self.history: list[tuple[int, str, dict[str, Any]]] = []
        self.version = 1
        self.oldest = 0
        self.cuts = 0
        self.served = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.cut()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # -- what happens in the cluster

    def collection(self, path: str) -> None:
        """Serve this kind, empty at first."""
        self.things.setdefault(path, {})

    def put(self, path: str, thing: dict[str, Any]) -> None:
        """Create or change an object."""
        self.collection(path)
        kind = "MODIFIED" if thing["metadata"]["uid"] in self.things[path] else "ADDED"
        self._tell(path, kind, thing)

    def remove(self, path: str, uid: str) -> None:
        """Delete an object."""
        self._tell(path, "DELETED", self.things[path][uid])

    def bookmark(self, path: str) -> None:
        """Tell the watches of a collection how far the version is."""
        with self.changed:
            self.version += 1
            bare = {"metadata": {"resourceVersion": str(self.version)}}
            self.history.append((self.version, path, {"type": "BOOKMARK", "object": bare}))
            self.changed.notify_all()

    def send(self, path: str, line: dict[str, Any]) -> None:
        """Send a line of any kind to the watches of a collection."""
        with self.changed:
            self.version += 1
            self.history.append((self.version, path, line))
            self.changed.notify_all()

    def forget(self) -> None:
        """Answer 410 to everything that asks for a version of before now."""
        with self.changed:
            self.version += 1
            self.oldest = self.version

    def cut(self) -> None:
        """Break every watch in the middle."""
        with self.changed:
            self.cuts += 1
            self.changed.notify_all()

    def lists(self, path: str) -> int:
        """How often a collection was listed."""
        return sum(p == path and "watch" not in q for _, p, q in self.asked)

    def watches(self, path: str) -> list[str]:
        """The versions from which a collection was watched."""
        return [q["resourceVersion"] for _, p, q in self.asked if p == path and "watch" in q]

    def _tell(self, path: str, kind: str, thing: dict[str, Any]) -> None:
        with self.changed:
            self.version += 1
            meta = {**thing["metadata"], "resourceVersion": str(self.version)}
            now = {**thing, "metadata": meta}
            if kind == "DELETED":
                del self.things[path][meta["uid"]]
            else:
                self.things[path][meta["uid"]] = now
            self.history.append((self.version, path, {"type": kind, "object": now}))
            self.changed.notify_all()

    # -- the server

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer("GET")

            def do_POST(self) -> None:
                self._answer("POST")

            def _answer(self, method: str) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                size = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(size)
                with contextlib.suppress(OSError):
                    api._serve(self, method, parts.path, query)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _serve(
        self, to: BaseHTTPRequestHandler, method: str, path: str, query: dict[str, str]
    ) -> None:
        with self.changed:
            self.asked.append((method, path, query))
            self.headers.append(dict(to.headers.items()))
        trouble = self.trouble(method, path, query)
        if trouble is not None:
            status, message, headers = trouble
            _send(to, status, _status(status, message), headers)
        elif path in self.bodies:
            _send(to, 200, self.bodies[path], {})
        elif path not in self.things:
            _send(to, 404, _status(404, "the server could not find the requested resource"), {})
        elif "watch" in query:
            self._watch(to, path, int(query["resourceVersion"]))
        else:
            _send(to, 200, self._page(path, query), {})

    def _page(self, path: str, query: dict[str, str]) -> bytes:
        with self.changed:
            rows = list(self.things[path].values())
            at, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(rows) + 1
            meta: dict[str, Any] = {"resourceVersion": str(self.version)}
            if at + limit < len(rows):
                meta["continue"] = str(at + limit)
            return json.dumps({"metadata": meta, "items": rows[at : at + limit]}).encode()

    def _watch(self, to: BaseHTTPRequestHandler, path: str, version: int) -> None:
        if version < self.oldest:
            _send(to, 410, _status(410, "too old resource version"), {})
            return
        to.send_response(200)
        to.send_header("Transfer-Encoding", "chunked")
        to.end_headers()
        cuts = self.cuts
        self.served += 1
        try:
            for line in self._events(path, version, cuts):
                data = json.dumps(line).encode() + b"\n"
                to.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                to.wfile.flush()
        finally:
            self.served -= 1
            to.close_connection = True

    def _events(self, path: str, version: int, cuts: int) -> Iterator[dict[str, Any]]:
        seen = version
        while True:
            with self.changed:
                new = [h for h in self.history if h[0] > seen]
                if not new:
                    self.changed.wait(5.0)
                if self.cuts != cuts:
                    return
            for at, home, line in new:
                seen = at
                if home == path:
                    yield line


def _send(to: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str]) -> None:
    to.send_response(status)
    for name, value in headers.items():
        to.send_header(name, value)
    to.send_header("Content-Length", str(len(data)))
    to.end_headers()
    to.wfile.write(data)


def _status(code: int, message: str) -> bytes:
    return json.dumps({"kind": "Status", "code": code, "message": message}).encode()


@contextlib.contextmanager
def tiny() -> Iterator[TinyApi]:
    """A tiny API server for the time of a `with` block."""
    api = TinyApi()
    try:
        yield api
    finally:
        api.close()


def kubeconfig(
    folder: Path, url: str, user: dict[str, Any] | None = None, **cluster: object
) -> Path:
    """A kubeconfig file with one context `tiny`."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tiny",
        "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
        "contexts": [{"name": "tiny", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path
