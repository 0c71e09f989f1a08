"""Which pod holds which GPU: what is said must be true, and what cannot be known is not said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.gpu import Share, Tenant
from foundry_tui.schedulers.runai.pairing import Seat, pair

WHOLE, HALF = 1000, 500


def seat(pod: str, devices: int = 1, milli: int | None = WHOLE, told: tuple[int, ...] | None = None,
         run: str = "") -> Seat:  # fmt: skip
    return Seat(pod, run or f"run-{pod}", devices, milli, told)


def test_an_empty_node_has_no_tenants() -> None:
    assert pair(2, (), {}).tenants == ((), ())


def test_a_pod_that_takes_the_whole_node_is_known_without_metrics() -> None:
    paired = pair(4, [seat("a", 4)], {})
    assert paired.gpus == {"run-a": (0, 1, 2, 3)}
    assert paired.tenants == ((Tenant("run-a", WHOLE, Share.WHOLE),),) * 4


def test_one_of_several_places_is_not_guessed() -> None:
    paired = pair(2, [seat("a")], {})
    assert (paired.tenants, paired.gpus, paired.unsure) == ((None, None), {"run-a": None}, ("a",))


def test_what_is_allocated_tells_the_place() -> None:
    paired = pair(3, [seat("a"), seat("b", milli=HALF)], {0: 500, 1: 0, 2: 1000})
    assert paired.gpus == {"run-a": (2,), "run-b": (0,)}
    assert paired.tenants[1] == ()


def test_two_that_could_change_places_stay_unknown_and_the_rest_is_known() -> None:
    paired = pair(3, [seat("a"), seat("b"), seat("c", milli=HALF)], {0: 1000, 1: 1000, 2: 500})
    assert paired.tenants[:2] == (None, None)
    assert paired.tenants[2] == (Tenant("run-c", HALF, Share.FRACTION),)
    assert paired.unsure == ("a", "b")


def test_what_the_pods_tell_settles_it() -> None:
    paired = pair(3, [seat("a", told=(1,)), seat("b")], {0: 1000, 1: 1000, 2: 0})
    assert paired.gpus == {"run-a": (1,), "run-b": (0,)}
    assert paired.unsure == ()


def test_pods_of_one_run_may_change_places() -> None:
    paired = pair(2, [seat("a", run="gang"), seat("b", run="gang")], {})
    assert paired.gpus == {"gang": (0, 1)}
    assert None not in paired.tenants


def test_gpus_of_somebody_unseen_have_unknown_tenants() -> None:
    paired = pair(2, [seat("a", told=(0,))], {0: 1000, 1: 1000})
    assert paired.tenants == ((Tenant("run-a", WHOLE, Share.WHOLE),), None)
    assert pair(1, (), {0: 1000}).tenants == (None,)


def test_metrics_that_come_late_do_not_hide_what_the_pod_tells() -> None:
    paired = pair(2, [seat("a", told=(1,))], {0: 0, 1: 0})
    assert paired.gpus == {"run-a": (1,)}
    assert paired.tenants == ((), (Tenant("run-a", WHOLE, Share.WHOLE),))


def test_what_cannot_be_is_unknown() -> None:
    too_many = pair(1, [seat("a"), seat("b")], {})
    assert too_many.tenants == (None,)
    unknown = pair(1, [seat("a", milli=None)], {})
    assert (unknown.tenants, unknown.gpus) == ((None,), {"run-a": None})
    assert pair(2, [seat("a", 3)], {}).tenants == (None, None)
    assert pair(2, [seat("a", told=(7,))], {}).tenants == (None, None)


def test_many_pods_that_fit_in_many_ways_end_soon() -> None:
    paired = pair(16, [seat(str(n), milli=HALF) for n in range(30)], {})
    assert set(paired.tenants) == {None}


@st.composite
def nodes(draw: st.DrawFn) -> tuple[int, list[tuple[Seat, tuple[int, ...]]]]:
    """A node with pods on GPUs, as they really sit."""
    count = draw(st.integers(1, 5))
    free, sitting = [WHOLE] * count, []
    for number in range(draw(st.integers(0, 6))):
        milli = draw(st.sampled_from([250, 300, 500, 1000]))
        fits = [i for i in range(count) if free[i] >= milli]
        devices = draw(st.integers(1, 3))
        if len(fits) < devices:
            continue
        indices = tuple(sorted(draw(st.permutations(fits))[:devices]))
        for index in indices:
            free[index] -= milli
        told = indices if draw(st.booleans()) else None
        run = f"run-{draw(st.integers(0, 4))}"
        sitting.append((Seat(f"pod-{number}", run, devices, milli, told), indices))
    return count, sitting


@given(nodes(), st.booleans())
def test_whatever_is_said_is_true(
    node: tuple[int, list[tuple[Seat, tuple[int, ...]]]], measured: bool
) -> None:
    count, sitting = node
    truth: list[dict[str, int]] = [{} for _ in range(count)]
    for pod, indices in sitting:
        for index in indices:
            truth[index][pod.run] = truth[index].get(pod.run, 0) + (pod.milli or 0)
    allocated = {i: sum(held.values()) for i, held in enumerate(truth)} if measured else {}
    paired = pair(count, [pod for pod, _ in sitting], allocated)
    for index, tenants in enumerate(paired.tenants):
        if tenants is not None:
            assert {t.run: t.milli for t in tenants} == truth[index]
    for run, gpus in paired.gpus.items():
        if gpus is not None:
            assert gpus == tuple(i for i in range(count) if run in truth[i])
