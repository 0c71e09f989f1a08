"""A training's own record as the body that creates it anew, with another request."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from foundry_tui.schedulers.runai.nouns import TOKEN_ANNOTATION, TOKEN_VARIABLE

WHOLE_MILLI = 1000
_SHARES = ("gpuRequestType", "gpuPortionRequest", "gpuPortionLimit")
_MEMORY = ("gpuMemoryRequest", "gpuMemoryLimit")

Json = dict[str, Any]


class Cannot(Exception):
    """Why a workload cannot be made anew."""


def copied(record: Mapping[str, Any], fields: Mapping[str, str], token: str) -> Json:
    """The body that creates the workload of a record anew.

    Raises:
        Cannot: the record does not tell all, or the copy would be another thing.
    """
    spec = record.get("spec")
    missing = [n for n in ("projectId", "clusterId", "name") if not record.get(n)]
    if not isinstance(spec, dict) or missing:
        raise Cannot(f"its record tells no {missing[0] if missing else 'spec'}")
    for claim in (spec.get("storage") or {}).get("pvc") or ():
        if not claim.get("existingPvc"):
            named = claim.get("claimName") or claim.get("path")
            raise Cannot(f"volume {named} was made with it, and the copy would have a new one")
    made = copy.deepcopy(spec)
    if (milli := fields.get("gpu_milli")) is not None:
        _ask(made, int(milli))
    if (qos := fields.get("qos")) is not None:
        made["priorityClass"] = qos
    if made == spec:
        raise Cannot("it asks for that already: nothing to change")
    for part, name in (
        ("annotations", TOKEN_ANNOTATION),
        ("environmentVariables", TOKEN_VARIABLE),
    ):
        others = [pair for pair in made.get(part) or () if pair.get("name") != name]
        made[part] = [*others, {"name": name, "value": token}]
    return {
        "name": record.get("requestedName") or record["name"],
        "useGivenNameAsPrefix": True,
        "projectId": str(record["projectId"]),
        "clusterId": record["clusterId"],
        "spec": made,
    }


def _ask(spec: Json, milli: int) -> None:
    """Let the pods of a spec ask for so many thousandths of GPUs together."""
    pods = int(spec.get("parallelism") or 1)
    share, rest = divmod(milli, pods)
    if rest:
        raise Cannot(f"gpu_milli: {milli} is not the same share for each of its {pods} pods")
    if share < 1 or (share > WHOLE_MILLI and share % WHOLE_MILLI):
        raise Cannot(f"a pod has a part of one GPU or whole GPUs, not {share / WHOLE_MILLI:g}")
    compute = spec.get("compute") or {}
    kept = {k: v for k, v in compute.items() if k not in (*_SHARES, *_MEMORY)}
    kept["gpuDevicesRequest"] = max(1, share // WHOLE_MILLI)
    if share < WHOLE_MILLI:
        portion = share / WHOLE_MILLI
        kept |= dict(zip(_SHARES, ("portion", portion, portion), strict=True))
    spec["compute"] = kept
