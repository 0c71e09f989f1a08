"""Running something again with the same inputs: what its record holds, what is still there, go.

The promise is the same inputs, not the same bits: other GPUs, other libraries of the node and the
order of sums change the last digits of most training.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing
from foundry_tui.actions.site import Site
from foundry_tui.estate.recorded import (
    CLUSTER_TAG,
    COMMIT_TAG,
    DIGEST_TAG,
    DIRTY_TAG,
    FOLDER_TAG,
    LEFT_OUT_TAG,
    PATCH_FILE,
    PATCH_TAG,
    REPRODUCES_TAG,
    SPEC_FILE,
    SPEC_ID_TAG,
    START_TAG,
    SUBMIT_TAG,
)
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.tracking.ports import TrackerDown, TrackingError

if TYPE_CHECKING:
    from foundry_tui.estate.tracked import TrackedRun
    from foundry_tui.jobs.spec import JobSpec
    from foundry_tui.tracking.ports import Tracker

MAX_SPEC_BYTES = 1 << 20
MAX_PATCH_BYTES = 16 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PROMISE = "the same inputs, not the same bits: results may differ in their last digits, or more"


class Held(StrEnum):
    """Whether an input of the run can be had as it was."""

    SAME = "same"
    CHANGED = "changed"
    MISSING = "missing"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One kind of input: `what` it is, whether it can be had, and in words how that is known."""

    what: str
    held: Held
    words: SafeText


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What it takes to run a record again.

    `root` is the repository that has the `commit`. In it the spec lay in `folder`, and the program
    started in `start`: an absolute path where that was elsewhere, None in a container. `base` is
    the folder from which its data is named, as it is now. `own` says that this user's own links
    know the record: what `mlflow.user` says of it is what anybody wrote there.
    """

    run: TrackedRun
    spec: JobSpec
    inputs: tuple[Input, ...]
    base: Path
    commit: str | None = None
    patch: bytes | None = None
    root: Path | None = None
    folder: str = ""
    start: str | None = None
    source: str | None = None
    experiment: str | None = None
    own: bool = False

    @property
    def held(self) -> int:
        """How many of the inputs can be had as they were."""
        return sum(one.held is Held.SAME for one in self.inputs)

    @property
    def whole(self) -> bool:
        """Whether all inputs that are told can be had as they were."""
        return all(one.held in (Held.SAME, Held.UNTOLD) for one in self.inputs)


def look(
    site: Site, reference: str, repository: Path, given: frozenset[str] = frozenset()
) -> Reproduction:
    """What the record of a run holds, and what of it is still there. Nothing is changed.

    `repository` is a folder in the repository that the code lies in; `given` are the keys of the
    spec that get other values.

    Raises:
        NothingMatched: no such run, or its record holds no spec.
        SourceMissing: there is no tracking server, or it does not answer.
        ActionError: the server refuses, or the spec in the record cannot be read.
    """
    from foundry_tui.actions.experiments.find import resolve
    from foundry_tui.jobs import restore

    run = resolve(site, reference)
    tracker = site.tracker
    if tracker is None:
        raise SourceMissing(f"reproduce: {site.untracked}")
    spec, stored = _spec(tracker, run, given)
    commit = run.tags.get(COMMIT_TAG) or None
    root = restore.repository(repository) if commit else None
    if root is not None and commit is not None and not restore.holds(root, commit):
        root = None
    patch, patched = _patch(tracker, run, commit)
    folder, start = run.tags.get(FOLDER_TAG, ""), run.tags.get(START_TAG)
    from_ = folder if start is None else start
    base = repository if root is None else _place(root, from_)
    told = (
        stored,
        _commit(commit, root, repository),
        *_submodules(commit, root),
        patched,
        *_elsewhere(spec, root, start),
        _image(run, spec),
        *_data(run, spec, base, _committed(root, from_, commit)),
        _seed(spec),
    )
    digest = run.tags.get(DIGEST_TAG, "")
    if _DIGEST.fullmatch(digest) and spec.image and "@" not in spec.image:
        spec = replace(spec, image=f"{spec.image}@{digest}")
    cluster = run.tags.get(CLUSTER_TAG)
    return Reproduction(
        run=run,
        spec=spec,
        inputs=told,
        base=base,
        commit=commit,
        patch=patch,
        root=root,
        folder=folder,
        start=start,
        source=cluster if cluster in site.schedulers else None,
        experiment=_experiment(tracker, run, spec),
        own=_own(site, run),
    )


def tags(found: Reproduction) -> dict[str, str]:
    """What the record of the new run says of the one that it repeats."""
    return {REPRODUCES_TAG: found.run.run_id}


def _read(tracker: Tracker, run: TrackedRun, path: str, most: int) -> bytes | None:
    try:
        return tracker.read_artifact(run, path, most_bytes=most)
    except TrackerDown as error:
        raise SourceMissing(f"reproduce: {error}") from error
    except TrackingError as error:
        raise ActionError(f"reproduce: {path}: {error}") from error


def _place(top: Path, folder: str) -> Path:
    """A folder by the word of a record: absolute, or below the top; else the top."""
    if Path(folder).is_absolute():
        return Path(folder)
    inside = (top / folder).resolve()
    return inside if inside.is_relative_to(top.resolve()) and inside.is_dir() else top


def _own(site: Site, run: TrackedRun) -> bool:
    """Whether this user's own links know the record, which nobody else can write."""
    if site.mode == "demo":
        return run.user in site.me
    with suppress(ActionError):  # without a state folder there are no links
        link = site.links.find(run.tags.get(SUBMIT_TAG, ""))
        return link is not None and link.mlflow_run_id == run.run_id
    return False


