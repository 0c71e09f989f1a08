"""A job spec in the words of `runai training submit`, which Run:ai and KAI both take."""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal

from foundry_tui.jobs.amounts import WHOLE_MILLI
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.target import Notes, Target
from foundry_tui.schedulers.options import Wanted, parse

_NAMES = {"runai": "Run:ai", "kai": "KAI"}
_UNITS = tuple(
    (unit, base**power)
    for power, units in ((4, ("Ti", "T")), (3, ("Gi", "G")), (2, ("Mi", "M")), (1, ("Ki", "k")))
    for unit, base in zip(units, (1024, 1000), strict=True)
)
_DASHES = re.compile(r"[^a-z0-9]+")
_MAX_NAME = 40


def render(
    spec: JobSpec, target: Target, program: Program, notes: Notes
) -> tuple[tuple[str, ...], bytes]:
    """Options of a training, and the script that runs inside its image.

    Raises:
        ValueError: the program is none that runs inside a container.
    """
    there = _NAMES[target.kind]
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
    if (spec.nodes or 1) > 1:
        options.append(f"--workers={spec.nodes}")
    if spec.time_limit_s is not None:
        notes.add(f"time_limit: {there} knows none; nothing ends the run when it is over")
    if spec.gpu_model is not None:
        notes.add(
            f"gpu_model: {there} chooses by node pool; say so in `options` (--node-pools=POOL)"
        )
    if program.directives:
        notes.add(f"file: its {program.directives} #SBATCH lines mean nothing to {there}")
    return tuple(options), program.as_shell()


def overruled(ours: tuple[str, ...], native: tuple[str, ...]) -> tuple[str, ...]:
    """The native options that say again what the fields have said.

    Raises:
        ValueError: a word that is no such option, or a wrong value of one.
    """
    said, again, nothing = parse(ours), parse(native), Wanted()
    return tuple(
        name
        for name in (f.name for f in fields(Wanted))
        if all(getattr(one, name) != getattr(nothing, name) for one in (said, again))
    )


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
