"""A glance: how the estate stood when a user last looked, small enough to keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.node import Node
from foundry_tui.estate.run import LIVE, Run, RunState

MOST_RUNS = 20_000
"""Live runs that are kept; the user's own come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """States by name at one moment: live runs by `run_key`, nodes by `source/name`.

    `mine` are the keys of the user's own runs. `advice` is how much was advised, None when that
    was not computed. `whole` says that every live run was kept.
    """

    at: datetime
    runs: Mapping[str, str]
    nodes: Mapping[str, str]
    mine: frozenset[str] = frozenset()
    advice: int | None = None
    whole: bool = True


def run_key(run: Run) -> str:
    """The id of a run; of the waiting part of an array one that stays while its tasks start."""
    if run.array is not None and run.state is RunState.PENDING:
        return f"{run.source}/{run.array.job_id}_[]"
    return run.id


def node_key(node: Node) -> str:
    """Source and name of a node."""
    return f"{node.source}/{node.name}"


def glance(
    runs: Iterable[Run],
    nodes: Iterable[Node],
    *,
    at: datetime,
    me: frozenset[str],
    advice: int | None = None,
) -> Glance:
    """How things stand `at` this moment for the user `me`."""
    live = [run for run in runs if run.state in LIVE]
    live.sort(key=lambda run: run.user not in me)  # stable: the user's own first
    kept = live[:MOST_RUNS]
    return Glance(
        at=at,
        runs={run_key(run): run.state.value for run in kept},
        nodes={node_key(node): node.state.value for node in nodes},
        mine=frozenset(run_key(run) for run in kept if run.user in me),
        advice=advice,
        whole=len(kept) == len(live),
    )
