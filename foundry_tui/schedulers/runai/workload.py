"""What is asked for, as the body that creates a training, or a distributed one for several pods.

Secrets stand in it as references alone. Every word is one of Run:ai's published API.
"""

from __future__ import annotations

import shlex

from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.options import MPI, Wanted, option_of, shell_command
from foundry_tui.schedulers.optionvalues import WHOLE_MILLI
from foundry_tui.schedulers.runai.nouns import TOKEN_ANNOTATION, TOKEN_VARIABLE

ELSEWHERE = {
    "kind": "the control plane makes a training, or with --workers a distributed one",
    "namespace": "the namespace is that of the project",
    "deadline_s": "it ends no run by time; cancel it, or let the script end itself",
    "completions": "it gives the pods of a training no number; submit one run for each task",
}
"""Field of `Wanted` -> why it means nothing here."""


def is_distributed(wanted: Wanted) -> bool:
    """Whether several pods have to come together."""
    return wanted.workers > 1 or wanted.max_replicas is not None or wanted.framework == MPI


def body(
    act: Submit, wanted: Wanted, name: str, *, project: str, cluster: str, token: str
) -> dict[str, object]:
    """The body of the request; `project` and `cluster` are ids.

    Raises:
        ValueError: an option that means nothing to Run:ai, or a script that cannot travel.
    """
    for field, why in ELSEWHERE.items():
        if getattr(wanted, field) is not None:
            raise ValueError(f"{option_of(field)} cannot be used with Run:ai: {why}")
    if wanted.image is None:
        raise ValueError("--image is not given: a training runs inside a container image")
    spec = _spec(act, wanted, token)
    made: dict[str, object] = {"name": name, "projectId": project, "clusterId": cluster}
    if not is_distributed(wanted):
        return {**made, "spec": {**_command(act), **spec}}
    if wanted.framework == MPI:
        return {**made, **_mpi(act, wanted, spec)}
    spec = {**_command(act), **spec, "distributedFramework": "PyTorch"}
    if wanted.max_replicas is not None:
        # Its range counts workers, and they meet at the first: a master would be one too many.
        spec |= {
            "numWorkers": wanted.workers,
            "minReplicas": wanted.min_replicas,
            "maxReplicas": wanted.max_replicas,
        }
        return {**made, "spec": spec}
    spec["numWorkers"] = wanted.workers - 1  # the master is one of the pods
    return {**made, "spec": spec, "masterSpecSameAsWorker": True}


def _command(act: Submit) -> dict[str, object]:
    command = shell_command(act)
    return {"command": command[0], "args": shlex.join(command[1:])}


def _mpi(act: Submit, wanted: Wanted, spec: dict[str, object]) -> dict[str, object]:
    """Workers that wait for ssh, and a launcher without GPUs that runs the script."""
    compute = {"gpuDevicesRequest": 0}
    shared = ("image", "annotations", "environmentVariables", "workingDir", "storage")
    pods = ("nodePools", "priorityClass", "preemptibility", "terminationGracePeriodSeconds")
    ends = ("restartPolicy", "backoffLimit")
    kept = {key: spec[key] for key in (*shared, *pods, *ends) if key in spec}
    workers = {
        **spec,
        "distributedFramework": "MPI",
        "numWorkers": wanted.workers,
        "mpiLauncherCreationPolicy": "WaitForWorkersReady",
    }
    if wanted.slots is not None:
        workers["slotsPerWorker"] = wanted.slots
    return {"spec": workers, "masterSpec": {**_command(act), **kept, "compute": compute}}


def _spec(act: Submit, wanted: Wanted, token: str) -> dict[str, object]:
    """What every pod is given, whatever it runs."""
    again = wanted.retries is not None and is_distributed(wanted)
    spec: dict[str, object] = {
        "image": wanted.image,
        "annotations": [{"name": TOKEN_ANNOTATION, "value": token}],
        "environmentVariables": _variables(act, wanted, token),
        "compute": _compute(wanted),
        # A script that failed is not run again behind the user's back.
        "backoffLimit": wanted.retries or 0,
        "restartPolicy": "OnFailure" if again else "Never",
    }
    told = {
        "workingDir": wanted.working_dir or act.work_dir,
        "preemptibility": wanted.preemptibility,
        "priorityClass": wanted.priority,
        "nodePools": list(wanted.node_pools) or None,
        "storage": _storage(wanted) or None,
        "terminationGracePeriodSeconds": wanted.grace_s,
    }
    return spec | {key: value for key, value in told.items() if value is not None}


def _variables(act: Submit, wanted: Wanted, token: str) -> list[dict[str, object]]:
    ours = [*act.environment, (TOKEN_VARIABLE, token)]
    taken = {name for name, _ in ours}
    if twice := [s.variable for s in wanted.secrets if s.variable in taken]:
        raise ValueError(f"--env-secret: {twice[0]} has a value already")
    made: list[dict[str, object]] = [{"name": name, "value": value} for name, value in ours]
    for secret in wanted.secrets:
        reference = {"name": secret.secret, "key": secret.key}
        made.append({"name": secret.variable, "secret": reference})
    return made


def _storage(wanted: Wanted) -> dict[str, object]:
    claims = [
        {
            "path": volume.target,
            "existingPvc": True,
            "claimName": volume.claim,
            "readOnly": volume.read_only,
        }
        for volume in wanted.volumes
        if volume.claim is not None
    ]
    folders = [
        {"path": volume.source, "mountPath": volume.target, "readOnly": volume.read_only}
        for volume in wanted.volumes
        if volume.claim is None
    ]
    return {key: found for key, found in (("pvc", claims), ("hostPath", folders)) if found}


def _compute(wanted: Wanted) -> dict[str, object]:
    found: dict[str, object] = {"gpuDevicesRequest": wanted.gpu_devices}
    if wanted.gpu_memory_bytes is not None:
        amount = _quantity(wanted.gpu_memory_bytes)
        found |= {"gpuRequestType": "memory", "gpuMemoryRequest": amount}
    elif wanted.gpu_portion_milli not in (None, WHOLE_MILLI):
        portion = (wanted.gpu_portion_milli or 0) / WHOLE_MILLI
        found |= {"gpuRequestType": "portion", "gpuPortionRequest": portion}
        found["gpuPortionLimit"] = portion
    if wanted.cpu_milli is not None:
        found["cpuCoreRequest"] = wanted.cpu_milli / 1000
    if wanted.memory_bytes is not None:
        found["cpuMemoryRequest"] = _quantity(wanted.memory_bytes)
    if wanted.large_shm:
        found["largeShmRequest"] = True
    return found


def _quantity(amount_bytes: int) -> str:
    """An amount in the largest unit that leaves no rest, as Kubernetes writes it."""
    for unit, scale in (("Gi", 1 << 30), ("G", 10**9), ("Mi", 1 << 20), ("M", 10**6)):
        if amount_bytes % scale == 0:
            return f"{amount_bytes // scale}{unit}"
    return str(amount_bytes)
