"""Trade-offs: what the plan brings when only the best of its moves are made."""

from __future__ import annotations

from foundry_tui.estate.plan import Plan
from foundry_tui.estate.tradeoff import TradeOff
from foundry_tui.optimiser.tradeoff import tradeoff


def tradeoffs(plan: Plan) -> tuple[TradeOff, ...]:
    """From no move to all of them, most gain per move first; each point is a plan by itself."""
    return tradeoff(plan)
