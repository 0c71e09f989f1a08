"""`scheduler-sim queue`: a history through one or several disciplines."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from scheduler_sim.arrivals.trace import read_nodes
from scheduler_sim.cli import playing, queue
from scheduler_sim.history import FORMATS, read_history
from scheduler_sim.queues.metrics import summary
from scheduler_sim.queues.run import DISCIPLINES, PLACEMENTS, simulate
from tests.scheduler_sim.cli.data import DATA, NODES, PODS, Command

SACCT = DATA / "sacct-sample.csv"
ASKED = ("queue", "--history", SACCT, "--nodes", NODES)


def test_every_name_of_the_rooms_can_be_given() -> None:
    assert set(queue.FORMATS) == {"auto", *FORMATS}
    assert set(queue.DISCIPLINES) == set(DISCIPLINES)
    assert set(queue.PLACEMENTS) == set(playing.PLACED_AS)
    assert {name for name in playing.PLACED_AS.values() if isinstance(name, str)} == set(PLACEMENTS)


def test_the_metrics_are_those_of_the_simulation(command: Command) -> None:
    told = command(*ASKED, "--discipline", "fifo", "--json")
    assert told.code == 0
    assert told.err == ""
    found = told.json
    assert (found["format"], found["nodes"]) == ("sacct", 16)
    history = read_history(SACCT)
    assert found["runs"] == len(history.jobs)
    assert found["rejected"] == history.rejects.count > 0
    assert any("AllocTRES" in note for note in found["notes"])
    direct = summary(
        simulate(read_nodes(NODES), history.jobs, discipline="fifo", placement="best_fit")
    )
    (row,) = found["results"]
    assert direct.wait_s is not None
    assert direct.wait_s.p50 > 0
    assert row["wait_s"]["p50"] == direct.wait_s.p50
    assert row["utilisation_pct"] == direct.utilisation_pct
    assert row["finished"] == direct.finished
    assert row["runs_per_s"] > 0


def test_disciplines_and_placements_side_by_side(command: Command) -> None:
    asked = (*ASKED, "--discipline", "fifo,EASY", "--placement", "firstfit,fgd")
    told = command(*asked, "--csv", "--jobs", "2")
    rows = list(csv.DictReader(io.StringIO(told.out)))
    assert [(row["discipline"], row["placement"]) for row in rows] == [
        ("fifo", "firstfit"),
        ("fifo", "fgd"),
        ("easy", "firstfit"),
        ("easy", "fgd"),
    ]
    mean_s = [float(row["wait_s_mean"]) for row in rows]
    assert max(mean_s[2:]) < min(mean_s[:2])
    table = command(*asked, "--jobs", "1").out
    assert "easy fgd" in table
    assert "wait_s_p90" in table


def test_bid_prices_place_as_well(command: Command) -> None:
    asked = ("queue", "--pods", PODS, "--nodes", NODES, "--load", "50", "--jobs", "1")
    bestfit, best = command(*asked, "--placement", "bestfit,best", "--json").json["results"]
    assert best["finished"] == bestfit["finished"] == 293
    assert best["fragmentation_pct"] != bestfit["fragmentation_pct"]
    said = command.refused(*ASKED, "--discipline", "conservative", "--placement", "best")
    assert "conservative plans ahead" in said


def test_worse_estimates_are_other_plans(command: Command) -> None:
    asked = (*ASKED, "--discipline", "conservative", "--json")
    exact = command(*asked, "--estimate", "1").json["results"][0]
    rough = command(*asked, "--estimate", "20").json["results"][0]
    assert exact["wait_s"]["mean"] != rough["wait_s"]["mean"]
    assert exact["finished"] == rough["finished"]
    assert exact["killed"] == rough["killed"] == 0


def test_a_fuller_cluster_lets_people_wait_longer(command: Command) -> None:
    asked = (*ASKED, "--discipline", "fifo", "--json", "--load")
    mean_s = [command(*asked, x).json["results"][0]["wait_s"]["mean"] for x in ("0.25", "1", "4")]
    assert mean_s == sorted(mean_s)
    assert mean_s[0] < mean_s[2]


def test_pods_with_times_are_a_history(command: Command) -> None:
    found = command("queue", "--pods", PODS, "--nodes", NODES, "--json").json
    assert (found["format"], found["runs"], found["rejected"]) == ("openb", 293, 0)
    assert found["results"][0]["finished"] == 293


def test_what_is_noticed_is_told_on_standard_error(command: Command) -> None:
    told = command(*ASKED)
    assert "AllocTRES" in told.err
    assert "fit on no set of these nodes and never join" in told.err
    assert "AllocTRES" not in told.out


def test_bad_input(command: Command, tmp_path: Path) -> None:
    said = command.refused("queue", "--history", SACCT)
    assert "--nodes: a history of format sacct does not tell the nodes" in said
    assert "absent" in command.refused("queue", "--history", tmp_path / "absent", "--nodes", NODES)
    nothing = tmp_path / "empty"
    nothing.write_text("")
    assert "empty" in command.refused("queue", "--history", nothing, "--nodes", NODES)
    assert "not known" in command.refused("queue", "--history", NODES, "--nodes", NODES)
    poor = tmp_path / "poor.csv"
    poor.write_text("sn,cpu_milli,memory_mib,gpu,model\na,1000,1000,1,old\n")
    said = command.refused("queue", "--history", SACCT, "--nodes", poor)
    assert "none of the 174 runs fits" in said
    assert "give the --nodes they ran on" in said


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--discipline", "easyy"), "did you mean easy?"),
        (("--placement", "fgd,fgd"), "fgd is named twice"),
        (("--format", "swff"), "did you mean swf?"),
        (("--load", "0"), "2 is twice"),
        (("--estimate", "0.5"), "the time limit over the true duration"),
        (("--json", "--csv"), "exclude each other"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_wrong_use(command: Command, extra: tuple[str, ...], words: str) -> None:
    told = command(*ASKED, *extra)
    assert (told.code, told.out) == (2, "")
    assert words in told.err
