"""A page of the mirror is what filtering and sorting the plain list gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tui.estate.filter import FilterError
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import Point, TrackedRun
from foundry_tui.store.mirror.fields import NoField
from foundry_tui.store.mirror.mirror import Mirror
from foundry_tui.store.mirror.query import Query
from tests.store.mirror.runs import NOW, T0, URL, filled, ids, newest_first, opened, ordered, run

Test = Callable[[TrackedRun], bool]


def loss(one: TrackedRun) -> float | None:
    return one.metrics["loss"].value if "loss" in one.metrics else None


def age_s(one: TrackedRun) -> float | None:
    return None if one.started_at is None else (NOW - one.started_at).total_seconds()


def has_loss(test: Callable[[float], bool]) -> Test:
    return lambda one: (value := loss(one)) is not None and test(value)


TERMS: dict[str, Test] = {
    "metric.loss<0.3": has_loss(lambda v: v < 0.3),
    "metric.loss>=0.25": has_loss(lambda v: v >= 0.25),
    "metric.loss!=0.5": has_loss(lambda v: v != 0.5),
    "metric.loss=none": lambda r: loss(r) is None,
    "-metric.loss<0.3": lambda r: not has_loss(lambda v: v < 0.3)(r),
    "metric.acc/val>0.5": lambda r: r.metrics["acc/val"].value > 0.5,
    "param.lr<5e-4": lambda r: r.params.get("lr") == "3e-4",
    "param.opt=adamw|lion": lambda r: r.params["opt"] in ("adamw", "Lion"),
    "param.lr!=none": lambda r: "lr" in r.params,
    "tag.team=nlp": lambda r: r.tags["team"] == "nlp",
    "state=finished|failed": lambda r: r.status.value in ("FINISHED", "FAILED"),
    "user=me": lambda r: r.user == "user1",
    "user!=user2": lambda r: r.user != "user2",
    "experiment=exp-1": lambda r: r.experiment_id == "1",
    "exp~p-2": lambda r: r.experiment_id == "2",
    "age<44h": lambda r: (age := age_s(r)) is not None and age < 44 * 3600,
    "took>20h": lambda r: (
        r.started_at is not None
        and ((r.ended_at or NOW) - r.started_at).total_seconds() > 20 * 3600
    ),
    '"run-7"': lambda r: "run-7" in r.name,
    '-"run-1"': lambda r: "run-1" not in r.name,
    "name=run-4*|run-11": lambda r: r.name.startswith("run-4") or r.name == "run-11",
}


def expected(
    runs: list[TrackedRun], test: Test, sort: str, descending: bool, kind: str
) -> list[str]:
    """The plain way."""
    chosen = newest_first([one for one in runs if test(one)])

    def value(one: TrackedRun) -> object:
        if kind == "metric":
            return one.metrics[sort].value if sort in one.metrics else None
        if kind == "param":
            return one.params.get(sort)
        return {
            "name": one.name.casefold(),
            "user": one.user,
            "started": one.started_at,
            "ended": one.ended_at,
            "state": one.status.value.casefold(),
        }[sort]

    numbers: list[TrackedRun] = []
    others: list[TrackedRun] = []
    missing: list[TrackedRun] = []
    for one in chosen:
        found = value(one)
        if found is None:
            missing.append(one)
        elif kind == "param" and str(found)[0].isdigit():
            numbers.append(one)
        elif kind == "param" or (isinstance(found, float) and math.isnan(found)):
            others.append(one)
        else:
            numbers.append(one)
    number = (lambda r: float(r.params[sort])) if kind == "param" else value
    numbers.sort(key=number, reverse=descending)  # type: ignore[arg-type]
    if kind == "param":
        others.sort(key=lambda r: r.params[sort].casefold(), reverse=descending)
    return [one.run_id for one in (*numbers, *others, *missing)]


SORTS = [
    ("loss", "loss", "metric"),
    ("metric.acc/val", "acc/val", "metric"),
    ("lr", "lr", "param"),
    ("param.opt", "opt", "param"),
    ("name", "name", ""),
    ("user", "user", ""),
    ("", "started", ""),
    ("ended", "ended", ""),
    ("state", "state", ""),
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    numbers=st.sets(st.integers(0, 400), max_size=60),
    terms=st.lists(st.sampled_from(sorted(TERMS)), max_size=3),
    sort=st.sampled_from(SORTS),
    descending=st.booleans(),
    most=st.sampled_from((1, 7, 1000)),
    block=st.sampled_from((3, 10_000)),
)
def test_any_page_is_that_of_the_plain_list(
    numbers: set[int],
    terms: list[str],
    sort: tuple[str, str, str],
    descending: bool,
    most: int,
    block: int,
) -> None:
    runs = [run(number) for number in (0, *numbers - {0}, 401, 402, 403, 404)]
    mirror = filled(Mirror(URL, None), runs)
    asked, field, kind = sort
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foundry_tui.store.mirror.query.BLOCK", block)
        query = Query(where=" ".join(terms), sort=asked, descending=descending, most=most,
                      now=NOW, me=frozenset({"user1"}))  # fmt: skip
        found = mirror.ask(query)
    plain = expected(runs, lambda r: all(TERMS[t](r) for t in terms), field, descending, kind)
    assert [one.run_id for one in found.runs] == plain[:most]
    assert found.total == len(plain)
    by_id = {one.run_id: one for one in runs}
    for one in found.runs:
        assert repr(one) == repr(ordered(by_id[one.run_id]))


def test_experiments_are_chosen_one_or_many(tmp_path: Path) -> None:
    runs = [run(number) for number in range(30)]
    mirror = filled(Mirror(URL, None), runs)
    for wanted in (("1",), ("0", "2"), ()):
        there = sorted(r.run_id for r in runs if r.experiment_id in wanted)
        assert sorted(ids(mirror, experiment_ids=wanted)) == there
        assert sorted(ids(mirror, experiment_ids=wanted, sort="loss")) == there


def test_a_param_is_a_number_where_all_are() -> None:
    mirror = filled(
        Mirror(URL, None),
        [run(n, params={"lr": safe(text)}) for n, text in enumerate(("1e-3", "0.001", "3e-4"))],
    )
    assert len(ids(mirror, where="param.lr=0.001")) == 2
    assert len(ids(mirror, where="param.lr=3e-4|1e-3")) == 3
    assert len(ids(mirror, where="param.lr>1e-4 param.lr<5e-4")) == 1


def test_an_unknown_name_says_what_is_near() -> None:
    mirror = filled(Mirror(URL, None), [run(n) for n in range(9)])
    with pytest.raises(FilterError, match=r'did you mean "metric\.loss"'):
        ids(mirror, where="metric.losss<1")
    with pytest.raises(NoField, match="did you mean"):
        ids(mirror, sort="metric.losss")


def test_an_empty_mirror_has_an_empty_page(tmp_path: Path) -> None:
    mirror = Mirror.open(tmp_path / "mirror", URL)
    assert mirror.ask(Query(now=NOW)).runs == ()
    assert mirror.get("ab") is None
    assert not mirror.state().whole


def test_hostile_names_of_metrics_and_tags() -> None:
    evil = "x'; DROP TABLE run; --\x1b[31m"
    one = run(1, metrics={safe(evil): Point(2**70, T0, 1.5)}, tags={evil: "\ud800 half", "n": "\0"})
    mirror = filled(Mirror(URL, None), [one, run(2)])
    assert ids(mirror, sort=f"metric.{safe(evil)}")[0] == one.run_id
    found = mirror.get(one.run_id)
    assert found is not None
    assert found.metrics[safe(evil)].step == 2**63 - 1
    assert found.tags[evil] == "? half"
    assert found.tags["n"] == "\0"


def test_some_keys_of_every_run(tmp_path: Path) -> None:
    runs = [run(n) for n in range(200)]
    mirror = filled(opened(tmp_path), runs)
    keys = ("metric.loss", "param.lr", "tag.team", "metric.none")
    for where in ("", "param.opt=adamw"):
        query = Query(where=where, most=1000, now=NOW)
        whole = mirror.ask(query)
        part = mirror.ask(replace(query, keys=keys))
        assert part.total == whole.total == len(part.runs)
        for one, other in zip(part.runs, whole.runs, strict=True):
            assert (one.run_id, one.name, one.status) == (other.run_id, other.name, other.status)
            assert (one.started_at, one.ended_at) == (other.started_at, other.ended_at)
            assert one.experiment_id == other.experiment_id
            assert repr(loss(one)) == repr(loss(other)), "NaN and infinity too"
            assert one.params == {k: v for k, v in other.params.items() if k == "lr"}
            assert one.tags == {"team": other.tags["team"]}
            assert one.metrics.keys() <= {"loss"}
    assert mirror.ask(replace(query, keys=())).runs[0].metrics == {}


def test_runs_by_their_ids_and_counts_of_metrics(tmp_path: Path) -> None:
    runs = [run(n) for n in range(60)]
    mirror = filled(opened(tmp_path), runs)
    asked = [runs[7].run_id, "0" * 32, runs[3].run_id]
    assert mirror.whole(asked) == (ordered(runs[7]), ordered(runs[3]))
    counts = mirror.counts(["loss", "none"])
    for number in ("0", "1", "2"):
        own = [one for one in runs if one.experiment_id == number]
        assert counts[number] == {"loss": sum("loss" in one.metrics for one in own)}
    empty = Mirror.open(tmp_path / "empty", URL)
    assert (empty.whole(asked), empty.counts(["loss"])) == ((), {})


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ('"param.batch size"=8', 1),
        ('"param.batch size">8', 2),
        ('-"param.batch size"=8', 2),
        ('"tag.a|b \\"c\\""~x', 1),
    ],
)
def test_names_that_stand_in_quotes(tmp_path: Path, where: str, number: int) -> None:
    runs = [
        run(1, params={"batch size": safe("8")}, tags={'a|b "c"': "xyz"}),
        run(2, params={"batch size": safe("16")}, tags={}),
    ]
    assert ids(filled(opened(tmp_path), runs), where=where) == [runs[number - 1].run_id]


def test_an_unknown_name_is_named_beside_a_known_one(tmp_path: Path) -> None:
    mirror = filled(opened(tmp_path), [run(n) for n in range(60)])
    with pytest.raises(FilterError, match=r'no field "team"; did you mean "tag.team"'):
        ids(mirror, where="metric.loss<0.5 team=nlp")
