"""The fields of a spec: key of the file, field of `JobSpec`, kind of its value, what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from foundry_tui.jobs.amounts import DURATION, SIZE, WHOLE_MILLI, duration_s, size_bytes
from foundry_tui.jobs.document import Document, Path
from foundry_tui.jobs.reading.kinds import (
    ARGUMENT,
    AS_WRITTEN,
    TEXT,
    TRUTH,
    WORD,
    Kind,
    amount,
    each_once,
    items,
    one_of,
    pairs,
    pattern,
    thousandths,
    whole,
    wrong,
)
from foundry_tui.jobs.reading.programs import BESIDE, CHECKS, COMMAND, SCRIPT
from foundry_tui.jobs.reading.tables import (
    CHECKPOINT,
    DATA,
    MOUNTS,
    PARALLEL,
    RETRY,
    SECRETS,
    variable,
)
from foundry_tui.jobs.spec import Launcher, Words

VERSION = 1
MAX_GPUS = 1024
MAX_NODES = 10_000
MAX_CPU_MILLI = 10**7
MAX_INDEX = 4_000_000
"""Slurm takes no larger index of an array."""

MAX_SEED = (1 << 32) - 1
"""The seeds of numpy and of Python's hashes end there."""

EVENTS = ("begin", "end", "fail", "requeue")

_RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")
_PARAM = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_TAG = re.compile(r"[A-Za-z0-9_.:/ -]{1,250}")
_PART = r"[0-9]{1,7}(?:-[0-9]{1,7}(?::[0-9]{1,7})?)?"
_ARRAY = rf"{_PART}(?:,{_PART})*(?:%[0-9]{{1,7}})?"
_OTHER_LAUNCHERS = {
    "accelerate": "`torchrun` with the program itself: accelerate finds what torchrun sets",
    "lightning": "`torchrun` with the program itself: Lightning finds what torchrun sets",
    **dict.fromkeys(("ddp", "fsdp", "pytorch", "elastic", "torch"), "it is called `torchrun`"),
    **dict.fromkeys(("mpirun", "mpiexec", "openmpi"), "it is called `mpi`"),
    "horovodrun": "it is called `horovod`",
    "ray": "a Ray cluster is no launcher of ours; start it in the `script`",
}


@dataclass(frozen=True, slots=True)
class Field:
    """`attributes` are the fields of `JobSpec` that it fills; `about` is one line of help."""

    attributes: tuple[str, ...]
    kind: Kind
    about: str


def _version(document: Document, where: Path, value: object) -> tuple[()]:
    if isinstance(value, bool) or value != VERSION:
        problem = f"this foundry reads version {VERSION} of the spec"
        raise wrong(document, where, value, f"{VERSION}: {problem}")
    return ()


def _words(document: Document, where: Path, value: object) -> Words:
    if isinstance(value, dict):
        return Words(by_source=_BY_SOURCE.read(document, where, value))
    return Words(WORD.read(document, where, value))


def _nodes(document: Document, where: Path, value: object) -> tuple[int, int | None]:
    """How many, and how many at most where they may be more (`2..8`)."""
    if not isinstance(value, str):
        return _NODES.read(document, where, value), None
    found = _RANGE.fullmatch(value.strip())
    least, most = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < least < most <= MAX_NODES:
        expected = f"a whole number of 1..{MAX_NODES}, or a range such as 2..8"
        raise wrong(document, where, value, expected)
    return least, most


def _array(document: Document, where: Path, value: object) -> str:
    text: str = _INDICES.read(document, where, value)
    indices, limited, at_once = text.partition("%")
    for part in indices.split(","):
        numbers = [int(number) for number in re.split("[-:]", part)]
        first, last, step = numbers[0], (numbers[1:2] or numbers)[0], (numbers[2:] or [1])[0]
        if not first <= last <= MAX_INDEX or step == 0:
            raise document.error(where, f"{part!r} counts no indexes of 0..{MAX_INDEX} upwards")
    if limited and int(at_once) == 0:
        raise document.error(where, "at least one has to run at a time: `%1`")
    return text


def _needed(document: Document, where: Path, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return str(_ID.read(document, where, value))


def _param(name: str) -> str | None:
    known = "letters, digits, `_`, `.` and `-`, a letter first"
    return None if _PARAM.fullmatch(name) else f"a name has {known}"


def _tag(name: str) -> str | None:
    known = "letters, digits, blanks and `_`, `.`, `:`, `/`, `-`"
    return None if _TAG.fullmatch(name) and name.strip() == name else f"a name has {known}"


def _option(document: Document, where: Path, value: object) -> str:
    text: str = ARGUMENT.read(document, where, value)
    if not text or not text.isprintable():
        raise wrong(document, where, value, "an option such as `--constraint=ib`")
    return text


def _launcher(document: Document, where: Path, value: object) -> Launcher:
    return Launcher(_LAUNCHERS.read(document, where, value))


_BY_SOURCE = pairs(WORD, "")
_NODES = whole(1, MAX_NODES)
_INDICES = pattern(_ARRAY, "indexes in quotes such as 0-9, 1,3,5-7 or 0-99%4")
_ID = pattern(
    r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}", "the id of a run, or the name of a spec beside it"
)
_LAUNCHERS = one_of(tuple(Launcher), _OTHER_LAUNCHERS)
WORDS = Kind(_words, {"anyOf": [WORD.schema, _BY_SOURCE.schema]})
ENVIRONMENT = pairs(ARGUMENT, "a table of names and texts", variable)
OPTIONS = pairs(
    items(Kind(_option, ARGUMENT.schema), "a list of options, each a text"),
    "a table: a source, and a list of its own options",
)
_NODES_OR_RANGE = {"anyOf": [_NODES.schema, {"type": "string", "pattern": r"^\s*\d+\.\.\d+\s*$"}]}


