"""One batch script as a job spec, with a finding for each directive and each idiom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from foundry_tui.estate.text import safe
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.reading import load
from foundry_tui.jobs.reading.programs import MAX_SCRIPT_BYTES
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.writing import text as spec_text
from foundry_tui.migration.amounts import amounts
from foundry_tui.migration.body.edits import Body
from foundry_tui.migration.body.hidden import hidden
from foundry_tui.migration.body.idioms import idioms
from foundry_tui.migration.body.launching import launch
from foundry_tui.migration.body.lexer import LexError, lex
from foundry_tui.migration.body.paths import paths
from foundry_tui.migration.body.variables import shims
from foundry_tui.migration.directives.sizes import implied_nodes
from foundry_tui.migration.directives.table import OF, UNKNOWN
from foundry_tui.migration.directives.words import project
from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import TARGETS, Class, Finding, Kind, Tables, Translation
from foundry_tui.migration.rendering import ManifestError, manifests
from foundry_tui.migration.script import Script, ScriptError, read
from foundry_tui.schedulers.slurm.directives import DirectiveError

ENDING = ".foundry.yaml"
"""How the file of a translated spec ends."""

_LAST = 1 << 30

NOT_SEEN = (
    "SBATCH_* variables, options beside the script on the command line, the environment of who "
    "submits and what the site's plug-ins add were not seen; a pod begins in the folder of its "
    "image, not in that of the submit"
)
"""What no translation of a script can know."""


def translate(path: str, data: bytes, tables: Tables, target: str) -> Translation:
    """What becomes of a script on `target` (runai or kai). Nothing of it is run."""
    stem = PurePosixPath(path).stem or "job"
    try:
        script = read(data)
        options = {given.name: given.value for given in script.options}
        draft = Draft(
            script=script,
            tables=tables,
            target=target,
            options=options,
            amounts=amounts(options),
            fields={"name": stem if stem.isprintable() else "job"},
            findings=list(script.findings),
        )
    except (ScriptError, DirectiveError) as error:
        problem = safe(str(error), max_cells=400)
        return Translation(path=path, target=target, problem=problem)
    _directives(draft)
    implied_nodes(draft)
    project(draft)
    program = _program(draft, script)
    _image(draft)
    draft.fields["mounts"] = tuple(draft.mounts.values())
    draft.fields["options"] = _options(draft)
    return _finished(path, draft, program)


def _directives(draft: Draft) -> None:
    """Every option in its row's words; of one that stands twice the last counts."""
    last = {given.name: given.line for given in draft.script.options}
    seen: dict[str, int] = {}
    for number, given in enumerate(draft.script.options):
        seen[given.name] = number
    for number, given in enumerate(draft.script.options):
        if seen[given.name] != number:
            why = f"overruled by line {last[given.name]}, as sbatch has it"
            words = given.words
            draft.tell(
                given.line, f"--{given.name}", words, "ignored", why, Class.OK, kind=Kind.IGNORED
            )
            continue
        OF.get(given.name, UNKNOWN).rule(draft, given)


def _program(draft: Draft, script: Script) -> str:
    """The program as it will run, with what it needs before its first line."""
    head = "" if script.shebang in (None, "/bin/sh") else f"#!{script.shebang}\n"
    if not script.body.strip():
        why = "there is no command behind the directives"
        draft.tell(None, "program", "", "nothing", why, Class.LOST, blocks=True)
        return head + ":\n"
    if not script.is_shell:
        return head + script.body
    try:
        body = Body(draft=draft, text=script.body, lexed=lex(script.body))
    except LexError as error:
        line = script.first_line + error.line - 1
        why = f"{error}: its program was not looked at, only its directives"
        draft.tell(line, "program", "", "kept", why, Class.MANUAL, blocks=True)
        return head + script.body
    launch(body)
    hidden(body)
    idioms(body)
    paths(body)
    lines = shims(body)
    text = body.made()
    if lines:
        text = "\n".join(("# Variables of Slurm that the program uses.", *lines, "", text))
    return head + text


def _image(draft: Draft) -> None:
    named = list(dict.fromkeys(draft.images))
    image = named[-1] if named else draft.tables.image
    if image is None:
        why = "no container image is named: give `image` in the tables or in the spec"
        return draft.tell(None, "image", "", "none", why, Class.MANUAL, blocks=True)
    draft.fields["image"] = image
    if len(named) > 1:
        why = f"one pod has one image: the last of {', '.join(named)}"
        return draft.tell(None, "image", ", ".join(named), f"image: {image}", why, Class.MANUAL)
    if not named:
        why = "the image of the tables, where nothing names one"
        return draft.tell(None, "image", "", f"image: {image}", why, Class.TABLE)
    return None


def _options(draft: Draft) -> tuple[tuple[str, tuple[str, ...]], ...]:
    made = [("slurm", tuple(draft.slurm))] if draft.slurm else []
    if draft.native:
        made += [(kind, tuple(dict.fromkeys(draft.native))) for kind in TARGETS]
    return tuple(made)


def _finished(path: str, draft: Draft, program: str) -> Translation:
    """The spec, read back by the project's own reader, and its manifests."""
    findings = draft.findings
    if len(program.encode()) > MAX_SCRIPT_BYTES:
        size = len(program.encode()) >> 10
        why = (
            f"{size} KiB; what travels to a pod has at most {MAX_SCRIPT_BYTES >> 10}: put it into "
            "the image and call it"
        )
        draft.tell(None, "program", "", "no spec", why, Class.LOST, blocks=True)
        return Translation(
            path=path, target=draft.target, withheld=safe(why), findings=_ordered(draft)
        )
    script = program if program.endswith("\n") else f"{program}\n"
    spec = JobSpec(**draft.fields, script=script)
    try:
        written = spec_text(spec)
        spec = load(f"{spec.name}.yaml", written.encode())
    except (SpecError, ValueError) as error:
        problem = safe(f"no spec can say it: {error}", max_cells=400)
        return Translation(
            path=path, target=draft.target, findings=_ordered(draft), problem=problem
        )
    blocking = [f for f in findings if f.blocks]
    made: tuple[Mapping[str, object], ...] = ()
    withheld = None
    if blocking:
        names = ", ".join(dict.fromkeys(f"{f.name}" for f in blocking))
        withheld = safe(f"first mend: {names}", max_cells=300)
    else:
        try:
            made, _ = manifests(spec, draft.target, draft.labels)
        except ManifestError as error:
            withheld = safe(str(error), max_cells=400)
            draft.tell(None, "manifest", "", "none", str(error), Class.LOST, kind=Kind.FILE)
    return Translation(
        path=path,
        target=draft.target,
        spec=spec,
        spec_text=written,
        manifests=made,
        withheld=withheld,
        findings=_ordered(draft),
    )


def _ordered(draft: Draft) -> tuple[Finding, ...]:
    """By line; what is about the whole comes last."""
    return tuple(sorted(draft.findings, key=lambda f: f.line or _LAST))
