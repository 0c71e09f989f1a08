"""Rules from the configuration, and what their acts become in a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from foundry_tui.actions.errors import NothingMatched, WrongUse
from foundry_tui.actions.site import Options, Site
from foundry_tui.actions.triage import Triage, planned, rules_of
from foundry_tui.config.model import Config
from foundry_tui.config.triage import TriageConfig
from foundry_tui.estate.acts import Requeue, Resubmit
from foundry_tui.estate.fractions import ShareAdvice
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.run import Request, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import Window
from foundry_tui.presenters.triage import total_words
from foundry_tui.triage.nouns import Judged, Rule
from foundry_tui.triage.rules import BUILT_IN
from tests.actions.test_notices import finding
from tests.triage.test_rules import gpu, run

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


def site(*rules: TriageConfig) -> Site:
    config = Config(triage=rules)
    return Site(options=Options(), config=config, mode="live", tell=lambda words: None)


def test_a_configured_rule_takes_what_it_does_not_say_from_its_kind() -> None:
    assert rules_of(site()) == BUILT_IN
    (made,) = rules_of(site(TriageConfig(name="mine", kind="low_use", pct=5.0)))
    assert (made.name, made.pct) == ("mine", 5.0)
    assert made.part == pytest.approx(1 / 3)


@pytest.mark.parametrize(("kind", "act"), [("idle", "shrink"), ("walltime", "cancel")])
def test_an_act_that_makes_no_sense_is_named(kind: str, act: str) -> None:
    with pytest.raises(WrongUse, match=r"triage\.x\.act"):
        rules_of(site(TriageConfig(name="x", kind=kind, act=act)))


def test_acts_become_moves_with_the_values_that_were_seen() -> None:
    runs = (
        run("h0", name="1"),
        replace(run(name="2", state=RunState.PENDING), scheduler="kai"),
        run(name="4", state=RunState.PENDING),
        replace(run("h1", name="3"), request=Request(gpu_count=1, gpu_milli=1000)),
    )
    share = ShareAdvice(
        run="lab/2",
        user="ann",
        state="pending",
        asked_milli=1000,
        effective_milli=1000.0,
        safe_milli=300,
        advised_milli=300,
        basis="measured",
        why="",
    )
    small = Rule(name="half", kind="half", act="shrink")
    again = Rule(name="idle", kind="idle", act="requeue")
    found = Triage(
        window=Window(NOW, NOW),
        snapshot=Snapshot(generated_at=NOW, runs=runs),
        shares=(share,),
        judged=(
            Judged(rule=again, findings=(finding("lab/1", "ann"), finding("lab/9", "ann"))),
            Judged(
                rule=small,
                findings=(
                    finding("lab/2", "ann"),
                    finding("lab/3", "ann"),
                    finding("lab/4", "ann"),
                ),
            ),
            Judged(rule=Rule(name="told", kind="idle"), findings=(finding("lab/3", "ann"),)),
        ),
    )
    plan = planned(site(), found)
    first, second = plan.moves
    assert first.steps == (Requeue(source="lab", runs=("lab/1",)),)
    assert (first.precondition or {})["nodes"] == "h0"
    assert (first.cost, first.owner, first.rule) == (4.0, "ann", "idle")
    fields = (("gpu_milli", "300"),)
    assert second.steps == (Resubmit(source="lab", runs=("lab/2",), fields=fields),)
    assert [n.target.id for n in plan.not_proposed] == ["lab/3", "lab/4"]
    assert "Slurm submits no job anew" in plan.not_proposed[1].why
    quiet = replace(found, judged=found.judged[2:])
    with pytest.raises(NothingMatched, match="nothing was written"):
        planned(site(), quiet)
    assert total_words(found.judged[0]) == (
        "2 runs of 1 user: 6 GPU-hours held without work until now"
    )


@pytest.mark.parametrize("other", [gpu(90.0, None), gpu(None, None), gpu(0.0, 0.5)])
def test_a_run_that_works_on_others_of_its_gpus_is_not_ended(other: Gpu) -> None:
    def held(*gpus: Gpu) -> Triage:
        return Triage(
            window=Window(NOW, NOW),
            snapshot=Snapshot(generated_at=NOW, runs=(run("h0", gpus=2),), gpus=gpus),
            judged=(Judged(rule=rule, findings=(finding("lab/1", "ann"),)),),
        )

    rule = Rule(name="idle", kind="idle", act="cancel", hours=1.0)
    idle = gpu(0.0, 3.0)
    assert len(planned(site(), held(idle, replace(idle, index=1))).moves) == 1
    with pytest.raises(NothingMatched, match="others of its GPUs work"):
        planned(site(), held(idle, replace(other, index=1)))