def _one(attribute: str, kind: Kind, about: str) -> Field:
    return Field((attribute,), kind, about)


KEYS: Mapping[str, Field] = {
    "version": Field((), Kind(_version, {"const": VERSION}), "Version of the spec."),
    "name": _one("name", TEXT, "Name of the run; without it that of the file."),
    "command": _one("script", COMMAND, "A line for the shell, or a list of words."),
    "script": _one("script", SCRIPT, "The lines of a script."),
    "file": _one("file", BESIDE, "A script beside the spec."),
    "params": _one(
        "params",
        pairs(AS_WRITTEN, "a table of names and values", _param),
        "Parameters of the program: ${name} in its command, and variables.",
    ),
    "seed": _one("seed", whole(0, MAX_SEED), "Seed of the random numbers."),
    "image": _one("image", WORD, "Container image."),
    "modules": _one(
        "modules",
        each_once(
            items(
                pattern(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}", "a module such as cuda/12.4"),
                "a list of modules",
            )
        ),
        "Environment modules that are loaded first.",
    ),
    "workdir": _one(
        "workdir",
        pattern(r"/\S*", "an absolute path without blanks"),
        "The folder in which the program starts.",
    ),
    "queue": _one("queue", WORDS, "Partition or project: one word, or one per source."),
    "account": _one("account", WORDS, "Account that is charged: one word, or one per source."),
    "node_pool": _one("node_pool", WORDS, "Node pools: one word, or one per source."),
    "nodes": Field(
        ("nodes", "nodes_most"), Kind(_nodes, _NODES_OR_RANGE), "Nodes, or a range such as 2..8."
    ),
    "gpus": _one("gpus", whole(0, MAX_GPUS), "GPUs per node."),
    "gpu_share": _one(
        "gpu_share_milli",
        thousandths(WHOLE_MILLI, "a number above 0 and at most 1, with at most three decimals"),
        "Part of each GPU.",
    ),
    "gpu_memory": _one("gpu_memory_bytes", amount(size_bytes, SIZE), "Memory of each GPU."),
    "gpu_model": _one(
        "gpu_model",
        pattern(
            r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            "a model such as h100: letters, digits, `.`, `_`, `-`",
        ),
        "Model of the GPUs.",
    ),
    "cpus": _one(
        "cpu_milli",
        thousandths(MAX_CPU_MILLI, "a number above 0, with at most three decimals"),
        "Cores per node.",
    ),
    "memory": _one("memory_bytes", amount(size_bytes, SIZE), "Memory per node."),
    "time_limit": _one("time_limit_s", amount(duration_s, DURATION), "The longest it may run."),
    "preemptible": _one("preemptible", TRUTH, "Whether it may be stopped for others."),
    "priority": _one("priority", WORDS, "QOS or priority class: one word, or one per source."),
    "launcher": _one(
        "launcher", Kind(_launcher, _LAUNCHERS.schema), "What starts the processes of a program."
    ),
    "processes": _one("processes", whole(1, MAX_GPUS), "Processes per node; without it the GPUs."),
    "restarts": _one("restarts", whole(0, 1000), "How often torchrun begins again."),
    "parallel": _one("parallel", PARALLEL, "Tensor, pipeline and data parallelism."),
    "deepspeed_config": _one("deepspeed_config", BESIDE, "Configuration of DeepSpeed, a file."),
    "environment": _one("environment", ENVIRONMENT, "Variables; none of them a secret."),
    "secrets": _one("secrets", SECRETS, "Variables whose values are secrets, by name only."),
    "mounts": _one("mounts", MOUNTS, "Folders and volumes that the run sees."),
    "data": _one("data", DATA, "Data that is read: its version is kept in the record."),
    "checkpoint": _one("checkpoint", CHECKPOINT, "Where checkpoints lie; the signal for one."),
    "retry": _one("retry", RETRY, "After which ends it begins again, and how often."),
    "array": _one("array", Kind(_array, _INDICES.schema), "Indexes of an array: 0-9%4."),
    "needs": _one(
        "needs",
        each_once(
            items(
                Kind(_needed, {"anyOf": [_ID.schema, {"type": "integer", "minimum": 1}]}),
                "a list of ids or names",
            )
        ),
        "Runs that have to end well before it starts.",
    ),
    "notify": _one(
        "notify",
        each_once(items(one_of(EVENTS), f"a list of {', '.join(EVENTS)}")),
        "When the scheduler writes a mail.",
    ),
    "preflight": _one("preflight", CHECKS, "Commands that have to end well before a submit."),
    "experiment": _one("experiment", TEXT, "Experiment of the MLflow record."),
    "tags": _one(
        "tags", pairs(AS_WRITTEN, "a table of names and texts", _tag), "Tags of the MLflow record."
    ),
    "options": _one("options", OPTIONS, "Native options per source, behind all others."),
}
"""Key of the file -> what it fills and how it is read, in the order in which it is written."""
