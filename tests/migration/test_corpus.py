"""The corpus: every script has the classes that were read by eye, and what is made of it holds."""

from __future__ import annotations

import json
import uuid
from functools import cache
from typing import Any

import jsonschema
import pytest

from foundry_tui.jobs.program import Program
from foundry_tui.jobs.reading import load
from foundry_tui.jobs.render import render
from foundry_tui.jobs.schema import schema
from foundry_tui.jobs.target import Target
from foundry_tui.jobs.writing import values
from foundry_tui.migration.directives.table import OF
from foundry_tui.migration.nouns import TARGETS, Class, Kind
from foundry_tui.migration.script import read
from foundry_tui.schedulers.slurm.directives import parse
from foundry_tui.schedulers.slurm.requested import request_of
from tests.migration.golden import SCRIPTS, expected, lines, summary, translated
from tests.schedulers.runai.openapi import judge_request

NAMES = [path.name for path in SCRIPTS]


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    assert len(NAMES) >= 60
    assert set(NAMES) == set(expected()) - {"summary"}


@pytest.mark.parametrize("name", NAMES)
def test_every_script_has_the_classes_that_were_read_by_eye(name: str) -> None:
    made = translated(name, "kai")
    wanted: Any = expected()[name]
    assert made.problem is None
    assert lines(made) == wanted["findings"]
    assert made.withheld == wanted.get("withheld")


def test_the_counts_of_the_corpus_are_known() -> None:
    assert summary() == expected()["summary"]


@pytest.mark.parametrize("target", TARGETS)
def test_no_directive_goes_unsaid_and_none_has_a_class_that_its_row_does_not_know(
    target: str,
) -> None:
    for path in SCRIPTS:
        made = translated(path.name, target)
        given = read(path.read_bytes()).options
        told = [f for f in made.findings if f.name.startswith("--")]
        assert len(told) == len(given), path.name
        for finding in (f for f in told if f.kind is Kind.DIRECTIVE):
            row = OF.get(finding.name.removeprefix("--"))
            assert finding.klass in (row.classes if row else (Class.LOST,)), (path.name, finding)
            assert finding.why and finding.became, (path.name, finding)


def test_every_specification_can_be_read_and_is_valid_under_the_schema() -> None:
    judge = jsonschema.Draft202012Validator(schema())
    for name in NAMES:
        made = translated(name, "kai")
        assert made.spec is not None and made.spec_text is not None
        assert load("x.yaml", made.spec_text.encode()) == made.spec
        assert list(judge.iter_errors(json.loads(json.dumps(values(made.spec))))) == [], name


@pytest.mark.parametrize("name", NAMES)
def test_back_on_slurm_it_asks_for_the_same(name: str) -> None:
    """Of what the directives say: amounts, names, and what is kept in `options`."""
    path = next(path for path in SCRIPTS if path.name == name)
    given = read(path.read_bytes()).options
    before = {one.name: one.value for one in given}
    spec = translated(name, "kai").spec
    assert spec is not None
    program = Program("x.yaml", (spec.script or "").encode(), inline=True)
    if name == "tcsh.sh":
        assert spec.script is not None and spec.script.startswith("#!/bin/tcsh")
        return
    if not all(need.isdecimal() for need in spec.needs):
        pytest.fail(f"{spec.needs} are no ids of Slurm")
    after = parse(b"", render(spec, SLURM, program, work_dir=None).submit.options)
    for option in ("job-name", "partition", "account", "qos", "array", "dependency", "chdir"):
        if option in before:
            assert after[option] == before[option], option
    wanted, asked = request_of(before), request_of(after)
    assert asked.time_limit_s == wanted.time_limit_s
    assert asked.nodes == wanted.nodes
    assert asked.memory_bytes == wanted.memory_bytes
    if name != "gpus-uneven.sh":
        assert (asked.gpu_count or 0, asked.gpu_model) == (wanted.gpu_count or 0, wanted.gpu_model)


SLURM = Target(source="slurm", kind="slurm")


@cache
def _bodies() -> list[tuple[str, dict[str, Any]]]:
    made = []
    for name in NAMES:
        for body in translated(name, "runai").manifests:
            made.append((name, dict(body)))
    return made


def test_run_ai_documents_every_body() -> None:
    assert len(_bodies()) > 60
    for name, made in _bodies():
        path = "distributed" if "numWorkers" in made["spec"] else "trainings"
        body = {**made, "projectId": "1", "clusterId": str(uuid.uuid4())}
        assert judge_request("POST", f"/api/v1/workloads/{path}", body) == [], name


def test_nothing_is_rendered_while_something_stops_a_submit() -> None:
    for name in NAMES:
        for target in TARGETS:
            made = translated(name, target)
            blocked = any(finding.blocks for finding in made.findings)
            assert bool(made.manifests) == (made.withheld is None), name
            assert not (blocked and made.manifests), name


def test_an_array_becomes_a_job_of_many_pods_or_a_workload_for_each_task() -> None:
    (indexed,) = translated("array-simple.sh", "kai").manifests
    spec: Any = indexed["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 10, 4)
    for name, target, tasks in (
        ("array-simple.sh", "runai", [str(n) for n in range(10)]),
        ("array-from-one.sh", "kai", ["1", "3", "5"]),
        ("array-of-ddp.sh", "kai", ["0", "1", "2", "3"]),
    ):
        made = translated(name, target).manifests
        found = [json.dumps(one) for one in made]
        assert len(found) == len(tasks)
        for text, task in zip(found, tasks, strict=True):
            assert f'"SLURM_ARRAY_TASK_ID", "value": "{task}"' in text


def test_labels_stand_in_the_manifests() -> None:
    (made,) = translated("constraints.sh", "kai").manifests
    assert '"nodeSelector": {' in json.dumps(made) and '"network": "ib"' in json.dumps(made)
    (body,) = translated("constraints.sh", "runai").manifests
    spec: Any = body["spec"]
    (term,) = spec["nodeAffinityRequired"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "network", "operator": "In", "values": ["ib"]}]
