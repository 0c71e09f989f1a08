"""What experiments cost, beside what they reached; with money where there are prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.site import Site
from foundry_tui.estate import recorded
from foundry_tui.estate.tracked import Experiment, TrackedRun
from foundry_tui.experiments.best import Aim, aim_of, counted
from foundry_tui.experiments.waste import Priced, Spent
from foundry_tui.experiments.waste import spent as rows_of

MS_PER_HOUR = 3_600_000
"""Thousandths of GPU-seconds in a GPU-hour, which is what prices are reckoned in."""


def spent(
    site: Site,
    runs: Sequence[TrackedRun],
    experiments: Mapping[str, Experiment],
    *,
    aims: Mapping[str, Aim] | None = None,
    prices: Path | None = None,
    by_user: bool = True,
) -> tuple[Spent, ...]:
    """One row for each experiment, and each user of it, the most unused GPU-hours first.

    `aims` tell what is best in an experiment; without them it is its headline, or is guessed from
    these runs. `prices` is a table of prices; without it that of `[reports] prices` counts.

    Raises:
        WrongUse: the table cannot be used; names file, line and field.
    """
    shown = {one.id: one.shown for one in experiments.values()}
    if aims is None:
        aims = _aims(runs, experiments)
    wanted = {id_: (one.metric, one.lower) for id_, one in aims.items()}
    return rows_of(runs, shown, wanted, _priced(site, prices), by_user=by_user)


def _aims(runs: Sequence[TrackedRun], experiments: Mapping[str, Experiment]) -> dict[str, Aim]:
    found: dict[str, Aim] = {}
    for id_ in {run.experiment_id for run in runs}:
        tag = experiments[id_].tags.get(recorded.HEADLINE_TAG) if id_ in experiments else None
        one = aim_of(tag, counted(run for run in runs if run.experiment_id == id_))
        if one is not None:
            found[id_] = one
    return found


def _priced(site: Site, given: Path | None) -> Priced | None:
    path = given or site.config.reports.prices
    if path is None:
        return None
    from foundry_tui.reports import prices

    try:
        table = prices.read(path)
    except prices.PriceError as error:
        raise WrongUse(f"{'--prices' if given else 'reports.prices'}: {error}") from error

    def priced(run: TrackedRun, hours: float) -> tuple[Fraction, str] | None:
        begun = run.started_at
        if begun is None:
            return None
        model = run.tags.get(recorded.GPU_MODEL_TAG) or None
        price = table.at(run.tags.get(recorded.CLUSTER_TAG, ""), model, int(begun.timestamp()))
        if price is None:
            return None
        amount = Fraction(hours) * MS_PER_HOUR
        return price.cost(amount, amount), price.currency

    return priced
