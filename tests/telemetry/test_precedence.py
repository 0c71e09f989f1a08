"""One reading per GPU: the preferred source, as long as it tells something and is not behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.reading import Fault, FaultKind, Holder, Reading
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.attribution.precedence import chosen
from foundry_tui.telemetry.names import canonical

NOW = datetime(2026, 3, 14, 9, 30, 5, tzinfo=UTC)
KINDS = {"prom": "prometheus", "ours": "agents", "old": "dcgm", "nvml": "nvml"}


def reading(source: str, util_pct: float | None, age_s: float = 5.0, node: str = "n1") -> Reading:
    return Reading(
        node=node,
        index=0,
        source=source,
        read_at=NOW - timedelta(seconds=age_s),
        how=source,
        util_pct=util_pct,
    )


def one(*readings: Reading) -> Reading:
    (found,) = chosen(readings, kinds=KINDS, now=NOW)
    return found


def test_the_kind_counts_within_a_window_and_the_age_beyond() -> None:
    ours, prom = reading("ours", 10.0), reading("prom", 20.0)
    assert one(reading("nvml", 1.0), ours, prom) == prom
    assert one(reading("nvml", 1.0), ours) == ours
    assert one(ours, replace(prom, read_at=NOW - timedelta(seconds=65))).util_pct == 20.0
    assert one(ours, replace(prom, read_at=NOW - timedelta(seconds=125))) == ours
    newer = reading("old", 3.0, 1.0)
    assert one(ours, newer) == newer


def test_what_failed_gives_way_to_what_tells_something() -> None:
    failed = replace(reading("prom", None), reason="no series")
    assert one(failed, reading("nvml", 30.0)).util_pct == 30.0
    assert one(failed).reason == "no series"


def test_stale_readings_and_those_of_the_future_are_not_used() -> None:
    assert chosen([reading("ours", 1.0, 181.0)], kinds=KINDS, now=NOW) == ()
    assert chosen([reading("ours", 1.0, -600.0)], kinds=KINDS, now=NOW) == ()
    assert one(reading("ours", 1.0, 179.0)).util_pct == 1.0
    slow = replace(reading("prom", 1.0, 800.0), window_s=300.0)
    assert one(slow).util_pct == 1.0


def test_keys_holders_and_faults_are_filled_in_and_said() -> None:
    fault = Fault(kind=FaultKind.XID, words=safe("XID 79"), grave=True)
    ours = replace(
        reading("ours", 10.0),
        minor=3,
        uuid="GPU-1",
        power_w=300.0,
        holders=(Holder(job="7", how="cgroup"),),
        faults=(fault,),
    )
    best = one(reading("prom", 20.0), ours)
    assert (best.util_pct, best.power_w) == (20.0, None), "values are never mixed"
    assert (best.minor, best.uuid, best.faults) == (3, "GPU-1", (fault,))
    assert best.holders == ours.holders
    assert best.how == "prom; processes by ours"


def test_one_gpu_under_two_names_of_its_node_and_two_indices() -> None:
    long = replace(reading("prom", 20.0, node="N1.cluster.example"), uuid="GPU-A", index=4)
    short = replace(reading("ours", 10.0), uuid="gpu-a")
    assert one(long, short).util_pct == 20.0


def test_a_uuid_of_another_node_takes_nothing_away() -> None:
    mine = replace(reading("ours", 10.0), uuid="GPU-A")
    theirs = replace(reading("ours", 99.0, node="n2"), uuid="GPU-A")
    assert set(chosen([mine, theirs], kinds=KINDS, now=NOW)) == {mine, theirs}


def test_names_of_hosts() -> None:
    assert canonical(["gpu1", "GPU1.a.example", "x"])["gpu1"] == "gpu1.a.example"
    two = canonical(["gpu1", "gpu1.a.example", "gpu1.b.example"])
    assert len(set(two.values())) == 3, "a short name of two hosts is neither"
    assert canonical(["10", "10.0.0.1"]) == {"10": "10", "10.0.0.1": "10.0.0.1"}


_READINGS = st.lists(
    st.builds(
        lambda node, index, source, util, age: Reading(
            node=node,
            index=index,
            source=source,
            read_at=NOW - timedelta(seconds=age),
            how=source,
            util_pct=util,
        ),
        st.sampled_from(["n1", "n1.c.example", "n2"]),
        st.integers(0, 2),
        st.sampled_from(sorted(KINDS)),
        st.none() | st.floats(0, 100),
        st.integers(0, 400),
    ),
    max_size=20,
)


@given(_READINGS)
def test_each_gpu_once_and_never_a_value_that_no_source_told(readings: list[Reading]) -> None:
    found = chosen(readings, kinds=KINDS, now=NOW)
    keys = [(r.node.partition(".")[0], r.index) for r in found]
    assert len(set(keys)) == len(keys)
    assert {(r.source, r.util_pct, r.read_at) for r in found} <= {
        (r.source, r.util_pct, r.read_at) for r in readings
    }
