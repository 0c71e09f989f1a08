"""All that a record gets before its run is sent: code, spec, what was sent, data, labels.

What cannot be had is a note and stops nothing: a run without its patch is better than no run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from foundry_tui.estate import recorded
from foundry_tui.estate.acts import Submit
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import DataInput
from foundry_tui.jobs.record import data as digests
from foundry_tui.jobs.record.git import Checkout, checkout
from foundry_tui.jobs.resolve import spec_id
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.writing import text

SEED = "seed"
HIDDEN = "***"
SECRET = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASS|PASSWD|(?:PG|MYSQL_)?PASSWORD|PASSPHRASE|CREDENTIALS?|PRIVATE_?KEY"
    r"|API_?KEY|ACCESS_?KEY)(?:_|$)",
    re.IGNORECASE,
)
"""Names of variables whose values are not shown to all who read a record."""

_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]+@")
"""A user name and password in front of a host."""

_LONG = 6
"""Characters from which on a hidden value is taken out wherever it stands."""

_ASSIGNED = re.compile(r"(?<![A-Za-z0-9_-])([A-Za-z_][A-Za-z0-9_]*)=([^,\s]+)")
_PINNED = re.compile(r"@(sha256:[0-9a-f]{64})$")
_OURS = ("foundry.", "mlflow.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a record gets. `artifacts` are by path; `notes` say what could not be had."""

    code: Checkout = field(default_factory=Checkout)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    inputs: tuple[DataInput, ...] = ()
    notes: tuple[str, ...] = ()


def collect(spec: JobSpec | None, origin: str | None, submit: Submit) -> Collected:
    """Everything about a submit but what is sent, which `submitted` tells. Never raises.

    Args:
        spec: None for a plain batch script: then there are its commit and patch alone.
        origin: the file of the spec; its folder is where git is looked for.
    """
    folder = Path(origin or submit.script_name).parent
    start = _start(folder, spec, submit)
    code = checkout(folder, without=_told_otherwise(spec, origin, start))
    if code == Checkout() and submit.work_dir is not None:
        code = checkout(Path(submit.work_dir))
    tags = _code_tags(code) | _places(
        folder, code, start if spec is not None and submit.work_dir is not None else None
    )
    made = Collected(code=code, notes=code.notes, tags=tags)
    artifacts = {} if code.patch is None else {recorded.PATCH_FILE: code.patch}
    if spec is None:
        return replace(made, artifacts=artifacts)
    inputs, notes = digests.inputs(spec.data, start)
    tags, refused = _user_tags(spec)
    if spec.data:
        artifacts[recorded.DATA_FILE] = _listed(inputs, notes)
    try:
        tags |= {recorded.SPEC_ID_TAG: spec_id(spec)}
        artifacts[recorded.SPEC_FILE] = text(_without_secrets(spec)).encode("utf-8", "replace")
    except ValueError as error:
        notes = (*notes, f"its record does not hold the spec: {error}")
    return replace(
        made,
        params=_params(spec),
        tags={**tags, **made.tags, **_software(spec), **_checkpoint(spec, submit)},
        artifacts=artifacts,
        inputs=inputs,
        notes=(*made.notes, *refused, *notes),
    )


def _start(folder: Path, spec: JobSpec | None, submit: Submit) -> Path:
    """Where the program starts, from where its data is named; of a container the spec's folder."""
    if spec is None or submit.work_dir is None:
        return folder
    return Path(os.path.realpath(Path(submit.work_dir) / (spec.workdir or "")))


def _told_otherwise(spec: JobSpec | None, origin: str | None, start: Path) -> tuple[Path, ...]:
    """New files that are no changes of the code: the spec itself, and data, which has digests."""
    if origin is None or spec is None:
        return ()
    # os.path, because the home of a user that there is not raises in pathlib.
    data = (Path(os.path.normpath(start / os.path.expanduser(d.path))) for d in spec.data)  # noqa: PTH111
    # Data that is the folder of the spec, or above it, holds the code too.
    folder = Path(origin).parent
    return (Path(origin), *(one for one in data if not folder.is_relative_to(one)))


def _places(folder: Path, code: Checkout, start: Path | None) -> dict[str, str]:
    """Where spec and start lie below the top of their working tree."""
    if code.commit is None:
        return {}
    here = folder.resolve()
    top = next((up for up in (here, *here.parents) if (up / ".git").exists()), here)
    below = here.relative_to(top).as_posix()
    tags = {recorded.FOLDER_TAG: below} if below != "." else {}
    if start is not None:
        tags[recorded.START_TAG] = str(
            start.relative_to(top) if start.is_relative_to(top) else start
        )
    return tags


