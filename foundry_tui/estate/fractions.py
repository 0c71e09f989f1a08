"""What shares of a GPU cost an estate, and what runs could ask for instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareCost:
    """What one share of a GPU costs at one source, given everything else that is asked for there.

    Shares are thousandths of a GPU. `asked_by` live runs ask for it. `effective_milli` is what the
    estate loses for it, `stranded_milli` the part of that which is given to nobody. `partners`
    (share, how many) is the best that the shares in demand make of the rest. `instead_milli` is a
    smaller share that saves more than it gives up, None when there is none, and
    `instead_effective_milli` its cost.
    """

    source: str
    milli: int
    asked_by: int
    effective_milli: float
    stranded_milli: float
    partners: tuple[tuple[int, int], ...]
    instead_milli: int | None
    instead_effective_milli: float | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAdvice:
    """One run and its share of each of its GPUs.

    `safe_milli` is the smallest share on which it keeps its promised speed and its memory fits;
    None where too little is known (`why` says what). Only then is there an `advised_milli`: the
    cheapest share here that is safe, and `mig_profile` the smallest MIG instance that is, on GPUs
    whose profiles are known. `basis` is `measured`, `prior` or `none`; `evidence` says
    what was used.
    """

    run: str
    user: str | None
    state: str
    asked_milli: int
    effective_milli: float
    safe_milli: int | None
    advised_milli: int | None
    basis: str
    why: str
    evidence: tuple[str, ...] = ()
    mig_profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What somebody says of runs that have no history; percents as NVML would report them.

    `device_bytes` is the memory of their GPU, None where a reading tells it. `origin` says whose
    word it is.
    """

    gpu_util_pct: float
    mem_peak_bytes: int
    memory_util_pct: float | None = None
    device_bytes: int | None = None
    origin: str = "what you said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fractions:
    """The costs of the shares that are asked for, dearest loss first, and advice for their runs.

    `notes` say what was left out and what the figures rest on.
    """

    generated_at: datetime
    costs: tuple[ShareCost, ...]
    runs: tuple[ShareAdvice, ...]
    notes: tuple[str, ...] = ()
