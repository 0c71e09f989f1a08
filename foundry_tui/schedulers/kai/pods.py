"""What is asked for, as a pod: its container, what it may use, what is mounted into it.

Secrets stand in it as references alone: their values never leave the cluster.
"""

from __future__ import annotations

import re
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.kai.nouns import DEFAULT_POOL
from foundry_tui.schedulers.options import Wanted, shell_command
from foundry_tui.schedulers.optionvalues import WHOLE_MILLI, Volume

SHM = "/dev/shm"

_ENV_NAME = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*")
_EXPANDED = re.compile(r"\$(?=[$(])")
_MIB = 1 << 20


def escaped(text: str) -> str:
    """`text` so that it reaches the container unchanged.

    Kubernetes replaces `$(NAME)` in commands and variables and makes `$$` one `$`: a script's own
    `$(date)` may hit a variable of that name, and its `$$` would lose its meaning.
    """
    return _EXPANDED.sub("$$", text)


def pool_of(wanted: Wanted) -> str | None:
    """The node pool that is named; None for the nodes without a label."""
    named = wanted.node_pools and wanted.node_pools[0] != DEFAULT_POOL
    return wanted.node_pools[0] if named else None


def sharing(wanted: Wanted) -> dict[str, str]:
    """The annotations of a fraction. Admission: above 0 and below 1, or whole MiB from 1."""
    if not _shares(wanted):
        return {}
    if wanted.gpu_memory_bytes is not None:
        share = {"gpu-memory": str(-(-wanted.gpu_memory_bytes // _MIB))}
    else:
        share = {"gpu-fraction": str(wanted.portion)}
    if wanted.gpu_devices > 1:
        share["gpu-fraction-num-devices"] = str(wanted.gpu_devices)
    return share


def pod_spec(act: Submit, wanted: Wanted, kind: str, config: KubernetesConfig) -> dict[str, Any]:
    """The spec of every pod of a run.

    Raises:
        ValueError: a script that cannot travel, or a variable that Kubernetes would not take.
    """
    shell, flag, *words = shell_command(act)
    container: dict[str, Any] = {
        # The training operator looks for a container of this name.
        "name": "pytorch" if kind == "PyTorchJob" else "main",
        "image": wanted.image,
        "command": [shell, flag, *map(escaped, words)],
    }
    if (folder := wanted.working_dir or act.work_dir) is not None:
        container["workingDir"] = folder
    if env := _env(act, wanted):
        container["env"] = env
    if resources := _resources(wanted):
        container["resources"] = resources
    # A Job replaces a pod that failed; the training operator begins its container again.
    again = kind == "PyTorchJob" and wanted.retries is not None
    spec: dict[str, Any] = {
        "schedulerName": config.scheduler_name,
        "restartPolicy": "OnFailure" if again else "Never",
        "containers": [container],
    }
    volumes, mounts = _volumes(wanted)
    if volumes:
        container["volumeMounts"] = mounts
        spec["volumes"] = volumes
    if wanted.grace_s is not None:
        spec["terminationGracePeriodSeconds"] = wanted.grace_s
    if wanted.deadline_s is not None:
        # That of a Job or a PyTorchJob counts from its making: a run that waits would use it up.
        spec["activeDeadlineSeconds"] = wanted.deadline_s
    if (pool := pool_of(wanted)) is not None:
        # A scheduler of a pool sees its nodes only; one that serves all needs the selector.
        spec["nodeSelector"] = {config.node_pool_label: pool}
    return spec


def _env(act: Submit, wanted: Wanted) -> list[dict[str, Any]]:
    names = [name for name, _ in act.environment]
    for name in names:
        if not _ENV_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable in Kubernetes")
    for secret in wanted.secrets:
        if secret.variable in names:
            raise ValueError(f"--env-secret: {secret.variable} has a value already")
    return [
        *({"name": name, "value": escaped(value)} for name, value in act.environment),
        *(
            {
                "name": secret.variable,
                "valueFrom": {"secretKeyRef": {"name": secret.secret, "key": secret.key}},
            }
            for secret in wanted.secrets
        ),
    ]


def _volumes(wanted: Wanted) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes of the pod, and where its container sees them."""
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    for number, volume in enumerate(wanted.volumes):
        name = f"mount-{number}"
        volumes.append({"name": name, **_source(volume)})
        mount: dict[str, Any] = {"name": name, "mountPath": volume.target}
        mounts.append({**mount, "readOnly": True} if volume.read_only else mount)
    if wanted.large_shm:
        # Without it a container has 64 MiB of shared memory: too little for data loaders and NCCL.
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
        mounts.append({"name": "shm", "mountPath": SHM})
    return volumes, mounts


def _source(volume: Volume) -> dict[str, Any]:
    if volume.claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.claim}}
    return {"hostPath": {"path": volume.source}}


def _shares(wanted: Wanted) -> bool:
    """Whether the pod asks for parts of GPUs; KAI refuses a fraction of 1."""
    portion = wanted.gpu_portion_milli
    return wanted.gpu_memory_bytes is not None or (portion is not None and portion < WHOLE_MILLI)


def _resources(wanted: Wanted) -> dict[str, Any]:
    requests: dict[str, str] = {}
    if wanted.cpu_milli is not None:
        requests["cpu"] = f"{wanted.cpu_milli}m"
    if wanted.memory_bytes is not None:
        requests["memory"] = str(wanted.memory_bytes)
    resources: dict[str, Any] = {"requests": requests} if requests else {}
    if wanted.gpu_devices and not _shares(wanted):
        resources["limits"] = {"nvidia.com/gpu": str(wanted.gpu_devices)}
    return resources
