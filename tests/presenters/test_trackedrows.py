"""Rows of tracked runs, seeds and runs side by side, apart from any screen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from foundry_tui.estate.run import RunState
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Experiment, TrackedRun, TrackStatus
from foundry_tui.experiments.compare import compare, sides
from foundry_tui.experiments.nouns import Comparison, Reduce
from foundry_tui.presenters import csvout
from foundry_tui.presenters.comparepanel import (
    alone,
    by_seed,
    cell,
    chosen_rows,
    markdown,
    metrics_of,
    ranked,
    side_rows,
    stand_rows,
)
from foundry_tui.presenters.rows.seeds import seed_groups, seed_rows
from foundry_tui.presenters.rows.tracked import (
    delta_text,
    disagreement,
    sort_name,
    status_word,
    tracked_rows,
)
from foundry_tui.presenters.rows.trackedframe import (
    Frame,
    aims_of,
    differing,
    names_of,
    numeric_names,
)
from foundry_tui.presenters.trackedpage import page_lines, run_lines
from tests.tui.estates import NOW, a_run
from tests.tui.screens.tracking import a_tracker

TRACKER = a_tracker()
RUNS = tuple(TRACKER.search(["1"]).runs)[::-1]
"""t-0 to t-5."""


def compared(*places: int) -> Comparison:
    runs = [RUNS[n] for n in places]
    return compare(sides(runs, ["nlp"] * len(runs)))


def framed(**given: object) -> Frame:
    plain = Frame(
        experiments={"1": Experiment(id="1", name="nlp")},
        aims=aims_of(RUNS, {}),
        differing=differing(RUNS),
        names=names_of(RUNS),
        numeric=numeric_names(RUNS),
    )
    return replace(plain, **given)  # type: ignore[arg-type]


def test_params_that_differ_are_columns_and_seeds_come_last() -> None:
    assert differing(RUNS) == ("lr", "seed")
    assert differing(RUNS[:1]) == ()
    same = replace(RUNS[0], run_id="x", params={**RUNS[0].params, "lr": safe("0.10")})
    assert differing((RUNS[0], same)) == ()  # 0.1 and 0.10 are one number


def test_the_distance_to_a_pinned_run_is_of_one_metric_only() -> None:
    frame = framed(metric="accuracy", pinned=RUNS[0])
    assert delta_text(frame.delta(RUNS[2])) == "+0.1"
    assert delta_text(frame.delta(RUNS[0])) == "0"
    assert delta_text(framed(metric="none", pinned=RUNS[0]).delta(RUNS[2])) == "—"
    model = tracked_rows(frame)
    tone = next(c.tone for c in model.columns if c.id == "delta")
    assert tone is not None
    assert tone(RUNS[2], model.cells(RUNS[2], NOW)[3]) in ("", "good")


def test_the_scheduler_and_the_record_disagree() -> None:
    ended = RUNS[0]
    running = replace(ended, status=TrackStatus.RUNNING, ended_at=None)
    assert disagreement(ended, None) is None
    assert disagreement(ended, a_run(0)) == "running"
    assert disagreement(running, a_run(0)) is None
    assert status_word(running, a_run(0, state=RunState.FAILED)) == "running!=failed"
    assert disagreement(running, a_run(0, state=RunState.UNKNOWN)) is None


def test_columns_are_asked_of_the_server_by_its_own_names() -> None:
    frame = framed(metric="loss")
    assert sort_name("headline", frame) == "metric.loss"
    assert sort_name("began", frame) == "started"
    assert sort_name("param.lr", frame) == "param.lr"
    assert sort_name("gpu_hours", frame) == "metric.foundry/gpu_hours"


def test_every_model_writes_csv() -> None:
    frame = framed()
    model = tracked_rows(frame)
    text = csvout.to_csv(model.plural, [model.record(RUNS[0], NOW)], model.csv).decode()
    assert text.splitlines()[0].startswith("run_id,name,experiment,status")
    assert "t-0" in text
    groups = seed_groups(RUNS, frame)
    grouped = seed_rows(groups, frame)
    text = csvout.to_csv(grouped.plural, [grouped.record(groups[0], NOW)], grouped.csv).decode()
    assert text.splitlines()[0].startswith("experiment,params,runs,n,mean")


def test_seeds_are_grouped_with_mean_and_deviation() -> None:
    groups = seed_groups(RUNS, framed(metric="accuracy"))
    assert [len(group.runs) for group in groups] == [3, 3]
    assert groups[0].mean is not None and round(groups[0].mean, 3) == 0.55
    assert groups[0].sd is not None and round(groups[0].sd, 3) == 0.05


def test_rows_are_chosen_by_a_pattern_and_by_what_differs() -> None:
    both = compared(0, 5)
    keys = [row.key for row in chosen_rows(both, every=False)]
    assert "lr" in keys and "model" not in keys
    assert "model" in [row.key for row in chosen_rows(both, every=True)]
    assert [r.key for r in chosen_rows(both, every=True, pattern="^params.*ee")] == ["seed"]


def test_a_group_of_seeds_is_one_column_with_a_mean() -> None:
    every = compared(0, 1, 2, 5)
    stands = by_seed(every)
    assert [stand.label for stand in stands] == ["t-0 x3", "t-5"]
    row = next(row for row in every.rows if row.key == "accuracy")
    assert cell(row, stands[0], None) == "0.55 sd 0.05"
    assert cell(row, stands[1], stands[0]) == "0.75 (+0.2)"
    seed = next(row for row in every.rows if row.key == "seed")
    assert cell(seed, stands[0], None) in ("3 values", "1 sd 1")


def test_a_duration_has_its_distance_in_units_of_time() -> None:
    longer = replace(RUNS[5], ended_at=(RUNS[5].ended_at or NOW) + timedelta(hours=1))
    both = compare(sides([RUNS[0], longer], ["nlp"] * 2))
    row = next(row for row in both.rows if row.key == "duration_s")
    first, second = alone(both)
    assert cell(row, second, first) == "1h30m (+1h00m)"


def test_runs_are_ranked_by_what_their_metric_means() -> None:
    four = compared(0, 5, 3, 4)
    stands = alone(four)

    def order(metric: str, baseline: int | None = None) -> list[str]:
        found = ranked(stands, four, Reduce.LAST, metric, {}, baseline=baseline)
        return [stand.label for stand in found]

    assert order("accuracy") == ["t-5", "t-4", "t-3", "t-0"]
    assert order("loss") == ["t-5", "t-4", "t-3", "t-0"]  # less is better
    assert order("accuracy", baseline=0) == ["t-0", "t-5", "t-4", "t-3"]
    plain = ranked(stands, four, None, "accuracy", {}, baseline=None)
    assert [stand.label for stand in plain] == ["t-0", "t-5", "t-3", "t-4"]


def test_both_ways_of_the_table_and_its_markdown() -> None:
    both = compared(0, 5)
    stands, rows = alone(both), chosen_rows(both, every=False)
    wide = side_rows(stands, stands[0])
    assert [c.column.title for c in wide.columns] == ["WHAT", "OF", "> t-0", "t-5"]
    turned = stand_rows(rows, stands[0])
    assert turned.cells(stands[0], NOW)[0] == "> t-0"
    assert len(turned.columns) == 1 + len(rows)
    text = markdown(rows, stands, stands[0], turned=True)
    assert text.splitlines()[0].startswith("| run | params: lr |")
    assert len(text.splitlines()) == 4


def test_metrics_that_tell_cost_are_not_drawn() -> None:
    assert metrics_of(RUNS) == ("accuracy", "loss")


def test_the_page_of_a_record_says_what_it_has() -> None:
    run: TrackedRun = replace(
        RUNS[1], tags={**RUNS[1].tags, "mlflow.note.content": "first line\nsecond", "owner": "zoe"}
    )
    lines = [*run_lines(run, None, NOW, 60), *page_lines(run, None, 60)]
    told = "\n".join("".join(text for text, _ in line) for line in lines)
    assert "first line\n second" in told
    assert "owner  zoe" in told and "foundry.cluster" not in told
    assert "GPU-hours  2" in told and "foundry/gpu_hours" not in told
