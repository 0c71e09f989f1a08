"""The folders and files of a spec, as far as this host can see what the run will see.

On Slurm the hosts share their file systems, so a path means the same here and there, and the
program starts on the node itself unless native options name a container. Inside one it is another
path: it is followed through the mounts of the spec, and where it lies in a volume or in the image
it is not looked at.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from foundry_tui.jobs.preflight import image
from foundry_tui.jobs.preflight.verdict import Check, fail, ok, skipped, warn
from foundry_tui.jobs.spec import JobSpec, Mount

SLURM = "slurm"
LITTLE_BYTES = 10 << 30
"""Free room below which a checkpoint may not fit: that of a 7 B model with its optimiser is 84 GB,
that of a small one a few hundred megabytes."""

LITTLE_INODES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What paths are read against.

    `kind` is that of the scheduler, `start` the folder of the submit, `beside` that of the spec.
    `simulated`: the estate is played, so a path that is not here says nothing. `contained`: Slurm
    is told by native options to start the program in a container.
    """

    kind: str
    start: Path
    beside: Path
    simulated: bool = False
    contained: bool = False

    @property
    def inside(self) -> bool:
        """Whether the program runs in a container."""
        return self.contained or self.kind != SLURM


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a path of the run lies on this host; else `why` it cannot be looked at."""

    path: Path | None
    why: str = ""


def workdir(spec: JobSpec, ground: Ground) -> Path:
    """The folder in which the program starts, on Slurm."""
    return ground.start / (spec.workdir or "")


def seen(text: str, spec: JobSpec, ground: Ground) -> Seen:
    """The place on this host of a path as the program will use it."""
    if "$" in text or text.startswith("~"):
        return Seen(None, "the shell on the node says where that is")
    if not ground.inside:
        return Seen(workdir(spec, ground) / text)
    path = PurePosixPath(spec.workdir or ("/" if ground.kind != SLURM else str(ground.start)), text)
    mount = _mount_of(path, spec.mounts)
    if mount is None:
        return Seen(None, "inside the container, which is not looked into")
    if mount.claim is not None:
        return Seen(None, f"in the volume {mount.claim}, which this host does not see")
    if ground.kind != SLURM:
        return Seen(None, f"in {mount.source} of the nodes, which this host may not share")
    return Seen(ground.start / (mount.source or "") / path.relative_to(mount.target))


def _mount_of(path: PurePosixPath, mounts: tuple[Mount, ...]) -> Mount | None:
    """The innermost mount that a path lies in."""
    holding = [m for m in mounts if path.is_relative_to(m.target)]
    return max(holding, key=lambda m: len(PurePosixPath(m.target).parts), default=None)


def check(spec: JobSpec, ground: Ground) -> tuple[Check, ...]:
    """The program's file, the folder it starts in, mounts, and files that options name."""
    checks: list[Check] = []
    if spec.file is not None:
        checks.append(_file("file", ground.beside / spec.file))
    if ground.kind == SLURM and spec.image is not None and image.is_file(spec.image):
        checks.append(_file("image", ground.start / spec.image))
    checks += _workdir(spec, ground)
    for mount in spec.mounts:
        checks.append(_mount(mount, ground))
    if spec.deepspeed_config is not None:
        checks.append(_file("deepspeed_config", ground.beside / spec.deepspeed_config))
    return tuple(checks)


def _workdir(spec: JobSpec, ground: Ground) -> list[Check]:
    if ground.kind != SLURM:
        if spec.workdir is None:
            return []
        return [skipped("workdir", f"{spec.workdir} is {_inside(spec.workdir, spec, ground)}")]
    if "$" in str(spec.workdir) or str(spec.workdir).startswith("~"):
        words = f"{spec.workdir} is taken as it stands, no `~` and no variable: write it out"
        return [fail("workdir", words)]
    place = workdir(spec, ground)
    problem = problem_of(place, folder=True)
    if problem is not None:
        return [missing("workdir", place, problem, ground)]
    if not os.access(place, os.W_OK):
        words = f"{place} cannot be written: Slurm puts the output of the run there"
        return [warn("workdir", words)]
    return [ok("workdir", f"{place} is there")]


def _inside(text: str, spec: JobSpec, ground: Ground) -> str:
    return seen(text, spec, ground).why


