"""What must hold for every history: sums that add up, intervals apart, moments that come back."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from tests.store.history.estate import (
    KEEP_LITTLE,
    gpu,
    minute,
    node,
    opened,
    past,
    recomputed,
    record_levels,
    rolled,
    run,
    snapshot,
    stays,
    tables,
)

some = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

LEVEL = st.one_of(st.none(), st.sampled_from([0.0, 0.05, 1.0, 1.1, 50.0, 100.0]), st.floats(0, 100))
LEVELS = st.dictionaries(
    st.integers(1, 200), st.fixed_dictionaries({0: LEVEL, 1: LEVEL}), min_size=1, max_size=60
)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@some
@given(
    LEVELS,
    st.booleans(),
    st.lists(st.integers(0, 201 * 60), min_size=2, max_size=6, unique=True),
)
def test_the_parts_of_a_time_add_up_to_it(
    levels: dict[int, dict[int, float | None]], compacted: bool, cuts: list[int]
) -> None:
    with folder() as here:
        history = opened(here, keep=KEEP_LITTLE)
        record_levels(history, levels)
        if compacted:
            history.compact()
        found, times = past(here), [minute(0, 0).timestamp() + c for c in sorted(cuts)]
        moments = [minute(0, 0).fromtimestamp(t, tz=minute(0).tzinfo) for t in times]
        parts = [found.use("alpha", "n1", 0, a, b) for a, b in itertools.pairwise(moments)]
        whole = found.use("alpha", "n1", 0, moments[0], moments[-1])
        for name in ("used_s", "idle_s", "unknown_s"):
            assert sum(getattr(p, name) for p in parts) == getattr(whole, name)
            assert all(getattr(p, name) >= 0 for p in parts)
        for part, (a, b) in zip(parts, itertools.pairwise(times), strict=True):
            assert part.used_s + part.idle_s + part.unknown_s == b - a
        history.close()


@some
@given(LEVELS)
def test_a_rolled_up_time_holds_what_its_minutes_did(
    levels: dict[int, dict[int, float | None]],
) -> None:
    with folder() as here:
        history = opened(here, keep=KEEP_LITTLE)
        record_levels(history, levels)
        end = minute(201, 0)
        before = past(here).use("alpha", "n1", 0, minute(0, 0), end)
        raw, expected = tables(here, "SELECT * FROM raw"), stays(here)
        history.compact()
        assert past(here).use("alpha", "n1", 0, minute(0, 0), end) == before
        ready = max(levels) * 60 + minute(0, 0).timestamp() - 180
        for table, period in (("quarter", 900), ("hour", 3600)):
            wanted = recomputed(raw, expected, period)
            found = rolled(here, table)
            assert found == {k: v for k, v in wanted.items() if k[0] <= ready // period * period}
            assert all(
                (v[0] or 0) >= (v[1] or 0) >= (v[5] or 0) >= (v[4] or 0) for v in found.values()
            )
        history.close()


TENANTS = st.one_of(
    st.none(),
    st.just(()),
    st.sampled_from(["1", "2", "3"]).map(lambda n: (Tenant(f"alpha/{n}", 1000),)),
    st.sets(st.sampled_from(["1", "2", "3"]), min_size=1).map(
        lambda names: tuple(Tenant(f"alpha/{n}", 250, Share.FRACTION) for n in sorted(names))
    ),
)
LOOK = st.fixed_dictionaries(
    {
        "gap": st.sampled_from([1, 1, 1, 2, 3, 4, 10]),
        "answers": st.sampled_from([True, True, True, False]),
        "tenants": st.tuples(TENANTS, TENANTS),
        "levels": st.tuples(LEVEL, LEVEL),
        "state": st.sampled_from([NodeState.MIXED, NodeState.DRAINED, NodeState.DOWN]),
        "gpus": st.sampled_from([2, 2, 2, 1]),
        "uuid": st.sampled_from(["GPU-A", "GPU-A", "GPU-B", None]),
        "reopened": st.booleans(),
    }
)


@some
@given(st.lists(LOOK, min_size=1, max_size=12))
def test_moments_come_back_and_intervals_stay_apart(looks: list[dict[str, object]]) -> None:
    with folder() as here:
        history = opened(here)
        shown: list[Snapshot] = []
        number = 0
        for look in looks:
            number += int(str(look["gap"]))
            one = _look(number, look)
            history.record(one)
            if one.nodes:
                shown.append(one)
            if look["reopened"]:
                history.close()
                history = opened(here)
        found = past(here)
        for one in shown:
            then = found.at(one.generated_at)
            assert then is not None
            assert [_unmeasured(n) for n in then.nodes] == list(one.nodes)
            assert [_tenants(g) for g in then.gpus] == [_tenants(g) for g in one.gpus]
            for was, gpu_then in zip(one.gpus, then.gpus, strict=True):
                if was.util_pct is None:  # what is shown is an older reading, with its time
                    assert gpu_then.read_at is None or gpu_then.read_at < (was.read_at or minute(0))
                else:
                    assert (gpu_then.util_pct, gpu_then.read_at) == (
                        _kept(was.util_pct),
                        was.read_at,
                    )
            held = {t.run for g in one.gpus for t in g.tenants or ()}
            assert {r.id for r in then.runs} == held
        _apart(here, "allocation", "gpu, run")
        _apart(here, "node_state", "node")
        _apart(here, "device", "source, node, idx")
        history.close()


def _unmeasured(node: Node) -> Node:
    return replace(node, gpu_util_pct=None, gpu_measured_count=None)


def _look(number: int, look: dict[str, object]) -> Snapshot:
    at = minute(number)
    if not look["answers"]:
        return snapshot(at, state=SourceState.DOWN, reason="timeout")
    tenants, levels = look["tenants"], look["levels"]
    assert isinstance(tenants, tuple)
    assert isinstance(levels, tuple)
    uuid = look["uuid"]
    gpus = [
        gpu(i, levels[i], at=at, tenants=tenants[i], uuid=None if uuid is None else str(uuid))
        for i in range(int(str(look["gpus"])))
    ]
    return snapshot(
        at,
        gpus,
        nodes=[node(state=NodeState(str(look["state"])), at=at)],
        runs=[run(n, at=at) for n in ("1", "2", "3")],
    )


def _tenants(one: Gpu) -> tuple[int, set[Tenant] | None]:
    return one.index, None if one.tenants is None else set(one.tenants)


def _kept(level: float | None) -> float | None:
    if level is None:
        return None
    return max(round(level * 10), 1 if level > 0 else 0) / 10


def _apart(here: Path, table: str, key: str) -> None:
    """No two intervals of one thing overlap, and none is empty or upside down."""
    columns = len(key.split(","))
    last: dict[tuple[object, ...], int | None] = {}
    for row in tables(here, f"SELECT {key}, since, until FROM {table} ORDER BY since, id"):
        thing, (since, until) = row[:columns], row[columns:]
        assert until is None or since < until, (table, row)
        if thing in last:
            before = last[thing]
            assert before is not None, (table, row)
            assert before <= since, (table, row)
        last[thing] = until


STEP = st.one_of(
    st.tuples(st.just("look"), st.sampled_from([1, 1, 2, 5, 16]), st.sampled_from([1, 2])),
    st.tuples(st.just("late"), st.integers(1, 40), st.sampled_from(["GPU-A", "GPU-B"])),
    st.tuples(st.just("compact"), st.just(0), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
)


@some
@given(st.lists(STEP, min_size=5, max_size=40))
def test_late_readings_and_crashes_leave_rollups_right(
    steps: list[tuple[str, int, object]],
) -> None:
    with folder() as here:
        history = opened(here)
        number, uuid = 1, "GPU-A"
        history.record(snapshot(minute(1), [gpu(0, 50.0, at=minute(1), uuid=uuid)]))
        for what, amount, other in steps:
            if what == "look":
                number += amount
                at = minute(number)
                uuid = "GPU-B" if other == 2 else "GPU-A"
                gpus = [gpu(i, 10.0 * amount, at=at, uuid=uuid) for i in range(int(str(other)))]
                history.record(snapshot(at, gpus, nodes=[node(at=at)]))
            elif what == "late":
                at = minute(max(-50, number - amount))
                history.record(snapshot(at, [gpu(0, 99.0, at=at, uuid=str(other))]))
            elif what == "compact":
                history.compact()
            else:
                history.close()
                history = opened(here)
        history.compact()
        raw, expected = tables(here, "SELECT * FROM raw"), stays(here)
        ready = minute(number, 0).timestamp() - 180
        for table, period in (("quarter", 900), ("hour", 3600)):
            wanted = recomputed(raw, expected, period)
            assert rolled(here, table) == {k: v for k, v in wanted.items() if k[0] <= ready}
            for seen in wanted.values():
                assert (seen[0] or 0) >= (seen[1] or 0)
        _apart(here, "device", "source, node, idx")
        history.close()
