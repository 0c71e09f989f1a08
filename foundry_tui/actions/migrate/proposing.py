"""Mapping tables proposed from what the sources report."""

from __future__ import annotations

from foundry_tui.actions.errors import SourceMissing
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.migration.nouns import Proposal
from foundry_tui.migration.proposals import propose
from foundry_tui.migration.proposals import text as tables_text

__all__ = ["proposals", "tables_text"]


def proposals(snapshot: Snapshot) -> tuple[Proposal, ...]:
    """What might stand for the partitions, accounts and QOS of Slurm.

    Raises:
        SourceMissing: there is no Slurm here, or nothing to go to.
    """
    try:
        return propose(snapshot)
    except LookupError as error:
        raise SourceMissing(f"migrate tables: {error}; `foundry doctor` says why") from None
