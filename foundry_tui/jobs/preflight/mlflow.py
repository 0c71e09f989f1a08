"""Traps of MLflow that end a run at its start, or leave its record wrong, found before it is sent.

They are found by looking at the text of the programs: what is decided while a program runs is not
seen, so that none of them fails, and all of them warn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foundry_tui import process
from foundry_tui.jobs.preflight.places import SLURM, Ground, workdir
from foundry_tui.jobs.preflight.verdict import Check, ok, skipped, warn
from foundry_tui.jobs.spec import JobSpec, Launcher
from foundry_tui.tracking import link

MAX_PROGRAMS = 8
MAX_PROGRAM_BYTES = 1 << 20
"""How many programs are looked into, and how much of each."""

SYSTEM_METRICS = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
PYTHON_TIMEOUT_S = 5.0

_TURNED_ON = re.compile(r"\benable_system_metrics_logging\s*\(|log_system_metrics\s*=\s*True")
_PYTHON = re.compile(r"(?:^|[\s;&|])((?:[^\s;&|\"'$]*/)?python[0-9.]*)(?=\s)")
_OTHER_PYTHON = re.compile(r"\bactivate\b|\bconda\s+run\b|\bmodule\s+load\b|\buv\s+run\b")
_LAUNCHES = re.compile(
    r"(?:^|[\s;&|/])(torchrun|torch\.distributed\.(?:run|launch)|deepspeed|accelerate\s+launch|"
    r"horovodrun|mpirun|mpiexec|srun)(?=\s)",
    re.MULTILINE,
)
_HAS_PSUTIL = "import importlib.util, sys; sys.exit(importlib.util.find_spec('psutil') is None)"


NOTED = frozenset({"mlflow experiment", "mlflow server"})
"""Checks whose finding stands among the notes of every submit, too."""


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a program, and how it is called in words."""

    name: str
    text: str


def programs(spec: JobSpec, ground: Ground) -> tuple[Text, ...]:
    """The script of a spec, and the Python programs that it names as far as they are here."""
    if spec.file is not None:
        script = Text(spec.file, read_text(ground.beside / spec.file))
    else:
        script = Text("the script", spec.script or "")
    start = workdir(spec, ground) if ground.kind == SLURM else ground.start
    named = link.python_files(script.text)[:MAX_PROGRAMS]
    return (script, *(Text(name, read_text(start / name)) for name in named))


def read_text(path: Path) -> str:
    """The beginning of a program; nothing of a pipe, a device or what may not be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(MAX_PROGRAM_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def check(
    spec: JobSpec,
    texts: Sequence[Text],
    ground: Ground,
    *,
    experiment: str | None,
    server: str | None,
    on_loopback: bool,
    inherited: bool,
) -> tuple[Check, ...]:
    """The checks of a run whose record is made in `experiment` of a tracking `server`.

    `inherited` says that the user's environment, which Slurm hands on, turns system metrics on.
    """
    if server is None:
        return (skipped("mlflow", "there is no tracking server, so the run is not linked"),)
    checks = [
        *_experiment(texts, experiment),
        *_ranks(spec, texts[0].text if texts else "", ground),
        *_system_metrics(spec, texts, ground, inherited=inherited),
    ]
    if on_loopback:
        words = f"{server} is on this host alone: a run on another host does not reach it"
        checks.append(warn("mlflow server", words))
    looked = ", ".join(text.name for text in texts if text.text)
    return tuple(checks) or (ok("mlflow", f"nothing speaks against its record in {looked}"),)


def _experiment(texts: Sequence[Text], experiment: str | None) -> list[Check]:
    name = "mlflow experiment"
    for text in texts:
        named = link.named_experiments(text.text)
        wrong = [n for n in named if n != experiment]
        if experiment is None and len(named) == 1:
            return [ok(name, f"{named[0]}, which {text.name} sets")]
        if wrong:
            words = (
                f"{text.name} sets {', '.join(wrong)}, its record is in {experiment or 'another'}: "
                "MLflow ends a program that sets another experiment than that of its record"
            )
            return [warn(name, words)]
        if named:
            break
    return []


def _ranks(spec: JobSpec, script: str, ground: Ground) -> list[Check]:
    """Several processes with one run id: the record is over when the first of them ends.

    What a launcher of the spec starts has a guard that hides the id from all but the first; what
    the script starts by itself has none.
    """
    if spec.launcher is not Launcher.NONE:
        return []
    found = _LAUNCHES.search(_without_comments(script))
    alone = (spec.nodes_most or spec.nodes or 1) == 1
    if found is not None:
        how = f"{found[1]} in the script"
    elif spec.file is not None and not alone and ground.kind == SLURM:
        how = f"{spec.file}, which starts its processes itself"
    else:
        return []
    words = (
        f"{how}: all its processes log to one record, and MLflow takes it as finished when the "
        "first ends; say `launcher:` in the spec, or unset MLFLOW_RUN_ID where the rank is not 0"
    )
    return [warn("mlflow ranks", words)]


def _without_comments(script: str) -> str:
    return "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("#"))


def _system_metrics(
    spec: JobSpec, texts: Sequence[Text], ground: Ground, *, inherited: bool
) -> list[Check]:
    """System metrics need psutil in the Python of the run, which dies at its start without it."""
    given = dict(spec.environment).get(SYSTEM_METRICS)
    wanted = turned_on(given) if given is not None else inherited and ground.kind == SLURM
    if not wanted and not any(_TURNED_ON.search(text.text) for text in texts):
        return []
    name = "mlflow system metrics"
    has, why = has_psutil(spec, texts[0].text if texts else "", ground)
    if has:
        return [ok(name, f"psutil is there: {why}")]
    if has is None:
        words = f"need psutil, without which the run dies at its start; {why}"
        return [warn(name, words)]
    words = f"the run would die at its start: {why}; pip install psutil, or leave them off"
    return [warn(name, words)]


def turned_on(value: str | None) -> bool:
    """Whether MLflow takes the value of a variable as true."""
    return (value or "").strip().lower() in ("true", "1")


def has_psutil(spec: JobSpec, script: str, ground: Ground) -> tuple[bool | None, str]:
    """Whether the Python that a script starts has psutil, and which one it is.

    It is asked, with a program of one line; None, and why, where it is not known which one it is.
    """
    if ground.inside:
        return None, "whether the image has it was not looked at"
    found = _PYTHON.search(script)
    if found is None or spec.modules or _OTHER_PYTHON.search(script):
        return None, "which Python the run has is not known here"
    word = found[1]
    python = str((workdir(spec, ground) / word).absolute()) if "/" in word else word
    try:
        done = process.run(
            (python, "-c", _HAS_PSUTIL), timeout_s=PYTHON_TIMEOUT_S, max_bytes=1 << 16, cwd="/"
        )
    except process.ProcessError as error:
        return None, f"its Python could not be asked: {error}"
    if done.code not in (0, 1) or done.err:
        return None, f"{python} gave no clear answer"
    return done.code == 0, python if done.code == 0 else f"{python} has no psutil"