def _experiment(tracker: Tracker, run: TrackedRun, spec: JobSpec) -> str | None:
    """The experiment of the record, where the spec does not name it."""
    if spec.experiment is not None:
        return None
    try:
        known = tracker.experiments()
    except TrackerDown as error:
        raise SourceMissing(f"reproduce: {error}") from error
    except TrackingError:
        return None
    return next((one.name for one in known if one.id == run.experiment_id), None)


def _spec(tracker: Tracker, run: TrackedRun, given: frozenset[str]) -> tuple[JobSpec, Input]:
    from foundry_tui.jobs.errors import SpecError
    from foundry_tui.jobs.reading import load
    from foundry_tui.jobs.record.collect import HIDDEN
    from foundry_tui.jobs.resolve import spec_id

    data = _read(tracker, run, SPEC_FILE, MAX_SPEC_BYTES)
    if data is None:
        raise NothingMatched(
            f"reproduce: the record of {run.run_id} holds no {SPEC_FILE}: it was not submitted "
            "from a job spec; what was sent is in foundry/submitted.txt, where it was recorded"
        )
    try:
        spec = whole = load("spec.resolved.yaml", data)
    except SpecError as error:
        raise ActionError(f"reproduce: the spec in the record: {error}") from error
    spec = replace(spec, needs=())
    secret = [name for name, value in spec.environment if value == HIDDEN]
    hidden = [name for name in secret if f"environment.{name}" not in given]
    if hidden:
        words = f"values are hidden in the record: --set environment.{hidden[0]}=VALUE"
        more = f", and {', '.join(hidden[1:])}" if hidden[1:] else ""
        return spec, _input("spec", Held.MISSING, words + more)
    wanted = run.tags.get(SPEC_ID_TAG)
    if wanted is None or secret:
        words = f"recorded, but for {', '.join(secret)}" if secret else "recorded, without its id"
        return spec, _input("spec", Held.UNTOLD, words)
    if spec_id(whole) != wanted:
        words = f"the one in the record is not the one that was sent ({wanted[:12]})"
        return spec, _input("spec", Held.CHANGED, words)
    return spec, _input("spec", Held.SAME, f"recorded, id {wanted[:12]}")


def _commit(commit: str | None, root: Path | None, repository: Path) -> Input:
    if commit is None:
        return _input("code", Held.MISSING, "no commit is recorded: it was in no git repository")
    if root is None:
        words = f"{commit[:12]} is not in a repository at {repository}; fetch it, or --repository"
        return _input("code", Held.MISSING, words)
    return _input("code", Held.SAME, f"{commit[:12]} is in {root}")


