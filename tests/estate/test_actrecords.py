"""Acts as records: there and back, and what is refused with the name of the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.actrecords import KINDS, ActError, act_of, act_record, targets
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    MoveNode,
    Requeue,
    Submit,
)

ACTS: tuple[Act, ...] = (
    Cancel(source="slurm", runs=("slurm/17", "slurm/18_3", "slurm/19_[4-9%2]")),
    Requeue(source="slurm", runs=("slurm/17",), hold=True),
    ChangeRun(source="slurm", runs=("slurm/17",), fields=(("queue", "a100"), ("nodelist", ""))),
    ChangeNode(source="slurm", nodes=("a01",), state="drain", reason="ECC errors (GPU 3)"),
    MoveNode(source="kai", nodes=("gpu00",), pool=None),
    ChangeQueue(source="kai", queue="vision", fields=(("quota", "2.5"),)),
)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: type(act).__name__)
def test_there_and_back_through_json(act: Act) -> None:
    assert act_of(json.loads(json.dumps(act_record(act)))) == act


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"act": "submit"}, "act"),
        ({"act": "shell"}, "act"),
        ({"runs": []}, "runs"),
        ({"runs": ["slurm/*"]}, "runs"),
        ({"runs": ["slurm/ALL"]}, "runs"),
        ({"runs": ["slurm/1,2"]}, "runs"),
        ({"runs": ["other/17"]}, "runs"),
        ({"runs": ["slurm/17", "slurm/17"]}, "runs"),
        ({"runs": ["-u root"]}, "runs"),
        ({"runs": "slurm/17"}, "runs"),
        ({"fields": {"queue": "a100; reboot"}}, "fields.queue"),
        ({"fields": {"queue": "$(reboot)"}}, "fields.queue"),
        ({"fields": {"comment": "a\nPriority=0"}}, "fields.comment"),
        ({"fields": {"Queue": "a100"}}, "fields"),
        ({"fields": {"nodelist": "ALL"}}, "fields.nodelist"),
        ({"fields": {"priority": 5}}, "fields.priority"),
        ({"fields": {}}, "fields"),
        ({"more": 1}, "more"),
        ({"source": None}, "source"),
    ],
)
def test_what_is_no_act_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    record = {**act_record(ACTS[2]), **change}
    with pytest.raises(ActError, match=rf"^{field}\b"):
        act_of(record)


@pytest.mark.parametrize("name", ["ALL", "all", "a[01-99]", "*", ""])
def test_a_node_is_named_alone(name: str) -> None:
    record = {"act": "change_node", "source": "slurm", "nodes": [name], "state": "resume"}
    with pytest.raises(ActError, match=r"^nodes"):
        act_of(record)


def test_a_drain_needs_its_reason() -> None:
    record = {"act": "change_node", "source": "slurm", "nodes": ["a01"], "state": "drain"}
    with pytest.raises(ActError, match=r"^reason"):
        act_of(record)


def test_a_plan_holds_no_submit() -> None:
    with pytest.raises(ActError):
        act_record(Submit(source="slurm", script=b"#!/bin/sh\n", script_name="x"))


def test_targets_of_each_kind() -> None:
    assert targets(ACTS[0])[0] == "slurm/17"
    assert targets(ACTS[3]) == ("slurm/a01",)
    assert targets(ACTS[5]) == ("kai/vision",)


words = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("slurm/17")
json_values = words | st.lists(words, max_size=3) | st.dictionaries(st.text(max_size=8), words)


@given(
    st.dictionaries(
        st.sampled_from(["act", "source", "runs", "nodes", "queue", "fields", "state", "reason"]),
        st.sampled_from([*KINDS, "slurm"]) | json_values,
    )
)
def test_anything_is_an_act_or_an_error_of_ours(record: dict[str, Any]) -> None:
    try:
        act = act_of(record)
    except ActError:
        return
    assert act_of(act_record(act)) == act
