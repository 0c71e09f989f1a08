"""An MLproject as a spec: its words mean what they mean to MLflow, what does not fit is told."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.document import Document, read
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.mlproject import Made, document
from foundry_tui.jobs.reading import from_document
from foundry_tui.jobs.resolve import substituted
from foundry_tui.jobs.spec import JobSpec

FILE = """
name: iris
python_env: python_env.yaml
entry_points:
  main:
    parameters:
      data: path
      lr: {type: float, default: 0.10}
      note: {default: "it's"}
      url: {type: uri, default: "s3://a/b"}
    command: "printf '%s|' {data} {lr} {note} {url}"
  check:
    command: "printf '%s|' {{x}}"
"""


def made(text: str, *given: str, entry: str | None = None, resources: str | None = None) -> Made:
    beside = None if resources is None else read("foundry.yaml", resources.encode())
    return document(text.encode(), beside, entry, given)


def spec(text: str, *given: str, entry: str | None = None, resources: str | None = None) -> JobSpec:
    found = made(text, *given, entry=entry, resources=resources)
    return from_document(found.document, default_name="folder")


def told(text: str, *given: str, entry: str | None = None, resources: str | None = None) -> str:
    with pytest.raises(SpecError) as raised:
        spec(text, *given, entry=entry, resources=resources)
    return str(raised.value)


def printed(job: JobSpec) -> list[str]:
    script = substituted(job).script or ""
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, timeout=10)
    return done.stdout.decode().split("|")[:-1]


def test_parameters_and_their_defaults_reach_the_command() -> None:
    job = spec(FILE, "data=/x y", "lr=1e-3")
    assert job.name == "iris"
    assert dict(job.params) == {"data": "/x y", "lr": "1e-3", "note": "it's", "url": "s3://a/b"}
    assert printed(job) == ["/x y", "1e-3", "it's", "s3://a/b"]
    assert dict(spec(FILE, "data=/x").params)["lr"] == "0.10"


def test_what_is_not_declared_follows_the_command() -> None:
    job = spec(FILE, "seed=3", "who=a b", entry="check")
    assert printed(job) == ["{x}", "--seed", "3", "--who", "a b"]
    script = spec(FILE, "epochs=3", entry="train it.py").script
    assert script == "python 'train it.py' --epochs ${epochs}\n"


@settings(deadline=None, max_examples=15)
@given(st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=20))
def test_a_value_is_one_word_whatever_it_holds(value: str) -> None:
    job = spec(FILE, f"data=/{value}".replace("|", ""), f"x={value}".replace("|", ""))
    assert printed(job)[0] == f"/{value}".replace("|", "")
    assert printed(job)[-1] == value.replace("|", "")


def test_resources_stand_beside_it() -> None:
    job = spec(FILE, "data=/x", resources="gpus: 4\nname: mine\ntime_limit: 2h\n")
    assert (job.gpus, job.name, job.time_limit_s) == (4, "mine", 7200)
    assert "line 2: command: stands in the MLproject" in told(
        FILE, "data=/x", resources="gpus: 1\ncommand: date"
    )
    assert "foundry.yaml: line 1: gpuss: unknown; did you mean" in told(
        FILE, "data=/x", resources="gpuss: 1"
    )


def test_its_environment_is_taken_or_told() -> None:
    notes = made(FILE, "data=/x").notes
    assert notes == (
        "python_env: python_env.yaml is not made for you; make it once where the run sees it, and "
        "name it in `modules`, `image` or the command",
    )
    docker = (
        'docker_env: {image: "a/b:1", volumes: ["/a:/b"]}\nentry_points: {main: {command: date}}'
    )
    found = made(docker)
    assert from_document(found.document, default_name="folder").image == "a/b:1"
    assert from_document(found.document, default_name="folder").name == "folder"
    assert found.notes == ("docker_env.volumes: not taken over; say it in foundry.yaml",)


@pytest.mark.parametrize(
    ("text", "given", "entry", "words"),
    [
        (FILE, (), None, "entry_points.main.parameters: data has no default: -P data=VALUE"),
        (FILE, ("data",), None, "-P data: expected name=value"),
        (FILE, ("a;b=1",), None, "-P a;b=1: expected name=value"),
        (FILE, ("data=/x", "lr=fast"), None, "-P lr=fast: lr is a float, and 'fast' is no number"),
        (FILE, ("data=s3://b/c",), None, "data is a path: MLflow would fetch 's3://b/c'"),
        (FILE, (), "nope", "no entry point 'nope'; choose one with -e: main, check"),
        (FILE, (), "../x.py", "no entry point '../x.py'"),
        ("name: a", (), None, "no entry point 'main'; choose one with -e: none"),
        ("nmae: a", (), None, "MLproject: line 1: nmae: unknown; did you mean `name`?"),
        ("entry_points: [a]", (), None, "entry_points: expected a table, not a list"),
        ("entry_points: {main: date}", (), None, "entry_points.main: expected a table with a com"),
        ("entry_points: {main: {}}", (), None, "main.command: expected a line, not nothing"),
        ("entry_points: {main: {cmd: a}}", (), None, "it is called `command`"),
        ("entry_points: {main: {command: 'a {x}'}}", (), None, "{x} is no parameter of this"),
        ("entry_points: {main: {command: 'a {'}}", (), None, "write {{ for a {"),
        ("entry_points: {main: {command: 'a {x.y}'}}", (), None, "{x.y} is no parameter"),
        ("entry_points: {main: {command: 'a {}'}}", (), None, "{} is no parameter"),
        (
            "entry_points: {main: {command: a, parameters: {x: int}}}",
            (),
            None,
            "parameters.x: expected a type of string, float, path, uri, not 'int'",
        ),
        (
            "entry_points: {main: {command: a, parameters: {x: {type: float, default: b}}}}",
            (),
            None,
            "parameters.x.default: x is a float, and 'b' is no number",
        ),
        ("docker_env: a\nentry_points: {main: {command: a}}", (), None, "a table with an `image`"),
        ("entry_points: {main: {command: &a b}}", (), None, "anchors and aliases"),
        ("", (), None, "empty"),
    ],
)
def test_what_does_not_fit_is_told(
    text: str, given: tuple[str, ...], entry: str | None, words: str
) -> None:
    assert words in told(text, *given, entry=entry)


pieces = st.sampled_from(
    ["entry_points", ": ", "\n", "  ", "main", "command", "parameters", "{", "}", "x", "type",
     "default", "float", "- ", "[", "]", "'", "1", "docker_env", "null"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(pieces, max_size=30).map("".join) | st.text(max_size=30), st.text(max_size=10))
def test_no_file_ends_in_anything_but_a_spec_or_its_error(text: str, entry: str) -> None:
    try:
        found = made(text, entry=entry or None)
        assert isinstance(found.document, Document)
        from_document(found.document, default_name="a")
    except SpecError as error:
        assert str(error)
