"""In which environment a run ran, out of the lines that its job wrote: names and versions. Pure.

The lines stand in parts, each behind a comment (`# modules`, `# gpus`, `# python`, `# pip freeze`);
lines before any such comment, as a file of `pip freeze` alone has them, are packages. The name of
the host is a matter of placement and is left out, and so are the ids of GPUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from foundry_tui.estate.text import SafeText

_PARTS = frozenset({"host", "modules", "gpus", "python", "pip freeze"})
_PACKAGE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:===?|=|@|:|\s)\s*(?P<version>\S.*)"
)
_GPU = re.compile(r"(?P<name>GPU \d+): (?P<version>.*?)(?: \(UUID: .*\))?")
_PYTHON = re.compile(r"(?:(?P<name>Python|conda|venv):? )?(?P<version>\S.*)")

PRESENT = SafeText("present")
"""Stands for the version of what has none."""


def versions(lines: Iterable[SafeText]) -> dict[str, SafeText]:
    """Name -> version, in the order of the lines.

    Packages are named as PEP 503 normalises names, whether `pip freeze`, `pip list` or `conda list`
    wrote them; a line of another form stands for itself.
    """
    found: dict[str, SafeText] = {}
    part = "pip freeze"
    nth = 0
    for line in lines:
        words = line.strip()
        if words.startswith("#"):
            named = words.removeprefix("#").strip()
            part, nth = (named, 0) if named in _PARTS else (part, nth)
        elif words:
            name, version = _read(part, words, nth)
            nth += 1
            if name:
                found[name] = SafeText(version)
    return found


def _read(part: str, line: str, nth: int) -> tuple[str, str]:
    """Name and version of a line, the `nth` of its part; no name for one that does not count."""
    if part == "host":
        return (("", ""), ("kernel", line), ("system", line.strip('"')))[min(nth, 2)]
    if part == "modules":
        name, _, version = line.partition("/")
        return f"module {name}", version or PRESENT
    if part == "gpus" and (gpu := _GPU.fullmatch(line)):
        return gpu["name"], gpu["version"]
    if part == "python" and (told := _PYTHON.fullmatch(line)):
        name = (told["name"] or "python path").lower()
        return name, told["version"]
    package = _PACKAGE.fullmatch(line)
    if package is None:
        return line, PRESENT
    return re.sub(r"[-_.]+", "-", package["name"]).lower(), package["version"]
