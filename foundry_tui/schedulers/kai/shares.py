"""What a pod asks of GPUs, and which GPU groups it has: limits, annotations and labels of KAI.

A portion is a share of the GPU's memory; compute is shared by turns and is not guaranteed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.schedulers.kai import quantity
from foundry_tui.schedulers.kai.objects import GPU, MIG, BindRequest, Container, Pod

FRACTION = "gpu-fraction"
MEMORY = "gpu-memory"
DEVICES = "gpu-fraction-num-devices"
GROUP = "runai-gpu-group"
INDEX = "run.ai/reserve_for_gpu_index"

MOST_DEVICES = 64


@dataclass(frozen=True, slots=True)
class Wish:
    """What one pod asks: devices, thousandths of each (None: not known), or memory of each.

    `wrong` says which annotation makes no sense; the amounts are then unknown.
    """

    devices: int = 0
    milli: int | None = WHOLE_MILLI
    memory_bytes: int | None = None
    mig_profile: str | None = None
    cpu_milli: int | None = None
    memory: int | None = None
    wrong: str | None = None

    @property
    def fraction(self) -> bool:
        """Whether it asks for a part of a device."""
        return self.devices > 0 and self.milli != WHOLE_MILLI

    @property
    def total_milli(self) -> int | None:
        """Thousandths over all its devices."""
        return None if self.milli is None else self.devices * self.milli


def wish(pod: Pod) -> Wish:
    """What a pod asks for; absurd annotations make the amount unknown and are named."""
    cpu, memory = requests_of(pod.spec.containers)
    fraction, asked_memory = pod.metadata.note(FRACTION), pod.metadata.note(MEMORY)
    if fraction is None and asked_memory is None:
        whole = [_limit(c.resources.limits) for c in pod.spec.containers if c.resources]
        devices = sum(n for n, _ in whole)
        profile = next((p for _, p in whole if p), None)
        return Wish(devices=devices, mig_profile=profile, cpu_milli=cpu, memory=memory)
    devices_text = pod.metadata.note(DEVICES) or "1"
    devices = _count(devices_text)
    if not 1 <= devices <= MOST_DEVICES:
        return Wish(1, None, None, None, cpu, memory, f"{DEVICES} is {devices_text!r}")
    if fraction is not None:
        milli = _portion(fraction)
        wrong = None if milli else f"{FRACTION} is {fraction!r}"
        return Wish(devices, milli, None, None, cpu, memory, wrong)
    mib = _count(asked_memory or "")
    if not 1 <= mib <= 1 << 24:
        return Wish(devices, None, None, None, cpu, memory, f"{MEMORY} is {asked_memory!r}")
    return Wish(devices, None, mib << 20, None, cpu, memory)


def placed(asked: Wish, gpu_memory_bytes: int | None) -> Wish:
    """The wish of a pod that has its node: memory becomes a portion of that node's GPUs.

    KAI itself rounds a portion up to two places (0.139 of a GPU is accounted as 0.14).
    """
    if asked.memory_bytes is None or not gpu_memory_bytes:
        return asked
    hundredths = -(-asked.memory_bytes * 100 // gpu_memory_bytes)
    milli = min(WHOLE_MILLI, 10 * hundredths)
    return Wish(
        asked.devices, milli, asked.memory_bytes, None, asked.cpu_milli, asked.memory, asked.wrong
    )


def groups(pod: Pod, bind: BindRequest | None) -> tuple[str, ...]:
    """The GPU groups that a pod shares; while it is being bound those that were chosen for it."""
    found = [
        value
        for name, value in (pod.metadata.labels or {}).items()
        if name == GROUP or name.startswith(f"{GROUP}/")
    ]
    if not found and bind is not None:
        found = list(bind.spec.selected_gpu_groups or ())
    return tuple(sorted(set(found)))


def _count(text: str) -> int:
    """A number of at most nine digits; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _portion(text: str) -> int | None:
    """Thousandths of a portion in (0, 1]; None for anything else."""
    value = quantity.parse(text) if text[-1:].isdigit() or text[-1:] == "." else None
    if value is None or not 0 < value <= 1:
        return None
    return max(1, int((value * WHOLE_MILLI).to_integral_value()))


def _limit(limits: dict[str, str | int | float] | None) -> tuple[int, str | None]:
    """Devices of a container and the MIG profile, if that is what it asks for."""
    for name, amount in (limits or {}).items():
        if name == GPU:
            return quantity.whole(amount) or 0, None
        if name.startswith(MIG):
            return quantity.whole(amount) or 0, name.removeprefix(MIG)
    return 0, None


def requests_of(containers: Sequence[Container]) -> tuple[int, int]:
    """Thousandths of CPU and bytes of memory that containers request; what is unreadable is 0."""
    cpu = memory = 0
    for container in containers:
        asked = (container.resources and container.resources.requests) or {}
        cpu += quantity.milli(asked.get("cpu")) or 0
        memory += quantity.whole(asked.get("memory")) or 0
    return cpu, memory
