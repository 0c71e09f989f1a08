"""What is named to be submitted: a job spec, a folder with an MLproject, a batch script."""

from __future__ import annotations

from pathlib import Path

from foundry_tui.actions.errors import WrongUse
from foundry_tui.schedulers import options as native
from foundry_tui.schedulers.slurm.arguments import split_arguments
from foundry_tui.schedulers.slurm.directives import DirectiveError

SPECS = (".yaml", ".yml", ".toml")
"""How the name of a job spec ends. A file that begins with `#!` is a script all the same."""

PROJECT = "MLproject"
"""The file that makes a folder an MLflow project."""

MAX_READ_BYTES = 64 << 20
"""A script file larger than this is not even read."""


def read_script(path: str, what: str = "a batch script or a spec") -> tuple[str, bytes]:
    """The absolute path and the bytes of a batch script, or of what else it is meant to be.

    Raises:
        WrongUse: it is missing, a directory, no regular file, unreadable or far too large.
    """
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            raise WrongUse(f"{path} is a directory without an {PROJECT}; give the file itself")
        if not place.exists():
            raise WrongUse(f"{path} does not exist; give the path of {what}")
        if not place.is_file():
            raise WrongUse(f"{path} is no regular file")
        if place.stat().st_size > MAX_READ_BYTES:
            raise WrongUse(f"{path} has {place.stat().st_size >> 20} MiB: too much for {what}")
        return str(place.absolute()), place.read_bytes()
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from error


def split_submit(
    argv: tuple[str, ...], also_valued: frozenset[str]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Options, script and its arguments, from words as `sbatch` or `runai` takes them.

    `also_valued` are options of the face itself that take a value.

    Raises:
        WrongUse: no script is named, or an option lacks its value.
    """
    try:
        options, script, script_args = split_arguments(argv, also_valued | native.VALUED)
    except DirectiveError as error:
        raise WrongUse(f"submit: {error}") from error
    if script is None:
        raise WrongUse("submit: name a job spec or a batch script; foundry submit [OPTIONS] FILE")
    return options, script, script_args


def program_of(path: str) -> str:
    """The file that is read for what was named: of a folder its MLproject, if it has one."""
    inside = Path(path).expanduser() / PROJECT
    return str(inside) if inside.is_file() else path


def is_spec(path: str, data: bytes) -> bool:
    """Whether a file is a job spec, or an MLproject, and not a batch script."""
    named = path.lower().endswith(SPECS) or Path(path).name == PROJECT
    return named and not data.startswith(b"#!")
