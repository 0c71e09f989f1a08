"""An MLproject file as a job spec: an entry point, its typed parameters, its environment by name.

Its words are those of MLflow Projects: `{name}` in a command is a parameter of the entry point, one
that is given and not declared follows the command as `--name value`, and every value stays one word
for the shell. What runs in which place is said by `foundry.yaml` beside it, or by `--set`.
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from foundry_tui.jobs.document import Document, read, written
from foundry_tui.jobs.errors import SpecError, shown
from foundry_tui.jobs.reading.unknown import unknown

FILE = "MLproject"
RESOURCES = "foundry.yaml"
MAIN = "main"
TYPES = ("string", "float", "path", "uri")

_DEPTH = 5
"""Tables inside each other: entry_points, one of them, its parameters, one of them."""

_KEYS = ("name", "entry_points", "python_env", "conda_env", "docker_env")
_PROGRAMS = ("command", "script", "file", "params")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_RUNNERS = {".py": "python", ".sh": "bash"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of an entry point; without a default it has to be given."""

    name: str
    type: str = "string"
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """A command with `{name}` for each of its parameters."""

    name: str
    command: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """The values of a spec, and what there is to know of how they came about."""

    document: Document
    notes: tuple[str, ...]


def document(
    data: bytes, resources: Document | None, entry: str | None, given: Iterable[str]
) -> Made:
    """A spec's values from the bytes of an MLproject and of `foundry.yaml` beside it.

    `entry` is the entry point, `main` without one, or a `.py` or `.sh` file of the folder; `given`
    are parameters as `name=value`.

    Raises:
        SpecError: a file that cannot be read, an entry point that there is not, a parameter that is
            missing or of the wrong type.
    """
    project = read(FILE, data, what=FILE, max_depth=_DEPTH)
    for key in project.values:
        if key not in _KEYS:
            raise project.error((key,), unknown(key, _KEYS))
    point = _entry(project, entry or MAIN)
    params = _values(point, _given(given))
    values: dict[str, object] = {"command": _command(point, params)}
    if params:
        values["params"] = params
    if (name := project.values.get("name")) is not None:
        values["name"] = name
    notes = _environment(project, values)
    lines: dict[tuple[str, ...], int] = {}
    file = FILE
    if resources is not None:
        for key in resources.values:
            if key in _PROGRAMS:
                raise resources.error((key,), f"stands in the {FILE}; give it there or with -P")
        values |= resources.values
        lines, file = resources.lines, resources.name
    return Made(Document(file, values, lines), notes)


def entry_points(project: Document) -> tuple[EntryPoint, ...]:
    """The entry points of an MLproject.

    Raises:
        SpecError: one of them cannot be read.
    """
    points = project.values.get("entry_points", {})
    if not isinstance(points, dict):
        raise project.error(("entry_points",), f"expected a table, not {shown(points)}")
    return tuple(_point(project, name, table) for name, table in points.items())


def _entry(project: Document, name: str) -> EntryPoint:
    known = entry_points(project)
    for point in known:
        if point.name == name:
            return point
    path = PurePosixPath(name)
    if path.suffix in _RUNNERS and not path.is_absolute() and ".." not in path.parts:
        return EntryPoint(name=name, command=f"{_RUNNERS[path.suffix]} {_literal(name)}")
    names = ", ".join(point.name for point in known) or "none"
    problem = f"there is no entry point {name!r}; choose one with -e: {names}"
    raise SpecError(FILE, None, "entry_points", problem)


def _literal(text: str) -> str:
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


def _point(project: Document, name: str, table: object) -> EntryPoint:
    where = ("entry_points", name)
    if not isinstance(table, dict):
        raise project.error(where, f"expected a table with a command, not {shown(table)}")
    for key in table:
        if key not in ("command", "parameters"):
            raise project.error((*where, key), unknown(key, ("command", "parameters")))
    command = table.get("command")
    if not isinstance(command, str) or not command.strip():
        raise project.error((*where, "command"), f"expected a line, not {shown(command)}")
    parameters = table.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise project.error((*where, "parameters"), f"expected a table, not {shown(parameters)}")
    return EntryPoint(
        name=name,
        command=command,
        parameters=tuple(_parameter(project, where, n, v) for n, v in parameters.items()),
    )


