"""What the artifacts of a run's record say: its spec, environment, patch and data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from posixpath import basename
from typing import TYPE_CHECKING, TypeVar

from foundry_tui.estate.recorded import (
    DATA_FILE,
    DIRTY_TAG,
    ENVIRONMENT_FILE,
    PATCH_FILE,
    SPEC_FILE,
)
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.experiments.nouns import Evidence
from foundry_tui.tracking.ports import TrackingError

if TYPE_CHECKING:
    from foundry_tui.estate.tracked import TrackedRun
    from foundry_tui.tracking.ports import Tracker

FOLDER = "foundry"
"""Where a record keeps what foundry put there."""

MOST_BYTES = {
    SPEC_FILE: 1 << 18,
    ENVIRONMENT_FILE: 1 << 20,
    PATCH_FILE: 8 << 20,
    DATA_FILE: 1 << 20,
}
"""How much of each is read; a larger one is told as missing."""

MOST_LINES = 20_000
"""Lines of an environment that are looked at."""

ONE_LINE = 300
"""A value of a spec that is longer, or has several lines, stands by its hash."""

T = TypeVar("T")


class Unreadable(ValueError):
    """A file of a record is not what its name says."""


@dataclass(slots=True)
class _Reading:
    """One record that is read; `missing` collects what could not be had."""

    tracker: Tracker
    run: TrackedRun
    there: frozenset[str]
    missing: list[SafeText]

    def file(self, path: str, what: str, read: Callable[[bytes], T], empty: T) -> T:
        """What a file says; what is wrong with it is noted and it counts as empty."""
        if path not in self.there:
            self.missing.append(safe(f"no {what} is recorded"))
            return empty
        try:
            data = self.tracker.read_artifact(self.run, path, most_bytes=MOST_BYTES[path])
            if data is None:
                self.missing.append(safe(f"no {what} is recorded"))
                return empty
            return read(data)
        except (TrackingError, Unreadable) as error:
            self.missing.append(safe(f"the {what} cannot be read: {error}", max_cells=300))
            return empty


def evidence(tracker: Tracker, run: TrackedRun) -> Evidence:
    """What the record's files say. Never raises: what cannot be had is told as missing."""
    try:
        there = frozenset(file.path for file in tracker.artifacts(run, FOLDER))
    except TrackingError as error:
        told = safe(f"its files cannot be listed: {error}", max_cells=300)
        return Evidence(missing=(told,))
    if not there:
        return Evidence(missing=(SafeText("no spec, environment or patch is recorded"),))
    reading = _Reading(tracker, run, there, [])
    none: dict[str, SafeText] = {}
    spec = reading.file(SPEC_FILE, "spec", spec_values, none)
    environment: tuple[SafeText, ...] = ()
    environment = reading.file(ENVIRONMENT_FILE, "environment", lines, environment)
    data = reading.file(DATA_FILE, "data", digests, none) if DATA_FILE in there else none
    patch = None
    if PATCH_FILE in there or run.tags.get(DIRTY_TAG) == "true":
        patch = reading.file(PATCH_FILE, "patch", _text, None)
    return Evidence(
        spec=spec,
        environment=environment,
        patch=patch,
        data=data,
        missing=tuple(reading.missing),
    )


def spec_values(data: bytes) -> dict[str, SafeText]:
    """A resolved spec with dotted keys, its values as written.

    Raises:
        Unreadable: it is no spec.
    """
    from foundry_tui.jobs.document import read
    from foundry_tui.jobs.errors import SpecError

    try:
        document = read(basename(SPEC_FILE), data, max_depth=8)
    except SpecError as error:
        raise Unreadable(str(error)) from error
    return {safe(key): _value(text) for key, text in _flat("", document.values)}


def lines(data: bytes) -> tuple[SafeText, ...]:
    """The lines of a text that say something."""
    told = data.decode("utf-8", "replace").splitlines()[:MOST_LINES]
    return tuple(safe(line, max_cells=400) for line in told if line.strip())


def digests(data: bytes) -> dict[str, SafeText]:
    """Name -> digest, out of a list of entries with both, or of a table.

    Raises:
        Unreadable: it is neither.
    """
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from error
    found: dict[str, SafeText] = {}
    if isinstance(told, Mapping):
        pairs = list(told.items())
    elif isinstance(told, list):
        pairs = [(one.get("name"), one) for one in told if isinstance(one, Mapping)]
    else:
        raise Unreadable("neither a list nor a table of data")
    for name, one in pairs:
        digest = one.get("digest") if isinstance(one, Mapping) else one
        if isinstance(name, str) and isinstance(digest, str):
            found[safe(name)] = safe(digest)
    return found


def _flat(key: str, value: object) -> Iterator[tuple[str, str]]:
    from foundry_tui.jobs.document import written

    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), one)
    elif isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _flat(f"{key}.{number}", one)
    elif (text := written(value)) is not None:
        yield key, text


def _value(text: str) -> SafeText:
    """A value on one line; a script stands by its hash."""
    if len(text) <= ONE_LINE and "\n" not in text.strip():
        return safe(text.strip(), max_cells=8 * ONE_LINE)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return safe(f"{len(text.splitlines())} lines, sha256 {digest}")


def _text(data: bytes) -> str | None:
    return data.decode("utf-8", "surrogateescape")
