"""One spec file, two schedulers: rendered, submitted, listed with the same fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

SAMPLE = Path("data/specs/train.yaml")


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """The sample, in the folder of the user."""
    path = tmp_path / "train.yaml"
    path.write_bytes(SAMPLE.read_bytes())
    return str(path)


def made(foundry: Foundry, text: str, name: str = "job.yaml") -> str:
    path = foundry.home / name
    path.write_text(text)
    return str(path)


def test_the_same_file_goes_to_both_and_both_are_listed_alike(foundry: Foundry, spec: str) -> None:
    ids = []
    for source in ("sim-slurm", "sim-runai"):
        sent = foundry("--demo", "submit", spec, "--source", source)
        assert sent.code == 0, sent.err
        ids.append(sent.out.split()[0])
    assert [i.partition("/")[0] for i in ids] == ["sim-slurm", "sim-runai"]

    def listed() -> list[dict[str, object]]:
        rows = foundry("--demo", "runs", "--json", "--where", "user=me").json["runs"]
        return sorted((r for r in rows if r["id"] in ids), key=lambda r: ids.index(r["id"]))

    until(lambda: len(listed()) == 2, 30, "both runs to be listed", 0.5)
    on_slurm, on_runai = listed()
    assert on_slurm.keys() == on_runai.keys()
    assert (on_slurm["name"], on_runai["name"]) == ("train", "train")
    assert (on_slurm["queue"], on_runai["queue"]) == ("short", "vision")
    assert (on_slurm["scheduler"], on_runai["scheduler"]) == ("slurm", "runai")
    for run, limit_s in ((on_slurm, 7200), (on_runai, None)):
        request = run["request"]
        assert isinstance(request, dict)
        assert (request["gpu_count"], request["gpu_milli"], request["nodes"]) == (1, 1000, 1)
        assert (request["cpu_milli"], request["memory_bytes"]) == (4000, 16 << 30)
        assert request["time_limit_s"] == limit_s
        assert run["mlflow_run_id"] or run["submit_token"]


def test_what_would_be_sent_is_printed_and_nothing_is_sent(foundry: Foundry, spec: str) -> None:
    shown = foundry("--demo", "render", spec, "--source", "sim-slurm", "--unlinked")
    assert shown.code == 0, shown.err
    command, _, script = shown.out.partition("\n\n")
    assert command.startswith("env OMP_NUM_THREADS=4 sbatch --parsable --job-name=train ")
    assert {"--partition=short", "--gres=gpu:1", "--mem=16384M", "--time=2:00:00"} <= set(
        command.split()
    )
    assert script == '#!/bin/sh\necho "training on $(hostname)"\nsleep 600\n'
    assert "image: Slurm starts the program on the node itself" in shown.err
    request = foundry("--demo", "render", spec, "--source", "sim-runai", "--unlinked")
    method, _, body = request.out.partition("\n")
    assert method == "POST /api/v1/workloads/trainings"
    posted = json.loads(body)
    assert posted["projectId"] == "vision"
    assert posted["spec"]["command"] == "/bin/sh"
    assert "training on $(hostname)" in posted["spec"]["args"]
    assert posted["spec"]["environmentVariables"][0] == {"name": "OMP_NUM_THREADS", "value": "4"}
    assert foundry("--demo", "journal", "--json").json["journal"] == []
    words = ("render", spec, "--source", "sim-slurm", "--unlinked", "--json")
    answer = foundry("--demo", "--read-only", *words)
    record = answer.json["render"]
    assert record["script"] == script
    assert record["items"][0]["command"][:1] == ["env"]
    assert any("preemptible" in note for note in record["notes"])


def test_a_script_is_rendered_too_and_stays_a_script(foundry: Foundry) -> None:
    path = made(foundry, "#!/bin/sh\n#SBATCH --partition=short\nsleep 9\n", "job.sh")
    shown = foundry("--demo", "render", path, "--source", "sim-slurm", "--unlinked")
    assert (shown.code, shown.out.endswith("#SBATCH --partition=short\nsleep 9\n")) == (0, True)
    odd = made(foundry, "#!/bin/sh\nsleep 9\n", "odd.yaml")
    dry = foundry("--demo", "submit", "--dry-run", "--unlinked", "-p", "short", odd)
    assert (dry.code, "-p short" in dry.out and dry.out.count(odd) == 2) == (0, True), dry


@pytest.mark.parametrize(
    ("queue", "source"),
    [("short", "sim-slurm"), ("vision", "sim-runai"), ("{sim-runai: vision}", "sim-runai")],
)
def test_a_queue_that_only_one_source_has_names_the_source(
    foundry: Foundry, queue: str, source: str
) -> None:
    path = made(foundry, f"command: date\nqueue: {queue}\n")
    answer = foundry("--demo", "render", path, "--json")
    assert (answer.code, answer.json["render"]["source"]) == (0, source), answer.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("command: date\n", "several sources here: name one with --source: sim-slurm, sim-runai"),
        ("command: date\nqueue: nowhere\n", "no source has the queue nowhere"),
        ("command: date\nqueue: {other: a}\n", "no queue is for a source"),
        ("command: date\nqueue: {slurm: a, runai: b}\n", "queues of several sources"),
        ("command: date\ngpuss: 1\n", "line 2: gpuss: unknown; did you mean `gpus`?"),
        ("file: gone.sh\nqueue: short\n", "file:"),
    ],
)
def test_what_is_not_clear_is_asked_for(foundry: Foundry, text: str, words: str) -> None:
    answer = foundry("--demo", "submit", made(foundry, text))
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err


def test_what_cannot_stand_beside_a_spec_is_refused(foundry: Foundry, spec: str) -> None:
    before = foundry("--demo", "submit", "--gres=gpu:1", spec)
    assert before.code == 2
    assert "'--gres=gpu:1' beside a job spec" in before.err and "`options`" in before.err
    for words in (("arg",), ("--gres=gpu:1",)):
        after = foundry("--demo", "submit", spec, *words)
        assert (after.code, f"{words[0]!r} beside a job spec" in after.err) == (2, True), after
    lacking = foundry("--demo", "submit", spec, "--source")
    assert (lacking.code, "--source lacks its value" in lacking.err) == (2, True)
    for path in (str(foundry.home), str(foundry.home / "none.yaml")):
        assert foundry("--demo", "submit", path).code == 2
    (foundry.home / "folder.yaml").mkdir()
    assert "is a directory" in foundry("--demo", "submit", "folder.yaml").err
    wrong = foundry("--demo", "submit", spec, "--source", "nowhere")
    assert (wrong.code, "no source 'nowhere'" in wrong.err) == (2, True)
    saved = foundry("--estate", str(Path("data/estate-12.json").absolute()), "submit", spec)
    assert (saved.code, "takes no submits" in saved.err) == (2, True)
    assert foundry("--demo", "--read-only", "submit", spec, "--source", "sim-slurm").code == 1


def test_a_spec_runs_on_a_real_slurm(lab: SlurmLab, on_lab: Foundry) -> None:
    path = made(
        on_lab,
        "name: hello\n"
        "script: |\n"
        "  #!/bin/bash\n"
        '  [[ -n $WHO ]] && echo "hello $WHO in $SLURM_JOB_PARTITION with $SLURM_CPUS_PER_TASK"\n'
        "queue: {slurm: h100}\n"
        "gpus: 1\ngpu_model: h100\ncpus: 2\nmemory: 100Mi\ntime_limit: 5m\n"
        "environment: {WHO: a, b}\n".replace("{WHO: a, b}", '{WHO: "a, b"}')
        + f"options:\n  slurm: ['--output={on_lab.home}/%j.out']\n",
    )
    sent = on_lab("submit", path, "--json")
    assert sent.code == 0, sent.err
    job = sent.json["run"]["native_id"]
    lab.wait(job, "COMPLETED")
    until(lambda: "hello" in on_lab("logs", job).out, 20, "the output to be there", 0.5)
    assert on_lab("logs", job).out == "hello a, b in h100 with 2\n"
    (run,) = on_lab("inspect", job, "--json").json["runs"]
    assert (run["name"], run["request"]["gpu_count"]) == ("hello", 1)
    assert run["request"]["time_limit_s"] == 300


def test_a_share_of_a_gpu_is_shards_on_a_real_slurm(lab: SlurmLab, on_lab: Foundry) -> None:
    path = made(on_lab, "command: sleep 300\nqueue: h100\ngpu_share: 0.4\ntime_limit: 5m\n")
    sent = on_lab("submit", path, "--json")
    assert sent.code == 0, sent.err
    assert "gpu_share: 2 of the 4 shards of a GPU" in sent.err
    lab.wait(sent.json["run"]["native_id"], "RUNNING")
    (run,) = on_lab("runs", "--json", "--where", "user=me state=running").json["runs"]
    assert (run["request"]["gpu_count"], run["request"]["gpu_milli"]) == (1, 500)


def test_on_two_nodes_of_a_real_slurm_it_runs_on_each(lab: SlurmLab, on_lab: Foundry) -> None:
    path = made(
        on_lab,
        "command: echo node $SLURM_NODEID\nqueue: h100\nnodes: 2\ntime_limit: 5m\n"
        f"options:\n  slurm: ['--output={on_lab.home}/%j.out']\n",
    )
    sent = on_lab("submit", path)
    assert sent.code == 0, sent.err
    job = sent.out.split()[0].partition("/")[2]
    lab.wait(job, "COMPLETED")
    until(lambda: on_lab("logs", job).out.count("node") == 2, 20, "both outputs", 0.5)
    assert sorted(on_lab("logs", job).out.splitlines()) == ["node 0", "node 1"]
