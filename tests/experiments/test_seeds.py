"""Groups of runs that differ only in their seed."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.experiments.seeds import groups, is_seed, mean_sd
from tests.experiments.records import run


def test_three_seeds_of_two_settings() -> None:
    runs = [
        run(n, params={"lr": lr, "seed": str(n)}, tags={"foundry.attempt": str(n), "host": f"h{n}"})
        for n, lr in enumerate(["1e-3", "0.001", "5e-4", "0.0010", "5e-4"])
    ]
    values = {r.run_id: v for r, v in zip(runs, [1.0, 2.0, 9.0, 3.0, math.nan], strict=True)}
    one, two = groups(runs, values, lower=True)
    assert [r.run_id for r in one.runs] == [runs[n].run_id for n in (0, 1, 3)]
    assert (one.values, one.mean, one.sd, one.best) == ((1.0, 2.0, 3.0), 2.0, 1.0, 1.0)
    assert one.params == {"lr": "1e-3"}
    assert (len(two.runs), two.values, two.mean, two.sd, two.best) == (2, (9.0,), 9.0, None, 9.0)
    assert groups(runs, values, lower=False)[0].best == 3.0
    assert groups(runs, values)[0].best is None


@pytest.mark.parametrize(
    "other",
    [
        run(2, experiment="2"),
        run(2, params={"lr": "2"}),
        run(2, tags={"mlflow.source.git.commit": "b"}),
        run(2, tags={"foundry.git.patch_sha256": "b"}),
        run(2, tags={"foundry.image_digest": "b"}),
        run(2, inputs=[("c4", "d")]),
    ],
)
def test_what_keeps_runs_apart(other: object) -> None:
    assert len(groups([run(1), other], {})) == 2  # type: ignore[list-item]


def test_which_parameters_are_seeds() -> None:
    assert all(map(is_seed, ["seed", "SEED", "trainer.seed", "data/random_state"]))
    assert not any(map(is_seed, ["seeds", "seed_count", "seed.lr", "lr"]))
    assert is_seed("fold", ["fold"]) and not is_seed("seed", ["fold"])
    folds = [run(n, params={"fold": str(n)}) for n in range(3)]
    assert len(groups(folds, {})) == 3
    assert len(groups(folds, {}, keys=["fold"])) == 1


def test_no_value_at_all() -> None:
    (alone,) = groups([run(1)], {}, lower=True)
    assert (alone.values, alone.mean, alone.sd, alone.best) == ((), None, None, None)
    assert mean_sd([]) == (None, None)
    assert mean_sd([4.0]) == (4.0, None)
    assert mean_sd([0.1] * 3) == (0.1, 0.0)
    assert mean_sd([1.7e308, -1.7e308])[0] == 0.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_mean_and_deviation_are_the_textbooks(values: list[float]) -> None:
    mean, sd = mean_sd(values)
    assert mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    assert sd == pytest.approx(statistics.stdev(values), abs=1e-6)


@given(st.lists(st.sampled_from(["1", "2", "x"]), max_size=8), st.lists(st.integers(), max_size=8))
def test_every_run_is_in_one_group(rates: list[str], seeds: list[int]) -> None:
    runs = [
        run(n, params={"lr": lr, "seed": str(seed)})
        for n, (lr, seed) in enumerate(zip(rates, seeds, strict=False))
    ]
    made = groups(runs, {})
    assert sorted(r.run_id for g in made for r in g.runs) == sorted(r.run_id for r in runs)
    assert len(made) == len({r.params["lr"] for r in runs})
