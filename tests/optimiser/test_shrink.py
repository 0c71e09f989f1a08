"""Waiting runs that ask for a whole GPU although less was measured to be enough."""

from __future__ import annotations

from dataclasses import replace

from foundry_tui.estate.acts import Act, Resubmit
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import ArrayPart, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.optimiser import shrink
from foundry_tui.optimiser.fractions import Known
from tests.optimiser.estates import ADMIN, NOW, estate, node, running, told, waiting
from tests.optimiser.test_fractions import GIB, usage

LIGHT = usage(0.05, peak=4 * GIB)


def pair(scheduler: str = "kai", **words: str) -> Snapshot:
    """One runs and was measured, one of its name waits."""
    runs = [
        replace(running("r", "n1", [0], user="ada"), scheduler=scheduler, name=safe("train")),
        replace(waiting("w", user="ada", scheduler=scheduler), name=safe("train")),
    ]
    return estate([node("n1", 1)], [told(run, **words) for run in runs])


Told = tuple[str, int | None, str | None, tuple[Act, ...]]


def moves(snapshot: Snapshot, known: dict[str, Known], rights: Rights = ADMIN) -> list[Told]:
    return [
        (m.target.id, m.gpu_milli, m.owner, m.steps)
        for m in shrink.moves(snapshot, known, {"lab": rights}, NOW)
    ]


def resubmit(milli: int) -> tuple[Resubmit, ...]:
    fields = (("gpu_milli", str(milli)),)
    return (Resubmit(source="lab", runs=("lab/w",), fields=fields),)


def test_a_measured_run_speaks_for_one_of_its_name_that_waits() -> None:
    (move,) = shrink.moves(pair(), {"lab/r": LIGHT}, {"lab": ADMIN}, NOW)
    milli = move.gpu_milli
    assert milli is not None
    assert 0 < milli <= 500
    assert move.steps == resubmit(milli)
    assert (move.rule, move.risk, move.owner, move.irreversible) == (
        "shrink",
        "medium",
        "ada",
        True,
    )
    assert move.gain == (1000 - milli) / 1000
    assert "as measured r, which has its name and asks for the same, needs" in move.why
    assert "it begins to wait anew, after 2.0 h" in move.why
    assert move.precondition is not None
    assert move.precondition["state"] == "pending"


def test_its_own_history_comes_first_and_its_owner_needs_not_be_asked() -> None:
    both = {"lab/r": usage(0.9), "lab/w": LIGHT}
    ada = Rights(user="ada", admin=False)
    ((target, milli, owner, steps),) = moves(pair(), both, ada)
    assert milli is not None
    assert (target, owner, steps) == ("lab/w", None, resubmit(milli))


def test_only_kai_is_asked_to_make_it_anew() -> None:
    for scheduler in ("slurm", "runai"):
        (move,) = shrink.moves(pair(scheduler), {"lab/r": LIGHT}, {}, NOW)
        assert (move.steps, move.irreversible, move.inverse) == ((), False, None)
        assert shrink.UNSENT in move.why


def test_nothing_is_said_of_what_was_not_measured_or_is_not_alike() -> None:
    assert moves(pair(), {}) == []
    assert moves(pair(), {"lab/r": usage(0.9)}) == []
    assert moves(pair(), {"lab/r": usage(0.05, samples=5)}) == []
    assert moves(pair(pods_wanted="2"), {"lab/r": LIGHT}) == []
    one, other = pair().runs

    def with_other(run: Run) -> Snapshot:
        return estate([node("n1", 1)], [one, run])

    assert moves(with_other(replace(other, user="eve")), {"lab/r": LIGHT}) == []
    assert moves(with_other(replace(other, name=safe("eval"))), {"lab/r": LIGHT}) == []
    tasks = replace(other, array=ArrayPart("w", "0-1", 2))
    assert moves(with_other(tasks), {"lab/r": LIGHT}) == []
