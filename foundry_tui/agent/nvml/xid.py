"""XIDs: the driver's critical error events, collected between rounds.

They are asked for within the round and never waited for: the library queues what happens between
two rounds, so a thread that waits would gain nothing but a second place where the driver can hang.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

from foundry_tui.agent.nvml.driver import Code, Driver, Refused

CRITICAL = 0x8
"""`nvmlEventTypeXidCriticalError`."""
MOST = 100
"""Events taken in one round: a GPU in a storm of errors must not keep the others waiting."""


class Xids:
    """The event set of this process. Only what happens after `watch` is seen."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._set: Any = None
        self._index: dict[int | str, int] = {}

    def watch(self, index: int, uuid: str | None, handle: Any) -> None:
        """Have events of this device delivered.

        Raises:
            Refused: it has none, or this user may not have them.
        """
        if self._set is None:
            self._set = self._driver.ask("nvmlEventSetCreate")
        self._driver.ask("nvmlDeviceRegisterEvents", handle, CRITICAL, self._set)
        self._index[_address(handle)] = index
        if uuid is not None:
            self._index[uuid] = index

    def drain(self) -> list[tuple[int, int]]:
        """Index of the device and XID of each event since the last call, in order."""
        found: list[tuple[int, int]] = []
        while self._index and len(found) < MOST:
            try:
                event = self._driver.ask("nvmlEventSetWait_v2", self._set, 0)
            except Refused as refused:
                if refused.code in (Code.UNINITIALIZED, Code.DRIVER_NOT_LOADED):
                    raise
                break  # no event left; or a lost GPU, which its own calls will tell
            index = self._which(event.device)
            if index is not None and event.eventType & CRITICAL:
                found.append((index, event.eventData))
        return found

    def _which(self, handle: Any) -> int | None:
        """By the handle, which a lost GPU has too; else by the UUID."""
        index = self._index.get(_address(handle))
        if index is None:
            with suppress(Refused):
                index = self._index.get(self._driver.ask("nvmlDeviceGetUUID", handle))
        return index

    def close(self) -> None:
        """Give the set back to the library."""
        if self._set is not None:
            with suppress(Refused):  # the library may have been shut down below us
                self._driver.ask("nvmlEventSetFree", self._set)
        self._set = None
        self._index = {}


def _address(handle: Any) -> int:
    """A handle is a pointer, and two are the same device when they point to the same place."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
