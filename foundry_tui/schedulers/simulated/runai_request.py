"""What a submission asks of the simulated Run:ai: options to a run and to the request's body."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.options import Wanted, option_of, parse, workload_name
from foundry_tui.schedulers.runai import workload
from foundry_tui.schedulers.simulated.layout import (
    DEPARTMENTS,
    GPUS_PER_NODE,
    NODE_POOL,
    USER,
)
from scheduler_sim.cluster import WHOLE_MILLI, Request
from scheduler_sim.jobs import JobSpec, State

PROJECTS = ("vision",)
"""Where the simulated user may submit; the first is the default."""

PATH = "/api/v1/workloads/trainings"
DISTRIBUTED = "/api/v1/workloads/distributed"
CLUSTER = "simulated"
WORK_S = 1800
"""How long a submitted workload works when its script has no `sleep` line."""

GPU_MEMORY_BYTES = 80 << 30
DEFAULT_CPU_MILLI = 2000
DEFAULT_MEMORY_MIB = 8 << 10
MAX_CPU_MILLI = 128_000

_SLEEP = re.compile(rb"^\s*sleep\s+(\d{1,7})\s*$", re.MULTILINE)
_EXIT = re.compile(rb"^\s*exit\s+(\d{1,3})\s*$", re.MULTILINE)
_DEVICES = ("-g", "--gpu-devices-request")


def to_spec(act: Submit) -> JobSpec:
    """The workload that a submission asks for. Without a word about GPUs it gets one.

    Raises:
        ValueError: in the words of the options, or of the control plane's answer.
    """
    wanted = parse(act.options)
    for field, why in workload.ELSEWHERE.items():
        if getattr(wanted, field) is not None:
            raise ValueError(f"{option_of(field)} cannot be used with Run:ai: {why}")
    project = wanted.project or PROJECTS[0]
    if project not in DEPARTMENTS:
        raise ValueError(f"404 project {project!r} was not found")
    if project not in PROJECTS:
        raise ValueError(f"403 no access rule lets {USER} submit to project {project!r}")
    for pool in wanted.node_pools:
        if pool != NODE_POOL:
            raise ValueError(f"400 nodePools: there is no node pool {pool!r}")
    slept_s = sum(int(n) for n in _SLEEP.findall(act.script))
    code = int((_EXIT.findall(act.script) or [b"0"])[-1])
    return JobSpec(
        name=workload_name(wanted, act.script_name),
        user=USER,
        account=project,
        queue=project,
        request=_request(act, wanted),
        nodes=wanted.workers,
        duration_s=slept_s or WORK_S,
        preemptible=wanted.preemptibility != "non-preemptible",
        outcome=State.FAILED if code else State.COMPLETED,
        exit_code=code,
    )


def _request(act: Submit, wanted: Wanted) -> Request:
    """What each pod asks for."""
    told = any(option.partition("=")[0] in _DEVICES for option in act.options)
    devices = wanted.gpu_devices if told else max(1, wanted.gpu_devices)
    if devices > GPUS_PER_NODE:
        raise ValueError(f"400 gpuDevicesRequest: a node has {GPUS_PER_NODE} GPUs, not {devices}")
    milli = wanted.gpu_portion_milli or WHOLE_MILLI
    if wanted.gpu_memory_bytes is not None:
        milli = -(-wanted.gpu_memory_bytes * WHOLE_MILLI // GPU_MEMORY_BYTES)
        if milli > WHOLE_MILLI:
            raise ValueError(f"400 gpuMemoryRequest: a GPU has {GPU_MEMORY_BYTES >> 30}Gi")
    cpu_milli = wanted.cpu_milli or DEFAULT_CPU_MILLI
    if cpu_milli > MAX_CPU_MILLI:
        raise ValueError(f"400 cpuCoreRequest: a node has {MAX_CPU_MILLI // 1000} cores")
    asked_bytes = wanted.memory_bytes
    return Request(
        gpus=devices,
        gpu_milli=milli,
        cpu_milli=cpu_milli,
        memory_mib=DEFAULT_MEMORY_MIB if asked_bytes is None else -(-asked_bytes >> 20),
    )


def body(act: Submit, spec: JobSpec, token: str) -> str:
    """The JSON that would be posted: that of Run:ai, with what the simulated one fills in.

    Raises:
        ValueError: the script is none that runs inside a container.
    """
    need, wanted = spec.request, parse(act.options)
    filled = replace(
        wanted,
        image=wanted.image or "python:3.12",
        gpu_devices=need.gpus,
        gpu_portion_milli=need.gpu_milli,
        gpu_memory_bytes=None,
        cpu_milli=need.cpu_milli,
        memory_bytes=need.memory_mib << 20,
        preemptibility="preemptible" if spec.preemptible else "non-preemptible",
    )
    made = workload.body(act, filled, spec.name, project=spec.account, cluster=CLUSTER, token=token)
    return json.dumps({**made, "useGivenNameAsPrefix": True}, separators=(",", ":"))
