"""Which candidate is advised, from the starts that a what-if gave."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from foundry_tui.explain.choose import choose
from foundry_tui.explain.verdict import ADMIN, Candidate, Deed, Diagnosis, Kind
from tests.explain.made import NOW, later

QUEUE = Candidate(sentence="move it to queue a100", changes=(("queue", "a100"),), owner="alice")
FEWER = Candidate(sentence="ask for 1 GPU", changes=(("gpus_per_node", "1"),), owner="alice")
WAIT = Candidate(sentence="wait for run 7 to end", act=Deed.WAIT)
ASK = Candidate(sentence="an administrator acts", act=Deed.ASK, owner=ADMIN, what_if=False)


def given(*candidates: Candidate) -> Diagnosis:
    return Diagnosis(
        kind=Kind.RESOURCES,
        reason="Resources",
        sentence="too little is free",
        candidates=candidates,
        at=NOW,
    )


def test_the_first_that_starts_now_wins() -> None:
    found = choose(given(QUEUE, FEWER, WAIT), [later(0.5), NOW, later(30)], how="sbatch")
    assert found.chosen is QUEUE
    assert found.starts_at == later(0.5)
    assert found.how == "sbatch"
    assert found.sentence == "Move it to queue a100: it would start now"


def test_else_the_one_that_starts_earliest() -> None:
    found = choose(given(QUEUE, FEWER, WAIT), [later(20), later(10), later(30)])
    assert found.chosen is FEWER
    assert found.sentence == "Ask for 1 GPU: it would start at 12:10 UTC"


@pytest.mark.parametrize("gain_s", [0, 30, 60])
def test_a_change_must_gain_more_than_a_minute_over_waiting(gain_s: int) -> None:
    waits = later(30)
    found = choose(given(QUEUE, WAIT), [waits - timedelta(seconds=gain_s), waits])
    assert found.chosen is WAIT


def test_nothing_is_changed_when_it_is_about_to_start() -> None:
    assert choose(given(QUEUE, WAIT), [NOW, later(0.5)]).chosen is WAIT


def test_what_the_what_if_refuses_is_not_advised() -> None:
    found = choose(given(QUEUE, FEWER), [None, None], refused=[0])
    assert found.chosen is FEWER
    assert found.starts_at is None
    assert found.how == ""


def test_the_only_way_is_named_with_its_refusal() -> None:
    found = choose(given(replace(WAIT, act=Deed.RELEASE)), [None], refused=[0])
    assert found.chosen is not None
    assert found.sentence.endswith("not enough: the scheduler could not start it even then")


def test_others_are_asked_only_when_waiting_has_no_known_end() -> None:
    blind = replace(WAIT, what_if=False)
    assert choose(given(blind, ASK), [None, None]).chosen is ASK
    seen = replace(blind, not_before=later(45))
    found = choose(given(seen, ASK), [None, None])
    assert found.chosen is seen
    assert found.starts_at == later(45)
    assert found.how == "time limits and plans in the job list"


def test_raising_the_priority_is_no_advice_while_waiting_ends() -> None:
    raised = Candidate(sentence="raise it", changes=(("priority", "9"),), owner=ADMIN)
    assert choose(given(WAIT, raised), [later(30), NOW]).chosen is WAIT


def test_a_what_if_that_does_not_know_the_obstacle_is_not_believed() -> None:
    blind = replace(WAIT, what_if=False, not_before=later(45))
    assert choose(given(blind), [NOW]).starts_at == later(45)


@pytest.mark.parametrize(
    ("estimate", "start"), [(later(25), later(10)), (later(15), NOW), (later(5), NOW)]
)
def test_the_place_of_a_copy_behind_the_run_itself_is_taken_off(
    estimate: datetime, start: datetime
) -> None:
    behind = replace(QUEUE, behind_s=15 * 60)
    assert choose(given(behind), [estimate]).starts_at == start


def test_without_candidates_there_is_no_advice() -> None:
    found = choose(given(), [])
    assert (found.chosen, found.sentence) == (None, "")


def test_every_candidate_needs_its_estimate() -> None:
    with pytest.raises(ValueError, match="estimates: one per candidate"):
        choose(given(QUEUE, WAIT), [NOW])
