"""A submit that is being written: checked, estimated, completed, and its last values."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from foundry_tui.actions import act
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.site import Site
from foundry_tui.actions.whatif import Room, room
from foundry_tui.estate.acts import Submit
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.store.lastvalues import LastValues

MAX_LISTED = 5000
"""Names of a folder that are looked at; a larger one is completed in part."""

FORM = "submit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The lines of the form, as typed; `source` may be empty where there is only one."""

    source: str = ""
    script: str = ""
    options: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When and where the scheduler would start it, or why it would not; `how` it knows.

    `room` is for schedulers that plan no starts: what the lists show of a start now.
    """

    starts_at: datetime | None
    nodes: tuple[str, ...]
    queue: str | None
    reason: str | None
    how: str
    room: Room | None = None


def sources(site: Site) -> tuple[str, ...]:
    """The sources that take submits."""
    return tuple(name for name, s in site.schedulers.items() if s.supports(Submit) is None)


def prepare(site: Site, draft: Draft, *, unlinked: bool = False) -> act.Prepared:
    """The submit that the form describes. Nothing is sent.

    Raises:
        WrongUse: a line cannot be understood or the script cannot be read; names the field.
        ActionError: as `act.prepare_submit`.
    """
    if not draft.script.strip():
        raise WrongUse("script: give the path of a batch script or of a job spec")
    options, arguments = _words("options", draft.options), _words("arguments", draft.arguments)
    return act.prepare_submit(
        site, draft.source or None, options, draft.script.strip(), arguments, unlinked=unlinked
    )


def _words(field: str, text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise WrongUse(f"{field}: {error} in {text!r}") from error


def estimate(site: Site, prepared: act.Prepared, seen: Snapshot | None = None) -> Start:
    """When the scheduler would start it; it is asked, and nothing is submitted.

    `seen` is the estate as last read; without it the source is read where that is needed.

    Raises:
        SchedulerError: it does not answer.
    """
    submit = prepared.preview.act
    assert isinstance(submit, Submit)
    found = site.scheduler(prepared.source).estimate_submit(submit)
    return Start(
        starts_at=found.starts_at,
        nodes=tuple(part.node for part in found.placement),
        queue=found.queue,
        reason=found.reason,
        how=found.how,
        room=room(site, prepared, seen),
    )


def listing(folder: str) -> tuple[tuple[str, bool], ...]:
    """Each name in a folder and whether it is one itself; nothing when it cannot be read."""
    listed: list[tuple[str, bool]] = []
    try:
        with os.scandir(Path(folder or ".").expanduser()) as entries:
            for entry in entries:
                listed.append((entry.name, _is_folder(entry)))
                if len(listed) >= MAX_LISTED:
                    break
    except (OSError, RuntimeError, ValueError):  # RuntimeError: ~nobody has no home
        return ()
    return tuple(listed)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def own_lines() -> tuple[str, ...]:
    """What is put before the program of every spec, to tell its record what it runs in."""
    from foundry_tui.jobs.record.prologue import lines

    return lines()


def last(site: Site) -> Draft:
    """What was last submitted from the form; empty lines when that is not known."""
    try:
        kept = LastValues(site.state, FORM).load()
    except ActionError:
        return Draft()
    source = kept.get("source", "")
    return Draft(
        source=source if source in sources(site) else "",
        script=kept.get("script", ""),
        options=kept.get("options", ""),
    )


def keep(site: Site, draft: Draft) -> bool:
    """Keep source, script and options for the next time.

    The arguments are not kept: they are the program's own, and may hold anything.
    """
    values = {"source": draft.source, "script": draft.script, "options": draft.options}
    try:
        return LastValues(site.state, FORM).save(values)
    except ActionError:
        return False


def editor(script: str, env: Iterable[tuple[str, str]] | None = None) -> tuple[str, ...]:
    """The command that opens a script in the user's editor: $VISUAL, else $EDITOR, else vi.

    The variable may hold options; it is split into words and run without a shell.

    Raises:
        WrongUse: no script is named, it is a folder, or the variable cannot be split.
    """
    known = dict(env) if env is not None else dict(os.environ)
    name = next((n for n in ("VISUAL", "EDITOR") if known.get(n, "").strip()), "")
    words = _words(f"${name}", known[name]) if name else ("vi",)
    if not script.strip():
        raise WrongUse("script: there is no path to open")
    path = Path(script.strip()).expanduser()
    if path.is_dir():
        raise WrongUse(f"script: {path} is a directory")
    return (*words, str(path.absolute()))
