"""What starts the processes of a program, in the words of a job spec.

On one node a program stays as it is and loses its `srun` alone, unless one command starts all of
it: then the launcher of the spec does, as it does over several nodes. Under a launcher the whole
script runs in each process, so that what stands before the command is done in each of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundry_tui.jobs.spec import Launcher
from foundry_tui.migration.binds import bound
from foundry_tui.migration.body.edits import LOOPS, Body
from foundry_tui.migration.body.launchers import Launch, Layer, launch_of
from foundry_tui.migration.body.lexer import Command
from foundry_tui.migration.body.numbers import number
from foundry_tui.migration.body.once import others_of, repeated
from foundry_tui.migration.nouns import Class

_KINDS = {
    "torchrun": Launcher.TORCHRUN,
    "accelerate": Launcher.TORCHRUN,
    "deepspeed": Launcher.DEEPSPEED,
    "mpi": Launcher.MPI,
    "horovod": Launcher.HOROVOD,
    "srun": Launcher.TORCHRUN,
}
_ODD = ("multi-prog", "het-group", "jobid", "pty", "overlap", "interactive")
_QUOTES = "\"'"
_CONTAINER_LOST = frozenset(
    ("env", "env-file", "pwd", "H", "home", "overlay", "W", "workdir", "S", "scratch")
)
"""Options of a container runtime that change what the program finds."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command that starts processes."""

    command: Command
    launch: Launch


def launch(body: Body) -> None:
    """Find out what starts the processes, say so, and change the program to it."""
    steps = [
        Step(command, found)
        for command in body.lexed.commands
        if not command.inside and (found := launch_of(command.words)) is not None
    ]
    for step in steps:
        _contained(body, step)
    starts = [step for step in steps if step.launch.starts]
    nodes = body.draft.amounts.nodes
    odd = [step for step in starts if _odd(step)]
    if odd:
        for step in starts:
            why = "a step that no launcher of a spec can start: make a run of it"
            body.tell(step.command, step.launch.inner, "kept", why, Class.MANUAL, blocks=True)
        return
    if not starts:
        if nodes > 1:
            why = "Slurm starts the script on the first node alone, here each pod starts it"
            body.draft.tell(
                None, "nodes", f"{nodes} nodes, no srun", "a pod each", why, Class.MANUAL
            )
    elif len(starts) == 1 and _is_plain(starts[0]):
        _one(body, starts[0])
    elif nodes > 1:
        for step in starts:
            why = "several steps over the nodes of a job: make a run of each"
            body.tell(step.command, step.launch.inner, "kept", why, Class.MANUAL, blocks=True)
    else:
        for step in starts:
            _in_place(body, step, many=len(starts) > 1)


def _is_plain(step: Step) -> bool:
    """Whether a command stands alone: in no block, in no pipeline."""
    sides = {step.command.before, step.command.after}
    return not step.command.blocks and not sides & {"|", "|&", "&&", "||"}


def _one(body: Body, step: Step) -> None:
    """The one command that starts everything."""
    nodes = body.draft.amounts.nodes
    each = _processes(body, step)
    others = others_of(body, step.command)
    if each == 1 and step.launch.inner == "srun":
        return _single(body, step, others)
    if nodes == 1 and others:
        return _in_place(body, step, many=False)
    return _by_launcher(body, step, each, others)


def _single(body: Body, step: Step, others: list[Command]) -> None:
    """srun with one process for each node: the pod itself is that process."""
    nodes = body.draft.amounts.nodes
    if not _fits_nodes(body, step):
        why = f"a step on fewer nodes than the job has ({nodes}): here each pod runs it"
        body.tell(step.command, "srun", "kept", why, Class.MANUAL, blocks=True)
        return
    _strip(body, step)
    became = "the program itself" if nodes == 1 else f"the program, in each of {nodes} pods"
    body.tell(step.command, "srun", became, _dropped(step.launch.layers[0]), Class.OK)
    if nodes > 1:
        repeated(body, others, f"each of {nodes} pods")


def _in_place(body: Body, step: Step, *, many: bool) -> None:
    """On one node: the program keeps its launcher and loses its srun."""
    command, inner = step.command, step.launch.inner
    each = _processes(body, step) or 1
    beside = command.after == "&" and (many or bool(LOOPS & set(command.blocks)))
    if inner == "srun" and each > 1:
        why = f"it starts {each} processes, and it is not the only step: no launcher does that"
        return body.tell(command, "srun", "kept", why, Class.MANUAL, blocks=True)
    _strip(body, step, keep=inner)
    if inner != "srun":
        body.draft.native.append("--large-shm")
    if beside:
        why = "steps beside each other: srun gave each its own GPUs and cores, here all see all"
        return body.tell(command, inner, "the program itself", why, Class.MANUAL)
    if inner == "srun":
        why = _dropped(step.launch.layers[0])
        return body.tell(command, "srun", "the program itself", why, Class.OK)
    why = f"runs inside the one pod as it stands: the image has to bring {_program(inner)}"
    return body.tell(command, inner, f"{_program(inner)}, as it is", why, Class.OK)


