"""Folders of the host that a program names: mounted as the tables say, or told as missing."""

from __future__ import annotations

import re

from foundry_tui.migration.body.edits import Body
from foundry_tui.migration.mapping import HOME
from foundry_tui.migration.nouns import Class

_PATH = re.compile(r"(?:^|[\"'=:,(\[\s])((?:/|~/|\$\{?HOME\}?(?![A-Za-z0-9_]))[\w.+@%/-]*)")
_SITE = re.compile(
    r"\$\{?((?:SCRATCH|WORK|WORKDIR|PROJECT|PROJECTS|STORE|JOBFS|LOCAL_SCRATCH|GROUP_HOME|FAST"
    r"|GPFS|LUSTRE|CSCRATCH|SCRATCHDIR|PROJWORK)\w*)\b"
)
_OF_IMAGE = (
    *("/bin", "/sbin", "/usr", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/run"),
    *("/tmp", "/var", "/root"),
)
"""Folders that every image has of its own."""

_PATTERNS = frozenset(("sed", "awk", "grep", "egrep", "perl", "tr", "cut", "gawk"))
"""Programs whose words are patterns."""

_SPEAKS = frozenset(("echo", "printf"))
"""Programs whose words are told, not opened: what stands inside of one is not looked at."""

_MAX_TOLD = 50


def paths(body: Body) -> None:
    """Mount what is named and mapped; what is not stops the submit."""
    told: set[str] = set()
    assigned = {name for c in body.lexed.commands for name, _ in c.assignments}
    known = assigned | {name for name, _ in body.draft.fields.get("environment", ())}
    for command in body.commands:
        if command.name in _PATTERNS:
            continue
        words = [*command.words, *command.redirects, *(w for _, w in command.assignments)]
        for word in words:
            if body.touched(word.start, word.end):
                continue
            raw = re.sub(r"^[0-9]*(?:&>>?|>>|>\||>|<)\s*", "", word.raw)
            for found in _PATH.finditer(raw):
                if command.name not in _SPEAKS or not raw[found.start()].isspace():
                    _path(body, word.start, found[1], told)
            for found in _SITE.finditer(raw):
                if found[1] not in known and found[1] not in told and len(told) < _MAX_TOLD:
                    told.add(found[1])
                    line = body.line(word.start)
                    why = "a variable that the site sets: give its value in `environment`"
                    name = f"${found[1]}"
                    body.draft.tell(line, name, word.raw, "empty", why, Class.MANUAL, blocks=True)
    for start, end in body.lexed.documents:
        for found in _PATH.finditer(body.lexed.code, start, end):
            _path(body, found.start(1), found[1], told)


def _path(body: Body, at: int, path: str, told: set[str]) -> None:
    home = path.startswith(("~", "$"))
    plain = HOME if home else path.rstrip("/")
    if not home and (len(plain) < 2 or "//" in plain or _of_image(plain)):
        return None
    mount = body.draft.tables.mount_of(plain)
    key = mount.target if mount is not None else "/".join(plain.split("/")[:3])
    if key in told or len(told) >= _MAX_TOLD:
        return None
    told.add(key)
    line = body.line(at)
    if mount is None:
        why = "nothing is mounted there: add it to [paths] of the tables"
        return body.draft.tell(line, "path", path, "missing", why, Class.MANUAL, blocks=True)
    body.draft.mounts[mount.target] = mount
    if home:
        body.draft.variable("HOME", mount.target)
    what = f"volume {mount.claim}" if mount.claim else f"folder {mount.source} of the nodes"
    became = f"mounts: {mount.target}"
    return body.draft.tell(line, "path", path, became, f"{what} is mounted", Class.TABLE)


def _of_image(path: str) -> bool:
    return any(path == own or path.startswith(f"{own}/") for own in _OF_IMAGE)
