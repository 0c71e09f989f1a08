"""Fractions as JSON objects; shares are thousandths of a GPU."""

from __future__ import annotations

from foundry_tui.estate.fractions import Fractions, ShareAdvice, ShareCost
from foundry_tui.presenters.records.nouns import Record


def fractions_record(found: Fractions) -> Record:
    """The costs of shares, the advice for runs, and what both rest on."""
    return {
        "costs": [cost_record(cost) for cost in found.costs],
        "runs": [advice_record(advice) for advice in found.runs],
        "notes": found.notes,
    }


def cost_record(cost: ShareCost) -> Record:
    """What one share costs at one source."""
    return {
        "source": cost.source,
        "milli": cost.milli,
        "asked_by": cost.asked_by,
        "effective_milli": round(cost.effective_milli, 3),
        "stranded_milli": round(cost.stranded_milli, 3),
        "partners": [{"milli": milli, "count": count} for milli, count in cost.partners],
        "instead_milli": cost.instead_milli,
        "instead_effective_milli": _rounded(cost.instead_effective_milli),
        "why": cost.why,
    }


def advice_record(advice: ShareAdvice) -> Record:
    """One run's advice; `safe_milli` and `advised_milli` are null where too little is known."""
    return {
        "run": advice.run,
        "user": advice.user,
        "state": advice.state,
        "asked_milli": advice.asked_milli,
        "effective_milli": round(advice.effective_milli, 3),
        "safe_milli": advice.safe_milli,
        "advised_milli": advice.advised_milli,
        "basis": advice.basis,
        "why": advice.why,
        "evidence": advice.evidence,
        "mig_profile": advice.mig_profile,
    }


def _rounded(milli: float | None) -> float | None:
    return None if milli is None else round(milli, 3)
