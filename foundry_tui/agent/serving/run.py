"""The serving process: the collector, the page on a port or in a file, and the signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from foundry_tui.agent.log import narrate
from foundry_tui.agent.serving import textfile
from foundry_tui.agent.serving.access import Access, Unusable
from foundry_tui.agent.serving.http import Answer, Request, Server, refusal
from foundry_tui.agent.serving.page import CONTENT_TYPE, render
from foundry_tui.agent.serving.supervise import Supervisor, mend
from foundry_tui.agent.serving.watch import FIRST_S

QUERY_MAX = 256
"""Fields of a query at most."""

ONCE_ROUNDS = 2
ONCE_INTERVAL_S = 0.5
"""Hardware counters are told between two samples, a tenth of a second apart at least."""


@dataclass
class Agent:
    """The agent of one host. `jobs` says whether runs and users are told."""

    supervisor: Supervisor
    host: str
    jobs: bool

    def page(self, names: frozenset[str] | None = None) -> bytes:
        """The page of this moment; with `names` these metrics alone."""
        known = self.supervisor.known()
        return render(known, host=self.host, jobs=self.jobs, now=time.time(), names=names)


def answer(agent: Agent, access: Access, request: Request) -> Answer:
    """What a request gets: the page, or whether this process lives.

    A driver that hangs does not make `/-/healthy` fail: whoever restarts the agent at that would
    restart it for ever.
    """
    if request.path == "/-/healthy":
        return Answer(HTTPStatus.OK, f"{agent.supervisor.known().problem or 'ok'}\n".encode())
    if request.path != "/metrics":
        return Answer(HTTPStatus.NOT_FOUND, b"404 Not Found; the page is /metrics\n")
    if not access.allows(request.headers.get("authorization", "")):
        return refusal(HTTPStatus.UNAUTHORIZED, WWW_Authenticate="Bearer")
    try:
        names = asked(request.query)
    except ValueError:
        return refusal(HTTPStatus.BAD_REQUEST)
    return Answer(HTTPStatus.OK, agent.page(names), CONTENT_TYPE)


def asked(query: str) -> frozenset[str] | None:
    """The metrics that a query asks for, by prometheus_client's `name[]=…`; None for all.

    Raises:
        ValueError: it has more than `QUERY_MAX` fields.
    """
    names = parse_qs(query, max_num_fields=QUERY_MAX).get("name[]")
    return None if names is None else frozenset(names)


async def serve(agent: Agent, access: Access, listening: socket.socket) -> None:
    """Serve until SIGTERM; SIGHUP reads the token and the certificates anew."""
    stop = _signals(access)
    server = Server(lambda request: answer(agent, access, request), lambda: access.tls)
    scheme = "http" if access.tls is None else "https"
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    narrate(f"listening on {scheme}://{shown}:{port}/metrics")
    await _until(stop, agent.supervisor.run(), server.run(listening))


async def write_file(agent: Agent, folder: str, interval_s: float) -> None:
    """Keep `folder`/foundry.prom up to date until SIGTERM, and take it away then."""
    stop = _signals(None)

    async def loop() -> None:
        told = None
        while True:
            words = None
            try:
                textfile.write(folder, agent.page())
            except OSError as error:
                textfile.remove(folder)  # old values would be told as if they were of now
                words = f"--textfile {folder}: {error.strerror}; trying again"
            if words is not None and words != told:
                narrate(words)
            told = words
            await asyncio.sleep(interval_s)

    try:
        await _until(stop, agent.supervisor.run(), loop())
    finally:
        textfile.remove(folder)


async def once(host: str, *, jobs: bool, first_s: float = FIRST_S) -> tuple[bytes, str | None]:
    """The page after one reading, and why no GPU could be read, or None."""
    supervisor = Supervisor(ONCE_INTERVAL_S, first_s=first_s)
    await supervisor.few(ONCE_ROUNDS)
    known = supervisor.known()
    gpus = [] if known.latest is None else known.latest.gpus
    why = None
    if known.problem is not None:
        why = known.reason
    elif not gpus:
        why = "the driver lists no GPU; in a container or a job ask for one, else look at dmesg"
    elif all(gpu.failure is not None for gpu in gpus):
        why = f"no GPU can be read: {gpus[0].failure}; {mend(gpus[0].errors.get('device'))}"
    return render(known, host=host, jobs=jobs, now=time.time()), why


def _signals(access: Access | None) -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_say)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def reload() -> None:
        if access is not None:
            try:
                access.load()
                narrate("token and certificates were read anew")
            except Unusable as error:
                narrate(f"{error}; the ones before stay in force")

    loop.add_signal_handler(signal.SIGHUP, reload)
    return stop


def _say(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    narrate(f"{context.get('message')}: {context.get('exception')!r}")


async def _until(stop: asyncio.Event, *work: Any) -> None:
    """Run until `stop` is set, or until one of them fails."""
    tasks = [asyncio.ensure_future(one) for one in work]
    waiting = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, *tasks):
        task.cancel()
    await asyncio.gather(waiting, *tasks, return_exceptions=True)
    for task in done - {waiting}:
        with contextlib.suppress(asyncio.CancelledError):
            task.result()
