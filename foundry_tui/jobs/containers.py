"""A job spec in the words of `runai training submit`, which Run:ai and KAI both take."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal

from foundry_tui.jobs import podscript
from foundry_tui.jobs.amounts import WHOLE_MILLI
from foundry_tui.jobs.launchers import torchrun
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.spec import JobSpec, Launcher, Mount
from foundry_tui.jobs.target import FieldError, Notes, Target
from foundry_tui.schedulers import optionvalues
from foundry_tui.schedulers.options import ADDED, Wanted, parse

_NAMES = {"runai": "Run:ai", "kai": "KAI"}
_UNITS = tuple(
    (unit, base**power)
    for power, units in ((4, ("Ti", "T")), (3, ("Gi", "G")), (2, ("Mi", "M")), (1, ("Ki", "k")))
    for unit, base in zip(units, (1024, 1000), strict=True)
)
_DASHES = re.compile(r"[^a-z0-9]+")
_TASKS = re.compile(r"0(?:-([0-9]{1,5}))?(?:%([1-9][0-9]{0,4}))?")
_MAX_NAME = 40


def render(
    spec: JobSpec, target: Target, program: Program, notes: Notes, *, recorded: bool
) -> tuple[tuple[str, ...], bytes]:
    """Options of a training, and the script that runs inside its image.

    Raises:
        ValueError: the program is none that runs inside a container.
        FieldError: a field that cannot be followed there.
    """
    there = _NAMES[target.kind]
    _check(spec, target, there)
    options = [f"--name={_name(spec, notes)}"]
    if (queue := spec.queue.at(target.source, target.kind)) is not None:
        options.append(f"--project={queue}")
    if spec.image is not None:
        options.append(f"--image={spec.image}")
    options += _gpus(spec)
    if spec.cpu_milli is not None:
        options.append(f"--cpu-core-request={_decimal(spec.cpu_milli)}")
    if spec.memory_bytes is not None:
        options.append(f"--cpu-memory-request={amount(spec.memory_bytes)}")
    if spec.preemptible is not None:
        word = "preemptible" if spec.preemptible else "non-preemptible"
        options.append(f"--preemptibility={word}")
    if (priority := spec.priority.at(target.source, target.kind)) is not None:
        options.append(f"--priority={priority}")
    if (pool := spec.node_pool.at(target.source, target.kind)) is not None:
        options.append(f"--node-pools={pool}")
    options += _pods(spec, target, notes)
    options += _array(spec, there)
    options += _inside(spec, notes)
    options += _course(spec, target, there, notes)
    _elsewhere(spec, target, program, there, notes)
    return tuple(options), podscript.script(spec, program, recorded=recorded)


def overruled(ours: tuple[str, ...], native: tuple[str, ...]) -> tuple[str, ...]:
    """The native options that say again what the fields have said; what adds up does not.

    Raises:
        ValueError: a word that is no such option, or a wrong value of one.
    """
    said, again, nothing = parse(ours), parse(native), Wanted()
    return tuple(
        name
        for name in (f.name for f in fields(Wanted))
        if name not in ADDED
        and all(getattr(one, name) != getattr(nothing, name) for one in (said, again))
    )


def _check(spec: JobSpec, target: Target, there: str) -> None:
    """Raises FieldError for what cannot be done in containers at all."""
    if spec.launcher is Launcher.SRUN:
        raise FieldError(
            "launcher",
            f"srun is Slurm's own; on {there} use torchrun, which starts a process for each GPU",
        )
    if spec.launcher in podscript.MPIS and podscript.several(spec) and target.kind == "kai":
        raise FieldError(
            "launcher",
            f"{spec.launcher} on several nodes needs an MPI operator, which KAI does not bring; "
            "use torchrun, or one node",
        )
    if spec.nodes_most is not None and spec.launcher not in torchrun.LAUNCHERS:
        raise FieldError(
            "nodes", f"{torchrun.span(spec)} needs `launcher: torchrun`; else give one number"
        )
    if spec.needs:
        raise FieldError(
            "needs", f"{there} lets no run wait for another; submit it when they have ended"
        )


def _pods(spec: JobSpec, target: Target, notes: Notes) -> list[str]:
    """How many pods, and what brings them together."""
    if not podscript.several(spec):
        return []
    options = [f"--workers={spec.nodes_most or spec.nodes}"]
    if spec.nodes_most is not None:
        least = spec.nodes or 1
        options += [f"--min-replicas={least}", f"--max-replicas={spec.nodes_most}"]
        notes.add(
            f"nodes: it starts when {least} of its {spec.nodes_most} pods have a place; the others "
            "join when there is room"
        )
    if spec.launcher in podscript.MPIS:
        options += ["--framework=mpi", f"--slots-per-worker={spec.processes_per_node}"]
    elif spec.launcher is not Launcher.NONE and target.kind == "kai":
        # A Job tells its pods nothing of each other.
        options.append("--kind=PyTorchJob")
    return options


def _array(spec: JobSpec, there: str) -> list[str]:
    if spec.array is None:
        return []
    if there != _NAMES["kai"]:
        raise FieldError(
            "array", f"{there} gives its pods no number; submit one run for each task instead"
        )
    if spec.launcher is not Launcher.NONE or podscript.several(spec):
        raise FieldError("array", "each task is one pod there: leave out `launcher` and `nodes`")
    found = _TASKS.fullmatch(spec.array)
    if found is None:
        raise FieldError(
            "array", f"{there} counts tasks from 0, one by one: 0-9 or 0-9%4, not {spec.array!r}"
        )
    tasks = int(found[1] or 0) + 1
    options = [f"--completions={tasks}"]
    if found[2] is not None:
        options.append(f"--parallelism={min(int(found[2]), tasks)}")
    return options


def _inside(spec: JobSpec, notes: Notes) -> list[str]:
    """What the container finds: folders, secrets, shared memory."""
    options = []
    if spec.workdir is not None:
        options.append(f"--working-dir={_taken('workdir', optionvalues.folder, spec.workdir)}")
    for secret in spec.secrets:
        told = f"{secret.variable}={secret.name}:{secret.key}"
        options.append(f"--env-secret={_taken('secrets', optionvalues.secret, told)}")
    for mount in spec.mounts:
        options.append(_mount(mount, notes))
    if spec.launcher is not Launcher.NONE and spec.processes_per_node > 1:
        options.append("--large-shm")
        notes.add(
            f"launcher: {spec.processes_per_node} processes in a pod talk through /dev/shm, which "
            "has 64 MiB in a container: it gets as much as the memory of the pod"
        )
    return options


def _mount(mount: Mount, notes: Notes) -> str:
    if mount.claim is not None:
        read_only = ",readonly" if mount.read_only else ""
        told = f"claimname={mount.claim},path={mount.target}{read_only}"
        return f"--existing-pvc={_taken('mounts', optionvalues.claim, told)}"
    writes = "" if mount.read_only else ",readwrite"
    notes.add(
        f"mounts: {mount.source} is a folder of each node, which a cluster may forbid; a volume "
        "is named with `claim`"
    )
    told = f"path={mount.source},mount={mount.target}{writes}"
    return f"--host-path={_taken('mounts', optionvalues.host_path, told)}"


def _taken(field: str, read: Callable[[str], object], text: str) -> str:
    """`text`, which `read` takes. Raises FieldError where it does not."""
    try:
        read(text)
    except ValueError as error:
        raise FieldError(field, f"{error}, not {text!r}") from None
    return text


def _course(spec: JobSpec, target: Target, there: str, notes: Notes) -> list[str]:
    """How it ends, and whether it begins again."""
    options = []
    if spec.time_limit_s is not None and target.kind == "kai":
        options.append(f"--deadline={spec.time_limit_s}s")
    elif spec.time_limit_s is not None:
        notes.add(f"time_limit: {there} knows none; nothing ends the run when it is over")
    if (checkpoint := spec.checkpoint) is not None:
        options.append(f"--termination-grace-period={checkpoint.grace_s}s")
        notes.add(
            f"checkpoint: {there} sends SIGTERM, not {checkpoint.signal}, to the first process of "
            f"the container and ends it after {checkpoint.grace_s} s"
        )
    if (retry := spec.retry) is not None:
        most = retry.most if retry.on else 0
        options.append(f"--backoff-limit={most}")
        if most:
            notes.add(
                f"retry: {there} begins it again {most} times after failures of the program too; "
                "what was preempted begins again and is not counted"
            )
    return options


def _elsewhere(spec: JobSpec, target: Target, program: Program, there: str, notes: Notes) -> None:
    """Fields that mean nothing in containers."""
    if spec.gpu_model is not None and spec.node_pool.at(target.source, target.kind) is None:
        notes.add(f"gpu_model: {there} chooses by node pool; say so in `node_pool`")
    if spec.modules:
        notes.add(f"modules: not loaded in a container: {', '.join(spec.modules)} in the image")
    if spec.account.at(target.source, target.kind) is not None:
        notes.add(f"account: {there} charges the queue; `queue` names it")
    if spec.notify:
        notes.add(f"notify: {there} sends no mail")
    if spec.launcher in podscript.MPIS:
        several = podscript.several(spec)
        notes.add(
            f"launcher: the image needs mpirun{' and sshd' if several else ''} (Open MPI's words)"
        )
    if program.directives:
        notes.add(f"file: its {program.directives} #SBATCH lines mean nothing to {there}")


def _name(spec: JobSpec, notes: Notes) -> str:
    """A name that Kubernetes takes: small letters, digits and dashes, a letter first."""
    made = _DASHES.sub("-", spec.name.lower())[:_MAX_NAME].strip("-")
    made = made if made[:1].isalpha() else f"run-{made}".strip("-")
    if made != spec.name:
        notes.add(f"name: Kubernetes takes small letters, digits and dashes: {made}")
    return made


def _gpus(spec: JobSpec) -> list[str]:
    part = spec.gpu_share_milli is not None or spec.gpu_memory_bytes is not None
    count = spec.gpus if spec.gpus is not None else 1 if part else 0
    options = [f"--gpu-devices-request={count}"]
    if spec.gpu_share_milli is not None and spec.gpu_share_milli < WHOLE_MILLI:
        options.append(f"--gpu-portion-request={_decimal(spec.gpu_share_milli)}")
    if spec.gpu_memory_bytes is not None:
        options.append(f"--gpu-memory-request={amount(spec.gpu_memory_bytes)}")
    return options


def _decimal(milli: int) -> str:
    return f"{(Decimal(milli) / 1000).normalize():f}"


def amount(size_bytes: int) -> str:
    """Bytes as an amount with the largest unit of which it is a whole number: `117Gi`, `20G`."""
    for unit, factor in _UNITS:
        if size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)