def _submodules(commit: str | None, root: Path | None) -> list[Input]:
    from foundry_tui.jobs import restore

    if root is None or commit is None or not restore.has_file(root, commit, ".gitmodules"):
        return []
    words = "a new working tree holds none: git submodule update --init, behind --dry-run"
    return [_input("submodules", Held.MISSING, words)]


def _elsewhere(spec: JobSpec, root: Path | None, start: str | None) -> list[Input]:
    """What leads out of the code that is laid out anew: where it starts, and what it names."""
    from foundry_tui.jobs.writing import text

    told = []
    if start is not None and Path(start).is_absolute():
        words = f"it started in {start}, not in the repository: files there are as they are now"
        told.append(_input("start", Held.CHANGED, words))
    if root is not None and str(root) in text(replace(spec, workdir=None, data=())):
        words = f"the spec names {root} itself: files there are as they are now"
        told.append(_input("paths", Held.CHANGED, words))
    return told


def _committed(root: Path | None, folder: str, commit: str | None) -> Callable[[str], bool]:
    """Whether a path from where the program starts is a file of the commit."""
    from foundry_tui.jobs import restore

    def held(path: str) -> bool:
        if root is None or commit is None:
            return False
        return restore.has_file(root, commit, os.path.normpath(Path(folder) / path))

    return held


def _patch(tracker: Tracker, run: TrackedRun, commit: str | None) -> tuple[bytes | None, Input]:
    dirty, wanted = run.tags.get(DIRTY_TAG), run.tags.get(PATCH_TAG)
    if commit is None or dirty is None:
        return None, _input("changes", Held.UNTOLD, "whether files differed from the commit")
    if dirty != "true":
        return None, _input("changes", Held.SAME, "none: all was committed")
    patch = _read(tracker, run, PATCH_FILE, MAX_PATCH_BYTES)
    if patch is None:
        why = run.tags.get(LEFT_OUT_TAG, "their patch is not in the record")
        words = f"files differed from the commit: {why}"
        return None, _input("changes", Held.MISSING, words)
    if wanted and hashlib.sha256(patch).hexdigest() != wanted:
        return patch, _input("changes", Held.CHANGED, "the patch is not the one that was recorded")
    if left := run.tags.get(LEFT_OUT_TAG):
        return patch, _input("changes", Held.MISSING, f"not all: {left}")
    return patch, _input("changes", Held.SAME, f"a patch of {len(patch):,} bytes")


def _image(run: TrackedRun, spec: JobSpec) -> Input:
    if spec.image is None:
        return _input("image", Held.UNTOLD, "none: it ran with what the node and modules had")
    if (digest := run.tags.get(DIGEST_TAG)) or "@sha256:" in spec.image:
        return _input("image", Held.SAME, f"pinned: {(digest or spec.image)[-71:]}")
    words = f"{spec.image} had no digest: what its tag means may have changed"
    return _input("image", Held.CHANGED, words)


def _data(
    run: TrackedRun, spec: JobSpec, folder: Path, committed: Callable[[str], bool]
) -> list[Input]:
    from foundry_tui.jobs.record.data import inputs

    if not spec.data:
        return [_input("data", Held.UNTOLD, "the spec names none")]
    now, notes = inputs(spec.data, folder)
    before = {one.name: one.digest for one in run.inputs}
    found = {one.name: one.digest for one in now}
    told = []
    for one in spec.data:
        was, is_ = before.get(one.name), found.get(one.name)
        what = f"data {safe(one.name)}"
        if committed(one.path):
            told.append(_input(what, Held.SAME, "comes with the code"))
        elif was is None:
            told.append(_input(what, Held.UNTOLD, "its digest was not recorded"))
        elif is_ is None:
            why = next((note for note in notes if one.name in note), "it cannot be looked at here")
            told.append(_input(what, Held.MISSING, why))
        elif was == is_:
            told.append(_input(what, Held.SAME, was))
        else:
            told.append(_input(what, Held.CHANGED, f"it was {was}, it is {is_}"))
    return told


def _seed(spec: JobSpec) -> Input:
    if spec.seed is None:
        return _input("seed", Held.UNTOLD, "none is set: every run draws its own numbers")
    return _input("seed", Held.SAME, str(spec.seed))


def _input(what: str, held: Held, words: str) -> Input:
    return Input(what=what, held=held, words=safe(words, max_cells=300))
