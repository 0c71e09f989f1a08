"""The step of a Slurm job that starts its program, and what becomes of its checkpoint signal."""

from __future__ import annotations

import shlex

from foundry_tui.jobs.launchers import torchrun
from foundry_tui.jobs.launchers.guard import guarded
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.spec import JobSpec, Launcher

PER_PROCESS = frozenset({Launcher.SRUN, Launcher.MPI, Launcher.HOROVOD})
"""Launchers that start one task of Slurm for each process; the others one for each node."""

_STANDALONE = ("--standalone",)
_MEETING = (
    '"--rdzv-id=$SLURM_JOB_ID"',
    "--rdzv-backend=c10d",
    '"--rdzv-endpoint=$MASTER_ADDR:$MASTER_PORT"',
)
"""Options of torchrun as bash reads them."""

_CPUS = '${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"}'
"""Since 22.05 srun does not take them from the job by itself."""

_JOB = (
    "foundry_job=$SLURM_JOB_ID",
    'if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then',
    "  foundry_job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID",
    "fi",
)
"""One task of an array has the id of the array, which would requeue all of them."""


_FORWARDED = frozenset({"USR1", "USR2"})
"""Signals that srun passes on to its tasks. Of the others it takes most for its own end."""


AT_CANCEL = frozenset({"TERM", "CONT"})
"""Signals that Slurm sends at a cancel too: a job that comes back after one would undo it."""


def tasks_per_node(spec: JobSpec) -> int:
    """How many tasks Slurm starts on each node."""
    return spec.processes_per_node if spec.launcher in PER_PROCESS else 1


def step(spec: JobSpec, program: Program) -> str:
    """The command of bash that starts the program through srun, in several lines.

    Raises:
        ValueError: the program cannot travel as words.
    """
    each = tasks_per_node(spec)
    tasks = "$SLURM_JOB_NUM_NODES" if each == 1 else f"$((SLURM_JOB_NUM_NODES * {each}))"
    mpi = ["--mpi=pmix"] if spec.launcher in (Launcher.MPI, Launcher.HOROVOD) else []
    srun = [
        "srun",
        "--export=ALL",
        "--kill-on-bad-exit=1",
        *mpi,
        f'"--ntasks={tasks}"',
        f"--ntasks-per-node={each}",
        _CPUS,
    ]
    return " \\\n  ".join((" ".join(srun), *_started(spec, program)))


def _started(spec: JobSpec, program: Program) -> tuple[str, ...]:
    """What each task starts, as pieces of bash."""
    signal = spec.checkpoint.signal if spec.checkpoint is not None else None
    words = program.words(before=f"trap : {signal}\n" if signal else "")
    several = spec.launcher is not Launcher.NONE or (spec.nodes_most or spec.nodes or 1) > 1
    if not several:
        return (shlex.join(words),)
    if spec.launcher not in torchrun.LAUNCHERS:
        before = _ranks(spec) if spec.launcher is Launcher.SRUN else ""
        return (shlex.join(guarded(words, before=before)),)
    alone = (spec.nodes_most or spec.nodes or 1) == 1
    meeting = _STANDALONE if alone else _MEETING
    head = " ".join(torchrun.head(spec, nodes=torchrun.span(spec), rendezvous=meeting))
    launch = (head, shlex.join(guarded(words)))
    return (*_deaf(signal), *launch) if signal else launch


def _ranks(spec: JobSpec) -> str:
    """The variables of torchrun from those of Slurm, which only a task itself knows."""
    pairs = {
        "RANK": '"$SLURM_PROCID"',
        "LOCAL_RANK": '"$SLURM_LOCALID"',
        "WORLD_SIZE": '"$SLURM_NTASKS"',
        "LOCAL_WORLD_SIZE": str(spec.processes_per_node),
        "NODE_RANK": '"$SLURM_NODEID"',
    }
    return "export " + " ".join(f"{name}={value}" for name, value in pairs.items())


def _deaf(signal: str) -> tuple[str, ...]:
    """torchrun itself dies of a signal that is meant for its processes: it ignores it.

    Its processes inherit that until they set a handler of their own, which is what tells that they
    know the signal.
    """
    return (shlex.join(("/bin/sh", "-c", f'trap "" {signal}; exec "$@"', "foundry-launch")),)


def waited(spec: JobSpec, command: str) -> tuple[str, ...]:
    """The step beside a trap: Slurm tells the batch script alone, and it tells the step.

    With `retry` of a timeout the script puts its own job back into the queue: as soon as the step
    has ended after the signal, whatever its exit code, or when three quarters of the grace are
    over and it still runs. A program that ends with 0 after the signal has not told that it was
    done with its work, and a needless attempt costs less than a run that ends too early unseen.
    """
    checkpoint = spec.checkpoint
    assert checkpoint is not None
    again = (
        spec.retry is not None
        and "timeout" in spec.retry.on
        and spec.retry.most > 0
        and checkpoint.signal not in AT_CANCEL
    )
    most = spec.retry.most if spec.retry is not None else 0
    forwarded = checkpoint.signal in _FORWARDED
    tell = (
        f'kill -s {checkpoint.signal} "$foundry_step"'
        if forwarded
        else f'scancel --signal={checkpoint.signal} "$foundry_job"'
    )
    timer = (
        f'  if [ "$FOUNDRY_ATTEMPT" -le {most} ] && [ -z "$foundry_timer" ]; then',
        f"    (sleep {checkpoint.grace_s * 3 // 4} >/dev/null 2>&1",
        '     exec scontrol requeue "$foundry_job" >&2) &',
        "    foundry_timer=$!",
        "  fi",
    )
    requeue = (
        'if [ -n "$foundry_timer" ]; then',
        '  kill "$foundry_timer" 2>/dev/null',
        '  echo "foundry: attempt $FOUNDRY_ATTEMPT ends before its time limit: back into the'
        ' queue" >&2',
        '  scontrol requeue "$foundry_job" >&2 && exit 0',
        "fi",
    )
    return (
        "# The checkpoint signal comes here, and is passed on to the step.",
        *(_JOB if again or not forwarded else ()),
        *(("foundry_timer=",) if again else ()),
        "foundry_tell() {",
        "  foundry_told=1",
        f'  if [ -n "$foundry_step" ]; then {tell}; fi',
        *(timer if again else ()),
        "}",
        "foundry_step=",
        f"trap foundry_tell {checkpoint.signal}",
        f"{command} &",
        "foundry_step=$!",
        "# A signal ends a wait too; bash keeps the code of a step that is over.",
        "while",
        "  foundry_told=",
        '  wait "$foundry_step"',
        "  foundry_code=$?",
        '  [ -n "$foundry_told" ]',
        "do :; done",
        *(requeue if again else ()),
        'exit "$foundry_code"',
    )
