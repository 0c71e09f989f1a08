"""What `--set` does to a spec, and what it refuses by its own words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.document import read
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.reading import from_document
from foundry_tui.jobs.resolve import overridden, substituted
from foundry_tui.jobs.spec import Checkpoint, JobSpec, Retry

FILE = b"""
command: python train.py --lr ${lr} --note "${note}" ${HOME}
params: {lr: 0.10, note: plain}
gpus: 1
queue: short
checkpoint: {path: a}
"""


def with_set(*given: str) -> JobSpec:
    document = overridden(read("a.yaml", FILE), given)
    return from_document(document, default_name="a")


def test_values_are_read_as_in_the_file() -> None:
    spec = with_set(
        "gpus=2",
        "params.lr=1e-4",
        "params.with.dots=true",
        "checkpoint.grace=60s",
        "retry={on: [timeout], most: 2}",
        "environment.A=",
        "name='12'",
        "gpus=4",
    )
    assert spec.params == (("lr", "1e-4"), ("note", "plain"), ("with.dots", "true"))
    assert (spec.gpus, spec.name, spec.environment) == (4, "12", (("A", ""),))
    assert spec.checkpoint == Checkpoint(path="a", grace_s=60)
    assert spec.retry == Retry(on=("timeout",), most=2)


def test_null_takes_a_field_away() -> None:
    spec = with_set("command=null", "file=run.sh", "checkpoint=~")
    assert (spec.script, spec.file, spec.checkpoint) == (None, "run.sh", None)


def test_the_file_itself_is_left_as_it_was() -> None:
    document = read("a.yaml", FILE)
    overridden(document, ["params.lr=5", "gpus=2"])
    assert from_document(document, default_name="a").params[0] == ("lr", "0.10")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("gpus", "--set gpus: expected key=value such as gpus=2"),
        ("=2", "--set =2: expected key=value"),
        ("checkpoint.=2", "--set checkpoint.=2: expected key=value"),
        ("gpus=two", "--set gpus=two: gpus: expected a whole number of 0..1024, not 'two'"),
        ("gpuss=2", "--set gpuss=2: gpuss: unknown; did you mean `gpus`?"),
        ("checkpoint.grce=2m", "checkpoint.grce: unknown; did you mean `grace`?"),
        ("queue.slurm=a", "--set queue.slurm=a: queue: is no table; set it as a whole"),
        ("retry={on: [oom]}", "--set retry={on: [oom]}: retry.on.1: expected one of"),
        ("modules=[a", "--set modules=[a: line 1: no YAML"),
        ("name=#1", "--set name=#1: no value: put it into quotes"),
        ("name=---", "--set name=---: no value"),
        ("gpus=&x 2", "anchors and aliases"),
        ("gpus=1\nnodes: 2", "no YAML"),
        ("a.b.c.d=1", "has too many dots"),
        ("retry.on.x.y=1", "has too many dots"),
        ("retry={on: {a: {b: 1}}}", "too deep"),
        ("params.lr=" + "[" * 5000, "too deep"),
    ],
)
def test_what_cannot_be_set_is_told_by_its_own_words(given: str, words: str) -> None:
    with pytest.raises(SpecError) as raised:
        with_set(given)
    assert words in str(raised.value)


def test_params_are_filled_in_quoted_and_only_those_declared() -> None:
    script = substituted(with_set('params.note=$(touch x) "y"')).script
    assert script == ('python train.py --lr 0.10 --note "\\$(touch x) \\"y\\"" ${HOME}\n')
    python = JobSpec(name="a", script="#!/usr/bin/python3\nprint('${lr}')\n", params=(("lr", "1"),))
    assert substituted(python) is python


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_set_ends_in_anything_but_a_spec_or_its_error(key: str, value: str) -> None:
    try:
        with_set(f"{key}={value}")
    except SpecError as error:
        assert not set("\n\x1b") & set(str(error))
