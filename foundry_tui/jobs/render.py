"""From a job spec to what one scheduler is given: its own options, and the script it runs.

What a scheduler cannot express is not dropped in silence: it is in the notes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foundry_tui.estate.acts import Submit
from foundry_tui.jobs import containers, slurm
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.launchers.checks import check
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.target import FieldError, Notes, Target
from foundry_tui.jobs.variables import variables

SECRET = re.compile(r"TOKEN(?!S|IZ)|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE", re.IGNORECASE)
"""Names of variables whose values are secrets, most likely."""

KINDS = ("slurm", "runai", "kai")
"""Kinds of schedulers that a spec can be rendered for."""

CHECKPOINT = "FOUNDRY_CHECKPOINT"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What would be submitted, and what the user should know of how it came about."""

    submit: Submit
    notes: tuple[str, ...]


def render(
    spec: JobSpec,
    target: Target,
    program: Program,
    *,
    work_dir: str | None,
    deepspeed: bytes | None = None,
    recorded: bool = True,
) -> Rendered:
    """The submit of a spec to one source. Pure: nothing is read and nothing is sent.

    `work_dir` is the folder in which it starts where the scheduler knows the folders of this host.
    `deepspeed` is what the file `deepspeed_config` of the spec holds. `recorded` scripts tell the
    record of their run, if it has one, in which environment they run.

    Raises:
        SpecError: a field that this scheduler cannot take at all, or numbers that cannot be.
    """
    if target.kind not in KINDS:
        raise _error(program, "", f"{target.source} is of the kind {target.kind}: no spec for that")
    notes = Notes()
    for line in check(spec, deepspeed, name=_file(program)):
        notes.add(line)
    on_slurm = target.kind == "slurm"
    try:
        if on_slurm:
            ours, script = slurm.render(spec, target, program, notes, recorded=recorded)
        else:
            ours, script = containers.render(spec, target, program, notes, recorded=recorded)
    except FieldError as error:
        raise _error(program, error.field, str(error)) from None
    except ValueError as error:
        raise _error(program, "script" if program.inline else "file", str(error)) from None
    native = spec.native(target.source, target.kind)
    overruled = slurm.overruled if on_slurm else containers.overruled
    try:
        for name in overruled(ours, native):
            notes.add(f"options: {name} overrules what the fields say")
    except ValueError as error:
        raise _error(program, f"options for {target.source}", str(error)) from None
    _told(spec, target, notes)
    submit = Submit(
        source=target.source,
        script=script,
        script_name=program.name,
        options=(*ours, *native),
        work_dir=work_dir if on_slurm else None,
        environment=_environment(spec),
        piped=program.inline or (on_slurm and script != program.data),
    )
    return Rendered(submit, notes.lines)


def _environment(spec: JobSpec) -> tuple[tuple[str, str], ...]:
    """The variables of the spec, its params and seed, and where its checkpoints lie."""
    made = [*spec.environment, *variables(spec)]
    path = spec.checkpoint.path if spec.checkpoint is not None else None
    if path is not None and CHECKPOINT not in dict(made):
        made.append((CHECKPOINT, path))
    return tuple(made)


def _file(program: Program) -> str:
    return program.name.rpartition("/")[2]


def _error(program: Program, field: str, problem: str) -> SpecError:
    return SpecError(_file(program), None, field, problem)


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _told(spec: JobSpec, target: Target, notes: Notes) -> None:
    """What there is to know whichever scheduler it is."""
    for field, words in (
        ("queue", spec.queue),
        ("account", spec.account),
        ("priority", spec.priority),
    ):
        if words.by_source and words.at(target.source, target.kind) is None:
            notes.add(f"{field}: nothing is said for {target.source}; its default holds")
    least = spec.nodes or 1
    most = spec.nodes_most or least
    if most > 1 and spec.gpus:
        nodes, gpus = (_span(n * least, n * most) for n in (1, spec.gpus))
        notes.add(f"{nodes} nodes with {spec.gpus} GPUs each: {gpus} GPUs in all")
    for name, _ in spec.environment:
        if SECRET.search(name):
            notes.add(f"environment.{name} stands readable in the request: no place for a secret")
