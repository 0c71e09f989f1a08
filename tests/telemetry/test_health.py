"""What counts as a fault of a GPU: the codes that matter, and none that a program causes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.reading import FaultKind
from foundry_tui.telemetry.health import GRAVE_XIDS, from_values


@pytest.mark.parametrize("xid", [48, 62, 64, 74, 79, 95, 119, 120])
def test_grave_codes_are_named_with_words(xid: int) -> None:
    (fault,) = from_values(xid=xid)
    assert fault.kind is FaultKind.XID and fault.grave
    assert fault.words.startswith(f"XID {xid}: ")
    assert set(GRAVE_XIDS) == {48, 62, 64, 74, 79, 95, 119, 120}


@pytest.mark.parametrize("xid", [0, 13, 31, 43, 45, None])
def test_a_programs_error_is_no_fault_of_the_gpu(xid: int | None) -> None:
    assert from_values(xid=xid) == ()


def test_an_unknown_code_is_a_mild_remark() -> None:
    (fault,) = from_values(xid=94.0)
    assert (fault.words, fault.grave) == ("XID 94", False)


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x8, "throttled: hardware slowdown"),
        (0x20, "throttled: heat"),
        (0x48, "throttled: heat"),
        (0x88, "throttled: power brake"),
        (0xE8 | 0x4, "throttled: heat and power brake"),
    ],
)
def test_heat_and_brakes_are_told(bits: int, words: str) -> None:
    (fault,) = from_values(throttle=bits)
    assert (fault.kind, fault.words, fault.grave) == (FaultKind.THROTTLED, words, False)


@pytest.mark.parametrize("bits", [0x0, 0x1, 0x2, 0x4, 0x10, 0x100, 0x117])
def test_idle_and_the_power_cap_are_daily_life(bits: int) -> None:
    assert from_values(throttle=bits) == ()


def test_grave_faults_come_first() -> None:
    faults = from_values(
        xid=94, ecc_dbe=2, rows_pending=1, rows_failure=1, throttle=0x40, lost=True
    )
    assert [f.words for f in faults if f.grave] == [
        "lost: the driver does not reach it",
        "2 uncorrectable ECC errors",
        "memory row could not be remapped",
    ]
    assert [f.grave for f in faults] == sorted((f.grave for f in faults), reverse=True)
    assert {f.kind for f in from_values(unresponsive=True)} == {FaultKind.UNRESPONSIVE}


_ANY = st.none() | st.floats() | st.integers(-5, 1 << 64)


@given(xid=_ANY, ecc=_ANY, pending=_ANY, failure=_ANY, throttle=_ANY)
def test_no_value_breaks_it_and_words_fit_a_table(
    xid: float | None,
    ecc: float | None,
    pending: float | None,
    failure: float | None,
    throttle: float | None,
) -> None:
    faults = from_values(
        xid=xid, ecc_dbe=ecc, rows_pending=pending, rows_failure=failure, throttle=throttle
    )
    assert all(0 < len(f.words) <= 40 for f in faults)
    assert len({(f.kind, f.words) for f in faults}) == len(faults)
