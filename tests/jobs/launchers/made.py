"""Specs of distributed runs, and what Slurm is given for them."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.jobs.program import Program
from foundry_tui.jobs.render import Rendered, render
from foundry_tui.jobs.spec import Checkpoint, JobSpec, Launcher, Retry, Secret, Words
from foundry_tui.jobs.target import Target

SCRIPT = """\
python train.py --name "it's $HOME" <<'END'
a line with 'quotes', $variables and `commands`
END
"""
ONE = JobSpec(name="train", script=SCRIPT, nodes=1, gpus=4, cpu_milli=32_000, time_limit_s=3600)
SHAPES = {
    "one": ONE,
    "two": replace(ONE, nodes=2),
    "elastic": replace(ONE, nodes=2, nodes_most=8, restarts=3),
    "all": replace(
        ONE,
        nodes=2,
        account=Words("ml"),
        array="0-9%4",
        needs=("12", "lab/13_4"),
        notify=("end", "fail"),
        workdir="/shared/ann",
        modules=("cuda/12.4", "nccl"),
        checkpoint=Checkpoint(path="/shared/ann/ckpt"),
        retry=Retry(most=3),
        secrets=(
            Secret(variable="HF_TOKEN", name="hf-token", key="HF_TOKEN"),
            Secret(variable="KEY", name="a b", key="it's"),
        ),
    ),
}


def launched(launcher: Launcher, shape: str) -> JobSpec:
    """One of the specs with a launcher; restarts only where something restarts."""
    spec = replace(SHAPES[shape], launcher=launcher)
    return spec if launcher in ("torchrun", "deepspeed") else replace(spec, restarts=None)


def on_slurm(spec: JobSpec, *, file: bytes | None = None, recorded: bool = False) -> Rendered:
    """The spec rendered for a Slurm called `lab`; `file` is the program that it names."""
    inline = (spec.script or "").encode()
    program = (
        Program("/home/ann/train.yaml", inline, inline=True)
        if file is None
        else Program("/home/ann/run.sh", file, inline=False)
    )
    target = Target(source="lab", kind="slurm")
    return render(spec, target, program, work_dir="/home/ann", recorded=recorded)
