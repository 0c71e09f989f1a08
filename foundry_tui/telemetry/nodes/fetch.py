"""Asks many nodes for their pages at once, over connections that are kept.

The HTTP is our own (`reply.py`) on asyncio's transports. For one sweep of 1,250 nodes over kept
connections on a busy host it took 0.22 CPU seconds, httpx 6.1 and http.client in 64 threads 0.40
(`benchmarks/telemetry.py --clients`); http.client has no deadline for a whole answer, so that a
node that sends a byte a second would hold its thread for ever. What a client library does beyond
that is not wanted here: no redirect is followed, which could carry the token to another host, no
proxy of the environment is used, no cookie is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from foundry_tui import __version__
from foundry_tui.config.secrets import Secret
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.nodes.reply import Reply, ReplyError
from foundry_tui.telemetry.nodes.silence import Kind, Silence, refusal, unreachable, untrusted
from foundry_tui.telemetry.nodes.targets import Target
from foundry_tui.telemetry.nodes.wire import Wire

AT_ONCE = 64
CONNECT_S = 2.0
SPREAD_S = 0.3
"""Over how long the first requests of a sweep are spread, so that they do not arrive as one."""
MOST_BACK_OFF_S = 60.0
NAME_S = 600.0
"""How long an address is believed."""
_SPARE_FILES = 256
"""Descriptors that the rest of the program may need."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A page. `date` is the header of that name, `took_s` how long all of it took."""

    body: bytes
    date: str
    took_s: float


Take = Callable[[Target, Answer | Silence], None]


@dataclass(slots=True)
class _Host:
    """What is remembered of a target between sweeps."""

    wire: Wire | None = None
    may_keep: bool = True
    failures: int = 0
    wait_until: float = 0.0
    last: Silence | None = None
    addresses: tuple[str, ...] = ()
    resolved_at: float = 0.0


