"""What ties a run to its MLflow record: variables for the job, tags for the record. Pure.

The tag names that begin with `mlflow.` are MLflow's own, which its web pages show; those that begin
with `foundry.` are ours. Job ids are unique only within one cluster, hence `foundry.cluster`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

URI = "MLFLOW_TRACKING_URI"
RUN_ID = "MLFLOW_RUN_ID"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
EXPERIMENT_ID = "MLFLOW_EXPERIMENT_ID"
VARIABLES = frozenset({URI, RUN_ID, EXPERIMENT, EXPERIMENT_ID})
"""What a linked run gets from us."""

SUBMIT_TAG = "foundry.submit_id"
CLUSTER_TAG = "foundry.cluster"
JOB_TAGS = {"slurm": "foundry.slurm.job_id", "runai": "foundry.runai.workload_id"}
"""Scheduler -> the tag that holds its own id of the run."""

REASON_TAG = "foundry.reason"
EXIT_TAG = "foundry.exit_code"
SOURCE_TAG = "foundry.status_source"
ATTEMPT_TAG = "foundry.attempt"
ORPHAN_TAG = "foundry.orphaned"

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
    url: str, run_id: str, experiment: str, *, experiment_id: str | None = None
) -> tuple[tuple[str, str], ...]:
    """The variables by which MLflow in the job finds its server and its record.

    The experiment is named too: a second run that the job starts would else land in `Default`.
    `experiment_id` is given where the user's environment holds one, which has to agree.
    """
    known = ((URI, url), (RUN_ID, run_id), (EXPERIMENT, experiment))
    return (*known, (EXPERIMENT_ID, experiment_id)) if experiment_id is not None else known


def tags(
    *, user: str, backend: str, cluster: str, token: str, script: str, commit: Commit | None
) -> dict[str, str]:
    """The tags of a new record. MLflow fills in none of its own when a record is made for it."""
    made = {
        "mlflow.user": user,
        "mlflow.source.type": "JOB",
        "mlflow.source.name": script,
        "foundry.backend": backend,
        CLUSTER_TAG: cluster,
        SUBMIT_TAG: token,
    }
    if commit is not None:
        made["mlflow.source.git.commit"] = commit.commit
        if commit.branch:
            made["mlflow.source.git.branch"] = commit.branch
        if commit.remote:
            made["mlflow.source.git.repoURL"] = commit.remote
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
