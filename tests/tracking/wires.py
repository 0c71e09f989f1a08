"""Small servers on loopback that answer as a test tells them to, byte by byte."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from foundry_tui.config.secrets import Secret
from foundry_tui.tracking.credentials import TOKEN, Credentials
from foundry_tui.tracking.mlflow import Mlflow

SECRET = "s3cr3t-t0ken"
RUN = {"info": {"run_id": "ab12", "experiment_id": "1", "status": "RUNNING", "run_name": "r"}}
NOT_FOUND = b"<!doctype html><title>404 Not Found</title>"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)

Serve = Callable[[socket.socket, str], None]
"""Answers one request on a connection; its second argument is the request's first line."""


@dataclass(slots=True)
class Stub:
    """One listening server; `requests` holds the head and body of each request it read."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def serving(serve: Serve) -> Iterator[Stub]:
    """A server that reads whole requests and lets `serve` answer each; ended with the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stub = Stub(f"http://127.0.0.1:{listener.getsockname()[1]}")
        open_ones: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    open_ones.append(connection)
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                while request := _request(connection):
                    stub.requests.append(request)
                    serve(connection, request.partition(b"\r\n")[0].decode())

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for connection in open_ones:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _request(connection: socket.socket) -> bytes:
    """One request, head and body; empty when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(1 << 16)):
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(body) < length:
        body += connection.recv(1 << 16)
    return head + b"\r\n\r\n" + body


def response(
    status: int, body: bytes | dict[str, Any], kind: str = "application/json", *more: str
) -> bytes:
    """The bytes of one answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(raw)}", *more)
    return "\r\n".join((*lines, "", "")).encode() + raw


def always(
    status: int, body: bytes | dict[str, Any], kind: str = "text/plain", *more: str
) -> Serve:
    """Gives every request the same answer."""
    return lambda connection, _: connection.sendall(response(status, body, kind, *more))


def client(url: str, credentials: Callable[[], Credentials] = Credentials, **more: Any) -> Mlflow:
    """A tracker of that server whose clock stands at `NOW`."""
    return Mlflow("lab", url, credentials=credentials, clock=lambda: NOW, **more)


def with_secret() -> Credentials:
    return Credentials(Secret(f"Bearer {SECRET}"), f"${TOKEN}", (Secret(SECRET),))


@contextlib.contextmanager
def answered(serve: Serve, **more: object) -> Iterator[Mlflow]:
    """A tracker of a server that answers like that, with a token."""
    with serving(serve) as stub:
        tracker = client(stub.url, with_secret, **more)
        yield tracker
        tracker.close()