def _by_launcher(body: Body, step: Step, each: int | None, others: list[Command]) -> None:
    """The launcher of the spec starts the whole script in each process."""
    draft, inner = body.draft, step.launch.inner
    layer = step.launch.layer(inner)
    assert layer is not None
    count = each or draft.amounts.gpus or 1
    kind = _kind(step)
    draft.fields["launcher"] = kind
    if count != (draft.amounts.gpus or 1):
        draft.fields["processes"] = count
    if kind is Launcher.TORCHRUN and draft.amounts.most is not None:
        draft.fields["nodes_most"] = draft.amounts.most
    restarts = number(layer.value("max-restarts"), draft.amounts, body.constants)
    if restarts is not None and kind is Launcher.TORCHRUN:
        draft.fields["restarts"] = restarts
    became = f"launcher: {kind.value}, {count} on each node"
    klass, why = _judged(body, step, layer, each)
    _strip(body, step)
    body.tell(step.command, inner, became, why, klass)
    nodes = draft.amounts.nodes
    repeated(body, others, f"each of the {count * nodes} processes")


def _kind(step: Step) -> Launcher:
    """The launcher of the spec: what srun starts is taken for MPI where it is no Python."""
    srun, inner = step.launch.layer("srun"), step.launch.inner
    if inner != "srun" or srun is None:
        return _KINDS[inner]
    first = step.launch.program[0].text if step.launch.program else None
    is_python = re.fullmatch(r"(?:.*/)?python[0-9.]*|.*\.py", first or "") is not None
    by_mpi = srun.value("mpi") not in (None, "none")
    return Launcher.TORCHRUN if is_python and not by_mpi else Launcher.MPI


def _judged(body: Body, step: Step, layer: Layer, each: int | None) -> tuple[Class, str]:
    """How well the launcher of the spec does what the command says."""
    found, inner = body.draft.amounts, step.launch.inner
    known = body.constants
    srun = step.launch.layer("srun")
    if layer.unknown:
        return Class.MANUAL, f"options that are not known: {' '.join(layer.unknown)}"
    if srun is not None and inner != "srun" and _tasks(body, srun) > 1:
        why = f"srun starts {_tasks(body, srun)} of them on each node; here there is one"
        return Class.MANUAL, why
    if inner == "accelerate":
        precision = layer.value("mixed-precision")
        if precision is not None:
            body.draft.variable("ACCELERATE_MIXED_PRECISION", precision.strip(_QUOTES))
        odd = [n for n, _ in layer.options if n.startswith(("config", "use-", "deepspeed", "fsdp"))]
        if odd:
            why = f"accelerate's own settings do not come with it: --{', --'.join(odd)}"
            return Class.MANUAL, why
        return Class.EMULATED, "accelerate finds what torchrun sets; its other options are dropped"
    if inner == "srun" and _kind(step) is Launcher.MPI:
        return Class.APPROXIMATED, "taken for a program of MPI; the image has to bring mpirun"
    if inner == "srun":
        why = "a task becomes a process of torchrun, which the image has to bring; SLURM_PROCID, "
        return Class.EMULATED, f"{why}SLURM_LOCALID and SLURM_NTASKS are set from its variables"
    if inner == "deepspeed" and any(layer.value(n) for n in ("include", "exclude", "i", "e")):
        return Class.MANUAL, "which GPUs of which node are taken is not chosen there"
    if layer.old or (inner == "deepspeed" and not layer.value("no-local-rank")):
        return Class.EMULATED, "the program gets no --local_rank: it finds LOCAL_RANK"
    asked = layer.value("nnodes", "num-machines", "num-nodes")
    if asked is not None and ":" not in asked:
        nodes = number(asked, found, known)
        if nodes is None:
            return Class.APPROXIMATED, f"how many nodes is decided when it runs: {found.nodes}"
        if nodes != found.nodes:
            return Class.MANUAL, f"it is told of {nodes} nodes, and the job has {found.nodes}"
    if each is None:
        return Class.APPROXIMATED, "how many processes is decided when it runs: one for each GPU"
    if inner in ("mpi", "horovod"):
        return Class.OK, "the image has to bring mpirun; hosts are told by the operator"
    return Class.OK, "the processes meet where the launcher says; options for that are dropped"


