"""GPU agents of the lab's nodes: the real program, one per node, with the NVML stub as driver."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from foundry_tui.telemetry.nvml.source import LIBRARY
from tests.lab.daemons import Daemon
from tests.lab.nvml.stub import StubHost

_BOUND = re.compile(r"listening on http://([^/\s]+)/metrics")
_GIB = 1 << 30


def gpu_line(node: str, index: int, util: int, used_gib: int = 0, minor: int | None = None) -> str:
    """What the stub says of one H100; the same GPU has the same uuid in every test."""
    minor = index if minor is None else minor
    return (
        f"gpu uuid=GPU-{node}-{index} minor={minor} pci=00000000:{index + 1:02x}:00.0 util={util} "
        f"total={80 * _GIB} reserved={_GIB} used={used_gib * _GIB} power={(70 + 5 * util) * 1000} "
        f"temp={35 + util // 3} name=NVIDIA H100 80GB HBM3"
    )


def _is_bound(log: Path) -> bool:
    return bool(_address(log))


def _address(log: Path) -> str:
    """Where an agent listens, by its log; empty until it does."""
    bound = _BOUND.search(log.read_text())
    return bound[1] if bound else ""


class NodeAgents:
    """One agent per node on loopback, found through `targets`, a file_sd list; a context manager.

    `utils` gives the utilisation of every GPU of a node, in per cent; `say` changes it.
    """

    def __init__(self, folder: Path, library: Path, utils: Mapping[str, Sequence[int]]) -> None:
        self.targets = folder / "targets.json"
        self._hosts: dict[str, StubHost] = {}
        self._daemons: dict[str, Daemon] = {}
        for node, use in utils.items():
            place = folder / node
            place.mkdir()
            shutil.copy(library, place / LIBRARY)
            self._hosts[node] = StubHost(place)
            self.say(node, use)
            foundry = str(Path(sys.executable).with_name("foundry"))
            options = ("--listen", "127.0.0.1:0", "--jobs", "--interval", "1")
            self._daemons[node] = Daemon(
                f"agent of {node}",
                (foundry, "agent", "--hostname", node, *options),
                {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(place)},
                place / "agent.log",
            )

    def say(
        self, node: str, use: Sequence[int], *more: str, minors: Sequence[int] | None = None
    ) -> None:
        """What the GPUs of a node do from now on; `more` are further directives of the stub.

        `minors` are their minor numbers, where they are not in the order of the bus.
        """
        numbers = minors or range(len(use))
        lines = [gpu_line(node, n, u, minor=numbers[n]) for n, u in enumerate(use)]
        self._hosts[node].says("driver 580.95.05", *lines, *more)

    def __enter__(self) -> NodeAgents:
        for daemon in self._daemons.values():
            daemon.start()
        found = []
        for node, daemon in self._daemons.items():
            daemon.until_ready(partial(_is_bound, daemon.log))
            found.append({"targets": [_address(daemon.log)], "labels": {"node": node}})
        self.targets.write_text(json.dumps(found))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for daemon in self._daemons.values():
            daemon.stop()

    def kill(self, node: str) -> None:
        """End the agent of a node as a crash would."""
        self._daemons[node].kill()
