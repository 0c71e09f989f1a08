"""The limits of an MLflow server, held before anything is sent: so nothing is written in half.

Source: mlflow/utils/validation.py of 3.17.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import DataInput, TrackedRun
from foundry_tui.tracking.ports import TrackingError

KEY_MOST = 250
"""Characters of the key of a tag, a parameter or a metric."""

PARAM_MOST = 6000
"""Characters of a parameter's value; servers before 2.8 took 500."""

TAG_MOST = 8000
DATA_NAME_MOST = 500
DIGEST_MOST = 36
INPUT_TAG_MOST = 500
SERVED = "mlflow-artifacts"
"""Scheme of the address of artifacts that go through the server."""

ARTIFACT_MOST = 16 << 20
"""Bytes of an artifact that is written."""

EXPERIMENTS_MOST = 200
"""Experiments that one search names: databases limit the variables of a statement."""

RUNS_PER_PAGE = 200
RUNS_MOST = 1000
"""Runs of one page: 3 MB and 1.5 s where each has 20 parameters, metrics and tags."""

_KEY = re.compile(r"[/\w.\- :]*")
"""What the key of a parameter or a metric may hold."""


def page_size(most: int) -> int:
    """How many runs a page has.

    Raises:
        ValueError: none.
    """
    if most < 1:
        raise ValueError(f"most: {most} runs were asked for; at least 1")
    return min(most, RUNS_MOST)


def few_experiments(experiment_ids: Sequence[str]) -> None:
    """Raises `ValueError` when one search cannot name them all."""
    if len(experiment_ids) > EXPERIMENTS_MOST:
        raise ValueError(
            f"experiment_ids: {len(experiment_ids)} were given; one search takes "
            f"{EXPERIMENTS_MOST}: ask in blocks"
        )


def keys(asked: str, what: str, given: Iterable[str]) -> None:
    """Whether the server takes these keys of parameters or metrics.

    Raises:
        TrackingError: one is empty, too long, holds a character or is a path that it refuses.
    """
    for key in given:
        shown = safe(key, max_cells=60)
        if len(key) > KEY_MOST:
            problem = f"the name of the {what} {shown} has {len(key)} characters"
            raise TrackingError(asked, problem, f"MLflow takes {KEY_MOST}")
        normal = posixpath.normpath(key)
        moved = normal != key or normal == "." or normal.startswith(("..", "/"))
        if moved or not _KEY.fullmatch(key):
            raise TrackingError(
                asked,
                f"MLflow takes no {what} of the name {shown!r}",
                "letters, digits, _ - . : / and blanks may stand in it, and no part is empty or ..",
            )


def param(value: str) -> str:
    """A value that is too long ends in an ellipsis: a server cuts it, or refuses it."""
    return value if len(value) <= PARAM_MOST else value[: PARAM_MOST - 1] + "…"


def inputs(asked: str, given: Iterable[DataInput]) -> None:
    """Whether the server takes these sets of data.

    Raises:
        TrackingError: one has no name or no digest, or one that is too long.
    """
    for one in given:
        shown = safe(one.name, max_cells=60)
        for what, text, most in (
            ("name", one.name, DATA_NAME_MOST),
            ("digest", one.digest, DIGEST_MOST),
        ):
            if not 0 < len(text) <= most:
                problem = f"the {what} of the data {shown!r} has {len(text)} characters"
                raise TrackingError(asked, problem, f"MLflow takes 1 to {most}")


def artifact_root(asked: str, run: TrackedRun) -> str:
    """Where the run's artifacts lie below the server's.

    Raises:
        TrackingError: the server does not serve them.
    """
    try:
        parts = urlsplit(run.artifact_uri)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme == SERVED:
        return parts.path.rstrip("/")
    where = safe(run.artifact_uri.rpartition("@")[2], max_cells=200) or "a place it does not name"
    raise TrackingError(
        asked,
        f"its artifacts lie at {where}, which the tracking server does not serve",
        "read them where they lie; a server with --serve-artifacts serves those of new experiments",
    )


def artifact_path(asked: str, path: str) -> str:
    """The path of an artifact, relative to the root of the run's.

    Raises:
        TrackingError: it leads out of there, or holds characters that the server reads otherwise
            (it undoes % more than once) or refuses.
    """
    shown = safe(path, max_cells=80)
    if any(part in ("", ".", "..") for part in path.split("/")):
        problem = f"{str(shown)!r} is no path below the artifacts of a run"
        raise TrackingError(asked, problem, "name it from their root, as folder/file")
    if not path.isprintable() or any(mark in path for mark in "\\#%"):
        problem = f"MLflow cannot be asked for {str(shown)!r}"
        raise TrackingError(asked, problem, "name it without \\ # % and control characters")
    return path


def artifact_data(asked: str, data: bytes) -> None:
    """Raises `TrackingError` when an artifact is too large to be written."""
    if len(data) > ARTIFACT_MOST:
        problem = f"it has {len(data):,} bytes; at most {ARTIFACT_MOST:,} are written"
        raise TrackingError(asked, problem, "keep large files on a file system, and name the path")
