"""A plan's certificate in words: what it reaches, what nothing can exceed, and what is not proven.

The same rows serve the page of `foundry advise` and the screen.
"""

from __future__ import annotations

from foundry_tui.estate.plan import Plan
from foundry_tui.presenters import units

_STATUS = {
    "heuristic": "heuristic: valid, not proven best",
    "optimal": "optimal: nothing better fits what it assumes",
    "time limit": "time limit: the best that was found until then",
    "bound only": "bound only: the exact search found a bound and no better plan",
}
"""Status of a plan -> what it means; other words are shown as they are."""

UNPROVEN = "that no better plan exists"
"""What a plan that is not optimal leaves open, where it does not say more."""


def certificate(plan: Plan) -> tuple[tuple[str, str], ...]:
    """Rows of a name and its words, always the same ones."""
    return (
        ("objective", reached(plan)),
        ("bound", bounded(plan)),
        ("gap", gap(plan)),
        ("status", status(plan)),
        ("time", solved(plan)),
        ("not proven", "; ".join(not_proven(plan)) or "nothing is left open"),
    )


def reached(plan: Plan) -> str:
    """What the plan reaches, with the unit."""
    if plan.objective is None:
        return f"{plan.objective_name}: not known"
    return f"{plan.objective_name} {units.number(plan.objective)}"


def bounded(plan: Plan) -> str:
    """What no plan can exceed."""
    if plan.bound is None:
        return "none was proven"
    kind = f" ({plan.bound_kind})" if plan.bound_kind else ""
    return f"{_limit(plan)} {units.number(plan.bound)}{kind}"


def gap(plan: Plan) -> str:
    """How far from the bound, in percent of it."""
    if plan.gap is None:
        return "not known"
    return "<0.1%" if 0 < plan.gap < 0.0005 else f"{100 * plan.gap:.1f}%"


def solved(plan: Plan) -> str:
    """How long the search took."""
    return f"{units.number(plan.solve_s)} s" if plan.solve_s >= 0.005 else "under 0.01 s"


def _limit(plan: Plan) -> str:
    return "at least" if plan.sense == "min" else "at most"


def status(plan: Plan) -> str:
    """How the search ended, and what that means."""
    return _STATUS.get(plan.status, plan.status)


def not_proven(plan: Plan) -> tuple[str, ...]:
    """What the certificate leaves open."""
    if plan.unproven or plan.status == "optimal":
        return plan.unproven
    return (UNPROVEN,)


def summary(plan: Plan) -> str:
    """The certificate on one line, without where the bound comes from."""
    parts = [reached(plan)]
    if plan.bound is None:
        parts.append("no bound was proven")
    else:
        parts.append(f"{_limit(plan)} {units.number(plan.bound)}")
    if plan.gap is not None:
        parts.append(f"gap {gap(plan)}")
    return " · ".join((*parts, plan.status, solved(plan)))
