"""A job spec as one document for a kind of scheduler: nothing is asked, nothing is sent."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, replace

from foundry_tui.actions.beside import NOTHING, Beside
from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.scripts import is_spec, program_of, read_script
from foundry_tui.estate.acts import Submit
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.render import KINDS
from foundry_tui.jobs.target import Target

__all__ = ["KINDS", "Document", "document", "schema_text"]

_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The script or request for a kind of scheduler, and what it cannot express."""

    target: str
    text: str
    notes: tuple[str, ...]


def schema_text() -> str:
    """The JSON Schema of a job spec."""
    from foundry_tui.jobs.schema import schema_text as made

    return made()


def document(path: str, target: str, beside: Beside = NOTHING) -> Document:
    """What a spec becomes for a kind of scheduler, with the tables of the spec for that kind.

    Raises:
        WrongUse: the file is no spec, or it cannot be rendered for this kind.
    """
    from foundry_tui.actions import spec

    name, data = read_script(program_of(path))
    if not is_spec(name, data):
        raise WrongUse(f"{path} is a batch script: --target is for job specs")
    found = spec.read_spec(name, data, beside)
    try:
        ready, waits = spec.waited_for(found, target, replace(beside, later=True))
        made = spec.rendered(
            replace(found, spec=ready), Target(source=target, kind=target), recorded=False
        )
        text = _MAKERS[target](made.submit)
    except SpecError as error:
        raise WrongUse(str(error)) from error
    except ValueError as error:
        raise WrongUse(f"{path}: {target} cannot take it: {error}") from error
    return Document(target=target, text=text, notes=(*found.notes, *waits, *made.notes))


def _slurm(submit: Submit) -> str:
    """The script that `sbatch` alone would take: options and variables stand in it."""
    program = Program(submit.script_name, submit.script, inline=True)
    variables = [f"export {name}={shlex.quote(value)}" for name, value in submit.environment]
    if variables and not program.is_shell:
        # Variables need a shell, which starts the program then; its own directives stay in front.
        shell = b"#!/bin/sh\n" + program.directive_lines() + program.as_shell()
        program = Program(submit.script_name, shell, inline=True)
    head, body = program.split_head()
    lines = [f"#SBATCH {_option(option)}" for option in submit.options]
    parts = [head.decode("utf-8", "replace").rstrip("\n"), *lines]
    parts += ["", *variables] if variables else []
    return "\n".join(parts) + "\n" + body.decode("utf-8", "replace")


def _option(option: str) -> str:
    """An option as a directive takes it: its value in quotes where it has blanks."""
    name, equals, value = option.partition("=")
    if not equals or _BARE.fullmatch(value):
        return option
    return f"{name}={shlex.quote(value)}"


def _runai(submit: Submit) -> str:
    from foundry_tui.schedulers.runai.request import document as body

    return json.dumps(body(submit), indent=2, ensure_ascii=False) + "\n"


def _kai(submit: Submit) -> str:
    import yaml

    from foundry_tui.schedulers.kai.manifest import document as manifest

    made: str = yaml.safe_dump(manifest(submit), sort_keys=False, allow_unicode=True, width=100)
    return made


_MAKERS = {"slurm": _slurm, "runai": _runai, "kai": _kai}
