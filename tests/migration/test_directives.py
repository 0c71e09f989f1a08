"""The table of directives: every option of any sbatch is in it, and the docs show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundry_tui.migration.directives.page import lines
from foundry_tui.migration.directives.table import OF, ROWS
from foundry_tui.migration.nouns import Class, Finding, Tables, Translation
from foundry_tui.migration.translate import translate
from foundry_tui.schedulers.slurm.directives import FLAGS, OPTIONAL, SAME, VALUED
from tests.migration.golden import tables

VALUES = {
    "array": "0-3",
    "cpus-per-gpu": "2",
    "cpus-per-task": "4",
    "gpus": "2",
    "gpus-per-node": "2",
    "gpus-per-socket": "1",
    "gpus-per-task": "1",
    "gres": "gpu:1",
    "mem": "4G",
    "mem-per-cpu": "1G",
    "mem-per-gpu": "8G",
    "nodelist": "n1",
    "nodes": "1",
    "ntasks": "1",
    "ntasks-per-gpu": "1",
    "ntasks-per-node": "1",
    "signal": "B:USR1@60",
    "sockets-per-node": "2",
    "time": "10:00",
    "tres-per-task": "gres/gpu:1",
}


def script(*directives: str, body: str = "python train.py") -> bytes:
    head = "".join(f"#SBATCH {one}\n" for one in ("--account=nlp", *directives))
    return f"#!/bin/bash\n{head}{body}\n".encode()


def made(*directives: str, body: str = "python train.py", target: str = "kai") -> Translation:
    return translate("x.sh", script(*directives, body=body), tables(), target)


def found(translation: Translation, name: str) -> Finding:
    (finding,) = (f for f in translation.findings if f.name == name)
    return finding


def test_every_option_of_any_sbatch_has_one_row() -> None:
    named = [option for row in ROWS for option in row.options]
    assert len(named) == len(set(named))
    assert ((VALUED | OPTIONAL | FLAGS) - set(SAME)) - OF.keys() == set()


@pytest.mark.parametrize("option", sorted(set(OF) - {"account"}))
def test_every_option_is_told_with_a_class_of_its_row(option: str) -> None:
    value = "" if option in FLAGS else f"={VALUES.get(option, 'x')}"
    finding = found(made(f"--{option}{value}"), f"--{option}")
    assert finding.klass in OF[option].classes
    assert finding.line == 3 and finding.words == f"--{option}{value}"
    assert finding.became and finding.why


def test_the_page_shows_the_table() -> None:
    page = Path("docs/migrate.md").read_text("utf-8")
    assert "\n".join(lines()) in page, "write it anew with foundry_tui.migration.directives.page"
    assert all(f"| {klass.value} |" in page for klass in Class)


def test_amounts_are_those_of_a_node() -> None:
    spec = made(
        "--nodes=2 --ntasks=16 --cpus-per-task=3 --mem-per-cpu=2G --gpus=8",
        body="mpirun ./a",
        target="runai",
    ).spec
    assert spec is not None
    assert (spec.nodes, spec.gpus, spec.cpu_milli) == (2, 4, 24_000)
    assert spec.memory_bytes == 48 << 30
    assert spec.processes == 8


def test_what_does_not_divide_is_rounded_up_and_told() -> None:
    finding = found(made("--nodes=2 --gpus=3"), "--gpus")
    assert (finding.klass, finding.became) == (Class.APPROXIMATED, "gpus: 2")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("--nodes=two", "--nodes"),
        ("--mem=lots", "--mem"),
        ("--ntasks-per-node=x --nodes=2", "--ntasks-per-node"),
        ("--job-name", "line 3: --job-name needs a value"),
        ("--exclusive=user stray", "line 3: 'stray' is no option"),
        ('--comment="open', "line 3: the quote"),
    ],
)
def test_what_sbatch_would_refuse_is_an_error_at_its_line_or_option(wrong: str, words: str) -> None:
    translation = made(wrong)
    assert translation.spec is None and translation.problem is not None
    assert words in translation.problem
    assert translation.worst is Class.LOST


def test_without_tables_everything_that_needs_one_is_manual_and_nothing_can_be_submitted() -> None:
    text = script(
        "--partition=gpu --qos=high --constraint=ib", body="module load cuda\ncat /data/x"
    )
    bare = translate("x.sh", text, Tables(), "runai")
    manual = {f.name for f in bare.findings if f.klass is Class.MANUAL}
    named = {"--account", "--partition", "--qos", "--constraint", "module", "path", "image"}
    assert named <= manual
    assert bare.withheld == "first mend: --account, path, image" and not bare.manifests


@pytest.mark.parametrize(
    ("value", "klass"),
    [
        ("user", Class.LOST),
        ("", Class.APPROXIMATED),
    ],
)
def test_exclusive_nodes_are_not_promised(value: str, klass: Class) -> None:
    equals = f"={value}" if value else ""
    assert found(made(f"--exclusive{equals}"), "--exclusive").klass is klass


@pytest.mark.parametrize(
    ("given", "signal", "grace_s", "klass"),
    [
        ("B:USR1@120", "USR1", 120, Class.EMULATED),
        ("SIGUSR2@30", "USR2", 30, Class.APPROXIMATED),
        ("10", "USR1", 60, Class.APPROXIMATED),
        ("B:TERM@5", "TERM", 5, Class.EMULATED),
    ],
)
def test_signals_by_name_and_number(given: str, signal: str, grace_s: int, klass: Class) -> None:
    translation = made(f"--signal={given}")
    assert translation.spec is not None and translation.spec.checkpoint is not None
    checkpoint = translation.spec.checkpoint
    assert (checkpoint.signal, checkpoint.grace_s) == (signal, grace_s)
    assert found(translation, "--signal").klass is klass


@pytest.mark.parametrize(
    ("directives", "nodes"),
    [
        ("--ntasks=16 --ntasks-per-node=8", 2),
        ("--gpus=16 --gpus-per-node=8", 2),
        ("--nodelist=node[01-04]", 4),
        ("--ntasks=4", None),
    ],
)
def test_nodes_that_other_options_ask_for_are_in_the_spec(
    directives: str, nodes: int | None
) -> None:
    translation = made(directives, body="srun python train.py")
    assert translation.spec is not None and translation.spec.nodes == nodes
    told = [f.klass for f in translation.findings if f.name == "nodes"]
    assert told == ([] if nodes is None else [Class.APPROXIMATED])


@pytest.mark.parametrize(
    ("tasks", "target", "klass"),
    [
        ("0-9%2", "kai", Class.EMULATED),
        ("0-9%2", "runai", Class.APPROXIMATED),
        ("1-9%2", "kai", Class.APPROXIMATED),
        ("1-9", "runai", Class.EMULATED),
    ],
)
def test_a_limit_of_tasks_at_a_time_is_kept_by_an_indexed_job_alone(
    tasks: str, target: str, klass: Class
) -> None:
    assert found(made(f"--array={tasks}", target=target), "--array").klass is klass


@pytest.mark.parametrize(
    "gres", ["--gres=gpu:h100:2,shard:1", "--gres=gpu:a100:1,gpu:v100:1", "--gpus=a100:1,h100:1"]
)
def test_gpus_of_two_kinds_in_one_job_are_for_a_person(gres: str) -> None:
    translation = made(gres)
    (told,) = (f for f in translation.findings if f.blocks and f.name == gres.partition("=")[0])
    assert told.klass is Class.MANUAL
    assert translation.spec is not None and translation.spec.gpus is None
    assert not [f for f in made("--gres=gpu:a100:2,nic:1").findings if f.klass is Class.MANUAL]
