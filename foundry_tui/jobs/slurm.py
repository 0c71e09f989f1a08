"""A job spec in the words of sbatch."""

from __future__ import annotations

import shlex

from foundry_tui.jobs.amounts import WHOLE_MILLI
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.target import Notes, Target
from foundry_tui.schedulers.slurm.directives import parse

_MIB = 1 << 20
_CORE_MILLI = 1000


def render(
    spec: JobSpec, target: Target, program: Program, notes: Notes
) -> tuple[tuple[str, ...], bytes]:
    """Options for sbatch, and the script that it is given.

    One task runs on each node, so that the amounts of a task are those of a node.

    Raises:
        ValueError: the program has to run on several nodes and cannot.
    """
    options = [f"--job-name={spec.name}"]
    if (queue := spec.queue.at(target.source, target.kind)) is not None:
        options.append(f"--partition={queue}")
    if spec.nodes is not None:
        options += [f"--nodes={spec.nodes}", "--ntasks-per-node=1"]
    if (gres := _gres(spec, target, notes)) is not None:
        options.append(f"--gres={gres}")
    if (cpus := _cpus(spec, notes)) is not None:
        options.append(f"--cpus-per-task={cpus}")
    if spec.memory_bytes is not None:
        options.append(f"--mem={-(-spec.memory_bytes // _MIB)}M")
    if spec.time_limit_s is not None:
        options.append(f"--time={_clock(spec.time_limit_s)}")
    if (priority := spec.priority.at(target.source, target.kind)) is not None:
        options.append(f"--qos={priority}")
    if spec.image is not None:
        notes.add(
            "image: Slurm starts the program on the node itself; where the site has containers, "
            "say so in `options` (Pyxis: --container-image=IMAGE)"
        )
    if spec.preemptible is not None:
        notes.add("preemptible: on Slurm the partition and the QOS decide")
    return tuple(options), _script(spec, program, notes)


def overruled(ours: tuple[str, ...], native: tuple[str, ...]) -> tuple[str, ...]:
    """The native options that say again what the fields have said.

    Raises:
        ValueError: a word that is no option of sbatch.
    """
    said, again = parse(b"", ours), parse(b"", native)
    return tuple(f"--{name}" for name in said if name in again)


def _gres(spec: JobSpec, target: Target, notes: Notes) -> str | None:
    part = spec.gpu_share_milli is not None or spec.gpu_memory_bytes is not None
    count = spec.gpus if spec.gpus is not None else 1 if part else None
    if count is None:
        return None
    if count == 0:
        return "none"
    model = f"{spec.gpu_model}:" if spec.gpu_model else ""
    milli = spec.gpu_share_milli or WHOLE_MILLI
    if milli < WHOLE_MILLI and count == 1 and target.shards_per_gpu:
        shards = -(-milli * target.shards_per_gpu // WHOLE_MILLI)
        notes.add(f"gpu_share: {shards} of the {target.shards_per_gpu} shards of a GPU")
        return f"shard:{model}{shards}"
    if milli < WHOLE_MILLI:
        why = "no shards are known here" if count == 1 else "shards are parts of one GPU"
        notes.add(f"gpu_share: whole GPUs are asked for, because {why}")
    if spec.gpu_memory_bytes is not None:
        notes.add("gpu_memory: whole GPUs are asked for; Slurm gives no part of a GPU by memory")
    return f"gpu:{model}{count}"


def _cpus(spec: JobSpec, notes: Notes) -> int | None:
    if spec.cpu_milli is None:
        return None
    cpus = -(-spec.cpu_milli // _CORE_MILLI)
    if cpus * _CORE_MILLI != spec.cpu_milli:
        notes.add(f"cpus: Slurm gives whole ones: {cpus}")
    return cpus


def _clock(seconds: int) -> str:
    """`1-02:03:04`, or `2:03:04` below a day."""
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def _script(spec: JobSpec, program: Program, notes: Notes) -> bytes:
    """A batch script runs on the first node alone: the others are reached through srun."""
    if (spec.nodes or 1) == 1:
        return program.as_batch()
    if not program.inline:
        notes.add(
            "file: Slurm starts it on the first node alone, with srun inside for the others; "
            "elsewhere it starts on each"
        )
        return program.data
    cpus = -(-(spec.cpu_milli or 0) // _CORE_MILLI)
    own = f"--cpus-per-task={cpus} " if cpus else ""
    words = shlex.join(program.words())
    return f"#!/bin/sh\nexec srun --kill-on-bad-exit=1 {own}{words}\n".encode()