def _processes(body: Body, step: Step) -> int | None:
    """How many processes on each node; None where only the run decides."""
    found, known, inner = body.draft.amounts, body.constants, step.launch.inner
    layer = step.launch.layer(inner)
    assert layer is not None
    if inner == "srun":
        return _tasks(body, layer)
    per_node = layer.value(*("nproc-per-node", "num-gpus", "npernode", "ppn", "perhost", "N"))
    if per_node is not None:
        return number(per_node, found, known)
    total = layer.value(*("np", "n", "c", "num-processes"))
    if total is not None:
        count = number(total, found, known)
        return None if count is None else max(1, count // found.nodes)
    if inner in ("mpi", "horovod"):
        return found.tasks
    return found.gpus or 1 if inner in ("deepspeed", "accelerate") else 1


def _tasks(body: Body, srun: Layer) -> int:
    """Tasks on each node that a step starts: its own options, else those of the job."""
    found, known = body.draft.amounts, body.constants
    own = number(srun.value("ntasks-per-node"), found, known)
    total = number(srun.value("ntasks"), found, known)
    nodes = number(srun.value("nodes"), found, known) or found.nodes
    if own is None and total is not None:
        own = max(1, total // min(nodes, total) if total else 1)
    return own if own is not None else found.tasks


def _fits_nodes(body: Body, step: Step) -> bool:
    """Whether the step runs on all nodes of the job."""
    srun, found = step.launch.layer("srun"), body.draft.amounts
    assert srun is not None
    known = body.constants
    nodes = number(srun.value("nodes"), found, known)
    total = number(srun.value("ntasks"), found, known)
    return (nodes or found.nodes) == found.nodes and (total or found.nodes) >= found.nodes


def _odd(step: Step) -> bool:
    srun = step.launch.layer("srun")
    return srun is not None and any(name in _ODD for name, _ in srun.options)


def _contained(body: Body, step: Step) -> None:
    """A container runtime inside the job: the pod is the container."""
    srun, layer = step.launch.layer("srun"), step.launch.layer("container")
    image = layer.image if layer is not None else None
    given = layer.options if layer is not None else ()
    binds = ",".join(v.strip(_QUOTES) for name, v in given if name in ("B", "bind")) or None
    lost = [name for name, _ in given if name in _CONTAINER_LOST]
    if lost:
        why = f"{', '.join(lost)} of the container: say it in `environment`, `workdir`, `mounts`"
        body.tell(step.command, "container", "dropped", why, Class.MANUAL, blocks=True)
    if srun is not None:
        image = image or srun.value("container-image")
        binds = binds or srun.value("container-mounts")
    if binds is not None:
        klass, became, why = bound(body.draft, binds)
        body.tell(step.command, "bind", became, why, klass, blocks=klass is Class.MANUAL)
    if not image:
        return
    text = image.strip(_QUOTES).removeprefix("docker://").replace("#", "/", 1)
    if re.fullmatch(r"[\w.:/@-]+", text) and not text.startswith("/") and ".sif" not in text:
        body.draft.images.append(text)
        why = "the pod is the container: what it is started in becomes its image"
        body.tell(step.command, "container", f"image: {text}", why, Class.OK)
    else:
        why = "a file of the host; a pod takes its image from a registry: push it there"
        body.tell(step.command, "container", "no image", why, Class.MANUAL)
    if not step.launch.starts:
        _strip(body, step)


def _strip(body: Body, step: Step, keep: str | None = None) -> None:
    """Take the launchers away, or those around `keep`; a script of Python gets its interpreter."""
    launch, text = step.launch, body.text
    if not launch.program:
        return None
    end = launch.program[0].start
    if keep not in (None, "srun"):
        end = _begin_of(body, step, keep or "")
        return body.put(launch.start, end, "") if end > launch.start else None
    layer = launch.layer(launch.inner) if launch.starts else None
    inner = layer.kind if layer is not None else ""
    before = ""
    if layer is not None and inner in ("torchrun", "accelerate", "deepspeed"):
        python = layer.python or "python"
        if layer.value("m", "module"):
            before = f"{python} -m "
        elif not layer.value("no-python"):
            before = f"{python} "
    return body.put(launch.start, end, before if text[launch.start : end] != before else "")


def _begin_of(body: Body, step: Step, kind: str) -> int:
    """Where the words of a launcher begin."""
    for word in step.command.words:
        found = launch_of(tuple(w for w in step.command.words if w.start >= word.start))
        if found is not None and found.layers[0].kind == kind and found.start == word.start:
            return word.start
    return step.launch.start


def _dropped(layer: Layer) -> str:
    names = sorted({f"--{name}" for name, _ in layer.options if len(name) > 1})
    what = f"; {', '.join(names)} mean nothing there" if names else ""
    return f"the pod is the task{what}"


def _program(kind: str) -> str:
    return {"mpi": "mpirun", "horovod": "horovodrun"}.get(kind, kind)
