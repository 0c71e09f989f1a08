"""What ties a run to its MLflow record: variables for the job, tags for the record. Pure.

The names of tags, artifacts and metrics are in `estate.recorded`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from foundry_tui.estate.recorded import (
    BACKEND_TAG,
    BRANCH_TAG,
    CLUSTER_TAG,
    COMMIT_TAG,
    JOB_TAGS,
    PROGRAM_TAG,
    REMOTE_TAG,
    SUBMIT_TAG,
    USER_TAG,
)

URI = "MLFLOW_TRACKING_URI"
RUN_ID = "MLFLOW_RUN_ID"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
EXPERIMENT_ID = "MLFLOW_EXPERIMENT_ID"
ARTIFACTS = "FOUNDRY_ARTIFACTS"
"""The address below which a job puts what it tells of itself, with no more than curl."""

VARIABLES = frozenset({URI, RUN_ID, EXPERIMENT, EXPERIMENT_ID, ARTIFACTS})
"""What a linked run gets from us."""

NOT_MADE_YET = "made-when-sent"
"""Stands in a preview for the id of a record that does not exist before the run is sent."""

DEFAULT_EXPERIMENT = "Default"
"""MLflow's own first experiment."""

MAX_TAG_CHARS = 5000
"""MLflow takes 8,000 characters in a tag; older servers 5,000."""

_SET_EXPERIMENT = re.compile(
    r"""\bset_experiment\(\s*(?:experiment_name\s*=\s*)?(["'])([^"'\\\n{}]{1,500})\1\s*[,)]"""
)
_PYTHON_FILE = re.compile(r"""(?:^|[\s"'=])([^\s"'=$;|&<>()*?]+\.py)(?=$|[\s"';|&)])""")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Where a script stands in git; None for what git does not tell."""

    commit: str
    branch: str | None = None
    remote: str | None = None


def environment(
    url: str,
    run_id: str,
    experiment: str,
    *,
    experiment_id: str | None = None,
    artifacts: str | None = None,
) -> tuple[tuple[str, str], ...]:
    """The variables by which MLflow in the job finds its server and its record.

    The experiment is named too: a second run that the job starts would else land in `Default`.
    `experiment_id` is given where the user's environment holds one, which has to agree;
    `artifacts` where the server itself takes them (`artifacts_address`).
    """
    known = ((URI, url), (RUN_ID, run_id), (EXPERIMENT, experiment))
    more = ((EXPERIMENT_ID, experiment_id), (ARTIFACTS, artifacts))
    return (*known, *((name, value) for name, value in more if value is not None))


def artifacts_address(url: str, artifact_uri: str) -> str | None:
    """Where the artifacts of a record are put by HTTP; None where the server does not take them."""
    scheme, _, place = artifact_uri.partition(":")
    path = urlsplit(place).path.strip("/")
    if scheme != "mlflow-artifacts" or not path:
        return None
    return f"{url}/api/2.0/mlflow-artifacts/artifacts/{quote(path, safe='/')}"


def tags(
    *, user: str, backend: str, cluster: str, token: str, script: str, commit: Commit | None
) -> dict[str, str]:
    """The tags of a new record. MLflow fills in none of its own when a record is made for it."""
    made = {
        USER_TAG: user,
        "mlflow.source.type": "JOB",
        PROGRAM_TAG: script,
        BACKEND_TAG: backend,
        CLUSTER_TAG: cluster,
        SUBMIT_TAG: token,
    }
    if commit is not None:
        made[COMMIT_TAG] = commit.commit
        if commit.branch:
            made[BRANCH_TAG] = commit.branch
        if commit.remote:
            made[REMOTE_TAG] = commit.remote
    return {key: _text(value) for key, value in made.items()}


def job_tag(backend: str, native_id: str) -> dict[str, str]:
    """The tag with the scheduler's id of the run; of an array, the id of the whole array."""
    return {JOB_TAGS.get(backend, f"foundry.{backend}.id"): native_id}


def without_password(remote: str) -> str:
    """An address without the user name and password that may stand in it."""
    return _USER_INFO.sub("", remote)


def named_experiments(text: str) -> tuple[str, ...]:
    """The experiments that `set_experiment("…")` names in a text, each once; comments left out.

    MLflow ends a program at once when it sets another experiment than that of the record it was
    given (`MLFLOW_RUN_ID`), so the record has to be made in the one that is named.
    """
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return tuple(dict.fromkeys(m[2] for m in _SET_EXPERIMENT.finditer("\n".join(lines))))


def python_files(script: str) -> tuple[str, ...]:
    """The Python programs that a batch script names, as they are written there, each once."""
    lines = (line for line in script.splitlines() if not line.lstrip().startswith("#"))
    return tuple(dict.fromkeys(m[1] for line in lines for m in _PYTHON_FILE.finditer(line)))


def _text(value: str) -> str:
    """A tag's value as UTF-8 can carry it: a path may hold bytes that are none."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:MAX_TAG_CHARS]
