"""Batch scripts of the simulated jobs: made up from what each asks for and its kind of work.

What a user of the estate submitted is not kept by the simulation: its jobs have a plain script.
"""

from __future__ import annotations

from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import BatchScript
from foundry_tui.schedulers.simulated.live import Live
from foundry_tui.schedulers.simulated.source import others_run
from scheduler_sim.jobs import Job

IMAGE_SETUP = "module load pytorch/2.5"

_PROGRAMS = {
    "pretrain": (
        IMAGE_SETUP,
        "export MASTER_ADDR=$(scontrol show hostnames $SLURM_JOB_NODELIST | head -n 1)",
        "srun torchrun --nnodes=$SLURM_NNODES --nproc-per-node=8 --rdzv-backend=c10d "
        "--rdzv-endpoint=$MASTER_ADDR:29500 pretrain.py",
    ),
    "train-llm": (IMAGE_SETUP, "torchrun --standalone --nproc-per-node=8 train.py"),
    "finetune": (IMAGE_SETUP, "python finetune.py --data /scratch/corpus"),
    "train": (IMAGE_SETUP, "python train.py --data /scratch/images"),
    "eval": (IMAGE_SETUP, "python eval.py --out /scratch/scores"),
    "sweep": (IMAGE_SETUP, "python sweep.py --seed $SLURM_ARRAY_TASK_ID"),
    "notebook": ("source /opt/site/notebook.sh", "jupyter lab --no-browser"),
}
"""Name of a kind of work -> the lines of its program."""

_DIRECTIVES = {
    "pretrain": ("--dependency=singleton",),
    "eval": ("--mail-type=FAIL",),
    "notebook": ("--licenses=cfd:1",),
}


def answer(live: Live, raw_id: str, *, admin: bool) -> BatchScript:
    """The script of a job by its number; those of others are for administrators, as in Slurm."""
    jobs = live.engine().books.jobs.values()
    job = next((j for j in jobs if str(j.number) == raw_id), None)
    if job is None:
        return BatchScript(reason=safe(f"there is no job {raw_id}"))
    if not admin and others_run(job.spec.user):
        return BatchScript(reason=safe("Slurm gives it to its owner and to operators alone"))
    return BatchScript(data=script_of(job))


def script_of(job: Job) -> bytes:
    """The script that a job might have been submitted with."""
    spec = job.spec
    need = spec.request
    shards = need.gpu_milli < 1000
    lines = [
        f"--job-name={spec.name}",
        f"--account={spec.account}",
        f"--partition={spec.queue}",
        f"--qos={spec.qos}",
        f"--nodes={spec.nodes}",
        f"--gres=shard:{need.gpus}" if shards else f"--gres=gpu:{need.gpus}",
    ]
    if spec.limit_s:
        lines.append(f"--time={spec.limit_s // 60}")
    if job.array is not None:
        lines.append("--array=0-23%6")
    kind = next((kind for kind in _PROGRAMS if spec.name.startswith(kind)), None)
    lines += _DIRECTIVES.get(kind or "", ())
    program = _PROGRAMS.get(kind or "", ("sleep 600",))
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {o}" for o in lines), *program, ""]).encode()
