"""Whose work it is: the scheduler says who holds a GPU, processes tell sharers apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Gpu, Share, Tenant
from foundry_tui.estate.matched import Matched
from foundry_tui.estate.merge import merge
from foundry_tui.estate.reading import Holder, Reading
from foundry_tui.estate.run import Attribution, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.telemetry.attribution.match import match
from tests.telemetry.estates import NOW, gpu, indices, matched, node, reading, run, seen

JOINT, PROCESS, WHOLE = Attribution.JOINT, Attribution.PROCESS, Attribution.WHOLE


def uses(found: Matched) -> dict[str, tuple[float, Attribution]]:
    return {r.partition("/")[2]: (u.util_pct, u.how) for r, u in found.by_run.items()}


def test_an_allocated_gpu_on_which_nothing_runs_is_known_to_be_idle() -> None:
    """Tools that go from processes to jobs cannot see it: there is no process to start from."""
    gpus = [gpu(0, "1"), gpu(1, "2")]
    readings = [reading(0, 0.0, holders=[]), reading(1, 95.0, holders=[seen("2", 90.0)])]
    found = matched(gpus, [run("1"), run("2")], readings)
    assert uses(found) == {"1": (0.0, WHOLE), "2": (95.0, WHOLE)}
    parts = [Snapshot(generated_at=NOW, gpus=tuple(gpus), runs=(run("1"), run("2")))]
    idle, busy = merge(parts, NOW, matched=found).runs
    assert (idle.gpu_util_pct, idle.gpu_util_how, busy.gpu_util_pct) == (0.0, WHOLE, 95.0)


def test_a_run_of_several_gpus_has_their_mean_only_if_all_are_known() -> None:
    gpus = [gpu(0, "1"), gpu(1, "1")]
    assert uses(matched(gpus, [run("1")], [reading(0, 20.0), reading(1, 40.0)]))["1"][0] == 30.0
    assert uses(matched(gpus, [run("1")], [reading(0, 20.0), reading(1, None)])) == {}


def test_sharers_are_told_apart_by_their_processes() -> None:
    shared = [gpu(0, "1", "2", milli=250)]
    runs = [run("1"), run("2")]
    both = reading(0, 80.0, holders=[seen("1", 60.0), seen("2", 20.0)])
    assert uses(matched(shared, runs, [both])) == {"1": (60.0, PROCESS), "2": (20.0, PROCESS)}
    more = reading(0, 50.0, holders=[seen("1", 75.0), seen("2", 25.0)])
    assert uses(matched(shared, runs, [more])) == {"1": (37.5, PROCESS), "2": (12.5, PROCESS)}
    one = reading(0, 80.0, holders=[seen("1", 75.0)])
    assert uses(matched(shared, runs, [one])) == {"1": (75.0, PROCESS), "2": (0.0, PROCESS)}


@pytest.mark.parametrize(
    "holders",
    [None, (seen("1"), seen("2", 20.0)), (seen("1", 10.0),), ()],
    ids=["nobody looks", "one figure is missing", "one does not explain the device", "nobody seen"],
)
def test_else_the_figure_is_split_by_what_each_holds_and_says_so(
    holders: tuple[Holder, ...] | None,
) -> None:
    tenants = (Tenant("s/1", 250, Share.SHARD), Tenant("s/2", 500, Share.SHARD))
    shared = [replace(gpu(0), tenants=tenants)]
    found = uses(matched(shared, [run("1"), run("2")], [reading(0, 60.0, holders=holders)]))
    assert found == {"1": (20.0, JOINT), "2": (40.0, JOINT)}


def test_a_shared_gpu_that_does_nothing_is_idle_for_everybody() -> None:
    found = matched([gpu(0, "1", "2", milli=500)], [run("1"), run("2")], [reading(0, 0.0)])
    assert uses(found) == {"1": (0.0, WHOLE), "2": (0.0, WHOLE)}


def test_who_works_on_the_gpu_of_another_is_told_and_not_booked_on_its_holder() -> None:
    gpus = [gpu(i, str(i)) for i in range(4)]
    runs = [run(str(i)) for i in range(4)]
    readings = [
        reading(i, 90.0, minor=i, holders=[seen(str(i) if i else "3", 90.0)]) for i in range(4)
    ]
    found = matched(gpus, runs, readings)
    assert found.remarks == ("process of run s/3 on GPU 0 of node n1, which is allocated to s/0",)
    assert uses(found)["0"] == (0.0, PROCESS)
    assert uses(found)["1"] == (90.0, WHOLE)


def test_work_on_a_free_gpu_is_told_and_that_of_a_run_just_ended_is_not() -> None:
    gpus = [gpu(0), gpu(1), gpu(2, "1"), gpu(3, "1"), gpu(4, "1")]
    runs = [run("1"), run("2", state=RunState.COMPLETED)]
    readings = [reading(i, holders=[seen(job)]) for i, job in enumerate(("1", "2", "1", "1", "1"))]
    found = matched(gpus, runs, readings)
    assert found.remarks == (
        "process of run s/1 on GPU 0 of node n1, which is allocated to nobody",
    )
    nobodys = matched(gpus, runs, [replace(readings[0], holders=(seen("77"),)), *readings[1:]])
    assert nobodys.remarks[0].startswith("process of 77, which s does not list, on GPU 0")


def test_an_array_task_is_known_by_the_job_behind_it() -> None:
    gpus = [gpu(0, "12_3", "13", milli=500)]
    runs = [run("12_3", seen_as=("15",)), run("13")]
    found = matched(gpus, runs, [reading(0, 50.0, holders=[seen("15", 40.0), seen("13", 10.0)])])
    assert uses(found) == {"12_3": (40.0, PROCESS), "13": (10.0, PROCESS)}
    assert found.remarks == ()


def test_a_reading_from_before_a_run_says_nothing_of_it() -> None:
    fresh = run("1", age_s=-5.0)
    assert uses(matched([gpu(0, "1")], [fresh], [reading(0, 99.0)])) == {}


def test_names_short_and_long_mean_one_node() -> None:
    found = matched([gpu(0, name="n1")], [], [reading(0, name="n1.cluster.example")])
    assert indices(found) == {0: 0}
    long = matched([gpu(0, name="n1.cluster.example")], [], [reading(0, name="N1")])
    assert indices(long, "n1.cluster.example") == {0: 0}
    two = [reading(0, name="n1.a.example"), reading(0, name="n1.b.example")]
    assert matched([gpu(0)], [], two).unmatched == 2


def test_a_node_name_of_two_sources_takes_no_reading_unless_the_uuid_decides() -> None:
    a, b = gpu(0, source="a"), gpu(0, source="b")
    found = matched([a, b], [], [reading(0)])
    assert (found.by_gpu, found.unmatched) == ({}, 1)
    assert set(found.notes.values()) == {"not measured: the sources a, b all have a node n1"}
    known = matched([a, replace(b, uuid="GPU-n1-0")], [], [reading(0)])
    assert set(known.by_gpu) == {("b", "n1", 0)}
    same = [replace(g, uuid="GPU-n1-0") for g in (a, b)]
    assert matched(same, [], [reading(0)]).by_gpu == {}


def test_a_node_without_gpus_makes_the_name_unclear_too() -> None:
    nodes = [node(source="a"), node(source="b", gpus=0)]
    assert match(nodes, [gpu(0, source="a")], [], [reading(0)]).by_gpu == {}


def test_a_node_by_another_name_is_found_by_uuid_but_cannot_take_anothers_place() -> None:
    gpus = [replace(gpu(0), uuid="GPU-X")]
    assert indices(matched(gpus, [], [reading(0, name="10.0.0.7", uuid="GPU-X")])) == {0: 0}
    forged = [reading(0, 5.0, uuid="GPU-X"), reading(0, 99.0, name="other", uuid="GPU-X")]
    forged[1] = replace(forged[1], read_at=NOW + timedelta(seconds=30))
    found = matched(gpus, [], forged)
    assert (found.by_gpu["s", "n1", 0].util_pct, found.unmatched) == (5.0, 1)


def test_readings_of_gpus_that_nobody_lists_are_counted() -> None:
    assert matched([gpu(0)], [], [reading(0), reading(0, name="elsewhere")]).unmatched == 1


def test_two_readings_of_one_gpu_are_never_added() -> None:
    older = replace(reading(0, 10.0), read_at=NOW - timedelta(seconds=60))
    found = matched([gpu(0, "1")], [run("1")], [older, reading(0, 30.0)])
    assert (uses(found), found.unmatched) == ({"1": (30.0, WHOLE)}, 1)


@st.composite
def _shared(draw: st.DrawFn) -> tuple[Gpu, Reading]:
    count = draw(st.integers(1, 4))
    share = draw(st.sampled_from([Share.SHARD, Share.MPS, Share.FRACTION]))
    milli = draw(st.lists(st.integers(1, 1000 // count), min_size=count, max_size=count))
    tenants = tuple(Tenant(f"s/{i}", m, share) for i, m in enumerate(milli))
    there = draw(st.lists(st.sampled_from(["0", "1", "2", "3", "99"]), max_size=6))
    figure = st.none() | st.floats(0, 100)
    holders = [seen(job, draw(figure)) for job in there]
    made = reading(0, draw(figure), holders=draw(st.sampled_from([None, holders])))
    return replace(gpu(0), tenants=tenants), made


@given(_shared())
def test_the_runs_of_a_gpu_never_do_more_than_the_gpu(made: tuple[Gpu, Reading]) -> None:
    shared, read = made
    found = matched([shared], [run(str(i)) for i in range(4)], [read])
    known = {r: u for r, u in found.by_run.items() if u.how is not WHOLE or len(shared.runs) == 1}
    most = 100.0 if read.util_pct is None else read.util_pct
    assert sum(u.util_pct for u in known.values()) <= most + 1e-9
    assert all(u.util_pct == 0.0 for r, u in found.by_run.items() if r not in known)
    assert set(found.by_run) <= set(shared.runs)
