"""`scheduler-sim bound`: what is printed, and that no policy is above it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.scheduler_sim.cli.data import LISTS, NODES, Command

ASKED = ("bound", *LISTS, "--seed", "42")


def test_no_policy_is_above_the_bound(command: Command) -> None:
    found = command(*ASKED, "--json").json
    assert found["feasible"] is True
    assert found["proven"] is True
    assert found["cpu_s"] > 0
    reached = command(
        "compare", *LISTS, "--policies", "bestfit,fgd", "--seeds", "42", "--jobs", "1", "--json"
    ).json
    for one in reached["policies"]:
        assert one["alloc_pct_at_130"]["mean"] <= found["bound_pct"] <= 100


def test_a_longer_prefix_lowers_the_bound_until_it_cannot_be(command: Command) -> None:
    bounds = [command(*ASKED, "--prefix", str(q), "--json").json for q in (0, 80, 90, 99)]
    pct = [found["bound_pct"] for found in bounds]
    assert pct[0] > pct[1] > pct[2]
    assert pct[3] is None
    assert [found["feasible"] for found in bounds] == [True, True, True, False]


def test_words_and_csv(command: Command) -> None:
    said = command(*ASKED, "--prefix", "90").out
    assert "% of all GPUs can be allocated, all that arrives in the first 90 % placed" in said
    assert "free to refuse any pod" in command(*ASKED).out
    assert "not even fractions of pods allow" in command(*ASKED, "--prefix", "99").out
    (row,) = csv.DictReader(io.StringIO(command(*ASKED, "--prefix", "99", "--csv").out))
    assert (row["bound_pct"], row["feasible"]) == ("", "False")


def test_no_time_is_a_bound_all_the_same(command: Command) -> None:
    found = command(*ASKED, "--time-limit", "0", "--json").json
    assert found["bound_pct"] == 100
    assert found["proven"] is False


def test_a_pod_that_fits_nowhere_is_named(command: Command, tmp_path: Path) -> None:
    pods = tmp_path / "pods.csv"
    pods.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,16,1000\nb,1,1,1,500\n")
    told = command("bound", "--nodes", NODES, "--pods", pods, "--prefix", "90")
    assert told.code == 0
    assert "1 kinds of pod fit on no node" in told.out


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--prefix", "-1"), "arrived GPU request in percent"),
        (("--prefix", "nan"), "out of range"),
        (("--time-limit", "x"), "is not a number; it is in seconds"),
        (("--seed", "x"), "--seed"),
        (("--json", "--csv"), "exclude each other"),
    ],
)
def test_wrong_use(command: Command, extra: tuple[str, ...], words: str) -> None:
    told = command(*ASKED, *extra)
    assert (told.code, told.out) == (2, "")
    assert words in told.err
