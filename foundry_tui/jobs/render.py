"""From a job spec to what one scheduler is given: its own options, and the script it runs.

What a scheduler cannot express is not dropped in silence: it is in the notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from foundry_tui.estate.acts import Submit
from foundry_tui.jobs import containers, slurm
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.target import Notes, Target

_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|PRIVATE", re.IGNORECASE)

_RENDERERS: dict[str, Callable[[JobSpec, Target, Program, Notes], tuple[tuple[str, ...], bytes]]]
_RENDERERS = {
    "slurm": slurm.render,
    "runai": containers.render,
    "kai": containers.render,
}
"""Kind of scheduler -> what makes options and script for it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What would be submitted, and what the user should know of how it came about."""

    submit: Submit
    notes: tuple[str, ...]


def render(spec: JobSpec, target: Target, program: Program, *, work_dir: str | None) -> Rendered:
    """The submit of a spec to one source. Pure: nothing is read and nothing is sent.

    `work_dir` is the folder in which it starts where the scheduler knows the folders of this host.

    Raises:
        SpecError: a field that this scheduler cannot take at all.
    """
    if target.kind not in _RENDERERS:
        raise _error(program, "", f"{target.source} is of the kind {target.kind}: no spec for that")
    notes = Notes()
    try:
        ours, script = _RENDERERS[target.kind](spec, target, program, notes)
    except ValueError as error:
        raise _error(program, "script" if program.inline else "file", str(error)) from None
    native = spec.native(target.source, target.kind)
    overruled = slurm.overruled if target.kind == "slurm" else containers.overruled
    try:
        for name in overruled(ours, native):
            notes.add(f"options: {name} overrules what the fields say")
    except ValueError as error:
        raise _error(program, f"options for {target.source}", str(error)) from None
    _told(spec, target, notes)
    on_host = target.kind == "slurm"
    submit = Submit(
        source=target.source,
        script=script,
        script_name=program.name,
        options=(*ours, *native),
        work_dir=work_dir if on_host else None,
        environment=spec.environment,
        piped=program.inline,
    )
    return Rendered(submit, notes.lines)


def _error(program: Program, field: str, problem: str) -> SpecError:
    return SpecError(program.name.rpartition("/")[2], None, field, problem)


def _told(spec: JobSpec, target: Target, notes: Notes) -> None:
    """What there is to know whichever scheduler it is."""
    for field, words in (("queue", spec.queue), ("priority", spec.priority)):
        if words.by_source and words.at(target.source, target.kind) is None:
            notes.add(f"{field}: nothing is said for {target.source}; its default holds")
    if (spec.nodes or 1) > 1 and spec.gpus:
        total = spec.gpus * (spec.nodes or 1)
        notes.add(f"{spec.nodes} nodes with {spec.gpus} GPUs each: {total} GPUs in all")
    for name, _ in spec.environment:
        if _SECRET.search(name):
            notes.add(f"environment.{name} stands readable in the request: no place for a secret")
