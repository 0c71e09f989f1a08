"""The options of a submission to Run:ai or to KAI, in the words of `runai training submit`.

Both worlds take the same options, so that the same words mean the same request wherever a site has
got to in its move. Amounts are read into integers with their unit, and nothing is guessed: what an
adapter cannot do with an option it has to refuse by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers import optionvalues as read
from foundry_tui.schedulers.optionvalues import WHOLE_MILLI, SecretVariable, Volume

MAX_SCRIPT_BYTES = 96 << 10
"""Cap on a script: it travels as one argument, and Linux takes no argument above 128 KiB."""

MAX_DEVICES = 1024
MAX_WORKERS = 10_000
MAX_PROCESSES = 1024
MAX_RETRIES = 1000
MAX_TASKS = 100_000
"""Of an array: what an Indexed Job of Kubernetes takes."""

PYTORCH, MPI = "pytorch", "mpi"
"""Frameworks: what brings several pods together."""

_SHORT = {"-p": "--project", "-i": "--image", "-g": "--gpu-devices-request"}
_LABEL = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_DASHES = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the options ask for; None where they do not say.

    GPU, CPU and memory amounts are those of one pod; `workers` pods start together or not at all.
    `gpu_devices` is 0 when no GPU is asked for, and at least 1 with a portion or with GPU memory.
    `gpu_portion_milli` (1..1000) and `gpu_memory_bytes` are per device and never both given.
    An elastic run has `min_replicas` to `max_replicas` pods, and `workers` of them are asked for.
    A run of many tasks has `completions` pods, of which `parallelism` run at a time.
    `grace_s` is from the order to end until it is enforced, `deadline_s` how long a pod may run.
    """

    name: str | None = None
    project: str | None = None
    image: str | None = None
    gpu_devices: int = 0
    gpu_portion_milli: int | None = None
    gpu_memory_bytes: int | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    preemptibility: str | None = None
    priority: str | None = None
    node_pools: tuple[str, ...] = ()
    workers: int = 1
    kind: str | None = None
    namespace: str | None = None
    secrets: tuple[SecretVariable, ...] = ()
    volumes: tuple[Volume, ...] = ()
    large_shm: bool = False
    working_dir: str | None = None
    grace_s: int | None = None
    retries: int | None = None
    deadline_s: int | None = None
    framework: str | None = None
    slots: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    completions: int | None = None
    parallelism: int | None = None

    @property
    def portion(self) -> str | None:
        """The portion as a plain decimal such as 0.5, for annotations and requests."""
        milli = self.gpu_portion_milli
        return None if milli is None else f"{Decimal(milli) / WHOLE_MILLI:f}"


def parse(options: Sequence[str]) -> Wanted:
    """Options such as `--name=a`, `-g 2` or `--gpu-portion-request 0.5`.

    Of two the last counts; secrets and volumes add up.

    Raises:
        ValueError: an option that is not known, has no value or a wrong one; the option is named.
    """
    found: dict[str, Any] = {}
    for option, text in _pairs(options):
        field, reader = _READERS[option]
        try:
            value = reader(text)
        except ValueError as error:
            raise ValueError(f"{option}: {error}, not {text!r}") from None
        found[field] = (*found.get(field, ()), value) if field in ADDED else value
    if found.get("gpu_portion_milli") is not None and found.get("gpu_memory_bytes") is not None:
        raise ValueError(
            "--gpu-portion-request and --gpu-memory-request exclude each other: give one of them"
        )
    shared = {"gpu_portion_milli", "gpu_memory_bytes"} & found.keys()
    if shared and found.setdefault("gpu_devices", 1) == 0:
        raise ValueError("--gpu-devices-request: a part of a GPU needs at least 1 device, not 0")
    if found.get("max_replicas") is not None:
        found.setdefault("workers", found["max_replicas"])
    wanted = Wanted(**found)
    _agree(wanted)
    return wanted


def _agree(wanted: Wanted) -> None:
    """Raises ValueError where two options do not go together."""
    least, most = wanted.min_replicas, wanted.max_replicas
    if (least is None) != (most is None):
        raise ValueError("--min-replicas and --max-replicas go together: give both")
    if least is not None and most is not None and not least <= wanted.workers <= most:
        raise ValueError(
            f"--workers: of --min-replicas {least} to --max-replicas {most}, not {wanted.workers}"
        )
    if wanted.framework == MPI and least is not None:
        raise ValueError("--min-replicas: MPI has a fixed number of processes; leave it out")
    if wanted.slots is not None and wanted.framework != MPI:
        raise ValueError(f"--slots-per-worker: for --framework {MPI} alone")
    if wanted.completions is None:
        if wanted.parallelism is not None:
            raise ValueError("--parallelism: give --completions too")
    elif wanted.workers > 1:
        raise ValueError("--completions: each task is one pod; leave out --workers")
    elif (wanted.parallelism or 1) > wanted.completions:
        raise ValueError("--parallelism: at most as many as --completions")
    for what, told in (
        ("--env-secret", [s.variable for s in wanted.secrets]),
        ("--existing-pvc, --host-path", [v.target for v in wanted.volumes]),
    ):
        if twice := sorted({t for t in told if told.count(t) > 1}):
            raise ValueError(f"{what}: {twice[0]} is given twice")


