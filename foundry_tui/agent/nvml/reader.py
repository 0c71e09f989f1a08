"""The reader: every GPU of this host through NVML, round after round, in one long-lived process.

What goes wrong is told in the round and never raised: a GPU that is lost keeps the others, and a
driver that went away is looked for again. A call into a sick driver may never return, so whoever
runs a `Reader` gives it a process of its own and a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from foundry_tui.agent.nvml import listing
from foundry_tui.agent.nvml.driver import Code, Driver, Refused
from foundry_tui.agent.nvml.gpu import Gpu
from foundry_tui.agent.nvml.processes import Looked, on_gpu
from foundry_tui.agent.nvml.xid import Xids
from foundry_tui.agent.shapes import Device, GpuRound, Round

RETRY_S = 60.0
"""Seconds between two tries to start the library: each may start a program of the driver's."""
RELIST_S = 600.0
"""Seconds after which the library is started anew where a GPU was lost: it may have come back."""


class Reader:
    """The GPUs of this host. `nvml` is the module `pynvml`; `proc` is where processes are seen.

    Not for several threads at once. After code 18 (`LIB_RM_VERSION_MISMATCH`) in `failure_code` the
    loaded library and the driver are of different versions: only a new process can mend that.
    """

    def __init__(
        self,
        nvml: Any,
        *,
        proc: str = "/proc",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nvml = nvml
        self._proc = proc
        self._monotonic = monotonic
        self._driver = Driver(nvml)
        self._xids = Xids(self._driver)
        self._version: str | None = None
        self._started = False
        self._slots: list[listing.Slot] = []
        self._gpus: dict[int, Gpu] = {}
        self._known: dict[str, Device] = {}
        self._no_xids: dict[int, int] = {}
        self._seen_xids: dict[str | None, dict[int, float]] = {}
        self._failed: tuple[float, Refused] | None = None
        self._relist_at: float | None = None

    @property
    def counting(self) -> bool:
        """Whether a GPU has hardware counters: a round 0.1 s later or more has their ratios."""
        return any(gpu.counting for gpu in self._gpus.values())

    def read(self, now: float, *, processes: bool) -> Round:
        """One round at unix time `now`. Never raises.

        Rounds with `processes` also read what moves slowly (ECC counts, remapped rows), so ask for
        them about once a minute; in the others `Round.processes` is None.
        """
        before = time.perf_counter()
        found = Round(now)
        try:
            self._start()
            found.driver = self._version
            self._read_gpus(found, processes)
        except Refused as refused:
            found = Round(now, failure=refused.words, failure_code=refused.code)
            self.close()
        except Exception as error:  # a surprise of the bindings costs this round, not the process
            said = f"{type(error).__name__}: {error}"
            found = Round(now, failure=said, failure_code=Code.UNKNOWN)
            self.close()
        found.took_s = time.perf_counter() - before
        return found

    def close(self) -> None:
        """Give everything back to the library. The next `read` starts it anew."""
        for gpu in self._gpus.values():
            gpu.close()
        self._xids.close()
        if self._started:
            with suppress(Refused):  # it may have gone before us
                self._driver.ask("nvmlShutdown")
        self._started = False
        self._slots, self._gpus, self._relist_at = [], {}, None

    def _start(self) -> None:
        """The library started and the GPUs listed, unless that is so already.

        Raises:
            Refused: it does not start, or did not in the last `RETRY_S`.
        """
        now_s = self._monotonic()
        if self._relist_at is not None and now_s >= self._relist_at:
            self.close()
        if self._started:
            return
        if self._failed is not None and now_s < self._failed[0] + RETRY_S:
            raise self._failed[1]
        self._driver = Driver(self._nvml)
        self._xids = Xids(self._driver)
        try:
            self._driver.ask("nvmlInit")
        except Refused as refused:
            self._failed = now_s, refused
            raise
        self._started, self._failed = True, None
        try:
            self._version = self._driver.ask("nvmlSystemGetDriverVersion")
        except Refused:
            self._version = None
        self._list()

    def _list(self) -> None:
        self._slots = listing.settle(listing.list_devices(self._driver), self._known)
        self._known = {slot.device.uuid: slot.device for slot in self._slots if slot.device.uuid}
        self._no_xids = {}
        for slot in self._slots:
            if slot.refused is not None:
                self._relist_soon()
                continue
            self._gpus[slot.device.index] = Gpu(self._driver, slot.handle, slot.device)
            try:
                self._xids.watch(slot.device.index, slot.device.uuid, slot.handle)
            except Refused as refused:
                self._no_xids[slot.device.index] = refused.code

    def _read_gpus(self, found: Round, processes: bool) -> None:
        """Raises `Refused` where the library or the driver as a whole went away."""
        self._drain_xids(found.at)
        looked = Looked(self._proc)
        if processes:
            found.processes = []
        for slot in self._slots:
            refused = slot.refused
            one = GpuRound(slot.device)
            gpu = self._gpus.get(slot.device.index)
            if gpu is not None:
                try:
                    one = gpu.read(self._monotonic(), health=processes)
                    if found.processes is not None:
                        found.processes += on_gpu(gpu, one, looked)
                except Refused as lost:
                    if lost.code != Code.GPU_IS_LOST:
                        raise
                    refused = lost
                    self._relist_soon()
            if refused is not None:
                one.failure = refused.words
                one.errors["device"] = refused.code
            self._tell_xids(one)
            found.gpus.append(one)

    def _drain_xids(self, at: float) -> None:
        for index, xid in self._xids.drain():
            seen = self._seen_xids.setdefault(self._gpus[index].device.uuid, {})
            seen.pop(xid, None)  # the last one stands last
            seen[xid] = at

    def _tell_xids(self, one: GpuRound) -> None:
        seen = self._seen_xids.get(one.device.uuid, {})
        for xid, at in seen.items():
            one.xids[str(xid)] = at
            one.values["xid"] = float(xid)
        if one.device.index in self._no_xids:
            one.errors["xid"] = self._no_xids[one.device.index]

    def _relist_soon(self) -> None:
        if self._relist_at is None:
            self._relist_at = self._monotonic() + RELIST_S
