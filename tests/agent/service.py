"""The agent as a process, as a host would run it, with the NVML stub as the driver."""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from prometheus_client.parser import text_string_to_metric_families

T = TypeVar("T")
DEADLINE_S = 30.0
POLITE_S = 0.15
"""Seconds between two requests of one who waits: the agent refuses more than ten a second."""

AGENT = (sys.executable, "-m", "foundry_tui.agent")
GPU = "gpu uuid=GPU-0 pci=00000000:18:00.0 minor=3 util=37 memutil=5 total=85899345920 " + (
    "reserved=536870912 used=1073741824 power=123456 energy=987654321 temp=44 sm_clock=1980 "
    "throttle=4 ecc_sbe=0 name=NVIDIA H100"
)


def until(condition: Callable[[], T], deadline_s: float = DEADLINE_S, pause_s: float = 0.02) -> T:
    """The first true answer of `condition`; fails after the deadline."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not true within {deadline_s:g} s: {condition}"
        time.sleep(pause_s)
    return found


def environ(folder: Path) -> dict[str, str]:
    """The environment of an agent whose driver is the stub in `folder`."""
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, with its samples by name and labels."""

    status: int
    text: str

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of the samples of this name that have these labels."""
        return [
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def value(self, name: str, **labels: str) -> float:
        (value,) = self.values(name, **labels)
        return value

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of every sample of this name."""
        return [
            sample.labels
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == name
        ]


@dataclass(slots=True)
class Service:
    """An agent that listens, and what it said on standard error."""

    process: subprocess.Popen[bytes]
    said_in: Path
    port: int

    def said(self) -> str:
        return self.said_in.read_text()

    def connect(
        self, tls: ssl.SSLContext | None = None, timeout_s: float = DEADLINE_S
    ) -> http.client.HTTPConnection:
        if tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=tls)

    def get(
        self,
        path: str = "/metrics",
        tls: ssl.SSLContext | None = None,
        *,
        authorization: str = "",
    ) -> Page:
        connection = self.connect(tls)
        try:
            connection.request("GET", path, headers={"Authorization": authorization})
            answer = connection.getresponse()
            return Page(answer.status, answer.read().decode())
        finally:
            connection.close()

    def page_with(self, name: str, value: float | None = None, **labels: str) -> Page:
        """The first page that has such a sample."""

        def found() -> Page | None:
            page = self.get()
            there = page.values(name, **labels)
            return page if there and (value is None or value in there) else None

        page = until(found, pause_s=POLITE_S)
        assert page is not None
        return page

    def child(self) -> int | None:
        """The collector's pid."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(listed[0]) if listed else None

    def another_child(self, first: int | None = None) -> int:
        """The collector's pid once there is one that is not `first`."""

        def found() -> int | None:
            child = self.child()
            return None if child == first else child

        pid = until(found)
        assert pid is not None
        return pid


@contextmanager
def serving(folder: Path, *args: str, argv: tuple[str, ...] = AGENT) -> Iterator[Service]:
    """An agent that listens on a free port of loopback; ended afterwards, and its child too."""
    said_in = folder / "agent.err"
    listen = () if "--listen" in args else ("--listen", "127.0.0.1:0")
    interval = () if "--interval" in args else ("--interval", "0.1")
    with said_in.open("wb") as err:
        process = subprocess.Popen(
            [*argv, *listen, *interval, *args], stderr=err, env=environ(folder)
        )
    service = Service(process, said_in, 0)
    children: set[int] = set()
    try:
        until(lambda: "listening on" in service.said() or process.poll() is not None)
        assert process.poll() is None, service.said()
        service.port = int(service.said().partition("/metrics")[0].rpartition(":")[2])
        yield service
        if process.poll() is None and (child := service.child()) is not None:
            children.add(child)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(DEADLINE_S)
        if process.poll() is None:
            process.kill()
            process.wait()
        for pid in children:
            until(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def kill(pid: int) -> None:
    """End a process as a crash would."""
    os.kill(pid, signal.SIGKILL)
