"""What a submission asks of the simulated Run:ai: options to a run and to the request's body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.simulated.layout import DEPARTMENTS, USER
from scheduler_sim.cluster import WHOLE_MILLI, Request
from scheduler_sim.jobs import JobSpec, State

PROJECTS = ("vision",)
"""Where the simulated user may submit; the first is the default."""

PATH = "/api/v1/workloads/trainings"
TOKEN_ANNOTATION = "foundry/submit-token"
WORK_S = 1800
"""How long a submitted workload works when its script has no `sleep` line."""

_SHORT = {"-p": "project", "-g": "gpu-devices-request", "-i": "image"}
_KNOWN = (
    "name",
    "project",
    "image",
    "gpu-devices-request",
    "gpu-portion-request",
    "cpu-core-request",
    "cpu-memory-request",
    "preemptibility",
)
_SLEEP = re.compile(rb"^\s*sleep\s+(\d{1,7})\s*$", re.MULTILINE)
_EXIT = re.compile(rb"^\s*exit\s+(\d{1,3})\s*$", re.MULTILINE)
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,48}[a-z0-9])?")
_GIB = re.compile(r"(\d{1,6})G(?:i?B?)?")


def options(act: Submit) -> dict[str, str]:
    """The options of `runai training submit` as a mapping.

    Raises:
        ValueError: an option that is not known, or one without its value.
    """
    found: dict[str, str] = {}
    waiting: str | None = None
    for word in act.options:
        if waiting is not None:
            found[waiting], waiting = word, None
            continue
        head, equals, value = word.partition("=")
        name = _SHORT.get(head) or head.removeprefix("--")
        if not head.startswith("-") or name not in _KNOWN:
            raise ValueError(f"option {word!r} is not known; one of {', '.join(_KNOWN)}")
        if equals:
            found[name] = value
        else:
            waiting = name
    if waiting is not None:
        raise ValueError(f"option --{waiting} has no value")
    return found


def to_spec(act: Submit) -> JobSpec:
    """The workload that a submission asks for.

    Raises:
        ValueError: in the words of the control plane's 400 answer.
    """
    words = options(act)
    project = words.get("project", PROJECTS[0])
    if project not in DEPARTMENTS:
        raise ValueError(f"404 project {project!r} was not found")
    if project not in PROJECTS:
        raise ValueError(f"403 no access rule lets {USER} submit to project {project!r}")
    name = words.get("name") or _dns_name(act.script_name)
    if not _NAME.fullmatch(name):
        raise ValueError(f"400 name: {name!r} is no name of small letters, digits and dashes")
    milli = _milli(words.get("gpu-portion-request", "1"))
    devices = _number(words, "gpu-devices-request", 1, most=8)
    preemptibility = words.get("preemptibility", "preemptible")
    if preemptibility not in ("preemptible", "non-preemptible"):
        raise ValueError(f"400 preemptibility: {preemptibility!r} is not a known value")
    slept_s = sum(int(n) for n in _SLEEP.findall(act.script))
    code = int((_EXIT.findall(act.script) or [b"0"])[-1])
    return JobSpec(
        name=name,
        user=USER,
        account=project,
        queue=project,
        request=Request(
            gpus=devices,
            gpu_milli=milli,
            cpu_milli=1000 * _number(words, "cpu-core-request", 2, most=128),
            memory_mib=1024 * _gib(words.get("cpu-memory-request", "8G")),
        ),
        duration_s=slept_s or WORK_S,
        preemptible=preemptibility == "preemptible",
        outcome=State.FAILED if code else State.COMPLETED,
        exit_code=code,
    )


def body(act: Submit, spec: JobSpec, token: str) -> str:
    """The JSON that would be posted."""
    need = spec.request
    portion = need.gpu_milli / WHOLE_MILLI
    ours = [{"name": name, "value": value} for name, value in act.environment]
    words: Mapping[str, object] = {
        "name": spec.name,
        "useGivenNameAsPrefix": True,
        "projectId": spec.account,
        "spec": {
            "image": options(act).get("image", "python:3.12"),
            "command": act.script_name,
            "args": " ".join(act.script_args),
            "preemptibility": "preemptible" if spec.preemptible else "non-preemptible",
            "annotations": [{"name": TOKEN_ANNOTATION, "value": token}],
            **({"environmentVariables": ours} if ours else {}),
            "compute": {
                "gpuDevicesRequest": need.gpus,
                "gpuRequestType": "portion",
                "gpuPortionRequest": portion,
                "gpuPortionLimit": portion,
                "cpuCoreRequest": need.cpu_milli / 1000,
                "cpuMemoryRequest": f"{need.memory_mib // 1024}G",
            },
        },
    }
    return json.dumps(words, separators=(",", ":"))


def _milli(text: str) -> int:
    try:
        milli = round(float(text) * WHOLE_MILLI)
    except (ValueError, OverflowError):  # the latter for `inf`
        milli = 0
    if not 1 <= milli <= WHOLE_MILLI:
        raise ValueError(f"400 compute.gpuPortionRequest: more than 0 and at most 1, not {text!r}")
    return milli


def _number(words: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = words.get(name, str(default))
    if not (text.isdecimal() and text.isascii()) or not 0 < int(text) <= most:
        raise ValueError(f"400 {name}: a whole number of 1..{most}, not {text!r}")
    return int(text)


def _gib(text: str) -> int:
    found = _GIB.fullmatch(text)
    if found is None:
        raise ValueError(f"400 cpu-memory-request: an amount such as 20G, not {text!r}")
    return int(found[1])


def _dns_name(path: str) -> str:
    """A workload's name from a script's: small letters, digits and dashes."""
    stem = path.rpartition("/")[2].partition(".")[0].lower()
    return re.sub(r"[^a-z0-9-]+", "-", stem).strip("-") or "workload"
