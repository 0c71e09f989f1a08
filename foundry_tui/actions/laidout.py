"""The code of a run as it was, in a new folder, with the spec that runs it there."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.reproduce import Reproduction


@dataclass(frozen=True, slots=True)
class LaidOut:
    """The file of the `spec`, its `text`, and the folder in which its run is to `start`."""

    spec: Path
    text: str
    start: Path


def place(found: Reproduction) -> Path:
    """A folder for the code where none is named: beside the repository, never in its own files."""
    name = f"reproduce-{found.run.run_id[:8]}"
    if found.root is None:
        return Path(name)
    return found.root.parent / f"{found.root.name}-{name}"


def lay_out(found: Reproduction, target: Path) -> LaidOut:
    """The code as it was in the new folder `target`, with the spec in it.

    Data that it names from where it starts is linked to where that lies now. Without a commit
    that can be had only the spec is written, and its program has to be there.

    Raises:
        WrongUse: the folder is there already, or the patch does not fit the commit.
        ActionError: the folder cannot be written.
    """
    from foundry_tui.jobs import restore

    try:
        if found.root is not None and found.commit is not None:
            restore.restore(found.root, found.commit, found.patch, target)
        else:
            target.mkdir(parents=True)
        return _filled(found, target.resolve())
    except restore.RestoreError as error:
        raise WrongUse(f"reproduce: {error}") from error
    except FileExistsError as error:
        raise WrongUse(
            f"reproduce: {error.filename or target} is there already; name another folder"
        ) from None
    except OSError as error:
        raise ActionError(f"reproduce: {target}: {error.strerror}") from error


def _filled(found: Reproduction, target: Path) -> LaidOut:
    from foundry_tui.jobs import writing

    spec, inside = found.spec, _inside(target, found.folder)
    start = inside
    if found.root is None:
        start = found.base.resolve()
    elif found.start is not None:
        outside = Path(found.start).is_absolute()
        start = Path(found.start) if outside else _inside(target, found.start)
        if spec.workdir is not None and not outside:
            spec = replace(spec, workdir=str(start))
    if found.root is None:
        for name in filter(None, (spec.file, spec.deepspeed_config)):
            _linked(inside, found.base, name, target)
    else:
        for one in spec.data:
            _linked(start, found.base, one.path, target)
    path = inside / f"foundry-{found.run.run_id[:8]}.yaml"
    text = writing.text(spec)
    # Only a new file: the code may hold a link of this name that leads anywhere.
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    return LaidOut(path, text, start)


def _inside(target: Path, folder: str) -> Path:
    """A folder below `target` by the word of a record; `target` where it leads out of it."""
    place = (target / folder).resolve()
    return place if place.is_relative_to(target) and place.is_dir() else target


def _linked(folder: Path, base: Path, name: str, target: Path) -> None:
    """Link a path to where it lies now, unless it is there, lies elsewhere or leads out."""
    here, now = Path(os.path.normpath(folder / name)), base / name
    elsewhere = Path(name).is_absolute() or name.startswith("~") or "://" in name
    if elsewhere or os.path.lexists(here) or not here.is_relative_to(target) or not now.exists():
        return
    folder = here.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.resolve().is_relative_to(target):
        return
    here.parent.mkdir(parents=True, exist_ok=True)
    here.symlink_to(now.resolve())
