"""A spec's fields: what is taken, and what is refused by name and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.reading import KEYS, load
from foundry_tui.jobs.spec import JobSpec, Words

SAMPLE = Path("data/specs/train.yaml")

YAML = """
name: llm
command: [python, train.py, --lr, "3e-4", --name, it's]
image: nvcr.io/nvidia/pytorch:25.01
queue: {slurm: "gpu,short", sim-runai: vision}
gpus: 4
gpu_share: 0.5
gpu_model: h100
nodes: 2
cpus: 2.5
memory: 117.5GiB
time_limit: 1d12h
preemptible: false
priority: high
environment: {A: 1, B: "x=y z", C: ""}
experiment: sweep 1
options:
  slurm: [--constraint=ib]
  runai: [--node-pools, fast]
"""
TOML = """
name = "llm"
command = ["python", "train.py", "--lr", "3e-4", "--name", "it's"]
image = "nvcr.io/nvidia/pytorch:25.01"
queue = {slurm = "gpu,short", sim-runai = "vision"}
gpus = 4
gpu_share = 0.5
gpu_model = "h100"
nodes = 2
cpus = 2.5
memory = "117.5GiB"
time_limit = "1-12:00:00"
preemptible = false
priority = "high"
environment = {A = 1, B = "x=y z", C = ""}
experiment = "sweep 1"
options = {slurm = ["--constraint=ib"], runai = ["--node-pools", "fast"]}
"""


def spec(text: str, name: str = "job.yaml") -> JobSpec:
    return load(f"/somewhere/{name}", text.encode())


def refusal(text: str, name: str = "job.yaml") -> str:
    with pytest.raises(SpecError) as raised:
        spec(text, name)
    return str(raised.value)


def test_yaml_and_toml_say_the_same() -> None:
    found = spec(YAML)
    assert found == spec(TOML, "job.TOML")
    assert found == JobSpec(
        name="llm",
        script="python train.py --lr 3e-4 --name 'it'\"'\"'s'\n",
        image="nvcr.io/nvidia/pytorch:25.01",
        queue=Words(by_source=(("slurm", "gpu,short"), ("sim-runai", "vision"))),
        gpus=4,
        gpu_share_milli=500,
        gpu_model="h100",
        nodes=2,
        cpu_milli=2500,
        memory_bytes=235 << 29,
        time_limit_s=36 * 3600,
        preemptible=False,
        priority=Words("high"),
        environment=(("A", "1"), ("B", "x=y z"), ("C", "")),
        experiment="sweep 1",
        options=(("slurm", ("--constraint=ib",)), ("runai", ("--node-pools", "fast"))),
    )


def test_little_is_needed_and_the_name_is_that_of_the_file() -> None:
    assert spec("command: date") == JobSpec(name="job", script="date\n")
    assert spec("file: run.sh", "学习.v2.yaml").name == "学习.v2"


def test_a_word_per_source_beats_the_one_of_its_kind() -> None:
    words = Words(by_source=(("slurm", "gpu"), ("big", "large")))
    assert [words.at(*where) for where in (("big", "slurm"), ("lab", "slurm"), ("r", "runai"))] == [
        "large", "gpu", None,
    ]  # fmt: skip
    found = spec("command: a\noptions: {slurm: [--a], lab: [--b]}")
    assert found.native("lab", "slurm") == ("--a", "--b")
    assert found.native("slurm", "slurm") == ("--a",)
    assert found.native("r", "runai") == ()


def test_every_field_is_in_the_docs_with_the_sample() -> None:
    page = Path("docs/spec.md").read_text("utf-8")
    for key in KEYS:
        assert f"\n| `{key}` | " in page, key
    body = SAMPLE.read_text("utf-8").partition("\n")[2]
    assert f"```yaml\n{body}```" in page
    assert load(str(SAMPLE), SAMPLE.read_bytes()).time_limit_s == 7200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpu: 1", "line 1: gpu: unknown here; it is called `gpus`"),
        ("command: a\ngpuss: 1", "line 2: gpuss: unknown; did you mean `gpus`?"),
        ("command: a\nGPUS: 1", "did you mean `gpus`?"),
        ("command: a\nworkers: 2", "it is called `nodes`"),
        ("command: a\npartition: x", "it is called `queue`"),
        ("command: a\nzzz: 1", "zzz: unknown; one of version, name"),
        ("command: a\n'': 1", "unknown"),
        ("gpus: 1", "nothing to run"),
        ("command: a\nscript: b", "line 2: script: there is `command`"),
        ("script: a\nfile: b", "line 2: file: there is `script` already"),
        ("command:", "command: expected the lines of a shell script"),
        ("command: []", "command: expected a program and its arguments"),
        ("command: [a, {b: c}]", "command.2: expected text"),
        ("command: [a, 1.5]", "command.2: expected text"),
        ("command: [a, true]", "command.2"),
        ("command: 5", "command: expected the lines"),
        ("command: '  '", "command: expected the lines"),
        ('command: "a\\0b"', "command: expected the lines"),
        ("file: /etc/passwd", "file: expected a path beside the spec"),
        ("file: ../x.sh", "file: expected a path beside the spec"),
        ("file: ~/x.sh", "file: expected a path beside the spec"),
        ("command: a\nname: 5", "line 2: name: expected text on one line, in quotes"),
        ('command: a\nname: "a\\nb"', "name: expected text on one line"),
        ('command: a\nname: "\\u202eabc"', "name: expected text on one line"),
        ("command: a\nname: " + "x" * 501, "name: expected text on one line of at most 500 char"),
        ("command: a\nimage: a b", "image: expected one word"),
        ("command: a\nqueue: --x", "queue: expected one word"),
        ("command: a\nqueue: [a, b]", "queue: expected text on one line, not a list"),
        ("command: a\nqueue: {slurm: 3}", "queue.slurm: expected text"),
        ("command: a\ngpus: -1", "line 2: gpus: expected a whole number of 0..1024, not the"),
        ("command: a\ngpus: 1.5", "gpus: expected a whole number"),
        ("command: a\ngpus: true", "gpus: expected a whole number of 0..1024, not true"),
        ("command: a\ngpus: two", "gpus: expected a whole number of 0..1024, not 'two'"),
        ("command: a\ngpus: " + "9" * 5000, "gpus: expected a whole number"),
        ("command: a\ngpus: 1025", "gpus: expected a whole number"),
        ("command: a\ngpus: [1]", "not a list"),
        ("command: a\nnodes: 0", "nodes: expected a whole number of 1..10000"),
        ("command: a\ngpu_share: 0", "gpu_share: expected a number above 0"),
        ("command: a\ngpu_share: -0.5", "gpu_share: expected a number above 0"),
        ("command: a\ngpu_share: 1.5", "gpu_share: expected a number above 0 and at most 1"),
        ("command: a\ngpu_share: 0.0001", "at most three decimals"),
        ("command: a\ngpu_share: 100000000000000000", "gpu_share: expected"),
        ("command: a\ngpu_share: nan", "gpu_share: expected"),
        ("command: a\ngpu_share: 50%", "gpu_share: expected"),
        ("command: a\ngpu_share: 0.5\ngpu_memory: 20G", "line 3: gpu_memory: excludes"),
        ("command: a\ngpu_share: 0.5\ngpus: 0", "gpu_share: needs `gpus: 1`"),
        ("command: a\ngpu_model: h100", "gpu_model: needs `gpus: 1`"),
        ("command: a\ngpus: 1\ngpu_model: 'h100:2,a100'", "gpu_model: expected a model"),
        ("command: a\ngpu_memory: 20", "gpu_memory: expected an amount with its unit"),
        ("command: a\ngpu_memory: 20X", "gpu_memory: expected an amount with its unit"),
        ("command: a\nmemory: -20G", "memory: expected an amount"),
        ("command: a\nmemory: 0G", "memory: expected a whole number of bytes, from 1M"),
        ("command: a\nmemory: 999999999T", "from 1M to 1000T"),
        ("command: a\nmemory: 1.001Gi", "memory: expected a whole number of bytes"),
        ("command: a\ncpus: 0", "cpus: expected a number above 0"),
        ("command: a\ncpus: .inf", "cpus: expected a number above 0"),
        ("command: a\ntime_limit: 60", "time_limit: expected a time with its unit"),
        ("command: a\ntime_limit: '60'", "time_limit: expected a time with its unit"),
        ("command: a\ntime_limit: ''", "time_limit: expected a time with its unit"),
        ("command: a\ntime_limit: 12:00", "time_limit: expected a time with its unit"),
        ("command: a\ntime_limit: 0h", "time_limit: expected a time above 0"),
        ("command: a\ntime_limit: 99999d", "at most ten years"),
        ("command: a\npreemptible: yes", "preemptible: expected true or false, not 'yes'"),
        ("command: a\npreemptible: 1", "preemptible: expected true or false"),
        ("command: a\nenvironment: [A]", "environment: expected a table"),
        ("command: a\nenvironment:\n  A-B: 1", "line 3: environment.A-B: a name has letters"),
        ("command: a\nenvironment: {1A: 1}", "environment.1A"),
        ("command: a\nenvironment: {A=B: 1}", "environment.A=B"),
        ("command: a\nenvironment: {A: 1.5}", "environment.A: expected text, in quotes"),
        ("command: a\nenvironment: {A: null}", "environment.A: expected text"),
        ("command: a\nenvironment: {SBATCH_PARTITION: x}", "would change the submit itself"),
        ("command: a\nenvironment: {slurm_conf: x}", "would change the submit itself"),
        ("command: a\noptions: [--x]", "options: expected a table"),
        ("command: a\noptions: {slurm: --x}", "options.slurm: expected a list"),
        ("command: a\noptions: {slurm: ['']}", "options.slurm.1: expected an option"),
        (
            "command: a\noptions: {slurm: [--a, {b: c}]}",
            "options.slurm.2: tables and lists too deep",
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_line(text: str, words: str) -> None:
    told = refusal(text)
    assert words in told
    assert told.startswith("job.yaml")
    assert told.isprintable()


def test_a_long_script_is_refused_by_its_size() -> None:
    assert "more than 96 KiB" in refusal("script: " + "x" * (100 << 10))
    assert spec("script: " + "x" * 90_000).script == "x" * 90_000 + "\n"


def test_toml_dates_and_special_numbers_are_no_amounts() -> None:
    assert "not a date or time" in refusal('command = "a"\ntime_limit = 12:00:00', "a.toml")
    for value in ("nan", "inf", "-inf", "1e300"):
        assert "gpu_share" in refusal(f'command = "a"\ngpu_share = {value}', "a.toml")


PIECES = st.sampled_from(
    ["command", ": ", "\n", "a", "- ", "[", "]", "{", "}", "&x", "*x", "!!int", "'", '"', "|", ">",
     "\t", " ", "#", "---", "...", "?", "%YAML 1.1", ",", "=", "gpus", "1", "\x85", "\ufeff",
     "\u2028", "environment", "options", "slurm", "queue", "null", "~", "\\", "<<", "\U0001f600"]
)  # fmt: skip
HOSTILE = st.lists(PIECES, max_size=40).map("".join).map(str.encode) | st.binary(max_size=200)


@settings(deadline=None)
@given(HOSTILE, st.sampled_from(["a.yaml", "a.toml"]))
def test_no_file_ends_in_anything_but_a_spec_or_its_error(data: bytes, name: str) -> None:
    try:
        found = load(name, data)
    except SpecError as error:
        assert str(error).startswith(name) and str(error).isprintable()
    else:
        assert found.script or found.file
