"""A submission as the request that creates a training, or a distributed one for several pods."""

from __future__ import annotations

import shlex

from foundry_tui.estate.acts import PreviewItem, Submit
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.options import Wanted, parse, shell_command, workload_name
from foundry_tui.schedulers.runai.nouns import TOKEN_ANNOTATION, TOKEN_VARIABLE
from foundry_tui.schedulers.runai.rights import submit_refusal
from foundry_tui.schedulers.runai.tables import Tables, Unit
from foundry_tui.schedulers.runai.wire import encoded

TRAININGS = "/api/v1/workloads/trainings"
DISTRIBUTED = "/api/v1/workloads/distributed"

ELSEWHERE = {
    "kind": "the control plane makes a training, or with --workers a distributed one",
    "namespace": "the namespace is that of the project",
}


def submit_item(act: Submit, token: str, tables: Tables, me: str) -> PreviewItem:
    """Method, path and body of the one request, or why it would be refused."""
    try:
        wanted = parse(act.options)
        name = workload_name(wanted, act.script_name)
        command = shell_command(act)
        project = _project(wanted, tables)
        body = _body(act, wanted, name, command, project, tables, token)
    except ValueError as error:
        words = safe(str(error), max_cells=400)
        return PreviewItem(target=act.script_name, command=(), owner=me, refusal=words)
    path = DISTRIBUTED if wanted.workers > 1 else TRAININGS
    return PreviewItem(
        target=act.script_name,
        command=("POST", path, encoded(body).decode()),
        owner=me,
        refusal=submit_refusal(tables, project),
        warning=_warning(act, wanted),
    )


def _project(wanted: Wanted, tables: Tables) -> Unit:
    if wanted.project is None:
        able = [p for p in tables.projects.values() if submit_refusal(tables, p) is None]
        if len(able) == 1:
            return able[0]
        names = ", ".join(p.name for p in able) or "none that may be listed"
        raise ValueError(f"--project is not given; projects here: {names}")
    found = tables.project(wanted.project)
    if found is None:
        names = ", ".join(p.name for p in tables.projects.values()) or "none that may be listed"
        raise ValueError(f"--project: there is no project {wanted.project!r}; projects: {names}")
    return found


def _body(
    act: Submit,
    wanted: Wanted,
    name: str,
    command: tuple[str, ...],
    project: Unit,
    tables: Tables,
    token: str,
) -> dict[str, object]:
    for field, why in ELSEWHERE.items():
        if getattr(wanted, field) is not None:
            raise ValueError(f"--{field} cannot be used with Run:ai: {why}")
    if wanted.image is None:
        raise ValueError("--image is not given: a training runs inside a container image")
    cluster = tables.cluster_of(project)
    if cluster is None:
        raise ValueError(
            f"it is not known to which cluster project {project.name} belongs: set `cluster`"
        )
    ours = [*act.environment, (TOKEN_VARIABLE, token)]
    spec: dict[str, object] = {
        "image": wanted.image,
        "command": command[0],
        "args": shlex.join(command[1:]),
        "annotations": [{"name": TOKEN_ANNOTATION, "value": token}],
        "environmentVariables": [{"name": key, "value": value} for key, value in ours],
        "compute": _compute(wanted),
        # A script that failed is not run again behind the user's back.
        "backoffLimit": 0,
        "restartPolicy": "Never",
    }
    told = {
        "workingDir": act.work_dir,
        "preemptibility": wanted.preemptibility,
        "priorityClass": wanted.priority,
        "nodePools": list(wanted.node_pools) or None,
    }
    spec |= {key: value for key, value in told.items() if value is not None}
    body: dict[str, object] = {
        "name": name,
        "projectId": project.id,
        "clusterId": cluster,
        "spec": spec,
    }
    if wanted.workers > 1:  # the master is one of the pods
        spec["distributedFramework"] = "PyTorch"
        spec["numWorkers"] = wanted.workers - 1
        body["masterSpecSameAsWorker"] = True
    return body


def _compute(wanted: Wanted) -> dict[str, object]:
    found: dict[str, object] = {"gpuDevicesRequest": wanted.gpu_devices}
    if wanted.gpu_memory_bytes is not None:
        amount = _quantity(wanted.gpu_memory_bytes)
        found |= {"gpuRequestType": "memory", "gpuMemoryRequest": amount}
    elif wanted.gpu_portion_milli not in (None, 1000):
        portion = (wanted.gpu_portion_milli or 0) / 1000
        found |= {"gpuRequestType": "portion", "gpuPortionRequest": portion}
        found["gpuPortionLimit"] = portion
    if wanted.cpu_milli is not None:
        found["cpuCoreRequest"] = wanted.cpu_milli / 1000
    if wanted.memory_bytes is not None:
        found["cpuMemoryRequest"] = _quantity(wanted.memory_bytes)
    return found


def _quantity(amount_bytes: int) -> str:
    """An amount in the largest unit that leaves no rest, as Kubernetes writes it."""
    for unit, scale in (("Gi", 1 << 30), ("G", 10**9), ("Mi", 1 << 20), ("M", 10**6)):
        if amount_bytes % scale == 0:
            return f"{amount_bytes // scale}{unit}"
    return str(amount_bytes)


def _warning(act: Submit, wanted: Wanted) -> SafeText | None:
    found = []
    first = act.script.split(b"\n", 1)[0].decode("utf-8", "replace")
    if first.startswith("#!") and not first.endswith(("/sh", "env sh")):
        found.append(f"{first} is not looked at: /bin/sh of the image runs the script")
    if wanted.gpu_portion_milli not in (None, 1000) or wanted.gpu_memory_bytes is not None:
        found.append("a portion is a share of the GPU's memory; its compute is not guaranteed")
    return safe("; ".join(found), max_cells=400) if found else None
