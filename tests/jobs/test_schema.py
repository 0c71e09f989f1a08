"""The JSON Schema that is shipped: up to date, and no narrower than the reader."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings

from foundry_tui.jobs.document import read
from foundry_tui.jobs.reading import KEYS
from foundry_tui.jobs.schema import FILE, schema, schema_text
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.starting import TEMPLATES, Fit, files
from foundry_tui.jobs.writing import values
from tests.jobs.specs import specs
from tests.jobs.test_fields import FULL

VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_shipped_file_is_the_one_that_the_tables_make() -> None:
    assert FILE.read_text("utf-8") == schema_text(), "make docs writes it"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))
    properties = schema()["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == list(KEYS)
    assert all(one["description"] for one in properties.values())


@settings(deadline=None, max_examples=50)
@given(specs())
def test_every_spec_that_can_be_read_is_valid(spec: JobSpec) -> None:
    VALIDATOR.validate(values(spec))


@pytest.mark.parametrize("place", sorted(Path("data/specs").glob("*.yaml")), ids=str)
def test_the_samples_are_valid(place: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(place.read_text("utf-8")))


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_templates_are_valid(template: str) -> None:
    for name, text in files(template, Fit(queue="no", account="a", contained=True)):
        if name.endswith(".yaml"):
            VALIDATOR.validate(yaml.safe_load(text))


def test_other_ways_to_write_are_valid_too() -> None:
    VALIDATOR.validate(read("full.yaml", FULL.encode()).values)
    VALIDATOR.validate({"command": ["a", 1], "secrets": ["A"], "needs": [12], "gpus": 0})


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"command": "a", "script": "b"},
        {"command": "a", "gpuss": 1},
        {"command": "a", "gpus": -1},
        {"command": "a", "version": 2},
        {"command": "a", "launcher": "accelerate"},
        {"command": "a", "checkpoint": {"pth": "x"}},
        {"command": "a", "nodes": "many"},
        {"command": "a", "array": 5},
        {"command": "a", "mounts": [{"source": "relative"}]},
    ],
)
def test_what_is_wrong_is_not_valid(wrong: dict[str, object]) -> None:
    assert not VALIDATOR.is_valid(wrong)
