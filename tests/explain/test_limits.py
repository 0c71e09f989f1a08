"""Limits of QOS, accounts and projects: which one binds, who fills it, what still fits under it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.estate.rights import Limit
from foundry_tui.explain.verdict import Deed, Kind
from tests.explain.made import asks, diagnosed, later, rights, running, steps, waiting


def test_a_limit_names_who_fills_it() -> None:
    limit = Limit(scope="user_of_qos", name="low", what="gpus", value=2)
    mine = {"user": "alice", "qos": "low"}
    found = diagnosed(
        waiting(qos="low", reason="QOSMaxGRESPerUser"),
        running("7", {"h1": 1}, ends_in=20, **mine),
        running("8", {"h2": 1}, ends_in=10, **mine),
        running("9", {"a1": 4}, qos="low"),
        rights=rights(limit),
    )
    assert found.kind is Kind.QOS_LIMIT
    assert found.sentence == (
        "QOS low allows 2 GPUs per user, and alice holds 2 GPUs with runs 7 and 8; "
        "this run asks for 1 GPU"
    )
    assert steps(found) == [(("qos", "normal"),), (("qos", "high"),), "wait", "ask"]
    assert found.candidates[2].not_before == later(10)


@pytest.mark.parametrize("reason", ["Priority", "Resources", None])
def test_a_limit_that_is_reached_is_found_without_the_word(reason: str | None) -> None:
    limit = Limit(scope="account", name="ml", what="runs", value=1)
    found = diagnosed(waiting(reason=reason), running("7", {"h1": 1}), rights=rights(limit))
    assert found.kind is Kind.ASSOCIATION_LIMIT
    assert "account ml is allowed 1 run at once" in found.sentence


def test_the_limit_that_the_word_means_goes_first() -> None:
    found = diagnosed(
        waiting(qos="low", reason="QOSGrpGRES"),
        running("7", {"h1": 1}, qos="low"),
        rights=rights(
            Limit(scope="account", name="ml", what="gpus", value=1),
            Limit(scope="qos", name="low", what="gpus", value=1),
        ),
    )
    assert found.kind is Kind.QOS_LIMIT
    assert "account ml is allowed 1 GPU (also in the way)" in found.evidence[-1]


def test_a_run_above_a_limit_never_waits_itself_free() -> None:
    limit = Limit(scope="qos", name="normal", what="gpus_per_run", value=2)
    found = diagnosed(waiting(request=asks(4)), rights=rights(limit))
    assert found.sentence.startswith("it can never start: QOS normal allows 2 GPUs per run")
    assert "wait" not in steps(found)
    assert (("gpus_per_node", "2"),) in steps(found)


def test_a_smaller_run_is_offered_only_if_every_limit_leaves_room() -> None:
    found = diagnosed(
        waiting(request=asks(4)),
        running("7", {"h1": 2}),
        rights=rights(
            Limit(scope="qos", name="normal", what="gpus_per_run", value=2),
            Limit(scope="account", name="ml", what="gpus", value=2),
        ),
    )
    assert not any("gpus_per_node" in str(step) for step in steps(found))


def test_limits_of_another_user_are_not_held_against_the_owner() -> None:
    limit = Limit(scope="user", name="ml", what="runs", value=0)
    found = diagnosed(waiting(), rights=rights(limit, user="carol"))
    assert found.kind is not Kind.ASSOCIATION_LIMIT


def test_a_limit_word_without_numbers_still_names_the_kind() -> None:
    found = diagnosed(waiting(reason="AssocGrpGRES"))
    assert found.kind is Kind.ASSOCIATION_LIMIT
    assert found.evidence == ("limits: unknown",)
    assert steps(found) == ["wait", "ask"]


def test_the_limit_of_a_project_above_binds_too() -> None:
    project = {"kind": "project", "parent": "gpu"}
    above = {"kind": "department", "limit_gpu_milli": 8000, "allocated_gpu_milli": 7500}
    found = diagnosed(
        replace(waiting(reason="OverLimit", request=asks(2)), scheduler="runai"),
        running("7", {"h1": 7}),
        queues={"h100": project, "gpu": above},
    )
    assert found.kind is Kind.QUEUE_LIMIT
    assert found.sentence == (
        "department gpu has a limit of 8 GPUs and holds 7.5 GPU; this run asks for 2 GPUs"
    )
    assert steps(found) == ["resubmit", "wait", "ask"]
    assert found.candidates[0].sentence == "ask for 0.25 GPU each instead of 1 GPU"


def test_a_run_that_cannot_be_changed_in_place_is_submitted_anew() -> None:
    project = {"kind": "project", "limit_gpu_milli": 8000, "allocated_gpu_milli": 6000}
    run = replace(waiting(reason="OverLimit", request=asks(4), account=None), scheduler="runai")
    found = diagnosed(run, queues={"h100": project}, rights=rights(accounts=("h100",)))
    assert found.candidates[0].act is Deed.RESUBMIT
    assert found.candidates[0].changes == ()
    assert "ask for 2 GPUs instead of 4" in [c.sentence for c in found.candidates]
    assert all(c.not_before == found.at for c in found.candidates[:2])


def test_a_project_may_use_every_node() -> None:
    run = replace(waiting(reason="Unschedulable", request=asks(8)), scheduler="runai")
    found = diagnosed(run, running("7", {"h1": 1, "h2": 2}), queues={"h100": {"kind": "project"}})
    assert found.kind is Kind.RESOURCES
    assert found.sentence == "no node has 8 GPUs free for it: the most on one is 7"
