"""Specs of runs in containers, and what KAI and Run:ai are given for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from foundry_tui.jobs.program import Program
from foundry_tui.jobs.render import Rendered, render
from foundry_tui.jobs.spec import (
    Checkpoint,
    JobSpec,
    Launcher,
    Mount,
    Retry,
    Secret,
    Words,
)
from foundry_tui.jobs.target import Target
from foundry_tui.schedulers.kai import manifest
from foundry_tui.schedulers.runai import request

SCRIPT = """\
python train.py --name "it's $HOME" <<'END'
a line with 'quotes', $variables and `commands`
END
"""
ONE = JobSpec(
    name="train",
    script=SCRIPT,
    image="python:3.12",
    queue=Words("team-a"),
    nodes=1,
    gpus=4,
    cpu_milli=32_000,
    memory_bytes=64 << 30,
    time_limit_s=3600,
    environment=(("HF_HOME", "/shared/hf"),),
)
SHAPES = {
    "one": ONE,
    "two": replace(ONE, nodes=2),
    "elastic": replace(ONE, nodes=2, nodes_most=8, restarts=3),
    "all": replace(
        ONE,
        nodes=2,
        account=Words("ml"),
        notify=("end", "fail"),
        workdir="/shared/ann",
        modules=("cuda/12.4", "nccl"),
        node_pool=Words("h100"),
        preemptible=True,
        priority=Words("train"),
        params=(("lr", "3e-4"),),
        seed=7,
        checkpoint=Checkpoint(path="/shared/ann/ckpt"),
        retry=Retry(most=3),
        mounts=(
            Mount(target="/shared", claim="team-pvc"),
            Mount(target="/data", source="/mnt/data", read_only=True),
        ),
        secrets=(Secret(variable="HF_TOKEN", name="hf-token", key="HF_TOKEN"),),
    ),
    "array": replace(ONE, array="0-9%4", gpus=1),
}
ELASTIC = (Launcher.TORCHRUN, Launcher.DEEPSPEED)
NOT_THERE = {"kai": (Launcher.SRUN, Launcher.MPI, Launcher.HOROVOD), "runai": (Launcher.SRUN,)}
"""Launchers that cannot start several pods."""


def cases() -> list[tuple[str, Launcher, str]]:
    """Kind of scheduler, launcher and shape, for all that can be rendered."""
    found = []
    for kind in ("kai", "runai"):
        for launcher in (Launcher.NONE, Launcher.TORCHRUN, Launcher.DEEPSPEED, Launcher.MPI):
            for shape in SHAPES:
                several = shape in ("two", "elastic", "all") and launcher in NOT_THERE[kind]
                elastic = shape == "elastic" and launcher not in ELASTIC
                array = shape == "array" and (kind != "kai" or launcher is not Launcher.NONE)
                if not (several or elastic or array):
                    found.append((kind, launcher, shape))
    return found


def rendered(spec: JobSpec, kind: str, *, recorded: bool = False) -> Rendered:
    """The spec rendered for a source called `lab`."""
    program = Program("/home/ann/train.yaml", (spec.script or "").encode(), inline=True)
    target = Target(source="lab", kind=kind)
    return render(spec, target, program, work_dir="/home/ann", recorded=recorded)


def document(made: Rendered, kind: str) -> dict[str, Any]:
    """The manifest for KAI, or the body for Run:ai."""
    if kind == "kai":
        return manifest.document(made.submit)
    return request.document(made.submit)


def script_of(spec: JobSpec, kind: str, **more: bool) -> str:
    """The text that the shell of each pod is given."""
    return rendered(spec, kind, **more).submit.script.decode()
