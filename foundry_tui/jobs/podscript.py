"""The script that every pod of a run is given: what comes before the program, and its launcher.

Facts of the training operator 1.9, which KAI and Run:ai both have start PyTorch's pods: it sets
`MASTER_ADDR`, `MASTER_PORT`, `WORLD_SIZE`, `RANK` and `PET_NNODES` in each, and in an elastic run
`PET_RDZV_ENDPOINT` instead of the first four. Its `WORLD_SIZE` and `RANK` count pods; torchrun sets
its own for the processes it starts, so they are never handed on.
"""

from __future__ import annotations

import shlex

from foundry_tui.jobs.launchers import torchrun
from foundry_tui.jobs.launchers.guard import guarded
from foundry_tui.jobs.launchers.prologue import cpus_per_process
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.record.prologue import lines as record_lines
from foundry_tui.jobs.spec import JobSpec, Launcher

MPIS = frozenset({Launcher.MPI, Launcher.HOROVOD})

TASKS = ("FOUNDRY_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_ID")
"""The number of a task of an array, under a name of ours and under the one that programs know."""

_PORT = 23456
"""The operator's own choice."""

_MEETING = (
    "--rdzv-backend=c10d",
    '--rdzv-endpoint="${PET_RDZV_ENDPOINT:-${MASTER_ADDR:?nothing tells this pod where the others'
    f' are: it needs a PyTorchJob}}:${{MASTER_PORT:-{_PORT}}}}}"',
)
"""Options of torchrun as a shell reads them."""

_FIRST_POD = '[ "${RANK:-${JOB_COMPLETION_INDEX:-0}}" = 0 ] || unset MLFLOW_RUN_ID'
"""Of the pods that run a program without a launcher, the first alone knows its record."""

_PASSED_ON = (
    "$(env | sed -n -e 's/^\\(MLFLOW_[A-Z0-9_]*\\)=.*/-x \\1/p'"
    " -e 's/^\\(FOUNDRY_[A-Z0-9_]*\\)=.*/-x \\1/p')"
)
"""What mpirun hands to the processes on other pods: ssh keeps no variables of the container."""


def script(spec: JobSpec, program: Program, *, recorded: bool) -> bytes:
    """Text for `/bin/sh` of the image; `recorded` with the lines that tell the environment.

    Raises:
        ValueError: the program is none that runs inside a container.
    """
    blocks = [record_lines() if recorded else (), _before(spec)]
    if spec.launcher is Launcher.NONE:
        text = program.as_shell().decode("utf-8")
        if not any(blocks):
            return text.encode()
        blocks.append((text.rstrip("\n"),))
    else:
        blocks.append((f"exec {_launched(spec, program)}",))
    return ("\n\n".join("\n".join(block) for block in blocks if block) + "\n").encode()


def several(spec: JobSpec) -> bool:
    """Whether there is more than one pod."""
    return (spec.nodes_most or spec.nodes or 1) > 1


def _before(spec: JobSpec) -> tuple[str, ...]:
    if spec.launcher is Launcher.NONE:
        if spec.array is not None:
            return tuple(f'export {name}="$JOB_COMPLETION_INDEX"' for name in TASKS)
        return (_FIRST_POD,) if several(spec) else ()
    lines = ["export NCCL_DEBUG=${NCCL_DEBUG:-WARN}"]
    if (threads := cpus_per_process(spec)) is not None:
        lines.append(f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{threads}}}")
    if spec.launcher in MPIS:
        # Open MPI starts nothing as root, which most containers are, until it is told twice.
        lines.append("export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
    return tuple(lines)


def _launched(spec: JobSpec, program: Program) -> str:
    """The launcher and its program, as one command."""
    shell = shlex.join(guarded(program.words()))
    if spec.launcher in MPIS:
        return f"{_mpirun(spec)} \\\n  {shell}"
    if several(spec):
        nodes = f'"${{PET_NNODES:-{torchrun.span(spec)}}}"'
        head = torchrun.head(spec, nodes=nodes, rendezvous=(_id(spec), *_MEETING))
    else:
        head = torchrun.head(spec, nodes="1", rendezvous=("--standalone",))
    return f"{' '.join(head)} \\\n  {shell}"


def _id(spec: JobSpec) -> str:
    return f"--rdzv-id={shlex.quote(spec.name)}"


def _mpirun(spec: JobSpec) -> str:
    if not several(spec):
        return f"mpirun -np {spec.processes_per_node}"
    named = sorted({*(name for name, _ in spec.environment), *(s.variable for s in spec.secrets)})
    passed = [_PASSED_ON, *(f"-x {name}" for name in named)]
    return " ".join(("mpirun", f"-np {spec.world_size}", *passed))
