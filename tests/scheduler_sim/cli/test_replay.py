"""`scheduler-sim replay` and `compare`: what they print, and what they refuse."""

from __future__ import annotations

import csv
import gzip
import io
import statistics
from pathlib import Path

import pytest

from scheduler_sim.arrivals.replay import replay
from scheduler_sim.arrivals.trace import read_trace
from scheduler_sim.cli.cells import METRICS, spread
from tests.scheduler_sim.cli.data import LISTS, NODES, PODS, Command

ONE = (*LISTS, "--jobs", "1")


def test_one_object_with_every_metric_of_every_seed(command: Command) -> None:
    told = command("replay", *ONE, "--policy", "FGD", "--seeds", "42-44", "--json")
    assert told.code == 0
    assert told.out.count("\n") == 1
    found = told.json
    assert list(found) == ["policy", "trace", "seeds", *METRICS]
    assert (found["policy"], found["trace"], found["seeds"]) == (
        "fgd",
        "openb-small-pods",
        [42, 43, 44],
    )
    trace = read_trace(NODES, PODS)
    for place, seed in enumerate((42, 43, 44)):
        direct = replay(trace, "fgd", seed, 1.3).metrics
        for metric in METRICS:
            assert list(found[metric]) == ["per_seed", "mean", "sd"]
            if metric not in ("placements_per_s", "cpu_s"):
                assert found[metric]["per_seed"][place] == direct[metric]
    first = found["first_refusal_pct"]
    assert first["mean"] == pytest.approx(statistics.fmean(first["per_seed"]))
    assert first["sd"] == pytest.approx(statistics.stdev(first["per_seed"]))
    assert all(cpu_s > 0 for cpu_s in found["cpu_s"]["per_seed"])


def test_seeds_keep_their_order_and_one_seed_has_no_spread(command: Command) -> None:
    several = command("replay", *ONE, "--policy", "fgd", "--seeds", "44,42", "--json").json
    alone = command("replay", *ONE, "--policy", "fgd", "--seeds", "42", "--json").json
    assert several["seeds"] == [44, 42]
    value = "first_refusal_pct"
    assert several[value]["per_seed"][1] == alone[value]["per_seed"][0]
    assert alone[value]["sd"] is None


def test_several_processes_find_what_one_finds(command: Command) -> None:
    asked = ("replay", *LISTS, "--policy", "bestfit", "--seeds", "1-4", "--json", "--jobs")
    one, two = command(*asked, "1").json, command(*asked, "2").json
    for found in (one, two):
        del found["cpu_s"], found["placements_per_s"]
    assert one == two


def test_csv_has_a_row_per_seed_and_is_empty_where_unknown(command: Command) -> None:
    told = command("replay", *ONE, "--policy", "fgd", "--seeds", "1-2", "--inflate", "1.1", "--csv")
    rows = list(csv.DictReader(io.StringIO(told.out)))
    assert list(rows[0]) == ["policy", "trace", "seed", *METRICS]
    assert [(row["policy"], row["seed"]) for row in rows] == [("fgd", "1"), ("fgd", "2")]
    # nothing arrives at 130 % when 110 % is the end
    assert {row["alloc_pct_at_130"] for row in rows} == {""}
    assert all(float(row["alloc_pct_at_100"]) > 50 for row in rows)


def test_the_table_and_both_drawings(command: Command, tmp_path: Path) -> None:
    svg = tmp_path / "a <b>.svg"
    told = command("replay", *ONE, "--policy", "fgd", "--seeds", "1-3", "--plot", "--svg", svg)
    assert told.code == 0
    assert "fgd on openb-small-pods, seeds 1-3" in told.out
    assert "⡠" in told.out
    assert max(map(len, told.out.splitlines())) <= 80
    text = svg.read_text()
    assert text.startswith("<svg ")
    assert text.count("<polyline ") == 2
    ascii_only = command("replay", *ONE, "--policy", "fgd", "--seeds", "1", "--plot", "--ascii")
    assert ascii_only.out.isascii()


def test_a_comparison_has_every_policy(command: Command, tmp_path: Path) -> None:
    svg = tmp_path / "c.svg"
    asked = ("compare", *ONE, "--policies", "bestfit,FGD", "--seeds", "1-2")
    found = command(*asked, "--json").json
    assert [one["policy"] for one in found["policies"]] == ["bestfit", "fgd"]
    assert found["seeds"] == [1, 2]
    alone = command("replay", *ONE, "--policy", "fgd", "--seeds", "1-2", "--json").json
    served = "served_pct_of_original"
    assert found["policies"][1][served] == alone[served]
    told = command(*asked, "--plot", "--svg", svg)
    assert [line.split()[0] for line in told.out.splitlines()[3:5]] == ["bestfit", "fgd"]
    assert "a bestfit  b fgd" in told.out
    assert svg.read_text().count("<polyline ") == 4
    rows = list(csv.DictReader(io.StringIO(command(*asked, "--csv").out)))
    assert [(row["policy"], row["seed"]) for row in rows] == [
        ("bestfit", "1"),
        ("bestfit", "2"),
        ("fgd", "1"),
        ("fgd", "2"),
    ]


def test_smaller_fractions_serve_more_and_are_named(command: Command) -> None:
    asked = ("replay", *ONE, "--policy", "fgd", "--seeds", "42-46")
    as_they_are = command(*asked, "--json").json
    cut = command(*asked, "--max-cut", "0.06", "--json").json
    assert "cuts" not in as_they_are
    for one in cut["cuts"]:
        assert 0.94 * one["old_milli"] <= one["new_milli"] < one["old_milli"]
    served, allocated = cut["served_pct_of_original"], cut["alloc_pct_at_130"]
    assert served["mean"] > as_they_are["served_pct_of_original"]["mean"]
    # the request counts as it was made: more is served than is allocated
    assert served["mean"] > allocated["mean"]
    told = command(*asked, "--max-cut", "0.06")
    assert "fractions lowered: 0.81 to 0.77" in told.out


