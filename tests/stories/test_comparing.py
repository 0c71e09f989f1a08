"""Runs of a real MLflow server compared, ranked, noted and reported, as a user does it."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tests.lab.mlflow import MlflowLab
from tests.stories.conftest import Foundry

SPEC = "version: 1\nname: train\ngpus: {gpus}\nparams: {{lr: {lr}}}\n"


@pytest.fixture
def tracked(on_lab: Foundry, mlflow_server: MlflowLab) -> Foundry:
    """`foundry` of a user who has set MLFLOW_TRACKING_URI."""
    on_lab.env["MLFLOW_TRACKING_URI"] = mlflow_server.url
    return on_lab


@pytest.fixture
def experiment(mlflow_server: MlflowLab, request: pytest.FixtureRequest) -> str:
    """A new experiment; its name is that of the test."""
    name = f"{request.node.name} {time.monotonic_ns()}"
    mlflow_server.call("experiments/create", {"name": name})
    return name


def logged(
    server: MlflowLab,
    experiment: str,
    name: str,
    params: Mapping[str, str],
    metrics: Mapping[str, Sequence[float | str]],
    *,
    tags: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    data: tuple[str, str] | None = None,
) -> str:
    """A finished run, as a program in any language logs it: over REST."""
    address = f"{server.url}/api/2.0/mlflow/experiments/get-by-name?experiment_name="
    with urllib.request.urlopen(address + urllib.parse.quote(experiment)) as answer:
        known = json.load(answer)["experiment"]["experiment_id"]
    now = int(time.time() * 1000)
    given = {"mlflow.runName": name, "mlflow.user": "ann", **(tags or {})}
    info = server.call(
        "runs/create",
        {
            "experiment_id": known,
            "start_time": now,
            "tags": [{"key": k, "value": v} for k, v in given.items()],
        },
    )["run"]["info"]
    run_id = str(info["run_id"])
    server.call(
        "runs/log-batch",
        {
            "run_id": run_id,
            "params": [{"key": k, "value": v} for k, v in params.items()],
            "metrics": [
                {"key": k, "value": v, "step": n, "timestamp": now + n}
                for k, values in metrics.items()
                for n, v in enumerate(values)
            ],
        },
    )
    if data is not None:
        one = {"name": data[0], "digest": data[1], "source_type": "local", "source": "/data"}
        server.call("runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": one}]})
    for path, text in (files or {}).items():
        base = str(info["artifact_uri"]).removeprefix("mlflow-artifacts:/").lstrip("/")
        put = urllib.request.Request(
            f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{base}/{path}",
            text.encode(),
            method="PUT",
        )
        urllib.request.urlopen(put, timeout=30).close()
    server.call("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": now + 60_000})
    return run_id


def tags_of(server: MlflowLab, run_id: str) -> dict[str, str]:
    address = f"{server.url}/api/2.0/mlflow/runs/get?run_id={run_id}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        told: list[dict[str, str]] = json.load(answer)["run"]["data"]["tags"]
    return {tag["key"]: tag["value"] for tag in told}


def differing(answer: Any) -> dict[str, list[str | None]]:
    return {f"{row['group']}.{row['key']}": row["values"] for row in answer["diff"]["rows"]}


def test_i_changed_the_learning_rate_but_forgot(
    tracked: Foundry, mlflow_server: MlflowLab, experiment: str
) -> None:
    code = {"mlflow.source.git.commit": "c0ffee", "foundry.git.dirty": "false"}
    one = logged(
        mlflow_server,
        experiment,
        "base",
        {"lr": "1e-3", "bs": "32", "note": "a|b"},
        {"loss": [3, 1]},
        tags=code,
        files={
            "foundry/spec.resolved.yaml": SPEC.format(gpus=8, lr="1e-3"),
            "foundry/environment.txt": "numpy==2.1\nsix==1\n",
        },
        data=("c4", "md5:1"),
    )
    two = logged(
        mlflow_server,
        experiment,
        "wide",
        {"lr": "5e-4", "bs": "32.0", "note": "a|b"},
        {"loss": [3, 0.5]},
        tags=code,
        files={
            "foundry/spec.resolved.yaml": SPEC.format(gpus=8, lr="5e-4"),
            "foundry/environment.txt": "numpy==2.2\nsix==1\n",
        },
        data=("c4", "md5:2"),
    )
    answer = tracked("diff", one, two[:12], "--json")
    assert answer.code == 0, answer.err
    assert differing(answer.json) == {
        "params.lr": ["1e-3", "5e-4"],
        "environment.numpy": ["2.1", "2.2"],
        "data.c4": ["md5:1", "md5:2"],
        "result.loss": ["1", "0.5"],
    }
    assert answer.json["schema"] == "foundry.diff/1"
    assert [side["label"] for side in answer.json["diff"]["sides"]] == ["base", "wide"]
    assert answer.json["sources"][0]["kind"] == "mlflow"

    page = tracked("diff", one, two)
    assert page.code == 0 and "1e-3" in page.out and "six" not in page.out
    every = tracked("diff", one, two, "--all")
    assert "six" in every.out
    table = tracked("diff", one, two, "--csv").out.splitlines()
    assert table[0] == f"group,key,same,{one},{two}"
    assert "params,lr,false,1e-3,5e-4" in table


def test_a_run_of_a_notebook_has_gaps_and_no_differences(
    tracked: Foundry, mlflow_server: MlflowLab, experiment: str
) -> None:
    files = {"foundry/environment.txt": "numpy==2.1\n"}
    one = logged(mlflow_server, experiment, "ours", {}, {}, files=files, data=("c4", "md5:1"))
    two = logged(mlflow_server, experiment, "notebook", {}, {})
    answer = tracked("diff", one, two, "--json")
    assert differing(answer.json) == {}
    gaps = answer.json["diff"]["sides"][1]["missing"]
    assert gaps[0] == "no spec, environment or patch is recorded"
    assert "not known: notebook" in tracked("diff", one, two).out


def test_the_best_of_an_experiment(
    tracked: Foundry, mlflow_server: MlflowLab, experiment: str
) -> None:
    lines: list[tuple[str, str, str, list[float | str]]] = [
        ("a0", "1", "0", [3, 1, 2]),
        ("a1", "1.0", "1", [3, 2, 1.5]),
        ("b0", "2", "0", [3, 0.5, "NaN"]),
    ]
    made = {
        name: logged(mlflow_server, experiment, name, {"lr": lr, "seed": seed}, {"val_loss": line})
        for name, lr, seed, line in lines
    }
    best = tracked("best", experiment, "--metric", "val_loss", "--json")
    assert best.code == 0, best.err
    told = best.json["best"]
    assert [run["name"] for run in told["runs"]] == ["a1", "a0"], "NaN is never best"
    assert (told["direction"], told["direction_from"], told["without"]) == (
        "min",
        "guessed from its name",
        1,
    )
    least = tracked("best", experiment, "--metric", "val_loss", "--reduce", "min", "--json")
    assert least.json["best"]["runs"][0]["run_id"] == made["b0"]
    assert least.json["best"]["runs"][0]["value"] == 0.5
    seeds = tracked("best", experiment, "--metric", "val_loss", "--group-seeds", "--json")
    (group,) = seeds.json["best"]["groups"]
    assert (group["n"], group["mean"], group["best"]) == (2, 1.75, 1.5)
    assert group["sd"] == pytest.approx(0.35355339)
    page = tracked("best", experiment, "--metric", "val_loss", "--max")
    assert page.out.startswith("greatest val_loss (as asked)")

    assert tracked("best", experiment, "--metric", "none").code == 4
    assert tracked("best", experiment).code == 2, "there is no headline"


def test_the_headline_of_an_experiment(
    tracked: Foundry, mlflow_server: MlflowLab, experiment: str
) -> None:
    known = mlflow_server.call("experiments/create", {"name": f"{experiment} too"})
    tag = {"key": "foundry.headline", "value": "val_loss:max"}
    mlflow_server.call("experiments/set-experiment-tag", {**known, **tag})
    made = [
        logged(mlflow_server, f"{experiment} too", "a", {}, {"val_loss": [last]})
        for last in (1, 2, "NaN")
    ]
    best = tracked("best", f"{experiment} too")
    assert best.out.startswith("greatest val_loss (the experiment's headline)"), best
    rows = tracked("experiments", "--json").json["experiments"]
    (row,) = [r for r in rows if r["id"] == known["experiment_id"]]
    assert (row["runs"], row["best_run_id"], row["direction"]) == (3, made[1], "max")
    assert experiment in tracked("experiments").out


def test_notes_and_tags_are_seen_by_all(
    tracked: Foundry, mlflow_server: MlflowLab, experiment: str
) -> None:
    run_id = logged(mlflow_server, experiment, "a", {}, {})
    assert "has no note" in tracked("note", run_id).err
    assert tracked("note", run_id, "# first").code == 0
    again = tracked("note", run_id, "-", stdin="better, 漢字\n".encode())
    assert again.code == 0 and "the former text:\n# first\n" in again.err
    assert tags_of(mlflow_server, run_id)["mlflow.note.content"] == "better, 漢字"
    assert tracked("note", run_id).out == "better, 漢字\n"

    assert tracked("tag", run_id, "team=nlp", "empty=").code == 0
    assert {"team": "nlp", "empty": ""}.items() <= tags_of(mlflow_server, run_id).items()
    refused = tracked("tag", run_id, "foundry.reason=fine")
    assert refused.code == 2 and "which programs write" in refused.err
    for command in (("note", run_id, "x"), ("tag", run_id, "team=x")):
        answer = tracked("--read-only", *command)
        assert answer.code == 1 and "read-only" in answer.err
    assert tags_of(mlflow_server, run_id)["team"] == "nlp"
    listed = tracked("tracked", "-e", experiment, "--where", "tag.team=nlp", "--json")
    assert [run["run_id"] for run in listed.json["tracked"]] == [run_id], listed.err


def test_a_report_in_one_file(
    tracked: Foundry, mlflow_server: MlflowLab, experiment: str, tmp_path: Path
) -> None:
    runs = [
        logged(
            mlflow_server,
            experiment,
            name,
            {"lr": lr, "text": "<script>|`x`"},
            {"loss": [3 - n / 20 for n in range(40)]},
            tags={"mlflow.source.git.commit": "c0ffee"},
        )
        for name, lr in (("base", "1"), ("w|de", "2"))
    ]
    target = tmp_path / "report.md"
    answer = tracked("report-run", *runs, "-o", str(target))
    assert answer.code == 0 and answer.out == "", answer
    text = target.read_text("utf-8")
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<script" not in rendered and "w|de" in rendered
    assert ("### loss of base" in text and "⠉" in text) or "⡀" in text
    assert f"foundry reproduce {runs[0]}" in text
    plain = tracked("--ascii", "report-run", runs[0])
    assert plain.code == 0 and "*" in plain.out
    assert tracked("report-run", "f" * 32).code == 4


def test_lists_of_tracked_runs(tracked: Foundry, mlflow_server: MlflowLab, experiment: str) -> None:
    for name, loss in (("a", 3), ("b", 1), ("c", 2)):
        logged(mlflow_server, experiment, name, {"lr": name}, {"loss": [loss]})
    args = ("tracked", "-e", experiment, "--sort", "metric.loss", "--ascending")
    listed = tracked(*args, "--json")
    assert [run["name"] for run in listed.json["tracked"]] == ["b", "c", "a"], listed
    table = tracked(*args, "--columns", "metric.loss,param.lr", "--csv").out.splitlines()
    assert table[0] == (
        "run_id,name,experiment,status,user,started_at,ended_at,metric.loss,param.lr"
    )
    assert [line.rsplit(",", 2)[1:] for line in table[1:]] == [
        ["1.0", "b"],
        ["2.0", "c"],
        ["3.0", "a"],
    ]
    assert tracked("tracked", "-e", experiment, "--where", "metric.loss>9").code == 4
    assert tracked("tracked", "-e", experiment, "--where", "metric.loss>").code == 2


def test_a_server_that_is_gone(tracked: Foundry) -> None:
    tracked.env["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    for command in (("diff", "0" * 32, "1" * 32), ("best", "--metric", "loss"), ("note", "0" * 32)):
        answer = tracked(*command)
        assert answer.code == 3, (command, answer)
