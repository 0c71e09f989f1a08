"""What best means, and who says so."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.experiments.best import Unclear, aim, counted, guessed, headline, likely, ranked
from tests.experiments.records import at, run


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("loss", True),
        ("val_loss", True),
        ("valLoss", True),
        ("eval/perplexity", True),
        ("top1_error", True),
        ("epoch_time", True),
        ("accuracy", False),
        ("val.acc", False),
        ("F1", False),
        ("roc-AUC", False),
        ("rouge1", False),
        ("BLEU", False),
        ("score_error", None),
        ("glossary", None),
        ("lr", None),
        ("", None),
    ],
)
def test_guessed(metric: str, lower: bool | None) -> None:
    assert guessed(metric) is lower


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("val_loss:min", ("val_loss", True)),
        ("a:b:max", ("a:b", False)),
        ("val_loss", None),
        ("val_loss:least", None),
        (":min", None),
        ("", None),
        (None, None),
    ],
)
def test_headline(tag: str | None, found: tuple[str, bool] | None) -> None:
    assert headline(tag) == found


def test_who_says_what_is_best() -> None:
    assert aim("loss", False, "loss:min").words == "greatest loss (as asked)"
    assert aim(None, None, "reward:min").words == "least reward (the experiment's headline)"
    assert aim("loss", None, "acc:max").words == "least loss (guessed from its name)"
    assert aim(None, False, "loss:min").lower is False
    with pytest.raises(Unclear, match="--metric"):
        aim(None, None, "nonsense")
    with pytest.raises(Unclear, match="--min or --max"):
        aim("lr", None, None)


def test_a_likely_headline() -> None:
    runs = [
        run(1, metrics={"loss": 1, "lr": 1, "foundry/gpu_time": 1, "system/time": 1}),
        run(2, metrics={"loss": 1, "val_acc": 1}),
        run(3, metrics={"loss": 1, "val_loss": 1}),
        run(4, metrics={"val_loss": 1}),
    ]
    found = likely(counted(runs))
    assert found is not None and (found.metric, found.lower) == ("val_loss", True)
    train = likely(counted(runs[:1]))
    assert train is not None and train.metric == "loss"
    assert likely({"lr": 1}) is None


def test_nan_is_never_best_and_equals_go_by_their_start() -> None:
    runs = [
        run(1, started=at(5)),
        run(2, started=at(1)),
        run(3),
        run(4),
        run(5),
        run(6, started=None),
    ]
    values = dict(
        zip((r.run_id for r in runs), [1.0, 1.0, math.nan, -math.inf, 0.5, 1.0], strict=True)
    )
    assert [r.run_id[:6] for r in ranked(runs, values, lower=True)] == [
        "000005",
        "000002",
        "000001",
        "000006",
    ]
    assert next(r.run_id[:6] for r in ranked(runs, values, lower=False)) == "000002"
    assert ranked(runs, {}, lower=True) == ()


@given(st.lists(st.floats(), max_size=8), st.booleans())
def test_the_first_is_the_best(values: list[float], lower: bool) -> None:
    runs = [run(n) for n in range(len(values))]
    by_id = {r.run_id: v for r, v in zip(runs, values, strict=True)}
    order = [by_id[r.run_id] for r in ranked(runs, by_id, lower=lower)]
    finite = [v for v in values if math.isfinite(v)]
    assert order == sorted(finite, reverse=not lower)
