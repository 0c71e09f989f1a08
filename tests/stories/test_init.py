"""From an empty folder to a tracked, finished run; several specs; `--set`, targets, MLproject."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import jsonschema
import pytest
import yaml

from foundry_tui.jobs.starting import TEMPLATES
from tests.lab.daemons import until
from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

DEMO = ("--demo",)
SLURM = ("--source", "sim-slurm", "--unlinked")


def made(foundry: Foundry, text: str, name: str = "job.yaml") -> str:
    path = foundry.home / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def test_three_commands_to_a_tracked_and_finished_run(
    lab: SlurmLab, on_lab: Foundry, mlflow_server: MlflowLab
) -> None:
    on_lab.env["MLFLOW_TRACKING_URI"] = mlflow_server.url
    begun = on_lab("init")
    assert (begun.code, begun.out.split()) == (0, ["foundry.yaml", "train.py"]), begun.err
    assert "foundry submit foundry.yaml   sends it" in begun.err
    sent = on_lab("submit", "foundry.yaml")
    assert sent.code == 0, sent.err
    run_id = sent.out.split()[0]
    lab.wait(run_id.partition("/")[2], "COMPLETED")
    (run,) = on_lab("inspect", run_id, "--json").json["runs"]
    assert (run["name"], run["state"]) == ("first-run", "completed")
    until(lambda: "y = " in on_lab("logs", run_id).out, 20, "the output to be there", 0.5)
    query = f"run_id={run['mlflow_run_id']}&metric_key=loss&max_results=100"
    address = f"{mlflow_server.url}/api/2.0/mlflow/metrics/get-history?{query}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        history = json.load(answer)["metrics"]
    assert [point["step"] for point in history] == list(range(20))


def test_a_pipeline_of_specs_on_a_real_slurm(lab: SlurmLab, on_lab: Foundry) -> None:
    begun = on_lab("init", "--template", "pipeline")
    assert begun.code == 0, begun.err
    specs = sorted(name for name in begun.out.split() if name.endswith(".yaml"))
    # The order in which they are named does not matter.
    sent = on_lab("submit", *reversed(specs), "--unlinked")
    assert sent.code == 0, sent.err
    jobs = [line.split()[0].partition("/")[2] for line in sent.out.splitlines()]
    assert len(jobs) == 4 and jobs == sorted(jobs, key=int)
    lab.wait(jobs[-1], "COMPLETED")
    assert "test loss" in on_lab("logs", jobs[-1]).out
    shown = lab.run(["scontrol", "show", "job", jobs[-1]], check=False).stdout.decode()
    assert "COMPLETED" in shown


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_written_and_can_be_rendered(foundry: Foundry, template: str) -> None:
    begun = foundry(*DEMO, "init", "--template", template, "-o", "new/", "--json")
    assert begun.code == 0, begun.err
    record = begun.json["init"]
    assert all((foundry.home / name).is_file() for name in record["files"])
    for name in record["specs"]:
        shown = foundry("render", name, "--target", "slurm")
        assert (shown.code, shown.out[:2]) == (0, "#!"), shown.err


def test_nothing_is_overwritten_without_force(foundry: Foundry) -> None:
    kept = foundry.home / "train.py"
    kept.write_text("mine")
    refused = foundry(*DEMO, "init")
    assert (refused.code, refused.out) == (1, "")
    assert "nothing was written: train.py: there already" in refused.err
    assert not (foundry.home / "foundry.yaml").exists()
    assert foundry(*DEMO, "init", "--force").code == 0
    assert kept.read_text() != "mine"
    other = foundry(*DEMO, "init", "-o", "there/job.yaml")
    assert other.out.split() == ["there/job.yaml", "there/train.py"]
    (foundry.home / "file").write_text("")
    for words, told in (
        (("-o", "job.json"), "the name of a spec ends in .yaml"),
        (("--template", "pipeline", "-o", "a.yaml"), "name a folder: a.yaml/"),
        (("-o", "file/"), "file"),
    ):
        answer = foundry(*DEMO, "init", *words)
        assert answer.code in (1, 2) and told in answer.err


def test_a_target_is_rendered_without_asking_anyone(foundry: Foundry) -> None:
    path = made(
        foundry,
        "name: a b\ncommand: python train.py --lr ${lr}\nparams: {lr: 0.1}\nimage: python:3.12\n"
        "queue: {slurm: gpu, kai: team, runai: vision}\ngpus: 2\nenvironment: {A: 'x, y'}\n",
    )
    script = foundry("render", path, "--target", "slurm", "--set", "params.lr=1e-4").out
    assert script.startswith("#!/bin/sh\n#SBATCH --job-name='a b'\n#SBATCH --partition=gpu\n")
    assert "\nexport A='x, y'\nexport FOUNDRY_PARAM_LR=1e-4\n" in script
    assert script.endswith("python train.py --lr 1e-4\n")
    body = json.loads(foundry("render", path, "--target", "runai").out)
    assert (body["projectId"], body["name"]) == ("<project id>", "a-b")
    manifest = yaml.safe_load(foundry("render", path, "--target", "kai").out)
    assert manifest["kind"] == "Job"
    answer = foundry("render", path, "--target", "slurm", "--json").json["render"]
    assert answer["target"] == "slurm" and answer["text"].startswith("#!/bin/sh\n#SBATCH")
    both = foundry("render", path, "--target", "slurm", "--source", "x")
    assert (both.code, "exclude each other" in both.err) == (2, True)
    script_path = made(foundry, "#!/bin/sh\ndate\n", "job.sh")
    assert "is a batch script" in foundry("render", script_path, "--target", "slurm").err
    assert foundry("render").code == 2
    shipped = json.loads(foundry("render", "--schema").out)
    jsonschema.Draft202012Validator(shipped).validate(yaml.safe_load(Path(path).read_text()))


def test_the_script_of_a_target_is_one_that_sbatch_takes(lab: SlurmLab, on_lab: Foundry) -> None:
    path = made(
        on_lab,
        "name: a b\ncommand: 'echo \"$A\" in $SLURM_JOB_NAME'\nqueue: cpu\ntime_limit: 5m\n"
        "environment: {A: 'x, \"y\"'}\n"
        f"options: {{slurm: ['--output={on_lab.home}/%j.out']}}\n",
    )
    script = on_lab("render", path, "--target", "slurm")
    assert script.code == 0, script.err
    alone = Path(made(on_lab, script.out, "alone.sh"))
    job = lab.run(["sbatch", "--parsable", str(alone)]).stdout.decode().strip()
    lab.wait(job, "COMPLETED")
    out = on_lab.home / f"{job}.out"
    until(out.exists, 20, "the output to be there", 0.5)
    assert out.read_text() == 'x, "y" in a b\n'


def test_set_is_taken_before_the_spec_and_behind_it(foundry: Foundry) -> None:
    path = made(foundry, "command: date\nqueue: short\ngpus: 1\n")
    for words in (
        ("--set", "gpus=3", path, "--set", "cpus=2"),
        (path, "--set", "gpus=3", "--set=cpus=2"),
    ):
        shown = foundry(*DEMO, "submit", "--dry-run", *SLURM, *words)
        assert shown.code == 0, shown.err
        assert "--gres=gpu:3 --cpus-per-task=2" in shown.out
        assert "it asks for: 3 GPUs, 2 cores" in shown.err
        assert "start: " in shown.err
    wrong = foundry(*DEMO, "submit", path, "--set", "gpus=no")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--set gpus=no: gpus: expected a whole number" in wrong.err
    script = made(foundry, "#!/bin/sh\ndate\n", "job.sh")
    beside = foundry(*DEMO, "submit", "--set", "gpus=1", script)
    assert (beside.code, "--set is for job specs" in beside.err) == (2, True)
    assert "-P is for a folder with an MLproject" in foundry(*DEMO, "render", path, "-P", "a=b").err


def test_specs_that_need_each_other_go_in_their_order(foundry: Foundry) -> None:
    first = made(foundry, "command: date\nname: first\n", "b.yaml")
    second = made(foundry, "command: date\nneeds: [first]\n", "a.yaml")
    shown = foundry(*DEMO, "submit", second, first, *SLURM, "--dry-run")
    assert shown.code == 0, shown.err
    assert shown.out.index("--job-name=first") < shown.out.index("--job-name=a")
    assert "needs: it will wait for first" in shown.err
    sent = foundry(*DEMO, "submit", second, first, *SLURM)
    assert (sent.code, len(sent.out.splitlines())) == (0, 2), sent.err
    alone = foundry(*DEMO, "submit", second, *SLURM)
    assert alone.code == 2 and "no spec of that name is submitted with this one" in alone.err
    elsewhere = foundry(*DEMO, "submit", first, second, "--source", "sim-runai")
    assert elsewhere.code == 2 and "Run:ai starts no run behind another" in elsewhere.err
    circle = made(foundry, "command: date\nname: first\nneeds: [a]\n", "c.yaml")
    assert "in a circle" in foundry(*DEMO, "submit", second, circle, *SLURM).err
    assert "both called 'first'" in foundry(*DEMO, "submit", first, circle, *SLURM).err
    broken = made(foundry, "command: date\ngpus: x\n", "d.yaml")
    before = foundry(*DEMO, "journal", "--json").json["journal"]
    failed = foundry(*DEMO, "submit", first, broken, *SLURM)
    assert failed.code == 2 and "d.yaml: line 2: gpus" in failed.err
    assert foundry(*DEMO, "journal", "--json").json["journal"] == before, "none is sent"


def test_a_folder_with_an_mlproject_is_submitted(foundry: Foundry) -> None:
    made(
        foundry,
        "name: iris\nentry_points:\n  main:\n    parameters: {data: path, lr: {type: float, "
        "default: 0.1}}\n    command: python train.py {data} {lr}\n  test:\n    command: date\n",
        "iris/MLproject",
    )
    made(foundry, "queue: short\ngpus: 1\n", "iris/foundry.yaml")
    missing = foundry(*DEMO, "submit", "iris")
    assert missing.code == 2 and "data has no default: -P data=VALUE" in missing.err
    shown = foundry(*DEMO, "render", "iris", *SLURM, "-P", "data=/a b", "--set", "gpus=2")
    assert shown.code == 0, shown.err
    assert shown.out.endswith("python train.py '/a b' 0.1\n")
    assert "--job-name=iris" in shown.out and "--gres=gpu:2" in shown.out
    entry = foundry(*DEMO, "submit", "iris", "-e", "test", "--dry-run", *SLURM)
    assert entry.code == 0 and "--job-name=iris" in entry.out, entry.err
    sent = foundry(*DEMO, "submit", *SLURM, "-P", "data=/a", "iris")
    assert (sent.code, sent.out.startswith("sim-slurm/")) == (0, True), sent.err
    (foundry.home / "empty").mkdir()
    assert "empty is a directory" in foundry(*DEMO, "submit", "empty").err