def test_moves_are_counted_and_refuse_less(command: Command) -> None:
    asked = ("replay", *ONE, "--policy", "best", "--seeds", "42-45", "--json")
    still = command(*asked).json
    moved = command(*asked, "--migrations", "20").json
    assert still["migrations"]["per_seed"] == [0, 0, 0, 0]
    assert max(moved["migrations"]["per_seed"]) > 0
    assert all(moves <= 20 for moves in moved["migrations"]["per_seed"])
    assert moved["first_refusal_pct"]["mean"] > still["first_refusal_pct"]["mean"]


def test_gzip_is_read(command: Command, tmp_path: Path) -> None:
    packed = tmp_path / "openb_pod_list_small.csv.gz"
    packed.write_bytes(gzip.compress(PODS.read_bytes()))
    asked = ("--policy", "fgd", "--seeds", "1", "--json")
    found = command("replay", "--nodes", NODES, "--pods", packed, *asked).json
    assert found["trace"] == "small"
    plain = command("replay", *LISTS, *asked).json
    assert found["first_refusal_pct"] == plain["first_refusal_pct"]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--policy", "fdg"), "did you mean fgd?"),
        (("--inflate", "0"), "'--inflate': 0 is out of range; it is a factor: 1.3 is 130 %"),
        (("--inflate", "nan"), "nan is out of range"),
        (("--inflate", "130"), "at most 10"),
        (("--seeds", "9-1"), "'--seeds': 9-1 runs backwards; write 1-9"),
        (("--max-cut", "6"), "0.06 is 6 %"),
        (("--jobs", "0"), "--jobs"),
        (("--migrations", "-1"), "--migrations"),
        (("--migrations", "5"), "policy fgd moves nothing"),
        (("--json", "--csv"), "exclude each other"),
        (("--json", "--plot"), "--svg FILE"),
        (("extra",), "extra"),
    ],
)
def test_wrong_use_is_told_before_any_work(
    command: Command, extra: tuple[str, ...], words: str
) -> None:
    told = command("replay", *ONE, "--policy", "fgd", *extra)
    assert (told.code, told.out) == (2, "")
    assert words in told.err


def test_missing_lists_are_wrong_use(command: Command) -> None:
    told = command("replay", "--pods", PODS)
    assert told.code == 2
    assert "--nodes" in told.err


def test_files_that_cannot_be_used(command: Command, tmp_path: Path) -> None:
    asked = ("--policy", "fgd", "--seeds", "1")
    absent = tmp_path / "absent.csv"
    said = command.refused("replay", "--nodes", absent, "--pods", PODS, *asked)
    assert "absent.csv" in said
    assert "No such file" in said

    no_gzip = tmp_path / "pods.csv.gz"
    no_gzip.write_bytes(PODS.read_bytes())
    assert "pods.csv.gz" in command.refused("replay", *LISTS[:2], "--pods", no_gzip, *asked)

    cut_off = tmp_path / "cut.csv.gz"
    cut_off.write_bytes(gzip.compress(PODS.read_bytes())[:-200])
    assert "cut.csv.gz" in command.refused("replay", *LISTS[:2], "--pods", cut_off, *asked)

    assert "line 1: name" in command.refused("replay", *LISTS[:2], "--pods", NODES, *asked)
    assert str(tmp_path) in command.refused("replay", *LISTS[:2], "--pods", tmp_path, *asked)

    empty = tmp_path / "empty.csv"
    empty.write_text(PODS.read_text().splitlines()[0] + "\n")
    assert "the trace is empty" in command.refused("replay", *LISTS[:2], "--pods", empty, *asked)

    wrong = tmp_path / "wrong.csv"
    wrong.write_text(PODS.read_text().replace("810", "-5", 1))
    assert "gpu_milli" in command.refused("replay", *LISTS[:2], "--pods", wrong, *asked)


def test_a_failure_in_a_worker_is_one_line(command: Command, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(PODS.read_text().replace("810", "nan", 1))
    asked = ("--policy", "fgd", "--seeds", "1-2", "--jobs", "2")
    said = command.refused("replay", *LISTS[:2], "--pods", wrong, *asked)
    assert said.count("\n") == 1
    assert "gpu_milli" in said


def test_a_picture_that_could_not_be_written_is_refused_first(
    command: Command, tmp_path: Path
) -> None:
    said = command.refused("replay", *LISTS, "--svg", tmp_path / "no" / "a.svg")
    assert "--svg" in said
    assert "there is no folder" in said
    assert "it is a folder" in command.refused("replay", *LISTS, "--svg", tmp_path)


def test_control_characters_in_names_do_not_reach_the_terminal(
    command: Command, tmp_path: Path
) -> None:
    odd = tmp_path / "a\x1b[2Jb.csv"
    said = command.refused("replay", "--nodes", odd, "--pods", PODS, "--policy", "fgd")
    assert "\x1b" not in said
    assert "\\x1b" in said


def test_the_spread_leaves_out_what_is_unknown() -> None:
    assert spread([1.0, None, 3.0]) == (2.0, statistics.stdev([1, 3]))
    assert spread([None, 2]) == (2.0, None)
    assert spread([None]) == (None, None)
    assert spread([]) == (None, None)
