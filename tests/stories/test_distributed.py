"""Distributed runs on a real Slurm: the processes meet, checkpoint, come back, keep secrets."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemons import until
from tests.lab.mlflow import MlflowLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

HERE = Path(__file__).parent


@pytest.fixture
def cluster(lab: SlurmLab, on_lab: Foundry) -> Foundry:
    """`foundry` on the lab, whose nodes have the training and a torchrun on their PATH."""
    folder = on_lab.home / "bin"
    folder.mkdir()
    for name in ("torchrun", "training"):
        path = folder / name
        shutil.copyfile(HERE / f"{name}.py", path)
        path.chmod(0o755)
    on_lab.env["PATH"] = f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"
    return on_lab


def made(foundry: Foundry, text: str) -> str:
    path = foundry.home / "job.yaml"
    output = f"options:\n  slurm: ['--output={foundry.home}/out-%j']\n"
    path.write_text(
        f"name: train\nqueue: h100\ntime_limit: 5m\ncpus: 2\nmemory: 1Gi\n{text}{output}"
    )
    return str(path)


def submitted(foundry: Foundry, text: str, *args: str) -> dict[str, Any]:
    """The run that was submitted."""
    answer = foundry("submit", *args, "--json", made(foundry, text))
    assert answer.code == 0, answer.err
    run: dict[str, Any] = answer.json["run"]
    return run


def output(foundry: Foundry) -> str:
    return "\n".join(path.read_text() for path in foundry.home.glob("out-*"))


def ended(lab: SlurmLab, foundry: Foundry, job: str) -> None:
    """Wait for a job to end well; what it printed says why it did not."""
    ends = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"}
    until(lambda: bool(lab.states(job) & ends), 60, f"{job} to end", 0.2)
    assert lab.states(job) == {"COMPLETED"}, output(foundry)


def ranks(foundry: Foundry) -> list[dict[str, Any]]:
    """What each rank saw."""
    seen = [json.loads(path.read_text()) for path in foundry.home.glob("rank-*.json")]
    return sorted(seen, key=lambda rank: rank["rank"])


def test_two_nodes_of_torchrun_meet_and_the_first_rank_has_the_record(
    lab: SlurmLab, cluster: Foundry, mlflow_server: MlflowLab
) -> None:
    cluster.env["MLFLOW_TRACKING_URI"] = mlflow_server.url
    run = submitted(
        cluster,
        f"command: training {cluster.home}\nlauncher: torchrun\nnodes: 2\ngpus: 2\n"
        "parallel: {tp: 2, dp: 2}\nrestarts: 1\nexperiment: distributed\n",
    )
    ended(lab, cluster, run["native_id"])
    seen = ranks(cluster)
    assert [(r["rank"], r["world"], r["sum"]) for r in seen] == [(n, 4, 10) for n in range(4)]
    assert [r["local"] for r in seen] == [0, 1, 0, 1]
    assert len({r["node"] for r in seen}) == 2
    assert len({r["node"] for r in seen[:2]}) == len({r["node"] for r in seen[2:]}) == 1
    assert [r["record"] for r in seen] == [run["mlflow_run_id"], None, None, None]


def test_an_elastic_run_starts_with_the_nodes_that_there_are(
    lab: SlurmLab, cluster: Foundry
) -> None:
    run = submitted(
        cluster,
        f"command: training {cluster.home}\nlauncher: torchrun\nnodes: 2..3\ngpus: 1\n",
    )
    ended(lab, cluster, run["native_id"])
    seen = ranks(cluster)
    count = len({r["node"] for r in seen})
    assert count in (2, 3)
    assert {(r["world"], r["sum"]) for r in seen} == {(count, count * (count + 1) // 2)}


def test_srun_starts_one_task_for_each_gpu(lab: SlurmLab, cluster: Foundry) -> None:
    run = submitted(
        cluster,
        f"command: training {cluster.home}\nlauncher: srun\nnodes: 2\ngpus: 2\n"
        "environment: {MLFLOW_RUN_ID: mine}\n",
        "--unlinked",
    )
    ended(lab, cluster, run["native_id"])
    seen = ranks(cluster)
    assert [(r["rank"], r["world"], r["sum"]) for r in seen] == [(n, 4, 10) for n in range(4)]
    assert [r["local"] for r in seen] == [0, 1, 0, 1]
    assert len({r["node"] for r in seen}) == 2
    assert [r["record"] for r in seen] == ["mine", None, None, None]


@pytest.mark.parametrize("launcher", ["srun", "torchrun"])
def test_every_rank_saves_before_the_limit_and_the_next_attempt_goes_on(
    lab: SlurmLab, cluster: Foundry, launcher: str
) -> None:
    checkpoint = cluster.home / "ckpt"
    text = (
        f"command: training {cluster.home} 3000\nlauncher: {launcher}\nnodes: 2\ngpus: 1\n"
        f"checkpoint: {{path: {checkpoint}, grace: 40s}}\nretry: {{on: [timeout], most: 1}}\n"
    )
    path = Path(made(cluster, text))
    path.write_text(path.read_text().replace("time_limit: 5m", "time_limit: 1m"))
    answer = cluster("submit", "--json", str(path))
    assert answer.code == 0, answer.err
    job = answer.json["run"]["native_id"]
    until(lambda: len(list(checkpoint.glob("up-*"))) == 2, 30, "both ranks to train", 0.1)
    # Slurm looks at time limits every half minute.
    until(lambda: lab.states(job) == {"PENDING"}, 80, "the requeue before the limit", 0.2)
    assert {p.name for p in checkpoint.glob("rank-*")} == {"rank-0", "rank-1"}
    assert "attempt 1 ends before its time limit" in output(cluster)
    # A requeued job waits two minutes. A node refuses to start it, and it fails, only while its
    # credentials are of the second in which the old ones were revoked.
    lab.run(["scontrol", "update", f"JobId={job}", "StartTime=now+5"])
    ended(lab, cluster, job)
    seen = ranks(cluster)
    assert [(r["attempt"], r["world"]) for r in seen] == [("2", 2), ("2", 2)]
    saved = [int((checkpoint / f"rank-{n}").read_text()) for n in range(2)]
    assert [r["began"] for r in seen] == saved
    assert min(saved) > 0


@pytest.mark.parametrize("command", ["submit", "render"])
def test_sizes_that_do_not_fit_are_refused(cluster: Foundry, command: str) -> None:
    path = made(
        cluster,
        "command: training\nlauncher: torchrun\nnodes: 2\ngpus: 2\nparallel: {tp: 2, dp: 4}\n",
    )
    answer = cluster(command, path)
    assert (answer.code, answer.out) == (2, "")
    assert "parallel" in answer.err
    assert "tp 2 * pp 1 * dp 4 = 8" in answer.err
    assert "2 nodes * 2 processes = 4" in answer.err


def test_the_batches_of_deepspeed_are_refused_too(cluster: Foundry) -> None:
    config = cluster.home / "ds.json"
    sizes = {"train_batch_size": 64, "train_micro_batch_size_per_gpu": 4}
    text = "command: training\nlauncher: deepspeed\nnodes: 2\ngpus: 2\ndeepspeed_config: ds.json\n"
    config.write_text(json.dumps({**sizes, "gradient_accumulation_steps": 2}))
    answer = cluster("render", "--unlinked", made(cluster, text))
    assert (answer.code, "deepspeed_config: ds.json" in answer.err) == (2, True), answer
    zero = {"zero_optimization": {"stage": 2}}
    config.write_text(json.dumps({**sizes, "gradient_accumulation_steps": 4, **zero}))
    answer = cluster("render", "--unlinked", made(cluster, text))
    assert (answer.code, "ZeRO stage 2" in answer.err) == (0, True), answer


def test_a_secret_reaches_the_program_and_nobody_else(lab: SlurmLab, cluster: Foundry) -> None:
    value = "s3cret-of-the-story"
    folder = cluster.home / ".config/foundry/secrets"
    folder.mkdir(parents=True)
    (folder / "hf-token").write_text(value + "\n")
    text = (
        f'command: \'[ "$HF_TOKEN" = "$(cat {folder}/hf-token)" ] && touch {cluster.home}/same &&'
        " sleep 60'\nnodes: 2\nsecrets: [HF_TOKEN]\n"
    )
    (folder / "hf-token").chmod(0o644)
    job = submitted(cluster, text)["native_id"]
    until(lambda: "others can read" in output(cluster), 30, "the refusal", 0.2)
    lab.wait(job, "FAILED")
    (folder / "hf-token").chmod(0o600)
    shown = cluster("render", made(cluster, text))
    job = submitted(cluster, text, "--new")["native_id"]
    until((cluster.home / "same").exists, 30, "the program to have it", 0.1)
    told = lab.run(["scontrol", "show", "job", "-dd", job]).stdout.decode()
    script = lab.run(["scontrol", "write", "batch_script", job, "-"]).stdout.decode()
    lines = [line for line in map(command_line, Path("/proc").glob("[0-9]*")) if line]
    assert any("foundry-rank" in line for line in lines), "the program is among them"
    for text in (shown.out, shown.err, told, script, cluster("journal", "--json").out, *lines):
        assert value not in text
    assert "foundry_secret HF_TOKEN hf-token" in script
    assert value not in output(cluster)


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
