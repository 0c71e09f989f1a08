"""A small HTTP server for one page: GET alone, few connections, and nobody can hold up another.

`http.server` would do the parsing, but it gives every reader a thread and counts its timeout anew
with each byte: eight slow readers would be the end of it. Here the head of a request has one
deadline, and when all places are taken the longest waiting connection makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

CONNECTIONS = 8
HEAD_MAX = 16 << 10
"""Bytes of a request's head at most."""

READ_S = 5.0
"""Seconds for a TLS handshake, for a request's head, and for a reader to take the answer."""

IDLE_S = 180.0
"""Seconds that a connection is kept between requests: three scrapes of a minute."""

RATE = 10.0
BURST = 40.0
"""Requests a second and address, and how many at once."""

ADDRESSES = 256


@dataclass(frozen=True)
class Request:
    """A request: its path, its query as it came, and its headers by lower-case name."""

    path: str
    query: str
    headers: dict[str, str]
    keep: bool


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: HTTPStatus
    body: bytes
    type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """The request is not one that is served."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status


def refusal(status: HTTPStatus, **headers: str) -> Answer:
    """A refusal in words."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"{status.value} {status.phrase}\n".encode(), headers=named)


def parse(head: bytes) -> Request:
    """The request of a head that ends with an empty line.

    Raises:
        Refused: not HTTP/1, not GET, or with a body.
    """
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    try:
        method, target, version = first.split(" ")
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST) from None
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or name.lower() in headers:
            raise Refused(HTTPStatus.BAD_REQUEST)
        headers[name.lower()] = value.strip()
    if method != "GET":
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise Refused(HTTPStatus.BAD_REQUEST)
    keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    path, _, query = target.partition("?")
    return Request(path, query, headers, keep)


class Rate:
    """A bucket of requests per address; the addresses that were quiet longest are forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether one more request is within the rate."""
        now = self._clock()
        left, then = self._left.pop(address, (BURST, now))
        left = min(BURST, left + (now - then) * RATE)
        self._left[address] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return left >= 1


@dataclass(eq=False)
class _Connection:
    """One connection, and since when it waits for the one at its other end."""

    address: str
    waiting: float
    task: asyncio.Task[None] | None = None


class Server:
    """Answers requests on a socket with `answer`, with TLS where `tls` gives a context."""

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        self._answer = answer
        self._tls = tls
        self._rate = Rate()
        self._open: set[_Connection] = set()

    async def run(self, listening: socket.socket) -> None:
        """Serve until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    sock, peer = await loop.sock_accept(listening)
                except OSError:  # no more files: those that are open end within seconds
                    await asyncio.sleep(1.0)
                    continue
                if len(self._open) >= CONNECTIONS:
                    self._make_room()
                one = _Connection(str(peer[0]), loop.time())
                self._open.add(one)
                one.task = loop.create_task(self._serve(sock, one))
        finally:
            tasks = [one.task for one in self._open if one.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            listening.close()

    def _make_room(self) -> None:
        """A place for one more: the address with most connections gives up its longest waiting."""
        held = Counter(one.address for one in self._open)
        out = min(self._open, key=lambda one: (-held[one.address], one.waiting))
        self._open.discard(out)
        if out.task is not None:
            out.task.cancel()

    async def _serve(self, sock: socket.socket, one: _Connection) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_MAX)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport: asyncio.BaseTransport | None = None
        tls = self._tls()
        with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.TimeoutError, EOFError):
            try:
                transport, _ = await loop.connect_accepted_socket(
                    lambda: protocol,
                    sock,
                    ssl=tls,
                    ssl_handshake_timeout=None if tls is None else READ_S,
                )
                assert isinstance(transport, asyncio.Transport)
                writer = asyncio.StreamWriter(transport, protocol, reader, loop)
                idle_s = READ_S
                while await self._exchange(reader, writer, one, idle_s):
                    idle_s = IDLE_S
                writer.close()
                await asyncio.wait_for(writer.wait_closed(), READ_S)
            finally:
                self._open.discard(one)
                if isinstance(transport, asyncio.Transport):
                    transport.abort()
                sock.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        one: _Connection,
        idle_s: float,
    ) -> bool:
        """Read one request and answer it; whether the connection may be kept."""
        one.waiting = asyncio.get_running_loop().time()
        request = None
        try:
            begin = await asyncio.wait_for(reader.readexactly(1), idle_s)
            head = begin + await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_S)
            request = parse(head)
            if self._rate.take(one.address):
                answer = self._answer(request)
            else:
                answer = refusal(HTTPStatus.TOO_MANY_REQUESTS, Retry_After="1")
        except asyncio.LimitOverrunError:
            answer = refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except Refused as error:
            answer = refusal(error.status, Allow="GET")
        keep = request is not None and request.keep
        one.waiting = asyncio.get_running_loop().time()
        writer.write(_response(answer, request, keep=keep))
        await asyncio.wait_for(writer.drain(), READ_S)
        return keep


def _response(answer: Answer, request: Request | None, *, keep: bool) -> bytes:
    body = answer.body
    headers = {
        "Content-Type": answer.type,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
        "Connection": "keep-alive" if keep else "close",
        **answer.headers,
    }
    if request is not None and _gzip(request.headers.get("accept-encoding", "")):
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        body = packer.compress(body) + packer.flush()
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _gzip(accepted: str) -> bool:
    """Whether gzip is among the accepted encodings, and not by `q=0`."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