def _parameter(project: Document, point: tuple[str, ...], name: str, value: object) -> Parameter:
    where = (*point, "parameters", name)
    if not _NAME.fullmatch(name):
        raise project.error(where, "a name has letters, digits, `_`, `.` and `-`, a letter first")
    table = value if isinstance(value, dict) else {"type": value}
    for key in table:
        if key not in ("type", "default"):
            raise project.error((*where, key), unknown(key, ("type", "default")))
    kind = table.get("type", "string")
    if kind not in TYPES:
        raise project.error(where, f"expected a type of {', '.join(TYPES)}, not {shown(kind)}")
    default = table.get("default")
    if isinstance(default, list | dict):
        raise project.error((*where, "default"), f"expected a value, not {shown(default)}")
    found = Parameter(name=name, type=str(kind), default=written(default))
    if found.default is not None and (problem := _mismatch(found, found.default)) is not None:
        raise project.error((*where, "default"), problem)
    return found


def _given(words: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise SpecError(f"-P {word}", None, "", "expected name=value such as lr=0.1")
        found[name] = value
    return found


def _values(point: EntryPoint, given: Mapping[str, str]) -> dict[str, object]:
    """The value of each declared parameter, then those that are given beside them."""
    found: dict[str, object] = {}
    missing = []
    for parameter in point.parameters:
        value = given.get(parameter.name, parameter.default)
        if value is None:
            missing.append(parameter.name)
        elif (problem := _mismatch(parameter, value)) is not None:
            raise SpecError(f"-P {parameter.name}={value}", None, "", problem)
        else:
            found[parameter.name] = value
    if missing:
        words = " ".join(f"-P {name}=VALUE" for name in missing)
        problem = f"{', '.join(missing)} has no default: {words}"
        raise SpecError(FILE, None, f"entry_points.{point.name}.parameters", problem)
    return found | {name: value for name, value in given.items() if name not in found}


def _mismatch(parameter: Parameter, value: str) -> str | None:
    """Why a value is none of the parameter's type; None when it is one."""
    if parameter.type == "float":
        try:
            float(value)
        except ValueError:
            return f"{parameter.name} is a float, and {value[:60]!r} is no number"
    if parameter.type == "path" and _SCHEME.match(value):
        return (
            f"{parameter.name} is a path: MLflow would fetch {value[:60]!r} first, which is not "
            "done here; give the path of a folder that the nodes see, or make it a uri"
        )
    return None


def _command(point: EntryPoint, params: Mapping[str, object]) -> str:
    """The command with `${name}` for each parameter, which is filled in and quoted later."""
    declared = {parameter.name for parameter in point.parameters}
    where = f"entry_points.{point.name}.command"
    made = ""
    try:
        for literal, name, form, conversion in string.Formatter().parse(point.command):
            made += literal
            if name is None:
                continue
            if name not in declared or form or conversion:
                problem = f"{{{name}}} is no parameter of this entry point; write {{{{ for a {{"
                raise SpecError(FILE, None, where, problem)
            made += f"${{{name}}}"
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(FILE, None, where, f"{error}; write {{{{ for a {{") from None
    extra = "".join(f" --{name} ${{{name}}}" for name in params if name not in declared)
    return made.rstrip() + extra


def _environment(project: Document, values: dict[str, object]) -> tuple[str, ...]:
    """What the project wants around its program: an image is taken, others are told of."""
    notes = []
    for key in ("python_env", "conda_env"):
        if (name := project.values.get(key)) is not None:
            file = written(name)
            if file is None:
                raise project.error((key,), f"expected the name of a file, not {shown(name)}")
            notes.append(
                f"{key}: {file} is not made for you; make it once where the run sees it, and name "
                "it in `modules`, `image` or the command"
            )
    docker = project.values.get("docker_env")
    if docker is not None:
        if not isinstance(docker, dict) or not isinstance(docker.get("image"), str):
            raise project.error(("docker_env",), "expected a table with an `image`")
        values["image"] = docker["image"]
        notes += [
            f"docker_env.{key}: not taken over; say it in {RESOURCES}"
            for key in docker
            if key != "image"
        ]
    return tuple(notes)
