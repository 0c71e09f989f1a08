"""Pages of nodes for tests, and servers on loopback that answer well or badly."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

Handler = Callable[[socket.socket, bytes], bool | None]
"""Answers one request on a connection; True keeps the connection for the next one."""

WINDOW = "foundry_agent_window_end_timestamp_seconds"
CLOCK = "foundry_agent_time_seconds"


def gpu(index: int = 0, util: object = 50, *, host: str = "node1", uuid: str | None = None) -> str:
    """The values of one GPU as dcgm-exporter writes them."""
    uuid = uuid or f"GPU-{host}-{index}"
    labels = f'gpu="{index}",UUID="{uuid}",modelName="NVIDIA H100",Hostname="{host}"'
    return (
        f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} {util}\n"
        f"DCGM_FI_DEV_FB_USED{{{labels}}} 1024\nDCGM_FI_DEV_FB_FREE{{{labels}}} 80000\n"
    )


def agent(*gpus: str, at: float, end: float | None = None) -> bytes:
    """A page of an agent whose clock says `at` and whose window ended at `end`."""
    end = at // 60 * 60 if end is None else end
    return "".join((f"{CLOCK} {at}\n{WINDOW} {end}\n", *gpus)).encode()


def ok(body: bytes, *headers: str) -> bytes:
    """A good answer with this body."""
    lines = ("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(body: bytes | Callable[[], bytes], *headers: str) -> Handler:
    """A node that answers with a page, and keeps its connections."""

    def handle(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(ok(body if isinstance(body, bytes) else body(), *headers))
        return True

    return handle


def saying(raw: bytes) -> Handler:
    """A node that says these bytes and closes the connection."""
    return lambda connection, request: connection.sendall(raw)


@dataclass
class Server:
    """A server on a free port of 127.0.0.1. `requests` and `connections` are what has come."""

    handler: Handler
    context: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for thread in self._threads:
            thread.join(5)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def drop(self) -> None:
        """Close every connection, as a server does with one that was idle for long."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                for request in _requests(connection):
                    self.requests.append(request)
                    if not self.handler(connection, request):
                        return


def _requests(connection: socket.socket) -> Iterator[bytes]:
    got = b""
    while True:
        while b"\r\n\r\n" not in got:
            data = connection.recv(65536)
            if not data:
                return
            got += data
        request, _, got = got.partition(b"\r\n\r\n")
        yield request


def targets_file(folder: Path, servers: Sequence[tuple[str, int]], scheme: str = "http") -> Path:
    """A list of targets: names of nodes and ports."""
    path = folder / "targets.json"
    groups = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"node": name, "__scheme__": scheme}}
        for name, port in servers
    ]
    path.write_text(json.dumps(groups), "utf-8")
    return path
