"""A job spec in the words of sbatch."""

from __future__ import annotations

import re

from foundry_tui.jobs.amounts import WHOLE_MILLI
from foundry_tui.jobs.launchers import batch
from foundry_tui.jobs.launchers.prologue import cpus_per_process
from foundry_tui.jobs.launchers.step import AT_CANCEL, PER_PROCESS, tasks_per_node
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.spec import JobSpec, Launcher
from foundry_tui.jobs.target import FieldError, Notes, Target
from foundry_tui.schedulers.slurm.directives import parse

_MIB = 1 << 20
_CORE_MILLI = 1000
_JOB_ID = re.compile(r"[0-9]+(?:[_+][0-9]+)?")


def render(
    spec: JobSpec, target: Target, program: Program, notes: Notes, *, recorded: bool
) -> tuple[tuple[str, ...], bytes]:
    """Options for sbatch, and the script that it is given.

    One task runs on each node, so that the amounts of a task are those of a node; where srun starts
    the processes, one for each of them.

    Raises:
        ValueError: the program cannot be started as the spec wants it.
        FieldError: a field that Slurm cannot take.
    """
    options = [f"--job-name={spec.name}"]
    if (queue := spec.queue.at(target.source, target.kind)) is not None:
        options.append(f"--partition={queue}")
    if (account := spec.account.at(target.source, target.kind)) is not None:
        options.append(f"--account={account}")
    options += _nodes(spec, notes)
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
    if spec.workdir is not None:
        options.append(f"--chdir={spec.workdir}")
    options += _course(spec, target)
    options += _signal(spec, program, notes)
    options += _retry(spec, program, notes)
    _elsewhere(spec, target, notes)
    return tuple(options), batch.script(spec, program, notes, recorded=recorded)


def overruled(ours: tuple[str, ...], native: tuple[str, ...]) -> tuple[str, ...]:
    """The native options that say again what the fields have said.

    Raises:
        ValueError: a word that is no option of sbatch.
    """
    said, again = parse(b"", ours), parse(b"", native)
    return tuple(f"--{name}" for name in said if name in again)


def _nodes(spec: JobSpec, notes: Notes) -> list[str]:
    if spec.nodes_most is not None:
        nodes = f"{spec.nodes or 1}-{spec.nodes_most}"
        notes.add(
            f"nodes: Slurm starts it on {spec.nodes or 1} to {spec.nodes_most} nodes and does not "
            "resize it afterwards; for more nodes submit it again from its checkpoint"
        )
    elif spec.nodes is not None or spec.launcher is not Launcher.NONE:
        nodes = str(spec.nodes or 1)
    else:
        return []
    return [f"--nodes={nodes}", f"--ntasks-per-node={tasks_per_node(spec)}"]


def _course(spec: JobSpec, target: Target) -> list[str]:
    """When it starts, how often, and who is told."""
    options = []
    if spec.array is not None:
        options.append(f"--array={spec.array}")
    if spec.needs:
        ids = ":".join(_job_id(need, target) for need in spec.needs)
        options.append(f"--dependency=afterok:{ids}")
    if spec.notify:
        options.append(f"--mail-type={','.join(spec.notify).upper()}")
    return options


def _job_id(need: str, target: Target) -> str:
    source, _, native = need.rpartition("/")
    if source not in ("", target.source):
        raise FieldError("needs", f"{need} is a run of {source}; {target.source} cannot wait on it")
    if not _JOB_ID.fullmatch(native):
        raise FieldError("needs", f"{need!r} is no job id of Slurm, such as 123 or 123_4")
    return native


def _signal(spec: JobSpec, program: Program, notes: Notes) -> list[str]:
    """The batch script is told before the end, and tells its step; a file that calls srun itself
    is not, so there Slurm tells the steps.
    """
    if (checkpoint := spec.checkpoint) is None:
        return []
    if spec.time_limit_s is not None and checkpoint.grace_s >= spec.time_limit_s:
        notes.add("checkpoint.grace: not shorter than time_limit: the signal comes at the start")
    if spec.array is not None and checkpoint.path is not None:
        notes.add(
            f"checkpoint.path: all tasks of the array are given {checkpoint.path}; the program has "
            "to keep them apart by SLURM_ARRAY_TASK_ID"
        )
    ours = "B:" if batch.steps(spec, program) else ""
    return [f"--signal={ours}{checkpoint.signal}@{checkpoint.grace_s}"]


def _retry(spec: JobSpec, program: Program, notes: Notes) -> list[str]:
    """Slurm requeues after a lost node and after preemption; after a timeout only we do."""
    if (retry := spec.retry) is None:
        return []
    if not retry.on or retry.most == 0:
        return ["--no-requeue"]
    slurms = [end for end in ("node_fail", "preempted") if end in retry.on]
    if len(slurms) < 2:
        notes.add(
            "retry.on: one switch of Slurm's (--requeue) stands for node_fail, preempted and "
            "`scontrol requeue`: all of them begin again"
        )
    if "timeout" in retry.on and spec.checkpoint is None:
        notes.add(
            "retry.on: timeout needs `checkpoint`: its signal tells the script of the end, and "
            "without it nothing is there to go on from; a timeout ends this run"
        )
    elif (
        "timeout" in retry.on
        and spec.checkpoint is not None
        and spec.checkpoint.signal in AT_CANCEL
    ):
        notes.add(
            f"retry.on: timeout: Slurm sends {spec.checkpoint.signal} at a cancel too, after which "
            "nothing may begin again: a timeout ends this run; make `checkpoint.signal` USR1"
        )
    elif "timeout" in retry.on and not batch.steps(spec, program):
        notes.add("retry.on: timeout: a file that calls srun itself has to requeue itself too")
    return ["--requeue", "--open-mode=append"]


def _elsewhere(spec: JobSpec, target: Target, notes: Notes) -> None:
    """Fields that mean nothing to Slurm, or not all that they say."""
    if spec.image is not None:
        notes.add(
            "image: Slurm starts the program on the node itself; where the site has containers, "
            "say so in `options` (Pyxis: --container-image=IMAGE)"
        )
    if spec.preemptible is not None:
        notes.add("preemptible: on Slurm the partition and the QOS decide")
    if spec.node_pool.at(target.source, target.kind) is not None:
        notes.add("node_pool: Slurm has partitions and features; say it in `queue` or `options`")
    for mount in spec.mounts:
        if mount.claim is not None and mount.source is None:
            notes.add(f"mounts: Slurm has no claims such as {mount.claim}: not mounted")
        elif mount.source != mount.target:
            notes.add(f"mounts: the program sees {mount.source} there, not at {mount.target}")


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
    """CPUs of a task."""
    if spec.cpu_milli is None:
        return None
    cpus = -(-spec.cpu_milli // _CORE_MILLI)
    if cpus * _CORE_MILLI != spec.cpu_milli:
        notes.add(f"cpus: Slurm gives whole ones: {cpus}")
    if spec.launcher not in PER_PROCESS:
        return cpus
    each, tasks = cpus_per_process(spec), tasks_per_node(spec)
    if each is not None and each * tasks != cpus:
        notes.add(f"cpus: each of the {tasks} tasks of a node gets {each}: {each * tasks} in all")
    return each


def _clock(seconds: int) -> str:
    """`1-02:03:04`, or `2:03:04` below a day."""
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock
