"""What rules of advice are worth by their record: those that break their promises come last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foundry_tui.estate.passages import passages
from foundry_tui.estate.plan import Move
from foundry_tui.estate.verdict import RuleRecord

LEAST_SHARE = 0.5
"""A rule that kept a smaller part of its promises is not trusted."""

LEAST_DECIDED = 5
"""Of fewer promises nothing is concluded."""

RISKS = ("low", "medium", "high")


def weighed(moves: Sequence[Move], records: Sequence[RuleRecord]) -> list[Move]:
    """The moves with those of untrusted rules behind the others, their risk one word higher.

    What goes together stays together. Otherwise the order stays as it is.
    """
    failing = {
        record.rule: record
        for record in records
        if record.decided >= LEAST_DECIDED and (record.share or 0.0) < LEAST_SHARE
    }
    good: list[Move] = []
    last: list[Move] = []
    for group in passages(moves):
        doubtful = any(move.rule in failing for move in group)
        (last if doubtful else good).extend(_marked(move, failing.get(move.rule)) for move in group)
    return good + last


def _marked(move: Move, record: RuleRecord | None) -> Move:
    if record is None:
        return move
    risk = move.risk
    if risk in RISKS:
        risk = RISKS[min(RISKS.index(risk) + 1, len(RISKS) - 1)]
    told = f"the rule {record.rule} kept {record.kept} of {record.decided} promises so far"
    return replace(move, risk=risk, why=f"{move.why}; {told}")
