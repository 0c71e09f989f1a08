"""How the outcomes of policies are shown: JSON, CSV, tables, drawings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scheduler_sim.cli import output
from scheduler_sim.cli.cells import METRICS, Outcome, record, seed_rows, spread
from scheduler_sim.cli.given import Form
from scheduler_sim.cli.plot import drawing, mean_curve

_TITLES = {
    "alloc_pct_at_100": "allocated at 100 %, %",
    "alloc_pct_at_130": "allocated at 130 %, %",
    "frag_pct_at_130": "stranded at 130 %, %",
    "first_refusal_pct": "first refusal at, %",
    "refused_8gpu_milli": "refused 8-GPU pods, milli",
    "migrations": "migrations",
    "served_pct_of_original": "served of original, %",
    "placements_per_s": "placements per s",
    "cpu_s": "CPU, s",
}
_SHORT = {
    "alloc_pct_at_100": "at 100 %",
    "alloc_pct_at_130": "at 130 %",
    "frag_pct_at_130": "stranded",
    "first_refusal_pct": "first refusal",
    "served_pct_of_original": "served",
    "placements_per_s": "placements/s",
    "cpu_s": "CPU s",
}
"""The columns of a comparison that fits 80 columns."""

ROW = ("policy", "trace", "seed", *METRICS)


def as_csv(outcomes: Sequence[Outcome]) -> str:
    """One row per policy and seed."""
    return output.as_csv(ROW, seed_rows(outcomes))


def as_json(outcome: Outcome) -> str:
    """The object of one policy."""
    return output.as_json(record(outcome))


def compared_json(outcomes: Sequence[Outcome]) -> str:
    """One object with the objects of all policies."""
    first = outcomes[0]
    payload: dict[str, Any] = {
        "trace": first.trace,
        "seeds": list(first.seeds),
        "policies": [record(outcome) for outcome in outcomes],
    }
    return output.as_json(payload)


def one_table(outcome: Outcome) -> str:
    """The metrics of one policy: mean, spread and range."""
    rows = []
    for metric in METRICS:
        values = outcome.values(metric)
        mean, sd = spread(values)
        known = [v for v in values if v is not None]
        least, most = (min(known), max(known)) if known else (None, None)
        digits = 0 if metric in ("placements_per_s", "refused_8gpu_milli") else 2
        some = f" ({len(known)} of {len(values)} seeds)" if 0 < len(known) < len(values) else ""
        rows.append([_TITLES[metric] + some, *(_cell(v, digits) for v in (mean, sd, least, most))])
    head = f"{outcome.policy} on {outcome.trace}, {_seeds(outcome)}"
    parts = [output.visible(head), "", output.table(("", "mean", "sd", "least", "most"), rows)]
    if cuts := outcome.per_seed[0].cuts:
        made = ", ".join(f"{old / 1000:g} to {new / 1000:g}" for old, new in cuts)
        parts += ["", f"fractions lowered: {made}"]
    return "\n".join(parts)


def many_table(outcomes: Sequence[Outcome]) -> str:
    """The means of several policies side by side."""
    rows = []
    for outcome in outcomes:
        means = {metric: spread(outcome.values(metric))[0] for metric in _SHORT}
        digits = {"placements_per_s": 0}
        cells = [_cell(means[metric], digits.get(metric, 2)) for metric in _SHORT]
        rows.append([outcome.policy, *cells])
    first = outcomes[0]
    head = f"{first.trace}, {_seeds(first)}: means; percent of all GPUs, first refusal of arrivals"
    return "\n".join([output.visible(head), "", output.table(("", *_SHORT.values()), rows)])


def page(text: str, form: Form) -> None:
    """A table on standard output."""
    output.emit(text.replace(output.MISSING, "-") if form.ascii_only else text)


def draw(outcomes: Sequence[Outcome], form: Form) -> None:
    """Allocation and fragmentation against arrivals, means of the seeds, where they are wanted.

    Raises:
        OSError: the picture cannot be written.
    """
    if not form.draws:
        return
    curves = [mean_curve(outcome.policy, outcome.curves()) for outcome in outcomes]
    if form.plot:
        output.emit("\n" + drawing(curves, output.width(), ascii_only=form.ascii_only))
    if form.svg is not None:
        from scheduler_sim.cli.svg import picture

        title = f"{outcomes[0].trace}, {_seeds(outcomes[0])}"
        output.write_whole(form.svg, picture(title, curves))
        output.narrate(f"wrote {form.svg}")


def _seeds(outcome: Outcome) -> str:
    seeds = outcome.seeds
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]}-{seeds[-1]}"
    return f"{len(seeds)} seeds"


def _cell(value: float | None, digits: int) -> str:
    return output.number(value if value is None else float(value), digits)
