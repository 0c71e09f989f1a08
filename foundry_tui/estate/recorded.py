"""The names under which the record of a run keeps things: tags, artifacts, metrics.

The tag names that begin with `mlflow.` are MLflow's own, which its web pages show; those that begin
with `foundry.` are ours. Job ids are unique only within one cluster, hence `foundry.cluster`.
"""

from __future__ import annotations

COMMIT_TAG = "mlflow.source.git.commit"
BRANCH_TAG = "mlflow.source.git.branch"
REMOTE_TAG = "mlflow.source.git.repoURL"
PROGRAM_TAG = "mlflow.source.name"
USER_TAG = "mlflow.user"
"""Who the client said it was: a label, not an identity."""

BACKEND_TAG = "foundry.backend"
SUBMIT_TAG = "foundry.submit_id"
CLUSTER_TAG = "foundry.cluster"
JOB_TAGS = {"slurm": "foundry.slurm.job_id", "runai": "foundry.runai.workload_id"}
"""Scheduler -> the tag that holds its own id of the run."""

REASON_TAG = "foundry.reason"
EXIT_TAG = "foundry.exit_code"
SOURCE_TAG = "foundry.status_source"
ATTEMPT_TAG = "foundry.attempt"
ORPHAN_TAG = "foundry.orphaned"

REPRODUCES_TAG = "foundry.reproduces"
SPEC_ID_TAG = "foundry.spec_id"
"""SHA-256 of the resolved spec as canonical JSON."""

DIRTY_TAG = "foundry.git.dirty"
PATCH_TAG = "foundry.git.patch_sha256"
LEFT_OUT_TAG = "foundry.git.left_out"
"""What of the changes is not in the patch."""

FOLDER_TAG = "foundry.git.folder"
"""Where the spec lies below the top of its working tree."""

START_TAG = "foundry.git.start"
"""Where the program starts: below the top of the working tree, else an absolute path."""

CHECKPOINT_TAG = "foundry.checkpoint"
"""Where the run leaves its checkpoints, as a path of the host that submitted it."""

IMAGE_TAG = "foundry.image"
DIGEST_TAG = "foundry.image_digest"
MODULES_TAG = "foundry.modules"
NODES_TAG = "foundry.nodes"
GPU_MODEL_TAG = "foundry.gpu_model"
HEADLINE_TAG = "foundry.headline"
"""Tag of an experiment: its headline metric, and `max` or `min` behind a colon."""

NOTE_TAG = "mlflow.note.content"

SPEC_FILE = "foundry/spec.resolved.yaml"
SUBMITTED_FILE = "foundry/submitted.txt"
"""The script, or the request, exactly as it was sent."""

PATCH_FILE = "foundry/patch.diff"
ENVIRONMENT_FILE = "foundry/environment.txt"
DATA_FILE = "foundry/data.json"
"""Artifacts of a record."""

OURS = "foundry/"
"""How the names of our own artifacts and metrics begin."""

SYSTEM = "system/"
"""How the names of MLflow's own metrics of the machine begin."""

GPU_HOURS = "foundry/gpu_hours"
GPU_UTIL = "foundry/gpu_util_pct"
ENERGY = "foundry/energy_kwh"
"""Metrics that are written when a run has ended, from accounting and telemetry."""

COST = (GPU_HOURS, GPU_UTIL, ENERGY)
"""The same: they tell what a run cost, not how well it learned."""
