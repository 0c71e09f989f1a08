"""Fractions: what a share of a GPU costs here now, and what runs could ask for instead."""

from __future__ import annotations

from collections.abc import Mapping

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.select import resolve_in
from foundry_tui.actions.site import Site
from foundry_tui.estate.fractions import Assumed, Fractions
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.optimiser import fractions as optimiser


def fractions(
    snapshot: Snapshot,
    references: tuple[str, ...] = (),
    *,
    assumed: Assumed | None = None,
    known: Mapping[str, optimiser.Known] | None = None,
) -> Fractions:
    """The costs of all shares in demand and advice for their runs; of `references` alone, if any.

    `known` is what was measured of runs (`measured`); without it only the snapshot counts.
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
        found = optimiser.fractions(snapshot, assumed=assumed, known=known, wanted=shares)
    except ValueError as error:
        raise WrongUse(f"what is assumed cannot be: {error}") from error
    return optimiser.only(found, shares, chosen) if references else found


def measured(site: Site, snapshot: Snapshot) -> Mapping[str, optimiser.Known]:
    """What is known of the use of each live run: its history where one was recorded, else a look.

    A history that cannot be read is told, and is as good as none.
    """
    from foundry_tui.store.history import HistoryError

    known = optimiser.readings(snapshot)
    try:
        past = site.past
        histories = {} if past is None else past.runs([r.id for r in snapshot.runs])
    except HistoryError as error:
        site.tell(str(error))
        return known
    for run, history in histories.items():
        if any(history.util_counts):
            known[run] = optimiser.recorded(
                history.util_counts,
                history.util_missing,
                mem_peak_bytes=history.mem_peak_bytes,
                device_bytes=history.mem_total_bytes,
                gpu_model=history.gpu_model,
            )
    return known


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