def submitted(submit: Submit, command: Sequence[str]) -> bytes:
    """What was sent: the command, or the request, and the script behind it, byte for byte.

    Values of variables that are named like secrets, or hold an address with a password, are
    hidden; nothing else is changed.
    """
    secret = [(name, value) for name, value in submit.environment if is_secret(name, value)]
    hidden = {value for _, value in secret if value}
    pairs = {f"{name}={value}" for name, value in secret}
    words = [
        f"{w.partition('=')[0]}={HIDDEN}" if w in pairs else _without_values(w) for w in command
    ]
    request = bool(command) and command[0] in ("POST", "PUT", "PATCH")
    first = "\n".join(words) if request else shlex.join(words)
    for value in hidden:
        if len(value) >= _LONG:
            first = first.replace(value, HIDDEN).replace(json.dumps(value)[1:-1], HIDDEN)
    head = f"{first}\n\n--- {safe(submit.script_name, max_cells=1000)}\n"
    return head.encode("utf-8", "surrogateescape") + submit.script


def _code_tags(code: Checkout) -> dict[str, str]:
    tags = {} if code.dirty is None else {recorded.DIRTY_TAG: str(code.dirty).lower()}
    if code.dirty and code.notes:
        tags[recorded.LEFT_OUT_TAG] = "; ".join(code.notes)
    if code.patch is not None:
        tags[recorded.PATCH_TAG] = hashlib.sha256(code.patch).hexdigest()
    return tags


def _params(spec: JobSpec) -> dict[str, str]:
    seed = {} if spec.seed is None else {SEED: str(spec.seed)}
    return {**seed, **dict(spec.params)}


def _software(spec: JobSpec) -> dict[str, str]:
    tags = {}
    if spec.image is not None:
        tags[recorded.IMAGE_TAG] = spec.image
        if pinned := _PINNED.search(spec.image):
            tags[recorded.DIGEST_TAG] = pinned[1]
    if spec.modules:
        tags[recorded.MODULES_TAG] = " ".join(spec.modules)
    return tags


def _checkpoint(spec: JobSpec, submit: Submit) -> dict[str, str]:
    """Where the checkpoints lie on this host; nothing for a folder that a container alone sees."""
    if spec.checkpoint is None or spec.checkpoint.path is None:
        return {}
    if submit.work_dir is not None:
        place = Path(submit.work_dir) / (spec.workdir or "") / spec.checkpoint.path
        return {recorded.CHECKPOINT_TAG: str(place)}
    inside = PurePosixPath(spec.workdir or "/") / spec.checkpoint.path
    for mount in spec.mounts:
        if mount.source is not None and inside.is_relative_to(mount.target):
            here = Path(mount.source) / inside.relative_to(mount.target)
            return {recorded.CHECKPOINT_TAG: str(here)}
    return {}


def _user_tags(spec: JobSpec) -> tuple[dict[str, str], tuple[str, ...]]:
    """The tags of the spec; those that would stand for what Foundry itself found are left out."""
    free = {recorded.REPRODUCES_TAG, recorded.NOTE_TAG}
    refused = [k for k, _ in spec.tags if k.startswith(_OURS) and k not in free]
    notes = [f"tags.{safe(key, max_cells=60)}: the name is taken; left out" for key in refused]
    return {k: v for k, v in spec.tags if k not in refused}, tuple(notes)


def _without_secrets(spec: JobSpec) -> JobSpec:
    shown = tuple((k, HIDDEN if is_secret(k, v) else v) for k, v in spec.environment)
    options = tuple((k, tuple(_without_values(w) for w in words)) for k, words in spec.options)
    return replace(spec, environment=shown, options=options)


def is_secret(name: str, value: str) -> bool:
    """Whether the value of a variable is not for all who read a record."""
    return bool(SECRET.search(name) or _IN_ADDRESS.search(value))


def _without_values(word: str) -> str:
    """An option such as `--export=ALL,HF_TOKEN=…` without the values of its secrets."""
    return _ASSIGNED.sub(lambda m: f"{m[1]}={HIDDEN}" if is_secret(m[1], m[2]) else m[0], word)


def _listed(inputs: Sequence[DataInput], notes: Sequence[str]) -> bytes:
    found = [{"name": i.name, "path": i.path, "digest": i.digest, "kind": i.kind} for i in inputs]
    told = {"schema": "foundry.data/1", "data": found, "not_found": list(notes)}
    return (json.dumps(told, indent=1) + "\n").encode()
