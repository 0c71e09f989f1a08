"""Fractions: what a share of a GPU costs here now, and what runs could ask for instead."""

from __future__ import annotations

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.select import resolve_in
from foundry_tui.estate.fractions import Assumed, Fractions
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser import fractions as optimiser


def fractions(
    snapshot: Snapshot, references: tuple[str, ...] = (), *, assumed: Assumed | None = None
) -> Fractions:
    """The costs of all shares in demand and advice for their runs; of `references` alone, if any.

    A reference is a run, or a share such as `0.81`, whose cost is told at every source that has
    runs with shares.

    Raises:
        WrongUse: a share that is not between 0 and 1, or an impossible assumption.
        NothingMatched, SourceMissing: no run has this id.
    """
    shares = tuple(m for r in references if (m := share(r)) is not None)
    named = tuple(r for r in references if share(r) is None)
    chosen = {run.id for run in resolve_in(snapshot, named)} if named else set()
    try:
        found = optimiser.fractions(snapshot, assumed=assumed, wanted=shares)
    except ValueError as error:
        raise WrongUse(f"what is assumed cannot be: {error}") from error
    return optimiser.only(found, shares, chosen) if references else found


def share(text: str) -> int | None:
    """`0.81` as thousandths of a GPU; None for what is no decimal fraction, such as a run's id.

    Raises:
        WrongUse: a decimal number that is no share of one GPU in thousandths.
    """
    if "." not in text or not text.replace(".", "", 1).isdecimal():
        return None
    milli = float(text) * WHOLE_MILLI
    if not 1 <= milli <= WHOLE_MILLI or abs(milli - round(milli)) > 1e-6:
        raise WrongUse(
            f"the share {text!r}: give a part of one GPU in thousandths, 0.001 to 1.0, such as 0.81"
        )
    return round(milli)
