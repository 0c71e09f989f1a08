"""Which of the driver's error counts, codes and bits are faults of a GPU, in words for a table.

XID codes are those of NVIDIA's XID catalogue, throttle bits those of `nvmlClocksEventReasons`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.text import safe

GRAVE_XIDS = {
    48: "uncorrectable memory error",
    62: "internal micro-controller halted",
    64: "memory repair was not recorded",
    74: "NVLink error",
    79: "fell off the bus",
    95: "uncontained memory error",
    119: "GSP firmware timed out",
    120: "GSP firmware error",
}
"""The codes after which a GPU needs an admin."""

APPLICATION_XIDS = frozenset({13, 31, 43, 45})
"""Codes that a faulty program causes on a sound GPU: no fault of the device."""

_THERMAL, _HARDWARE, _POWER_BRAKE = 0x20 | 0x40, 0x8, 0x80
_MANY = 9999
"""Counts stop here, and no code is higher: a number beyond it is a fault of its source."""


def gravest(xids: Iterable[float]) -> float | None:
    """The code that counts of several, the last one last: a grave one, else the last.

    After a grave one the driver often reports what it did about it.
    """
    known = tuple(xids)
    return next((x for x in reversed(known) if x in GRAVE_XIDS), known[-1] if known else None)


def from_values(
    *,
    xid: float | None = None,
    ecc_dbe: float | None = None,
    rows_pending: float | None = None,
    rows_failure: float | None = None,
    throttle: float | None = None,
    lost: bool = False,
    unresponsive: bool = False,
) -> tuple[Fault, ...]:
    """The faults of one GPU, grave ones first; none when nothing is wrong or nothing is known.

    Args:
        xid: the last code, or the `gravest`; 0 or None without one.
        ecc_dbe: uncorrectable (double bit) ECC errors since the driver was loaded.
        rows_pending: above 0 when a remapped memory row waits for a reset of the GPU.
        rows_failure: above 0 when a memory row could not be remapped.
        throttle: the bits of the clocks event reasons. Idle, application clocks and the software
            power cap are daily life; heat, the hardware slowdown and the power brake are not.
        lost: the driver calls the GPU lost, or it is gone from its node.
        unresponsive: the driver did not answer for this GPU in time.
    """
    if not (xid or ecc_dbe or rows_pending or rows_failure or throttle or lost or unresponsive):
        return ()
    code, errors, pending, failed = _int(xid), _int(ecc_dbe), _int(rows_pending), _int(rows_failure)
    code = code if code <= _MANY else 0
    bits = _int(throttle) & (_THERMAL | _HARDWARE | _POWER_BRAKE)
    if not (code or errors or pending or failed or bits or lost or unresponsive):
        return ()
    errors = min(errors, _MANY)
    return _faults(code, errors, pending > 0, failed > 0, bits, lost, unresponsive)


def _int(value: float | None) -> int:
    return int(value) if value is not None and math.isfinite(value) else 0


@lru_cache(maxsize=256)
def _faults(
    xid: int, errors: int, pending: bool, failed: bool, bits: int, lost: bool, unresponsive: bool
) -> tuple[Fault, ...]:
    found = []
    if lost:
        found.append(_fault(FaultKind.LOST, "lost: the driver does not reach it", grave=True))
    if unresponsive:
        found.append(_fault(FaultKind.UNRESPONSIVE, "the driver does not answer", grave=True))
    if xid in GRAVE_XIDS:
        found.append(_fault(FaultKind.XID, f"XID {xid}: {GRAVE_XIDS[xid]}", grave=True))
    if errors > 0:
        words = f"{errors} uncorrectable ECC error{'s' if errors > 1 else ''}"
        found.append(_fault(FaultKind.ECC, words, grave=True))
    if failed:
        found.append(_fault(FaultKind.ROW_REMAP, "memory row could not be remapped", grave=True))
    if xid > 0 and xid not in GRAVE_XIDS and xid not in APPLICATION_XIDS:
        found.append(_fault(FaultKind.XID, f"XID {xid}", grave=False))
    if pending:
        found.append(_fault(FaultKind.ROW_REMAP, "remapped row waits for a reset", grave=False))
    if bits:
        found.append(_fault(FaultKind.THROTTLED, f"throttled: {_cause(bits)}", grave=False))
    return tuple(found)


def _cause(bits: int) -> str:
    """The hardware slowdown bit stands beside its cause where the driver knows one."""
    causes = [w for w, mask in (("heat", _THERMAL), ("power brake", _POWER_BRAKE)) if bits & mask]
    return " and ".join(causes) or "hardware slowdown"


def _fault(kind: FaultKind, words: str, *, grave: bool) -> Fault:
    return Fault(kind=kind, words=safe(words), grave=grave)


GONE = (_fault(FaultKind.LOST, "lost: its node does not list it any more", grave=True),)
"""The fault of a GPU that its node lists no more, while it lists its siblings."""