def _mount(mount: Mount, ground: Ground) -> Check:
    name = f"mount {mount.target}"
    if mount.claim is not None:
        if ground.kind == SLURM:
            return skipped(name, f"the volume {mount.claim} means nothing to Slurm")
        return skipped(name, f"the volume {mount.claim} is not looked for")
    if ground.kind != SLURM:
        return skipped(name, f"{mount.source} is of the nodes, which this host may not share")
    place = ground.start / (mount.source or "")
    problem = problem_of(place)
    if problem is not None:
        return missing(name, place, problem, ground)
    return ok(name, f"{place} is there")


def _file(name: str, path: Path) -> Check:
    problem = problem_of(path, folder=False)
    return ok(name, f"{path} is there") if problem is None else fail(name, f"{path}: {problem}")


def missing(name: str, place: Path, problem: str, ground: Ground) -> Check:
    """A path that cannot be used; of a simulated estate it may only not be here."""
    if ground.simulated and not os.path.lexists(place):
        return skipped(name, f"{place} is not on this host, and the estate is simulated")
    return fail(name, f"{place}: {problem}")


def problem_of(path: Path, *, folder: bool | None = None) -> str | None:
    """Why a path cannot be read, or is no folder or file where it has to be; None when it can."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or str(error)
        return f"it cannot be found: {told}; make it, or correct the path"
    if folder is True and not stat.S_ISDIR(mode):
        return "no folder"
    if folder is False and not stat.S_ISREG(mode):
        return "a folder; name a file" if stat.S_ISDIR(mode) else "no regular file"
    wanted = os.R_OK | os.X_OK if stat.S_ISDIR(mode) else os.R_OK
    return None if os.access(path, wanted) else "you may not read it"


def checkpoint(spec: JobSpec, ground: Ground) -> tuple[tuple[Check, ...], Path | None]:
    """Whether checkpoints can be written, and the folder of this host whose room they take."""
    if spec.checkpoint is None or spec.checkpoint.path is None:
        return (), None
    name, text = "checkpoint", spec.checkpoint.path
    found = seen(text, spec, ground)
    if found.path is None:
        return (skipped(name, f"{text} is {found.why}"),), None
    place, made = found.path, found.path
    try:
        while not made.exists() and made != made.parent:
            made = made.parent
        if not made.is_dir():
            return (fail(name, f"{made} is no folder, so nothing can be written to {place}"),), None
        if ground.simulated and made == Path("/"):
            why = f"{place} is not on this host, and the estate is simulated"
            return (skipped(name, why),), None
        if not os.access(made, os.W_OK | os.X_OK):
            return (fail(name, f"you may not write to {made}, so not to {place}"),), None
        room = os.statvfs(made)
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or str(error)
        return (fail(name, f"{place} cannot be looked at: {told}"),), None
    if made not in (place, place.parent):
        words = f"{place}: {place.parent} is not there either, only {made}: is the path right?"
        return (warn(name, words),), made
    there = "is there" if made == place else f"can be made in {made}"
    told = free(
        place,
        there,
        free_bytes=room.f_bavail * room.f_frsize,
        # some file systems have no fixed number of them and tell 0
        free_inodes=room.f_favail if room.f_files else None,
        read_only=bool(room.f_flag & os.ST_RDONLY),
    )
    return (told,), made


def free(
    place: Path, there: str, *, free_bytes: int, free_inodes: int | None, read_only: bool
) -> Check:
    """A judgement on the room that a file system has for checkpoints."""
    name = "checkpoint"
    if read_only:
        return fail(name, f"{place} lies on a file system that cannot be written")
    if free_bytes == 0:
        return fail(name, f"{place}: its file system is full")
    if free_inodes is not None and free_inodes == 0:
        return fail(name, f"{place}: its file system takes no more files (no free inodes)")
    room = f"{place} {there}, {_gigabytes(free_bytes)} free"
    if free_bytes < LITTLE_BYTES:
        return warn(name, f"{room}: little for checkpoints; make room, or name another path")
    if free_inodes is not None and free_inodes < LITTLE_INODES:
        return warn(name, f"{room}, but only {free_inodes} more files")
    return ok(name, room)


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.1f} GB"
