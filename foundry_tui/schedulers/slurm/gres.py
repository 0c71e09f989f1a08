"""Which GPU requests of a waiting job Slurm can change, found out on 22.05.8.

Only the number changes, in the form in which it was asked for. Another type beside `rc 0` leaves
the old type in the job's TRES, and it never starts (`BadConstraints`); `TresPerJob=gpu:2` without
its prefix answers `rc 0` and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from foundry_tui.schedulers.slurm.tres import parse_tres

GPU_FIELDS = ("gpus_per_node", "gpus")
FORMS = {"per_node": "gpus_per_node", "per_job": "gpus"}
"""Column of the job list -> the field that changes it."""

_VALUE = re.compile(r"(?:(?P<model>[A-Za-z][\w.-]*):)?(?P<count>[1-9]\d{0,5})")
_ASKED = re.compile(r"(?P<prefix>gres[:/])?(?P<name>[a-z_]+)(?::(?P<model>[^:,]*[^:,\d][^:,]*))?"
                    r"(?::(?P<count>\d+))?")  # fmt: skip


def gpu_value(words: Mapping[str, str], name: str) -> str | None:
    """`2` or `h100:2` as the field would take it; empty when none is asked for, None for others."""
    column = next(c for c, field in FORMS.items() if field == name)
    if column not in words:
        return None
    match = _ASKED.fullmatch(words[column])
    if not words[column]:
        return ""
    if match is None or match["name"] != "gpu":
        return None
    count = match["count"] or "1"
    return f"{match['model']}:{count}" if match["model"] else count


def gpu_refusal(words: Mapping[str, str], name: str, value: str) -> str | None:
    """Why Slurm would not change a job's GPUs like that; None when it would."""
    wanted = _VALUE.fullmatch(value)
    if wanted is None:
        return f"{name}: a number above 0, or a type and a number such as h100:2, not {value!r}"
    if words.get("per_task"):
        return f"{name}: the job asks for GPUs per task ({words['per_task']}): {ANEW}"
    other = next(c for c, field in FORMS.items() if field != name)
    if words.get(other):
        return f"{name}: the job asks with {words[other]}: change {FORMS[other]}, not {name}"
    old = gpu_value(words, name)
    if old is None:
        return f"{name}: the job asks for {_told(words)}, not for whole GPUs: {ANEW}"
    if name == "gpus" and not old:
        return f"{name}: the job asks for no GPUs per job: change gpus_per_node"
    had = old.rpartition(":")[0]
    if old and had != (wanted["model"] or ""):
        return f"{name}: the job asks for {had or 'any'} GPUs; another type cannot be set: {ANEW}"
    return None


ANEW = "submit it anew with what it should ask for"


def gpu_word(words: Mapping[str, str], name: str, value: str) -> str:
    """The value in this cluster's spelling: `gres:gpu:2` (22.05) or `gres/gpu:2` (24.11)."""
    prefix = "gres/" if words.get("per_job", "").startswith("gres/") else "gres:"
    return f"gpu:{value}" if name == "gpus_per_node" else f"{prefix}gpu:{value}"


def gpus_proven(words: Mapping[str, str], name: str, value: str) -> bool:
    """Whether the request and the job's TRES both show the value, without a type left behind.

    A kind of GPU that `AccountingStorageTRES` does not name does not stand in the TRES.
    """
    if gpu_value(words, name) != value or "tres" not in words:
        return False
    model, _, count = value.rpartition(":")
    nodes = int(words.get("nodes", "1").partition("-")[0] or 1) if name == "gpus_per_node" else 1
    total = str(int(count) * nodes)
    tres = parse_tres(words["tres"])
    typed = {k.partition(":")[2]: v for k, v in tres.items() if k.startswith("gres/gpu:")}
    return tres.get("gres/gpu", total) == total and (not model or typed in ({}, {model: total}))


def _told(words: Mapping[str, str]) -> str:
    return words.get("per_node") or words.get("per_job") or "something that was not told"
