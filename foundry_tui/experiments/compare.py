"""Runs side by side: what is alike and what differs, from their records alone. Pure.

What a record does not tell is never a difference: such a side stands in `Difference.unknown`, and
`missing` says what it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.estate import recorded
from foundry_tui.estate.text import SafeText, cells, clip, safe
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.experiments import rows
from foundry_tui.experiments.nouns import Comparison, Evidence, Group, Side

LABEL_CELLS = 18
"""How wide the label of a side may be."""

SHORT_ID = 6
"""Letters of a run's id that stand for it at least."""


def sides(
    runs: Sequence[TrackedRun],
    experiments: Sequence[str],
    evidence: Sequence[Evidence] | None = None,
) -> tuple[Side, ...]:
    """The runs as sides, each with the name of its experiment and what its artifacts say.

    Raises:
        ValueError: the sequences have not one item for each run.
    """
    told = [Evidence()] * len(runs) if evidence is None else evidence
    return tuple(
        Side(run=run, experiment=safe(experiment), label=label, evidence=one)
        for run, experiment, label, one in zip(runs, experiments, labels(runs), told, strict=True)
    )


def labels(runs: Sequence[TrackedRun]) -> tuple[SafeText, ...]:
    """What each run is called: its name; where that is empty or not its alone, with its id."""
    named = [clip(run.name, LABEL_CELLS) for run in runs]
    ids = [safe(run.run_id) for run in runs]
    own = [name if name.strip() and named.count(name) == 1 else SafeText("") for name in named]
    length = _telling(ids)
    made: list[SafeText] = []
    for n, run in enumerate(runs):
        label = own[n]
        if not label:
            mark = SafeText(ids[n][:length])
            name = clip(run.name, max(0, LABEL_CELLS - cells(mark) - 1))
            label = SafeText(f"{name} {mark}") if name.strip() else mark
        made.append(_other(label, {*made, *own[n + 1 :]}))
    return tuple(made)


def compare(found: Sequence[Side]) -> Comparison:
    """Everything that the records of the sides say, row by row, in the order of the groups.

    Numbers are compared as numbers and written as the first side has them; NaN equals NaN. Every
    row is there, the equal ones too.
    """
    made = (
        *rows.params(found),
        *rows.code(found),
        *rows.environment(found),
        *rows.data(found),
        *rows.spec(found),
        *rows.placement(found),
        *rows.result(found),
    )
    return Comparison(sides=tuple(found), rows=made)


def missing(side: Side) -> tuple[SafeText, ...]:
    """What the record of a side does not tell, in words: what artifacts lack, then what tags do."""
    tags, evidence = side.run.tags, side.evidence
    told = list(evidence.missing)
    if recorded.COMMIT_TAG not in tags:
        told.append(SafeText("no commit is recorded"))
    elif tags.get(recorded.DIRTY_TAG) == "true" and evidence.patch is None:
        told.append(SafeText("the tree had changes, and their patch is not known"))
    if not side.run.inputs and not evidence.data:
        told.append(SafeText("no data is recorded"))
    return tuple(dict.fromkeys(told))


def of_group(comparison: Comparison, group: Group, *, every: bool = False) -> Comparison:
    """The comparison with the rows of one group, those that differ or every one."""
    chosen = comparison.rows if every else comparison.differing
    kept = tuple(row for row in chosen if row.group is group)
    return Comparison(sides=comparison.sides, rows=kept)


def _other(label: SafeText, taken: set[SafeText]) -> SafeText:
    """The label, with a number behind it where another side is called so."""
    made, number = label, 2
    while made in taken:
        made = SafeText(f"{clip(label, LABEL_CELLS - 4)} #{number}")
        number += 1
    return made


def _telling(ids: Sequence[str]) -> int:
    """How many letters tell all ids apart."""
    most = max(map(len, ids), default=SHORT_ID)
    different = len(set(ids))
    return next((n for n in range(SHORT_ID, most) if len({i[:n] for i in ids}) == different), most)