def option_of(field: str) -> str:
    """The option that fills a field of `Wanted`, for messages."""
    return next(option for option, (name, _) in _READERS.items() if name == field)


def _pairs(options: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    waiting: str | None = None
    for word in options:
        if waiting is not None:
            found.append((waiting, word))
            waiting = None
            continue
        head, equals, value = word.partition("=")
        option = _SHORT.get(head, head)
        if option not in _READERS:
            raise ValueError(f"option {word!r} is not known; one of {', '.join(_READERS)}")
        if equals:
            found.append((option, value))
        elif option in FLAGS:
            found.append((option, "true"))
        else:
            waiting = option
    if waiting is not None:
        raise ValueError(f"{waiting}: has no value")
    return found


def shell_command(act: Submit) -> tuple[str, ...]:
    """The command that runs a script inside the image: `/bin/sh -c SCRIPT NAME ARGUMENTS`.

    Raises:
        ValueError: the script is empty, too long, holds NUL bytes or is not UTF-8 text.
    """
    name = act.script_name
    if not act.script.strip():
        raise ValueError(f"{name} is empty")
    if len(act.script) > MAX_SCRIPT_BYTES:
        size = len(act.script) / (1 << 10)
        raise ValueError(
            f"{name} has {size:.0f} KiB and travels as one argument, which may have "
            f"{MAX_SCRIPT_BYTES >> 10}: put it into the image or onto a volume"
        )
    if b"\0" in act.script:
        raise ValueError(f"{name} holds NUL bytes: no script")
    try:
        text = act.script.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not UTF-8 text: no script") from None
    return ("/bin/sh", "-c", text, name, *act.script_args)


def workload_name(wanted: Wanted, script_name: str) -> str:
    """The name asked for, else one made from the script's: small letters, digits and dashes.

    Raises:
        ValueError: the name asked for is no DNS label, which Kubernetes wants.
    """
    if wanted.name is not None:
        return _label(wanted.name, "--name")
    stem = script_name.rpartition("/")[2].partition(".")[0].lower()
    made = _DASHES.sub("-", stem)[:40].strip("-")
    return made if _LABEL.fullmatch(made) else f"run-{made}".strip("-")


def _label(text: str, option: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(
            f"{option}: small letters, digits and dashes, a letter first, at most 63, not {text!r}"
        )
    return text


_READERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "--name": ("name", str),
    "--project": ("project", read.word),
    "--image": ("image", read.word),
    "--gpu-devices-request": ("gpu_devices", read.count(0, MAX_DEVICES)),
    "--gpu-portion-request": (
        "gpu_portion_milli",
        read.milli(WHOLE_MILLI, "more than 0 and at most 1, with at most three decimals"),
    ),
    "--gpu-memory-request": ("gpu_memory_bytes", read.size_bytes),
    "--cpu-core-request": (
        "cpu_milli",
        read.milli(10**7, "cores above 0, with at most three decimals"),
    ),
    "--cpu-memory-request": ("memory_bytes", read.size_bytes),
    "--preemptibility": ("preemptibility", read.one_of("preemptible", "non-preemptible")),
    "--priority": ("priority", read.word),
    "--node-pools": ("node_pools", read.word_list),
    "--workers": ("workers", read.count(1, MAX_WORKERS)),
    "--kind": ("kind", read.word),
    "--namespace": ("namespace", read.word),
    "--env-secret": ("secrets", read.secret),
    "--existing-pvc": ("volumes", read.claim),
    "--host-path": ("volumes", read.host_path),
    "--large-shm": ("large_shm", lambda text: read.one_of("true", "false")(text) == "true"),
    "--working-dir": ("working_dir", read.folder),
    "--termination-grace-period": ("grace_s", read.time_s(0)),
    "--backoff-limit": ("retries", read.count(0, MAX_RETRIES)),
    "--deadline": ("deadline_s", read.time_s(1)),
    "--framework": ("framework", read.one_of(PYTORCH, MPI)),
    "--slots-per-worker": ("slots", read.count(1, MAX_PROCESSES)),
    "--min-replicas": ("min_replicas", read.count(1, MAX_WORKERS)),
    "--max-replicas": ("max_replicas", read.count(1, MAX_WORKERS)),
    "--completions": ("completions", read.count(1, MAX_TASKS)),
    "--parallelism": ("parallelism", read.count(1, MAX_TASKS)),
}
"""Option -> field of `Wanted`, and how its text is read."""

ADDED = frozenset({"secrets", "volumes"})
"""Fields whose options may be given several times."""

FLAGS = frozenset({"--large-shm"})
"""Options that need no value."""

VALUED = frozenset({*_READERS, *_SHORT}) - FLAGS
"""Options whose value may stand in the next word."""
