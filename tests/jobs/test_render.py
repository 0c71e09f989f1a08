"""A spec in the words of each scheduler: amounts survive, what cannot be said is in a note."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.render import Rendered, render
from foundry_tui.jobs.spec import JobSpec, Words
from foundry_tui.jobs.target import Target
from foundry_tui.schedulers import options
from foundry_tui.schedulers.slurm.directives import parse
from foundry_tui.schedulers.slurm.requested import request_of

KINDS = ("slurm", "runai", "kai")
SPEC = JobSpec(name="train", script="date\n")


def rendered(
    spec: JobSpec, kind: str, *, shards: int | None = None, file: bytes | None = None
) -> Rendered:
    inline = (spec.script or "").encode()
    program = (
        Program("/home/ann/train.yaml", inline, inline=True)
        if file is None
        else Program("/home/ann/run.sh", file, inline=False)
    )
    target = Target(source="lab", kind=kind, shards_per_gpu=shards)
    return render(spec, target, program, work_dir="/home/ann", recorded=False)


def told(spec: JobSpec, kind: str, **more: int | None) -> str:
    return "\n".join(rendered(spec, kind, **more).notes)  # type: ignore[arg-type]


texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)
words = texts.filter(lambda text: not text.startswith("-"))
sizes = st.integers(1, 9999).flatmap(
    lambda n: st.sampled_from([n * unit for unit in (10**6, 10**9, 1 << 20, 1 << 30)])
)
maybe = st.none


@st.composite
def specs(draw: st.DrawFn) -> JobSpec:
    """Any spec that can be read."""
    part = draw(st.sampled_from(["whole", "share", "memory"]))
    gpus = draw(maybe() | st.integers(0 if part == "whole" else 1, 1024))
    return JobSpec(
        name=draw(texts),
        script=draw(texts) + "\n",
        image=draw(maybe() | words),
        queue=Words(draw(maybe() | words)),
        gpus=gpus,
        gpu_share_milli=draw(st.integers(1, 1000)) if part == "share" else None,
        gpu_memory_bytes=draw(sizes) if part == "memory" else None,
        gpu_model=draw(maybe() | st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True))
        if gpus
        else None,
        nodes=draw(maybe() | st.integers(1, 10_000)),
        cpu_milli=draw(maybe() | st.integers(1, 10**7)),
        memory_bytes=draw(maybe() | sizes),
        time_limit_s=draw(maybe() | st.integers(1, 3650 * 86_400)),
        preemptible=draw(maybe() | st.booleans()),
        priority=Words(draw(maybe() | words)),
    )


@given(specs(), st.none() | st.integers(1, 32))
def test_sbatch_takes_back_the_same_amounts(spec: JobSpec, shards: int | None) -> None:
    submit = rendered(spec, "slurm", shards=shards).submit
    said = parse(submit.script, submit.options)
    assert said["job-name"] == spec.name
    assert said.get("partition") == spec.queue.everywhere
    assert said.get("qos") == spec.priority.everywhere
    asked, nodes = request_of(said), spec.nodes or 1
    part = spec.gpu_share_milli is not None or spec.gpu_memory_bytes is not None
    gpus = spec.gpus if spec.gpus is not None else int(part)
    assert (asked.gpu_count, asked.nodes) == (gpus * nodes, nodes)
    if "shard" in said.get("gres", ""):
        assert asked.gpu_milli is None and shards is not None
        count = int(said["gres"].rpartition(":")[2])
        assert (count - 1) * 1000 < (spec.gpu_share_milli or 0) * shards <= count * 1000
    if gpus:
        assert asked.gpu_model == spec.gpu_model
    cpus = -(-(spec.cpu_milli or 1000) // 1000)
    assert asked.cpu_milli == 1000 * cpus * nodes
    if spec.memory_bytes is not None:
        assert asked.memory_bytes is not None
        assert 0 <= asked.memory_bytes - nodes * spec.memory_bytes < nodes << 20
    if spec.time_limit_s is not None:
        assert asked.time_limit_s == -(-spec.time_limit_s // 60) * 60
    assert submit.work_dir == "/home/ann"


@given(specs(), st.sampled_from(["runai", "kai"]))
def test_a_training_takes_back_the_same_amounts(spec: JobSpec, kind: str) -> None:
    submit = rendered(spec, kind).submit
    wanted = options.parse(submit.options)
    part = spec.gpu_share_milli is not None or spec.gpu_memory_bytes is not None
    share = spec.gpu_share_milli if spec.gpu_share_milli != 1000 else None
    assert wanted == options.Wanted(
        name=wanted.name,
        project=spec.queue.everywhere,
        image=spec.image,
        gpu_devices=spec.gpus if spec.gpus is not None else int(part),
        gpu_portion_milli=share,
        gpu_memory_bytes=spec.gpu_memory_bytes,
        cpu_milli=spec.cpu_milli,
        memory_bytes=spec.memory_bytes,
        preemptibility=None
        if spec.preemptible is None
        else "preemptible"
        if spec.preemptible
        else "non-preemptible",
        priority=spec.priority.everywhere,
        workers=spec.nodes or 1,
        deadline_s=spec.time_limit_s if kind == "kai" else None,
    )
    assert options.workload_name(wanted, submit.script_name) == wanted.name
    assert submit.work_dir is None
    if not (spec.script or "").startswith("#!"):
        assert submit.script.endswith((spec.script or "").encode())


@pytest.mark.parametrize("kind", KINDS)
def test_variables_go_along_and_secrets_are_warned_of(kind: str) -> None:
    spec = replace(SPEC, environment=(("A", "x y"), ("HF_TOKEN", "t")))
    made = rendered(spec, kind)
    assert made.submit.environment == spec.environment
    assert [n for n in made.notes if "environment" in n] == [
        "environment.HF_TOKEN stands readable in the request: no place for a secret"
    ]


def test_what_a_scheduler_cannot_say_is_in_the_notes() -> None:
    spec = replace(
        SPEC, image="x", preemptible=True, time_limit_s=60, gpus=2, gpu_model="h100", nodes=2
    )
    on_slurm, on_runai = told(spec, "slurm"), told(spec, "runai")
    fields = ("image:", "preemptible:", "time_limit:", "gpu_model:")
    assert [f for f in fields if f in on_slurm] == ["image:", "preemptible:"]
    assert [f for f in fields if f in on_runai] == ["time_limit:", "gpu_model:"]
    assert "2 nodes with 2 GPUs each: 4 GPUs in all" in on_slurm
    assert "time_limit" not in told(spec, "kai")
    assert "gpu_share: whole GPUs" in told(replace(SPEC, gpu_share_milli=500), "slurm")
    assert "3 of the 4 shards" in told(replace(SPEC, gpu_share_milli=700), "slurm", shards=4)
    two = replace(SPEC, gpu_share_milli=500, gpus=2)
    assert "parts of one GPU" in told(two, "slurm", shards=4)
    assert "gpu_memory: whole GPUs" in told(replace(SPEC, gpu_memory_bytes=10**9), "slurm")
    assert "cpus: Slurm gives whole ones: 3" in told(replace(SPEC, cpu_milli=2500), "slurm")
    elsewhere = replace(SPEC, queue=Words(by_source=(("other", "q"),)))
    assert "queue: nothing is said for lab" in told(elsewhere, "runai")
    assert told(SPEC, "slurm") == told(SPEC, "runai") == ""


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("train", "train"),
        ("Train LLaMA_7b", "train-llama-7b"),
        ("7b", "run-7b"),
        ("训练", "run"),
        ("-x-", "x"),
        ("a" * 90, "a" * 40),
        ("--project=other", "project-other"),
    ],
)
def test_a_name_becomes_one_that_kubernetes_takes(name: str, made: str) -> None:
    found = rendered(replace(SPEC, name=name), "kai")
    assert options.parse(found.submit.options).name == made
    assert any(n.startswith("name:") for n in found.notes) == (name != made)
    assert f"--job-name={name}" in rendered(replace(SPEC, name=name), "slurm").submit.options


def test_native_options_stand_last_and_what_they_overrule_is_told() -> None:
    spec = replace(
        SPEC,
        time_limit_s=60,
        memory_bytes=10**9,
        options=(
            ("slurm", ("-t", "5", "--constraint=ib")),
            ("lab", ("--mem=4G",)),
            ("kai", ("--namespace", "team", "--cpu-memory-request=2Gi")),
        ),
    )
    made = rendered(spec, "slurm")
    assert made.submit.options[-4:] == ("-t", "5", "--constraint=ib", "--mem=4G")
    assert [n for n in made.notes if n.startswith("options:")] == [
        "options: --mem overrules what the fields say",
        "options: --time overrules what the fields say",
    ]
    with pytest.raises(SpecError, match=r"train.yaml: options for lab: .*'--mem=4G'"):
        rendered(spec, "kai")
    alone = rendered(replace(spec, options=spec.options[2:]), "kai")
    assert "options: memory_bytes overrules what the fields say" in alone.notes
    wanted = options.parse(alone.submit.options)
    assert (wanted.namespace, wanted.memory_bytes) == ("team", 2 << 30)
    with pytest.raises(SpecError, match=r"options for lab: .*'train.sh' is no option"):
        rendered(replace(SPEC, options=(("slurm", ("train.sh",)),)), "slurm")


def test_a_file_is_sent_unchanged_where_a_scheduler_takes_files() -> None:
    script = b"#!/bin/bash\n#SBATCH --time=5\n[[ 1 = 1 ]] && echo it\\'s\n"
    spec = replace(SPEC, script=None, file="run.sh")
    on_slurm = rendered(spec, "slurm", file=script).submit
    assert (on_slurm.script, on_slurm.script_name) == (script, "/home/ann/run.sh")
    assert not on_slurm.piped
    on_kai = rendered(spec, "kai", file=script)
    assert "its 1 #SBATCH lines mean nothing to KAI" in "\n".join(on_kai.notes)
    (shell, flag, text, *_) = options.shell_command(on_kai.submit)
    done = subprocess.run([shell, flag, text], capture_output=True, check=True)
    assert done.stdout == b"it's\n"
    with pytest.raises(SpecError, match=r"run\.sh: file: its first line '#!/usr/bin/perl'"):
        rendered(spec, "kai", file=b"#!/usr/bin/perl\nprint 1\n")
    with pytest.raises(SpecError, match="no UTF-8 text"):
        rendered(spec, "runai", file=b"#!/bin/sh\necho \xff\n")
    for_all = rendered(replace(spec, nodes=2), "slurm", file=script)
    assert for_all.submit.script == script
    assert any("first node alone" in note for note in for_all.notes)


def run_alone(script: bytes, **environment: str) -> bytes:
    """What a batch script prints where srun starts its program once, here."""
    fake = 'srun() { until [ "${1#-}" = "$1" ]; do shift; done; "$@"; }; '
    fake += 'scontrol() { echo "h01\nh02"; }\n'
    variables = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "h[01-02]", "SLURM_JOB_ID": "7"}
    done = subprocess.run(
        ["/bin/bash", "-c", fake + script.decode().replace("exec srun", "srun")],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], **variables, **environment},
    )
    return done.stdout


def test_on_several_nodes_of_slurm_the_program_runs_on_each() -> None:
    spec = replace(SPEC, nodes=3, cpu_milli=4000, script='echo "it\'s" $HOME\n')
    submit = rendered(spec, "slurm").submit
    assert {"--nodes=3", "--ntasks-per-node=1", "--cpus-per-task=4"} <= set(submit.options)
    assert run_alone(submit.script, HOME="/h") == b"it's /h\n"
    on_kai = rendered(spec, "kai").submit.script
    for rank, record in (("0", b"r"), ("2", b"")):
        pod = {"HOME": "/h", "RANK": rank, "MLFLOW_RUN_ID": "r"}
        text = on_kai + b'echo "$MLFLOW_RUN_ID"\n'
        done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, check=True, env=pod)
        assert done.stdout == b"it's /h\n" + record + b"\n"


def test_the_interpreter_of_an_inline_script_is_kept() -> None:
    spec = replace(SPEC, script="#!/usr/bin/env python3\nimport sys\nprint(sys.argv)\n")
    assert rendered(spec, "slurm").submit.script == (spec.script or "").encode()
    text = rendered(spec, "runai").submit.script.decode()
    done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, check=True)
    assert done.stdout == b"['-c']\n"
    assert run_alone(rendered(replace(spec, nodes=2), "slurm").submit.script) == b"['-c']\n"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SpecError, match="lab is of the kind simulated"):
        rendered(SPEC, "simulated")
