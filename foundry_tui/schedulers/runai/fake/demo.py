"""The workloads that the fake begins with when it is looked at by hand."""

from __future__ import annotations

from typing import Any

from foundry_tui.schedulers.runai.fake.requests import UTILISATION_ANNOTATION
from foundry_tui.schedulers.runai.fake.server import FakeRunai

SETTLED_S = 60
"""How old they are when the first request comes."""


def fill(fake: FakeRunai) -> None:
    """Running, idle, fractional, distributed and waiting workloads of three users."""
    idle = [{"name": UTILISATION_ANNOTATION, "value": "0"}]
    long: dict[str, Any] = {"command": "sleep 86400"}
    _many(fake, "llama-ft", 2, "vision", "ada", 4, **long)
    _many(fake, "segment", 3, "vision", "foundry", 1, args="sleep 7200")
    _many(fake, "bert-eval", 4, "nlp", "linus", 2, **long)
    _many(fake, "half", 5, "nlp", "grace", 1, portion=0.5, **long)
    _many(fake, "forgotten", 1, "größe-日本", "ada", 2, annotations=idle, **long)
    fake.submit(
        "pretrain",
        "nlp",
        kind="distributed",
        user="linus",
        numWorkers=4,
        distributedFramework="PyTorch",
        compute={"gpuDevicesRequest": 2},
        **long,
    )
    fake.submit("notebook", "vision", kind="workspaces", compute=_compute(1, 0.25))
    fake.submit("chat", "nlp", kind="inferences", user="grace", compute=_compute(1, 0.5))
    fake.submit("too-much", "größe-日本", compute=_compute(8, 1.0))
    fake.submit(
        "must-run", "vision", compute=_compute(8, 1.0), preemptibility="non-preemptible", **long
    )
    fake.advance(SETTLED_S)


def _many(
    fake: FakeRunai,
    name: str,
    count: int,
    project: str,
    user: str,
    devices: int,
    *,
    portion: float = 1.0,
    **spec: Any,
) -> None:
    for number in range(1, count + 1):
        compute = _compute(devices, portion)
        fake.submit(f"{name}-{number}", project, user=user, compute=compute, **spec)


def _compute(devices: int, portion: float) -> dict[str, object]:
    return {
        "gpuDevicesRequest": devices,
        "gpuRequestType": "portion",
        "gpuPortionRequest": portion,
        "cpuCoreRequest": 4.0 * devices,
        "cpuMemoryRequest": f"{32 * devices}Gi",
    }