@dataclass(slots=True)
class Fetcher:
    """Keeps connections and what it knows of each target. One sweep at a time.

    `timeout_s` is for one request with its connection; `context` for targets with TLS; `query` is
    added to every path.
    """

    timeout_s: float
    context: ssl.SSLContext | None = None
    query: str = ""
    at_once: int = AT_ONCE
    monotonic: Callable[[], float] = time.monotonic
    _hosts: dict[Target, _Host] = field(default_factory=dict, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def sweep(
        self,
        targets: Sequence[Target],
        take: Take,
        deadline_s: float,
        token: Secret | None = None,
        *,
        patient: bool = True,
    ) -> None:
        """Ask all targets; `take` gets each one's answer as soon as it is there.

        A target that failed is left alone for a while (1, 2, 4 … 60 s) and counts as silent then;
        not `patient` asks it all the same. After `deadline_s` the rest is silent.
        """
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # What goes wrong is told by silences: nothing is written over the screen.
                self._loop.set_exception_handler(lambda loop, context: None)
            self._loop.run_until_complete(
                self._sweep(targets, take, self.monotonic() + deadline_s, token, patient)
            )

    def close(self) -> None:
        """Give all connections back. A later sweep opens new ones."""
        with self._lock:
            if self._loop is None:
                return
            for host in self._hosts.values():
                if host.wire is not None:
                    host.wire.close()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()
            self._loop = None
            self._hosts.clear()

    async def _sweep(
        self,
        targets: Sequence[Target],
        take: Take,
        ends_at: float,
        token: Secret | None,
        patient: bool,
    ) -> None:
        await asyncio.sleep(0)  # connections that were closed meanwhile say so
        self._forget(targets)
        room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES
        for number, target in enumerate(targets):
            self._hosts.setdefault(target, _Host()).may_keep = number < room
        # Those that failed come last: what they take is taken from nobody.
        order = random.sample(targets, len(targets))
        order.sort(key=lambda target: self._hosts[target].failures)
        left = iter(order)
        workers = min(self.at_once, len(targets))
        pause_s = SPREAD_S / self.at_once if len(targets) > self.at_once else 0.0
        turn = asyncio.Lock()
        await asyncio.gather(
            *(
                self._work(left, take, ends_at, token, patient, number * pause_s, turn)
                for number in range(workers)
            )
        )

    async def _work(
        self,
        left: Iterator[Target],
        take: Take,
        ends_at: float,
        token: Secret | None,
        patient: bool,
        pause_s: float,
        turn: asyncio.Lock,
    ) -> None:
        await asyncio.sleep(pause_s)
        for target in left:
            host = self._hosts[target]
            now = self.monotonic()
            if now >= ends_at:
                outcome: Answer | Silence = Silence(Kind.NOT_ASKED, safe("no time was left for it"))
            elif patient and now < host.wait_until and host.last is not None:
                wait_s = host.wait_until - now
                words = f"{host.last.words}; asked again in {wait_s:.0f} s"
                outcome = Silence(host.last.kind, safe(words))
            else:
                outcome = await self._timed(target, host, ends_at - now, token)
                self._remember(host, outcome)
            # One at a time with a look at the connections in between: taking answers is work, and
            # it must not make others look slow.
            async with turn:
                take(target, outcome)
                await asyncio.sleep(0)

    async def _timed(
        self, target: Target, host: _Host, left_s: float, token: Secret | None
    ) -> Answer | Silence:
        within_s = min(self.timeout_s, left_s)
        begun = self.monotonic()
        try:
            async with asyncio.timeout(within_s):
                reply = await self._ask(target, host, _request(target, self.query, token))
            body = reply.body() if reply.status == 200 else b""
        except TimeoutError:
            return Silence(Kind.TIMEOUT, safe(f"no answer within {within_s:.3g} s"))
        except _Failed as failed:
            return failed.silence
        except ReplyError as error:
            kind = Kind.TOO_LARGE if error.large else Kind.BROKEN
            return Silence(kind, safe(str(error)))
        except OSError as error:
            return unreachable(error)
        if reply.status == 200:
            date = reply.headers.get(b"date", b"").decode("latin-1")
            return Answer(body, date, self.monotonic() - begun)
        return refusal(reply, with_token=token is not None)

    async def _ask(self, target: Target, host: _Host, request: bytes) -> Reply:
        """The answer over the connection that is kept, else over a new one.

        A server closes a connection that was idle for long, just when it is used again: that is no
        failure of the server.
        """
        wire, host.wire = host.wire, None
        if wire is not None and wire.open:
            with contextlib.suppress(_Stale):
                return await self._over(wire, host, request, kept=True)
        return await self._over(await self._connect(target, host), host, request, kept=False)

    async def _over(self, wire: Wire, host: _Host, request: bytes, *, kept: bool) -> Reply:
        try:
            reply = await wire.ask(request)
        except ReplyError as error:
            if kept and not error.large:
                raise _Stale from None
            raise
        if reply.keep and wire.open and host.may_keep:
            host.wire = wire
        else:
            wire.close()
        return reply

    async def _connect(self, target: Target, host: _Host) -> Wire:
        loop = asyncio.get_running_loop()
        tls = self.context if target.tls else None
        last = OSError(errno.EHOSTUNREACH, "it has no address")
        try:
            async with asyncio.timeout(min(CONNECT_S, self.timeout_s)):
                for address in await self._addresses(target, host):
                    try:
                        _, wire = await loop.create_connection(
                            Wire,
                            address,
                            target.port,
                            ssl=tls,
                            server_hostname=target.host if tls else None,
                        )
                        return wire
                    except ssl.SSLError as error:
                        raise _Failed(untrusted(error)) from None
                    except OSError as error:
                        last = error
        except TimeoutError:
            words = f"no connection within {min(CONNECT_S, self.timeout_s):g} s"
            raise _Failed(Silence(Kind.TIMEOUT, safe(words))) from None
        host.addresses = ()
        raise last

    async def _addresses(self, target: Target, host: _Host) -> tuple[str, ...]:
        """The first two addresses of a host, kept for `NAME_S`."""
        now = self.monotonic()
        if not host.addresses or now - host.resolved_at > NAME_S:
            try:
                found = await _resolve(target.host, target.port)
            except OSError as error:
                words = f"its name has no address: {error.strerror or error}"
                raise _Failed(Silence(Kind.UNKNOWN_HOST, safe(words))) from None
            host.addresses, host.resolved_at = found[:2], now
        return host.addresses

    def _remember(self, host: _Host, outcome: Answer | Silence) -> None:
        if isinstance(outcome, Answer):
            host.failures, host.last = 0, None
            return
        host.failures += 1
        host.last = outcome
        pause_s = min(MOST_BACK_OFF_S, 2.0 ** min(host.failures - 1, 10))
        host.wait_until = self.monotonic() + pause_s

    def _forget(self, targets: Sequence[Target]) -> None:
        """Let go of targets that are not asked any more."""
        for target in self._hosts.keys() - set(targets):
            wire = self._hosts.pop(target).wire
            if wire is not None:
                wire.close()


class _Failed(Exception):
    """There is no connection."""

    def __init__(self, silence: Silence) -> None:
        super().__init__(silence.words)
        self.silence = silence


class _Stale(Exception):
    """A connection that was kept is of no use any more."""


async def _resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of a name, from a thread that nobody has to wait for at the program's end.

    Raises:
        OSError: there are none.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def tell(found: tuple[str, ...], error: OSError | None) -> None:
        if not answer.done():
            answer.set_result(found) if error is None else answer.set_exception(error)

    def work() -> None:
        found: tuple[str, ...] = ()
        trouble: OSError | None = None
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = tuple(dict.fromkeys(str(info[4][0]) for info in infos))
        except OSError as error:
            trouble = error
        except UnicodeError:
            trouble = OSError(errno.EINVAL, "it is no host name")
        with contextlib.suppress(RuntimeError):  # the sweep is over
            loop.call_soon_threadsafe(tell, found, trouble)

    with contextlib.suppress(OSError):
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        return (host,)
    threading.Thread(target=work, name="name look-up", daemon=True).start()
    return await answer


def _request(target: Target, query: str, token: Secret | None) -> bytes:
    mark = "" if not query else "&" if "?" in target.path else "?"
    lines = [
        f"GET {target.path}{mark}{query} HTTP/1.1",
        f"Host: {target.authority}",
        f"User-Agent: foundry/{__version__}",
        "Accept: text/plain;version=0.0.4",
        # Nodes are near: unfolding costs both ends more than the bytes do.
        "Accept-Encoding: identity, gzip;q=0.1",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token.reveal()}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
