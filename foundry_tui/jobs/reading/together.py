"""What goes with what in a spec."""

from __future__ import annotations

from foundry_tui.jobs.document import Document
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.spec import JobSpec, Launcher
from foundry_tui.jobs.variables import variable


def check_programs(document: Document) -> None:
    """Exactly one program.

    Raises:
        SpecError: there is none, or there are two.
    """
    programs = [key for key in document.values if key in ("script", "command", "file")]
    if not programs:
        raise SpecError(
            document.name, None, "", "nothing to run: give `command`, `script` or `file`"
        )
    if len(programs) > 1:
        raise document.error((programs[1],), f"there is `{programs[0]}` already; give one of them")


def check(document: Document, spec: JobSpec) -> None:
    """Fields that need or exclude each other.

    Raises:
        SpecError: at the field that does not fit.
    """
    values = document.values
    parts = [key for key in values if key in ("gpu_share", "gpu_memory")]
    if len(parts) == 2:
        raise document.error((parts[1],), f"excludes `{parts[0]}`; give one of them")
    gpus = values.get("gpus", 1 if parts else 0)
    for key in (*parts, "gpu_model"):
        if key in values and gpus == 0:
            raise document.error((key,), "needs `gpus: 1` or more")
    if "processes" in values and spec.launcher is Launcher.NONE:
        raise document.error(("processes",), "needs a `launcher` that starts them")
    if "restarts" in values and spec.launcher is not Launcher.TORCHRUN:
        raise document.error(("restarts",), "needs `launcher: torchrun`")
    if "array" in values and spec.nodes_most is not None:
        raise document.error(("array",), "excludes a range of `nodes`")
    _check_names(document, spec)


def _check_names(document: Document, spec: JobSpec) -> None:
    named = dict(spec.environment)
    for number, secret in enumerate(spec.secrets, 1):
        if secret.variable in named:
            by_name = isinstance(document.values["secrets"], dict)
            where = ("secrets", secret.variable if by_name else str(number))
            raise document.error(where, f"{secret.variable} stands in `environment` too")
    seen: dict[str, str] = {}
    for name, _ in spec.params:
        other = seen.setdefault(variable(name), name)
        if other != name:
            raise document.error(("params", name), f"both are ${variable(name)}: `{other}`, too")
    if spec.name in spec.needs:
        where = ("needs", str(spec.needs.index(spec.name) + 1))
        raise document.error(where, "a run cannot wait for itself")
