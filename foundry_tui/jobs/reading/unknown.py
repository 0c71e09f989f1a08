"""What is said of a key that there is not: what it is called here, or the nearest there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "nodes": ("workers", "replicas", "num_nodes", "node_count", "nnodes"),
    "queue": ("partition", "project"),
    "node_pool": ("node_pools", "nodepool", "pool"),
    "account": ("accounts",),
    "time_limit": ("time", "walltime", "timeout", "max_time"),
    "environment": ("env", "envs", "variables"),
    "memory": ("mem", "ram"),
    "cpus": ("cpu", "cores", "cpus_per_task"),
    "gpus": ("gpu", "accelerators", "gpus_per_node", "gres"),
    "gpu_model": ("gpu_type",),
    "gpu_share": ("gpu_fraction", "gpu_portion"),
    "priority": ("qos", "priority_class"),
    "command": ("run", "cmd", "commands"),
    "image": ("container", "docker_image", "container_image"),
    "options": ("extra", "sbatch_options", "native"),
    "processes": ("ntasks_per_node", "tasks_per_node", "nproc_per_node", "ntasks"),
    "restarts": ("max_restarts",),
    "launcher": ("accelerate", "torchrun", "deepspeed", "mpi", "horovod", "launch"),
    "deepspeed_config": ("ds_config",),
    "workdir": ("chdir", "work_dir", "cwd", "working_dir"),
    "modules": ("module",),
    "params": ("parameters", "hyperparameters", "hparams"),
    "seed": ("random_seed",),
    "secrets": ("secret",),
    "mounts": ("volumes", "mount", "file_mounts", "storage"),
    "data": ("dataset", "datasets", "inputs"),
    "checkpoint": ("checkpoints", "ckpt"),
    "retry": ("requeue", "retries"),
    "array": ("job_array",),
    "needs": ("depends_on", "dependency", "dependencies", "after"),
    "notify": ("mail_type", "notifications", "notification"),
    "preflight": ("checks", "before"),
    "experiment": ("tracking", "experiment_name", "mlflow"),
    "tags": ("labels",),
    # in the tables of a spec
    "grace": ("grace_s", "grace_period"),
    "most": ("max", "times", "attempts"),
    "on": ("when",),
    "tp": ("tensor", "tensor_parallel"),
    "pp": ("pipeline", "pipeline_parallel"),
    "dp": ("data_parallel",),
    "source": ("src", "host_path", "from"),
    "target": ("dst", "destination", "mount_path", "to"),
    "claim": ("pvc", "volume"),
    "read_only": ("readonly", "ro"),
    "path": ("dir", "directory", "folder", "location", "uri"),
}
"""What a key is called here -> what others call it."""

_OTHER_WORDS = {other: word for word, others in _SYNONYMS.items() for other in others}


def unknown(key: str, known: Iterable[str]) -> str:
    """What to say of a key that is none of the known ones."""
    names = tuple(known)
    if (word := _OTHER_WORDS.get(key.lower())) in names:
        return f"unknown here; it is called `{word}`"
    near = difflib.get_close_matches(key.lower()[:64], names, n=1, cutoff=0.6)
    return f"unknown; did you mean `{near[0]}`?" if near else f"unknown; one of {', '.join(names)}"
