"""What differs is told; what is not known is no difference."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import cells, safe
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.experiments.compare import compare, labels, missing, of_group
from foundry_tui.experiments.nouns import Evidence, Group
from foundry_tui.experiments.rows import patch_words
from tests.experiments.records import differing, row, run, sided

CODE = {"mlflow.source.git.commit": "aa11", "foundry.git.dirty": "false"}
PATCH = """diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1,2 +1,3 @@
-lr = 1
+lr = 2
+wd = 3
diff --git a/conf/a.yaml b/conf/a.yaml
"""


def test_only_the_learning_rate_was_changed() -> None:
    one = run(1, params={"lr": "1e-3", "bs": "32"}, tags=CODE)
    two = run(2, params={"lr": "5e-4", "bs": "32.0"}, tags=CODE)
    compared = compare(sided(one, two))
    assert differing(compared) == [("params", "lr")]
    assert row(compared, Group.PARAMS, "lr").values == ("1e-3", "5e-4")
    assert row(compared, Group.PARAMS, "bs").values == ("32", "32"), "as the first has it"
    assert [r.key for r in of_group(compared, Group.CODE, every=True).rows] == ["commit", "dirty"]


def test_a_parameter_that_one_has_not_logged_is_a_difference() -> None:
    compared = compare(sided(run(1, params={"wd": "0"}), run(2)))
    assert row(compared, Group.PARAMS, "wd").values == ("0", None)
    assert differing(compared) == [("params", "wd")]


def test_metrics_compare_as_numbers_and_nan_equals_nan() -> None:
    one = run(1, metrics={"loss": math.nan, "acc": 0.5, "f1": 0.123456789, "only": 1})
    two = run(2, metrics={"loss": math.nan, "acc": 0.5, "f1": 0.123456788})
    compared = compare(sided(one, two))
    assert differing(compared) == [("result", "f1"), ("result", "only")]
    assert row(compared, Group.RESULT, "f1").values == ("0.123456789", "0.123456788")
    assert row(compared, Group.RESULT, "acc").numbers == (0.5, 0.5)
    assert row(compared, Group.RESULT, "only").numbers == (1, None)


def test_what_is_not_recorded_is_not_different() -> None:
    """A run of a notebook beside one that foundry submitted: nothing follows from the gaps."""
    told = Evidence(
        spec={"gpus": safe("8")}, environment=(safe("numpy==2.1"),), data={"c4": safe("d1")}
    )
    ours = run(
        1,
        tags={
            **CODE,
            "foundry.cluster": "lab",
            "foundry.backend": "slurm",
            "foundry.image": "a:1",
            "foundry.spec_id": "5" * 64,
        },
        metrics={"foundry/gpu_hours": 3.0},
    )
    none = Evidence(missing=(safe("no spec is recorded"),))
    compared = compare(sided(ours, run(2), evidence=[told, none]))
    assert differing(compared) == []
    gaps = [r for r in compared.rows if r.unknown]
    assert {(r.group, r.key) for r in gaps} >= {
        (Group.CODE, "commit"),
        (Group.ENVIRONMENT, "numpy"),
        (Group.SPEC, "gpus"),
        (Group.DATA, "c4"),
        (Group.PLACEMENT, "attempts"),
        (Group.RESULT, "foundry/gpu_hours"),
    }
    assert all(r.unknown == {1} and r.values[1] is None for r in gaps)
    assert missing(compared.sides[0]) == ()
    assert missing(compared.sides[1]) == (
        "no spec is recorded",
        "no commit is recorded",
        "no data is recorded",
    )


def test_code_environment_data_spec_and_placement() -> None:
    one = Evidence(
        spec={"gpus": safe("8"), "nodes": safe("1")},
        environment=(safe("numpy==2.1"), safe("torch @ file:///x"), safe("# made by pip")),
        patch=PATCH,
    )
    two = Evidence(
        spec={"gpus": safe("4"), "nodes": safe("1")},
        environment=(safe("NumPy==2.2"), safe("six==1")),
    )
    first = run(
        1,
        tags={**CODE, "foundry.git.dirty": "true", "foundry.nodes": "h01", "foundry.cluster": "a"},
        inputs=[("c4", "d1")],
    )
    second = run(
        2,
        tags={**CODE, "foundry.nodes": "h02", "foundry.cluster": "a", "foundry.attempt": "3"},
        inputs=[("c4", "d2"), ("wiki", "w")],
    )
    compared = compare(sided(first, second, evidence=[one, two]))
    assert differing(compared) == [
        ("code", "dirty"),
        ("code", "patch sha256"),
        ("code", "patch"),
        ("environment", "numpy"),
        ("environment", "six"),
        ("environment", "torch"),
        ("data", "c4"),
        ("data", "wiki"),
        ("spec", "gpus"),
        ("placement", "nodes"),
        ("placement", "attempts"),
    ]
    assert row(compared, Group.CODE, "patch").values == (
        "2 files +2 -1: train.py, conf/a.yaml",
        None,
    )
    assert row(compared, Group.PLACEMENT, "attempts").values == ("1", "3")


def test_patches_that_look_alike_in_short_are_told_apart() -> None:
    dirty = {**CODE, "foundry.git.dirty": "true"}
    other = PATCH.replace("lr = 2", "lr = 9")
    both = [Evidence(patch=PATCH), Evidence(patch=other)]
    compared = compare(sided(run(1, tags=dirty), run(2, tags=dirty), evidence=both))
    assert differing(compared) == [("code", "patch sha256")]
    assert missing(sided(run(1, tags=dirty))[0])[0].startswith("the tree had changes")


def test_a_failure_and_its_reason() -> None:
    failed = run(1, status=TrackStatus.FAILED, tags={"foundry.reason": "out of memory"})
    compared = compare(sided(failed, run(2)))
    assert differing(compared) == [("result", "status"), ("result", "reason")]
    silent = run(2, status=TrackStatus.FAILED)
    assert differing(compare(sided(failed, silent))) == [], "its reason is not known"
    running = run(3, took_min=None)
    assert row(compare(sided(run(1), running)), Group.RESULT, "duration_s").unknown == {1}


def test_a_patch_in_short() -> None:
    many = "".join(f"diff --git a/f{n} b/f{n}\n" for n in range(12))
    assert patch_words(many).endswith("f7, …")
    assert patch_words("") == "0 files +0 -0"


def test_labels_are_short_and_tell_apart() -> None:
    assert labels([run(1, name="base"), run(2, name="wide")]) == ("base", "wide")
    assert labels([run(1, name="base"), run(2, name="base"), run(3, name="")]) == (
        "base 000001",
        "base 000002",
        "000003",
    )
    long = labels([run(1, name="x" * 40 + "1"), run(2, name="x" * 40 + "2")])
    assert len(set(long)) == 2 and all(cells(label) <= 18 for label in long)


NAMES = st.text(max_size=24) | st.sampled_from(["", "a", "a 000001", "a #2", "000001", " "])


@given(st.lists(NAMES, min_size=1, max_size=6))
def test_labels_are_never_alike(given_names: list[str]) -> None:
    made = labels([run(n, name=name) for n, name in enumerate(given_names)])
    assert len(set(made)) == len(made)
    assert all(label.strip() for label in made)


PARAMS = st.dictionaries(
    st.sampled_from("abc"), st.sampled_from(["1", "1.0", "2", "x", "nan"]), max_size=3
)


@given(st.lists(PARAMS, min_size=1, max_size=4))
def test_a_run_differs_from_itself_in_nothing(many: list[dict[str, str]]) -> None:
    one = run(1, params=many[0], metrics={"m": math.nan}, tags=CODE)
    assert compare(sided(one, one)).differing == ()


@given(st.lists(PARAMS, min_size=2, max_size=4))
def test_what_differs_does_not_hang_on_the_order(many: list[dict[str, str]]) -> None:
    runs = [run(n, params=p) for n, p in enumerate(many)]
    there = compare(sided(*runs))
    back = compare(sided(*reversed(runs)))
    assert {r.key for r in there.differing} == {r.key for r in back.differing}
    for found in there.rows:
        assert len(found.values) == len(runs)
