"""What an index means: told by the processes wherever they tell it, and never by a guess."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Gpu, GpuSlice, Share, Tenant
from foundry_tui.estate.reading import InstanceReading, Reading
from foundry_tui.telemetry.attribution.indexing import MINOR, NVML, vote
from foundry_tui.telemetry.attribution.match import match
from tests.telemetry.estates import gpu, indices, matched, node, reading, run, seen

MINORS = (2, 3, 0, 1, 6, 7, 4, 5)


def test_a_run_seen_on_a_device_tells_that_the_index_is_the_minor_number() -> None:
    gpus = [gpu(0, "1"), gpu(1, "2"), *(gpu(i) for i in range(2, 8))]
    readings = [
        reading(i, float(i), minor=m, holders=[seen("1")] if m == 0 else [])
        for i, m in enumerate(MINORS)
    ]
    found = matched(gpus, [run("1"), run("2")], readings)
    assert indices(found) == {m: i for i, m in enumerate(MINORS)}
    assert found.index == {("s", "n1"): MINOR}
    assert found.notes["s", "n1", 0] == "joined by minor number"
    assert found.remarks == ()


def test_without_processes_the_order_is_nvmls_what_was_found_before_or_what_others_say() -> None:
    gpus = [gpu(i) for i in range(2)]
    readings = [reading(i, minor=1 - i) for i in range(2)]
    assert indices(matched(gpus, [], readings)) == {0: 0, 1: 1}
    before = match([node()], gpus, [], readings, before={("s", "n1"): MINOR})
    assert indices(before) == {0: 1, 1: 0}
    told = [gpu(i, "1" if i == 0 else "2", name="n2") for i in range(2)]
    seen_there = [reading(i, minor=1 - i, name="n2", holders=[seen(str(2 - i))]) for i in range(2)]
    both = matched([*gpus, *told], [run("1"), run("2")], [*readings, *seen_there])
    assert indices(both) == {0: 1, 1: 0}
    assert indices(both, "n2") == {0: 1, 1: 0}


def test_a_configured_rule_is_not_voted_on_but_a_contradiction_is_told() -> None:
    gpus = [gpu(0, "1"), gpu(1, "2")]
    readings = [reading(i, minor=1 - i, holders=[seen(str(i + 1))]) for i in range(2)]
    found = match([node()], gpus, [run("1"), run("2")], readings, gpu_index={"agents": MINOR})
    assert indices(found) == {0: 1, 1: 0}
    assert "minor number" in found.remarks[0]
    assert found.by_run == {}, "whose the figures are is in doubt"


def test_processes_that_fit_neither_order_are_told_and_nvmls_order_stays() -> None:
    gpus = [gpu(i, str(i)) for i in range(3)]
    runs = [run(str(i)) for i in range(3)]
    readings = [reading(i, minor=i, holders=[seen(str((i + 1) % 3))]) for i in range(3)]
    found = matched(gpus, runs, readings)
    assert indices(found) == {0: 0, 1: 1, 2: 2}
    assert set(found.notes.values()) == {"joined by NVML's order, which the processes contradict"}
    assert len(found.remarks) == 1 and "node n1" in found.remarks[0]
    assert found.by_run == {}


def test_a_gap_shows_which_gpu_is_lost() -> None:
    gpus = [gpu(i) for i in range(4)]
    found = matched(gpus, [], [reading(i) for i in (0, 1, 3)])
    assert {k: r.index for k, r in found.by_gpu.items() if not r.faults} == {
        ("s", "n1", i): i for i in (0, 1, 3)
    }
    lost = found.by_gpu["s", "n1", 2]
    assert lost.faults[0].grave and lost.util_pct is None
    assert found.remarks == ("GPU 2 of node n1 is lost: the node lists only the others",)


def test_without_a_gap_nobody_knows_which_one_is_gone() -> None:
    gpus = [gpu(i, "1" if i == 1 else "2") for i in range(4)]
    three = [reading(i) for i in range(3)]
    found = matched(gpus, [run("1"), run("2")], three)
    assert (found.by_gpu, found.unmatched) == ({}, 3)
    assert "lists 3 GPUs and the scheduler 4" in found.notes["s", "n1", 0]
    assert "set gpu_index" in found.remarks[0]
    shown = [replace(r, holders=(seen("1"),) if r.index == 1 else ()) for r in three]
    assert set(indices(matched(gpus, [run("1"), run("2")], shown))) == {0, 1, 2, 3}


def test_devices_of_a_job_that_sees_only_its_own_are_found_by_their_minors() -> None:
    gpus = [gpu(i, "1" if i in (4, 5) else "2") for i in range(8)]
    inside = [reading(i, minor=4 + i, holders=[seen("1")]) for i in range(2)]
    found = matched(gpus, [run("1"), run("2")], inside)
    assert {k: v for k, v in indices(found).items() if k in (4, 5)} == {4: 0, 5: 1}


def whole(index: int, *jobs: str) -> Gpu:
    return replace(gpu(index, *jobs), guessed=True)


def test_gpus_that_are_only_counted_are_joined_by_who_is_seen_on_them() -> None:
    gpus = [whole(0, "a"), whole(1, "b"), gpu(2), gpu(3)]
    runs = [run("a", seen_as=("pod-1",)), run("b")]
    readings = [reading(i, float(i), holders=[]) for i in range(4)]
    blind = matched(gpus, runs, readings)
    assert (blind.by_gpu, blind.by_run) == ({}, {})
    assert blind.by_node == {("s", "n1"): 1.5}
    readings[3] = replace(readings[3], holders=(seen("pod-1"),))
    readings[1] = replace(readings[1], holders=(seen("b"),))
    found = matched(gpus, runs, readings)
    assert indices(found) == {0: 3, 1: 1, 2: 0, 3: 2}
    assert {r: u.util_pct for r, u in found.by_run.items()} == {"s/a": 3.0, "s/b": 1.0}


def test_a_run_that_fills_its_node_needs_no_order() -> None:
    gpus = [whole(i, "a") for i in range(4)]
    found = matched(gpus, [run("a")], [reading(i, 10.0 * i) for i in range(4)])
    assert len(found.by_gpu) == 4 and found.by_run["s/a"].util_pct == 15.0


def test_a_uuid_on_both_sides_decides_before_any_index() -> None:
    gpus = [replace(gpu(0, "a"), uuid="GPU-X"), gpu(1), gpu(2)]
    readings = [reading(0), reading(1), reading(2, 90.0, uuid="gpu-x")]
    found = matched([replace(g, guessed=g.index == 0) for g in gpus], [run("a")], readings)
    assert indices(found)[0] == 2 and found.by_run["s/a"].util_pct == 90.0


def cut(index: int, *profiles: str) -> Reading:
    instances = tuple(
        InstanceReading(gi=g, profile=p, util_pct=10.0 * (g + 1), uuid=f"MIG-{index}-{g}")
        for g, p in enumerate(profiles)
    )
    return replace(reading(index, None), mig=True, instances=instances)


def test_slurm_counts_mig_instances_device_by_device() -> None:
    profiles = ("3g.40gb", "3g.40gb", "7g.80gb")
    gpus = [replace(gpu(i, str(i)), model=f"h100_{p}") for i, p in enumerate(profiles)]
    readings = [cut(0, "3g.40gb", "3g.40gb"), cut(1, "7g.80gb")]
    runs = [run(str(i)) for i in range(3)]
    found = matched(gpus, runs, readings)
    assert [found.by_gpu["s", "n1", i].uuid for i in range(3)] == ["MIG-0-0", "MIG-0-1", "MIG-1-0"]
    assert {r: u.util_pct for r, u in found.by_run.items()} == {
        "s/0": 10.0,
        "s/1": 20.0,
        "s/2": 10.0,
    }
    elsewhere = replace(readings[1], holders=(seen("1", gi=0),))
    doubted = matched(gpus, runs, [readings[0], elsewhere])
    assert doubted.by_gpu == {} and len(doubted.remarks) == 1
    other = matched(gpus[:2], runs, readings)
    assert other.by_gpu == {} and "not those of the scheduler" in other.notes["s", "n1", 0]


def test_a_device_cut_by_mig_does_the_mean_of_its_instances_by_size() -> None:
    found = matched([gpu(0)], [], [cut(0, "1g.10gb", "2g.20gb", "4g.40gb")])
    made = found.by_gpu["s", "n1", 0]
    assert made.util_pct == (10 * 1 + 20 * 2 + 30 * 4) / 7
    assert made.how == "agents; mean of 3 MIG instances by compute slices"
    partly = cut(0, "1g.10gb", "2g.20gb")
    dark = replace(partly.instances[0], util_pct=None)
    unknown = matched([gpu(0)], [], [replace(partly, instances=(dark, partly.instances[1]))])
    assert unknown.by_gpu["s", "n1", 0].util_pct is None


def test_a_run_on_instances_has_their_mean_and_not_the_devices() -> None:
    slices = tuple(
        GpuSlice(uuid=None, profile=p, milli=143, run="s/1" if g == 1 else None, gi=g)
        for g, p in enumerate(("1g.10gb", "1g.10gb"))
    )
    held = replace(gpu(0), slices=slices, tenants=(Tenant("s/1", 143, Share.MIG),))
    found = matched([held], [run("1")], [cut(0, "1g.10gb", "1g.10gb")])
    assert found.by_run["s/1"].util_pct == 20.0


@st.composite
def _nodes(draw: st.DrawFn) -> tuple[list[Gpu], list[Reading], str, int]:
    """A node whose index means one of the two rules, with some processes seen; GPUs beside."""
    count = draw(st.integers(2, 8))
    minors = draw(st.permutations(range(count)))
    rule = draw(st.sampled_from([NVML, MINOR]))
    owner = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    gpus = [gpu(i, str(job)) if (job := owner[i]) else gpu(i) for i in range(count)]
    readings = []
    for index, minor in enumerate(minors):
        job = owner[index if rule == NVML else minor]
        there = job and draw(st.booleans())
        readings.append(reading(index, minor=minor, holders=[seen(str(job))] if there else []))
    return gpus, readings, rule, count


@given(_nodes())
def test_the_vote_finds_the_rule_wherever_the_processes_tell_it(
    made: tuple[list[Gpu], list[Reading], str, int],
) -> None:
    gpus, readings, rule, count = made
    found = matched(gpus, [run(str(j)) for j in range(1, 4)], readings)
    joined = indices(found)
    assert len(set(joined.values())) == len(joined) == count, "each reading once"
    held = {j: frozenset(g.index for g in gpus if f"s/{j}" in g.runs) for j in "123"}
    sightings = [(r, held[h.job]) for r in readings for h in r.holders or ()]
    other = NVML if rule == MINOR else MINOR
    truth = {r.index if rule == NVML else r.minor: r.index for r in readings}
    if rule == NVML or vote(sightings, other).against:
        assert joined == truth
    assert vote(sightings, rule).against == 0
    assert found.remarks == ()
