"""MIG instances: what may stand together, where, and how many GPUs many of them need."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, combinations_with_replacement, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.fractions.mig import (
    MODELS,
    Instance,
    Model,
    best_start,
    check,
    options,
    place,
    share_of,
    smallest,
    starts,
)
from scheduler_sim.fractions.migpack import pack, sets

A100 = MODELS["A100-40GB"]
A30 = MODELS["A30-24GB"]
CLASSIC = ("1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb")
ALL = tuple(p.name for p in A100.profiles)


def legal(model: Model, instances: tuple[Instance, ...]) -> bool:
    """The rule of the guide, said again: every slice has one owner, compute slices are there."""
    owners: Counter[int] = Counter()
    compute = 0
    for instance in instances:
        profile = next(p for p in model.profiles if p.name == instance.profile)
        owners.update(range(instance.start, instance.start + profile.memory))
        compute += profile.compute
    return max(owners.values(), default=0) <= 1 and compute <= model.compute


def every(model: Model, names: tuple[str, ...]) -> set[tuple[Instance, ...]]:
    """Every legal set of instances of these profiles, by trying each slice range in or out."""
    single = sorted(
        Instance(start, p.name) for p in model.profiles if p.name in names for start in p.starts
    )
    found: set[tuple[Instance, ...]] = {()}
    frontier: set[tuple[Instance, ...]] = {()}
    while frontier:
        grown = {
            (*placed, new)
            for placed in frontier
            for new in single
            if (not placed or new > placed[-1]) and legal(model, (*placed, new))
        }
        found |= grown
        frontier = grown
    return found


def test_the_a100_has_the_nineteen_published_configurations() -> None:
    possible = every(A100, CLASSIC)
    maximal = [p for p in possible if not any(starts(A100, p, name) for name in CLASSIC)]
    assert len(maximal) == 19


@pytest.mark.parametrize(
    ("model", "profile", "most"),
    [
        *(("A100-40GB", name, n) for name, n in zip(ALL, (7, 4, 3, 2, 1, 1), strict=True)),
        ("A30-24GB", "1g.6gb", 4),
        ("A30-24GB", "2g.12gb", 2),
        ("A30-24GB", "4g.24gb", 1),
        ("H200-141GB", "1g.18gb", 7),
        ("H200-141GB", "1g.35gb", 4),
        ("B200-180GB", "3g.90gb", 2),
    ],
)
def test_as_many_instances_of_one_profile_as_the_guide_says(
    model: str, profile: str, most: int
) -> None:
    assert place(MODELS[model], [profile] * most) is not None
    assert place(MODELS[model], [profile] * (most + 1)) is None


def test_starts_are_exactly_those_that_stay_legal() -> None:
    for placed in every(A100, ALL):
        for profile in A100.profiles:
            expected = tuple(
                start
                for start in profile.starts
                if legal(A100, (*placed, Instance(start, profile.name)))
            )
            assert starts(A100, placed, profile.name) == expected
        assert options(A100, placed) == sum(
            len(starts(A100, placed, p.name)) for p in A100.profiles
        )


@pytest.mark.parametrize("model", [A100, A30], ids=lambda m: m.name)
def test_a_multiset_is_placed_exactly_when_some_legal_set_has_it(model: Model) -> None:
    names = tuple(p.name for p in model.profiles)
    possible: dict[tuple[str, ...], int] = {}
    for placed in every(model, names):
        key = tuple(sorted(i.profile for i in placed))
        possible[key] = max(possible.get(key, 0), options(model, placed))
    for size in range(model.compute + 1):
        for wanted in combinations_with_replacement(sorted(names), size):
            found = place(model, wanted)
            assert (found is not None) is (wanted in possible), wanted
            if found is not None:
                check(model, found)
                assert tuple(sorted(i.profile for i in found)) == wanted
                assert options(model, found) == possible[wanted]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(every(A100, ALL))), st.lists(st.sampled_from(ALL), max_size=4))
def test_beside_what_is_there_every_arrangement_is_known(
    placed: tuple[Instance, ...], wanted: list[str]
) -> None:
    found = place(A100, wanted, placed)
    possible = any(
        legal(A100, (*placed, *map(Instance, where, wanted)))
        for where in product(*(A100.profile(name).starts for name in wanted))
    )
    assert (found is not None) is possible
    if found is not None:
        check(A100, (*placed, *found))


def test_the_best_start_leaves_room_for_large_instances() -> None:
    # at 0 it would cost both the 4g and a 3g; at 6 only one 3g
    assert best_start(A100, (), "1g.5gb") == 6
    assert best_start(A100, (), "3g.20gb") == 4
    assert best_start(A100, (Instance(0, "7g.40gb"),), "1g.5gb") is None


def test_what_cannot_be_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^start: 3g.20gb of A100-40GB starts at 0, 4, not 2"):
        check(A100, [Instance(2, "3g.20gb")])
    with pytest.raises(ValueError, match=r"^start: .* overlaps"):
        check(A100, [Instance(0, "4g.20gb"), Instance(2, "2g.10gb")])
    with pytest.raises(ValueError, match=r"^profile: A100-40GB has .*, not 5g.30gb"):
        place(A100, ["5g.30gb"])
    with pytest.raises(ValueError, match=r"^profile: 2 instances with media"):
        check(A100, [Instance(0, "1g.5gb+me"), Instance(1, "1g.5gb+me")])


def test_one_instance_has_the_media_engines() -> None:
    assert place(A100, ["1g.5gb+me", "1g.5gb"]) is not None
    assert place(A100, ["1g.5gb+me", "1g.5gb+me"]) is None
    assert place(A100, ["2g.10gb+me"], [Instance(6, "1g.5gb+me")]) is None
    assert starts(A100, [Instance(6, "1g.5gb+me")], "1g.5gb+me") == ()


def test_the_smallest_profile_has_the_memory_and_the_share() -> None:
    def name(need_gb: float, share: float) -> str | None:
        profile = smallest(A100, round(need_gb * 1e9), share)
        return None if profile is None else profile.name

    assert name(4, 0.1) == "1g.5gb"
    assert name(6, 0.1) == "1g.10gb"
    assert name(6, 0.2) == "2g.10gb"
    assert name(6, 3 / 7) == "3g.20gb"
    assert name(18, 0.5) == "4g.20gb"
    assert name(18, 0.6) == "7g.40gb"
    assert name(39.9, 0.1) is None
    with pytest.raises(ValueError, match=r"^need_bytes: "):
        smallest(A100, -1, 0.5)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda m: m.name)
def test_the_tables_agree_with_themselves(model: Model) -> None:
    for profile in model.profiles:
        assert all(0 <= s <= model.memory - profile.memory for s in profile.starts)
        assert 0 < share_of(model, profile) <= 1
        compute, memory = profile.name.removesuffix("gb").split("g.")
        assert (int(compute), int(memory)) == (profile.compute, profile.memory_gb)


def fewest(wanted: Counter[str]) -> int:
    """By trying every way to split the wanted instances over GPUs."""
    if not wanted.total():
        return 0
    names = sorted(wanted.elements())
    first, rest = names[0], names[1:]
    best = len(names)
    for size in range(len(rest) + 1):
        for others in {tuple(sorted(c)) for c in combinations(rest, size)}:
            if place(A100, [first, *others]) is not None:
                best = min(best, 1 + fewest(wanted - Counter([first, *others])))
    return best


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(ALL), max_size=6))
def test_as_few_gpus_as_possible_are_opened(names: list[str]) -> None:
    wanted = Counter(names)
    packed = pack(A100, wanted)
    for layout in packed.opened:
        check(A100, layout)
    assert Counter(i.profile for layout in packed.opened for i in layout) == wanted
    assert len(packed.opened) == fewest(wanted)


def test_gpus_that_are_there_are_used_first() -> None:
    started = [(Instance(0, "4g.20gb"),), (), (Instance(0, "4g.20gb"),)]
    packed = pack(A100, {"3g.20gb": 3, "7g.40gb": 1}, started)
    assert len(packed.opened) == 1
    for there, new in zip(started, packed.started, strict=True):
        check(A100, (*there, *new))
    placed = Counter(i.profile for new in (*packed.started, *packed.opened) for i in new)
    assert placed == Counter({"3g.20gb": 3, "7g.40gb": 1})


def test_many_instances_are_no_harder() -> None:
    packed = pack(A100, {"3g.20gb": 100, "4g.20gb": 100, "1g.5gb": 70})
    assert len(packed.opened) == 110
    assert pack(A100, {}).opened == ()
    with pytest.raises(ValueError, match=r"^wanted: "):
        pack(A100, {"9g.99gb": 1})
    with pytest.raises(ValueError, match=r"^wanted: "):
        pack(A100, {"1g.5gb": -1})


def test_sets_cannot_be_extended() -> None:
    for counts in sets(A100):
        names = [p.name for p, n in zip(A100.profiles, counts, strict=True) for _ in range(n)]
        assert place(A100, names) is not None
        assert all(place(A100, [*names, more]) is None for more in ALL)
