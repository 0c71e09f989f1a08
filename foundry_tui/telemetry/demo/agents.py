"""Simulated nodes on loopback: each answers as `foundry agent` does, all of them in one process."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache

from foundry_tui.agent.serving.run import asked
from foundry_tui.telemetry.demo.page import DemoNode

HOST = "127.0.0.1"
_SPARE_FILES = 128
_MOST_REQUEST = 16 << 10
_BACKLOG = 16


class DemoAgentsError(Exception):
    """The nodes cannot be served; the message says why and what to do."""


def node_name(number: int) -> str:
    """The name of the node with this number, from 1."""
    return f"demo{number:04d}"


def serve(count: int, ready: Callable[[Sequence[tuple[str, int]]], None]) -> None:
    """Serve `count` nodes until SIGINT or SIGTERM; to be called in the main thread.

    Args:
        count: how many nodes, each with a listening socket of its own.
        ready: takes the name and the port of every node as soon as all listen.

    Raises:
        DemoAgentsError: this host does not let the process open so many sockets.
    """
    _room(2 * count + _SPARE_FILES)
    asyncio.run(_serve(count, ready))


def _room(files: int) -> None:
    """Let the process open that many files: a node listens, and one client keeps a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files:
        return
    if hard < files:
        most = max(0, (hard - _SPARE_FILES) // 2)
        raise DemoAgentsError(
            f"{files} open files are needed and {hard} are allowed (ulimit -Hn): ask for {most} "
            "nodes at most"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


async def _serve(count: int, ready: Callable[[Sequence[tuple[str, int]]], None]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    servers, listed = [], []
    try:
        for number in range(1, count + 1):
            node = DemoNode(number, node_name(number))
            try:
                server = await loop.create_server(lambda n=node: _Client(n), HOST, backlog=_BACKLOG)  # type: ignore[misc]
            except OSError as error:
                words = f"node {number} of {count} cannot listen: {error.strerror}"
                raise DemoAgentsError(f"{words}; ask for fewer") from None
            servers.append(server)
            listed.append((node.name, server.sockets[0].getsockname()[1]))
        ready(listed)
        await stop.wait()
    finally:
        for server in servers:
            server.close()


@lru_cache(maxsize=64)
def _names(query: bytes) -> frozenset[str] | None:
    return asked(query.decode("latin-1"))


class _Client(asyncio.Protocol):
    """One connection: every GET gets the node's page."""

    def __init__(self, node: DemoNode) -> None:
        self._node = node
        self._asked = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._asked += data
        while (end := self._asked.find(b"\r\n\r\n")) >= 0:
            asked, self._asked = self._asked[:end], self._asked[end + 4 :]
            path, _, query = asked.removeprefix(b"GET ").partition(b" ")[0].partition(b"?")
            if path == b"/metrics":
                self._answer(b"200 OK", self._node.page(time.time(), _names(query)))
            else:
                self._answer(b"404 Not Found", b"there is /metrics\n")
        if len(self._asked) > _MOST_REQUEST:
            self._transport.abort()

    def _answer(self, status: bytes, body: bytes) -> None:
        assert self._transport is not None
        head = (
            b"HTTP/1.1 %b\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
        )
        with suppress(ConnectionError):
            self._transport.write(head % (status, len(body)) + body)
