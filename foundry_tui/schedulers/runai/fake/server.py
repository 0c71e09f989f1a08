"""The fake as an HTTP server on loopback, in a thread of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from foundry_tui.schedulers.runai.fake.cluster import CLUSTER_ID, Cluster, small_cluster
from foundry_tui.schedulers.runai.fake.control import ControlPlane, Pace
from foundry_tui.schedulers.runai.fake.estate_routes import ESTATE
from foundry_tui.schedulers.runai.fake.faults import FOR_EVER, Asked, Fault, Faults
from foundry_tui.schedulers.runai.fake.requests import Rejected
from foundry_tui.schedulers.runai.fake.routes import Call, answer
from foundry_tui.schedulers.runai.fake.tokens import CLIENT_ID, CLIENT_SECRET, Tokens
from foundry_tui.schedulers.runai.fake.work import KINDS
from foundry_tui.schedulers.runai.fake.workload_routes import WORKLOADS

MOST_BODY_BYTES = 4 << 20


class FakeRunai:
    """A Run:ai control plane for tests and demonstrations.

        with FakeRunai() as fake:
            ...  # fake.url, fake.client_id, fake.client_secret
            fake.advance(60)

    `clock` tells the time (None: the real one, `speed` times as fast); `advance` adds to it.
    """

    client_id, client_secret, cluster_id = CLIENT_ID, CLIENT_SECRET, CLUSTER_ID

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] | None = None,
        speed: float = 1.0,
        cluster: Cluster | None = None,
        pace: Pace | None = None,
        token_life_s: int = 3600,
        port: int = 0,
    ) -> None:
        self._clock = clock or _real
        self._born, self._speed, self._ahead = self._clock(), speed, timedelta(0)
        self._lock = threading.RLock()
        self._tokens = Tokens(token_life_s)
        self._partial = False
        self.faults = Faults()
        self.control = ControlPlane(cluster or small_cluster(), self.now, pace or Pace())
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake-runai"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and close every connection."""
        self.faults.over.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_connections()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> list[Asked]:
        """What arrived: method, path, query, body. Token requests too."""
        return list(self.faults.requests)

    def count(self, path_regex: str) -> int:
        """How many requests arrived whose `METHOD /path` holds the pattern."""
        return sum(1 for a in self.requests if re.search(path_regex, f"{a.method} {a.path}"))

    def now(self) -> datetime:
        """The fake's time."""
        return self._born + (self._clock() - self._born) * self._speed + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        with self._lock:
            self._ahead += timedelta(seconds=seconds)
            self.control.settle()

    def submit(
        self,
        name: str,
        project: str = "vision",
        *,
        kind: str = "trainings",
        user: str = CLIENT_ID,
        **spec: Any,
    ) -> str:
        """Create a workload without a request, for the start of a test; returns its uuid.

        `spec` are the fields of the API's spec; `compute` is its mapping. Raises `ValueError`.
        """
        with self._lock:
            self.control.settle()
            found = self.control.cluster.project(project)
            body = {
                "name": name,
                "projectId": found.id if found else project,
                "clusterId": CLUSTER_ID,
                "spec": {"image": "python:3.12", **spec},
            }
            try:
                return self.control.create(KINDS[kind], body, user).id
            except Rejected as error:
                raise ValueError(f"{error.status} {error.message} {error.issues}") from None

    def fail_next(
        self,
        path_regex: str,
        status: int,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """Answer the next requests with an error, and do nothing for them.

        `body` None is the API's usual one; a str is sent as it is. The pattern is searched in
        `METHOD /path?query`.
        """
        told = {"code": status, "message": "Told to fail"} if body is None else body
        pattern = re.compile(path_regex)
        self.faults.add(Fault(pattern, times, status=status, body=told, headers=headers or {}))

    def hang(self, path_regex: str, seconds: float, times: int = FOR_EVER) -> None:
        """Wait so long (real seconds) before each answer, until `mend` or the end."""
        self.faults.add(Fault(re.compile(path_regex), times, hang_s=seconds))

    def drop_answer(self, path_regex: str, times: int = 1) -> None:
        """Do what is asked, and close the connection without an answer."""
        self.faults.add(Fault(re.compile(path_regex), times, drop=True))

    def deny(self, project: str, denied: bool = True) -> None:
        """Take the user's rights on a project away: it stays visible, every act on it is a 403.

        In the department that the user administers the access rules do not tell it beforehand.
        """
        found = self.control.cluster.project(project)
        if found is None:
            raise ValueError(f"the fake has no project {project!r}")
        found.denied = denied

    def expire_tokens(self) -> None:
        """End every access token; the refresh tokens stay good."""
        with self._lock:
            self._tokens.expire()

    def partial_metrics(self, partial: bool = True) -> None:
        """From now on answer metrics with 207 and without the last one's values."""
        self._partial = partial

    def mend(self) -> None:
        """Forget every fault that is still to come."""
        self.faults.clear()
        self._partial = False

    def cli_login(self, folder: Path) -> Path:
        """Write what `runai login` leaves in ~/.runai, with a token that is good now."""
        with self._lock:
            self.control.settle()
            words = {"grantType": "client_credentials", "clientID": CLIENT_ID}
            found = self._tokens.first({**words, "clientSecret": CLIENT_SECRET}, self.control.now)
        token = base64.urlsafe_b64encode(str(found["accessToken"]).encode()).decode()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "authentication.json").write_text(json.dumps({"accessToken": token}))
        config = {"cluster": {"uuid": CLUSTER_ID}, "control_plane": {"url": self.url}}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    def answer(self, asked: Asked, authorization: str | None) -> tuple[int, object]:
        """Status and JSON of one request."""
        query: dict[str, str] = {}
        for name, value in parse_qsl(asked.query, keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value
        with self._lock:
            self.control.settle()
            call = Call(
                control=self.control,
                tokens=self._tokens,
                query=query,
                raw=asked.body,
                partial=self._partial,
            )
            return answer(call, asked.method, asked.path, authorization, (WORKLOADS, ESTATE))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeRunai

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no trouble, and there is nobody to tell."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "fake-runai", ""
    wbufsize = -1  # one write per answer: header and body apart wait 40 ms for each other
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        fake, parts = self.server.fake, urlsplit(self.path)
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            self.close_connection = True
            self._send(413, {"code": 413, "message": "The request body is too large"}, {})
            return
        asked = Asked(self.command, parts.path, parts.query, self.rfile.read(int(length)))
        fake.faults.note(asked)
        faults = fake.faults.take(asked)
        for fault in faults:
            if fake.faults.over.wait(fault.hang_s):
                self.close_connection = True
                return
        told = next((fault for fault in faults if fault.status is not None), None)
        if told is not None and told.status is not None:
            self._send(told.status, told.body, told.headers)
            return
        status, body = fake.answer(asked, self.headers.get("Authorization"))
        if any(fault.drop for fault in faults):
            self.close_connection = True
            return
        self._send(status, body, {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _send(self, status: int, body: object, headers: Mapping[str, str]) -> None:
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are noted in `FakeRunai.requests`, not printed."""


def _real() -> datetime:
    return datetime.now(UTC)
