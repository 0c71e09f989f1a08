"""The smallest MIG instance on which a run is safe, for GPUs whose profiles are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler_sim.fractions.mig import Model
    from scheduler_sim.fractions.safe import SafeShare

MOST_OFF = 0.12
"""A device is of a model whose memory is within this part of its own: names count in 10^9 bytes."""


def smallest_profile(safe: SafeShare, gpu_model: str | None, device_bytes: int) -> str | None:
    """Profile and model, `3g.40gb of H100-80GB`; None where none that is smaller will do."""
    from scheduler_sim.fractions.mig import smallest

    model = _model(gpu_model, device_bytes)
    if model is None or safe.memory_milli is None or safe.speed_milli is None:
        return None
    need_bytes = -(-safe.memory_milli * device_bytes // 1000)
    profile = smallest(model, need_bytes, min(1.0, safe.speed_milli / 1000))
    if profile is None or profile.compute == model.compute:
        return None
    return f"{profile.name} of {model.name}"


def _model(gpu_model: str | None, device_bytes: int) -> Model | None:
    """The model by the family in its name (`a100`, `NVIDIA H100 80GB HBM3`) and its memory."""
    from scheduler_sim.fractions.mig import GB, MODELS

    if gpu_model is None:
        return None
    words = gpu_model.casefold().replace("-", " ").replace("_", " ").split()
    for model in MODELS.values():
        family, _, size = model.name.casefold().partition("-")
        memory_bytes = int(size.removesuffix("gb")) * GB
        if family in words and abs(device_bytes - memory_bytes) <= MOST_OFF * memory_bytes:
            return model
    return None
