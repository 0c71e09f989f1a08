"""Verdicts on applied plans as JSON objects."""

from __future__ import annotations

from foundry_tui.estate.verdict import Kept, RuleRecord, Verdict
from foundry_tui.presenters.records.nouns import Record


def verdict_record(verdict: Verdict) -> Record:
    """A verdict with its promises."""
    kept, decided = verdict.counted
    return {
        "plan": verdict.plan,
        "applied_at": verdict.applied_at,
        "judged_at": verdict.judged_at,
        "closed": verdict.closed,
        "undone": verdict.undone,
        "moves": verdict.moves,
        "moves_done": verdict.moves_done,
        "kept": kept,
        "decided": decided,
        "open": verdict.still_open,
        "promises": [promise_record(promise) for promise in verdict.promises],
    }


def promise_record(promise: Kept) -> Record:
    """One promise; `kept` is null while it is not known."""
    return {
        "what": promise.what,
        "promised": promise.promised,
        "measured": promise.measured,
        "kept": promise.kept,
        "unit": promise.unit,
        "move": promise.move,
        "rule": promise.rule,
        "why": promise.why,
    }


def rule_record(record: RuleRecord) -> Record:
    """How well a rule has kept its promises; `share` is 0..1."""
    return {
        "rule": record.rule,
        "kept": record.kept,
        "decided": record.decided,
        "share": record.share,
    }
