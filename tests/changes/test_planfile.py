"""A plan file is read as it was written, and refused with the name of the field that is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from foundry_tui.changes.planfile import MOST_BYTES, PlanError, digest, read, write
from foundry_tui.estate.acts import Release, Requeue
from foundry_tui.estate.plan import NotProposed, Prediction, Target, WaitChange
from foundry_tui.estate.run import Placement
from foundry_tui.presenters import records
from tests.changes.world import NOW, plan_of, to_queue

WHOLE = replace(
    plan_of(
        to_queue(
            1, "lab/1", placement=(Placement("n1", (0,)), Placement("n2", None)), gpu_milli=2000,
            gain=1.5, cost=0.0, owner="alice", why="it fits", displaces=("lab/2",), worth=2.0,
            starts_at=NOW, awaits="lab/2", starts_within_s=600.0, rule="move", queue="long",
            command=("scontrol", "update", "JobId=1", "Partition=long"), inverse="queue=short",
        ),
        replace(
            to_queue(2, "lab/18_[4-9%2]"),
            steps=(
                Requeue(source="lab", runs=("lab/18_[4-9%2]",), hold=True),
                Release(source="lab", runs=("lab/18_[4-9%2]",)),
            ),
            irreversible=True,
        ),
        estate_id="0123456789ab",
    ),
    seen={"lab": "1 nodes 0123"},
    before={"gpus_free": 3.0, "unknown": None},
    after={"gpus_free": 1.0},
    assumptions=("nobody submits",),
    not_proposed=(NotProposed(Target("node", "lab/n9"), "it is down"),),
    prediction=Prediction(
        horizon_s=3600.0, runs=2, wait_mean_without_s=9.0, wait_mean_with_s=None,
        wait_p90_without_s=None, wait_p90_with_s=1.0, not_started_without=1, not_started_with=0,
        allocated_without=1.0, allocated_with=2.0,
        changes=(WaitChange("user", "alice", 1, 9.0, 1.0),),
    ),
)  # fmt: skip


def file_of(**change: Any) -> bytes:
    """A hand-written plan of one move, with one thing different."""
    move = {
        "id": "m1",
        "target": {"kind": "run", "id": "lab/1"},
        "steps": [
            {"act": "change_run", "source": "lab", "runs": ["lab/1"], "fields": {"queue": "x"}}
        ],
    } | change  # fmt: skip
    return json.dumps({"plan": {"generated_at": "2026-11-22T03:00:00Z", "moves": [move]}}).encode()


def test_what_advise_writes_is_read_back_as_it_was() -> None:
    record = {**records.plan_record(WHOLE), "tradeoffs": [{"moves": 1}]}
    data = records.envelope("plan", record, sources=(), now=NOW)
    assert read(data) == WHOLE
    assert read(write(WHOLE)) == WHOLE


def test_a_hand_written_plan_needs_little_and_is_known_by_what_it_asks() -> None:
    plan = read(file_of())
    assert (len(plan.moves), plan.estate_id, plan.seen) == (1, "", None)
    assert plan.id == read(file_of()).id != read(file_of(id="m2")).id


STEP = {"act": "hold", "source": "lab", "runs": ["lab/1"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "a/../../b"}, r"moves\[0\].id"),
        ({"target": {"kind": "run", "id": "1"}}, "SOURCE/NAME"),
        ({"target": {"kind": "host", "id": "lab/1"}}, "host"),
        ({"step": []}, "step"),
        ({"precondition": {"mood": "good"}}, "mood"),
        ({"starts_at": "2026-11-22T03:00:00"}, "starts_at"),
        ({"risk": "none"}, "none"),
        ({"gpu_milli": -1}, "gpu_milli"),
        ({"steps": [{**STEP, "runs": ["lab/1; reboot"]}]}, r"steps\[0\].runs"),
        ({"steps": [{**STEP, "runs": ["lab/$(reboot)"]}]}, r"steps\[0\].runs"),
        ({"steps": [{**STEP, "runs": ["lab/ALL"]}]}, "no ALL"),
        ({"steps": [{**STEP, "runs": ["lab/2"]}]}, "the move is about lab/1"),
        ({"steps": [{**STEP, "source": "moon", "runs": ["moon/1"]}]}, "the move is about lab/1"),
        ({"steps": [{"act": "change_node", "source": "lab", "nodes": ["1"], "state": "resume"}]},
         "does not change a run"),
        ({"steps": [{"act": "submit", "source": "lab"}]}, "act"),
        ({"steps": [{**STEP, "act": "change_run", "fields": {"queue": "`id`"}}]}, "fields.queue"),
        ({"steps": [7]}, r"steps\[0\]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        read(file_of(**change))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b'{"plan": {"tradeoffs": ' + b"[" * 200_000, "nested"),
        (b'{"plan": []}', "plan"),
        (b'{"moves": []}', "plan"),
        (b'{"plan": {"moves": []}}', "generated_at"),
        (b'{"plan": {"generated_at": "2026-11-22T03:00:00", "moves": []}}', "generated_at"),
        (b'{"plan": {"generated_at": "2026-11-22T03:00:00Z", "mvoes": [], "moves": []}}', "mvoes"),
        (b" " * (MOST_BYTES + 1), "at most 20 MB"),
        (b'{"plan": {"generated_at": "2026-11-22T03:00:00Z", "moves": [], "moves": []}}', "twice"),
    ],
)
def test_bytes_that_are_no_plan_are_refused(data: bytes, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        read(data)


def test_text_from_a_file_cannot_drive_the_terminal() -> None:
    plan = read(file_of(why="\x1b]52;c;ZXZpbA==\x07", owner="a\nb"))
    assert plan.moves[0].why == "␛]52;c;ZXZpbA==␇"
    assert plan.moves[0].owner == "a␊b"


def test_what_would_wait_for_itself_is_refused() -> None:
    first, second = to_queue(1, "lab/1"), to_queue(2, "lab/2")
    assert read(write(plan_of(first, replace(second, awaits="lab/1")))).moves[1].awaits == "lab/1"
    for moves in ((replace(first, awaits="lab/1"),), (replace(first, awaits="lab/2"), second)):
        with pytest.raises(PlanError, match=r"moves\[0\]\.awaits: .* wait for itself"):
            read(write(plan_of(*moves)))


def test_too_many_moves_and_an_id_that_stands_twice_are_refused() -> None:
    with pytest.raises(PlanError, match="the id m1"):
        read(write(plan_of(to_queue(1, "lab/1"), to_queue(1, "lab/2"))))
    many = [{"id": f"m{n}", "target": {"kind": "run", "id": "lab/1"}} for n in range(10_001)]
    data = {"plan": {"generated_at": "2026-11-22T03:00:00Z", "moves": many}}
    with pytest.raises(PlanError, match="10,001"):
        read(json.dumps(data).encode())


def test_the_digest_is_of_what_is_done_and_not_of_words() -> None:
    same = replace(WHOLE, assumptions=(), solve_s=9.0)
    assert digest(same) == digest(WHOLE)
    words = replace(WHOLE, moves=(replace(WHOLE.moves[0], why="else"), WHOLE.moves[1]))
    assert digest(words) == digest(WHOLE)
    for other in (
        replace(WHOLE, moves=WHOLE.moves[:1]),
        replace(WHOLE, estate_id="x"),
        replace(WHOLE, generated_at=WHOLE.generated_at + timedelta(seconds=1)),
        replace(WHOLE, moves=(replace(WHOLE.moves[0], awaits=None), WHOLE.moves[1])),
        replace(WHOLE, moves=(replace(WHOLE.moves[0], precondition={}), WHOLE.moves[1])),
    ):
        assert digest(other) != digest(WHOLE)
