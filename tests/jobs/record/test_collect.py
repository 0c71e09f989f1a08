"""What a record gets before its run is sent: pure parts, and a real repository."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.acts import Submit
from foundry_tui.jobs.reading import load
from foundry_tui.jobs.record.collect import SECRET, Collected, collect, submitted
from foundry_tui.jobs.record.prologue import lines
from foundry_tui.jobs.spec import Checkpoint, Data, JobSpec, Mount
from tests.jobs.record.test_git import call, made

SPEC = JobSpec(
    name="a",
    script="echo\n",
    params=(("lr", "3e-4"),),
    seed=7,
    image=f"r.example.org/x:1@sha256:{'a' * 64}",
    modules=("cuda/12.4", "gcc"),
    tags=(("team", "nlp"), ("foundry.submit_id", "forged"), ("foundry.reproduces", "abc")),
    environment=(("HF_TOKEN", "hf_verysecret"), ("A", "b")),
)


def submit(folder: Path, **more: object) -> Submit:
    made = Submit(source="lab", script=b"#!/bin/sh\n\xff\n", script_name=str(folder / "job.sh"))
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_plain_script_has_its_code_alone(tmp_path: Path) -> None:
    tree = made(tmp_path / "tree")
    (tree / "train.py").write_text("lr = 2\n")
    found = collect(None, None, submit(tree))
    patch = found.artifacts["foundry/patch.diff"]
    assert list(found.artifacts) == ["foundry/patch.diff"]
    assert found.tags == {
        "foundry.git.dirty": "true",
        "foundry.git.patch_sha256": hashlib.sha256(patch).hexdigest(),
    }
    assert found.code.commit is not None
    assert found.code.commit.commit == call(tree, "rev-parse", "HEAD")


def test_the_folder_in_which_it_starts_counts_where_the_script_is_in_no_repository(
    tmp_path: Path,
) -> None:
    tree = made(tmp_path / "tree")
    found = collect(None, None, submit(tmp_path, work_dir=str(tree)))
    assert found.code.commit is not None and found.tags == {"foundry.git.dirty": "false"}
    assert collect(None, None, submit(tmp_path)) == Collected()


def test_a_spec_has_params_software_and_the_users_labels(tmp_path: Path) -> None:
    found = collect(SPEC, str(tmp_path / "a.yaml"), submit(tmp_path))
    assert found.params == {"seed": "7", "lr": "3e-4"}
    assert found.tags["foundry.image_digest"] == f"sha256:{'a' * 64}"
    assert found.tags["foundry.image"] == SPEC.image
    assert found.tags["foundry.modules"] == "cuda/12.4 gcc"
    assert (found.tags["team"], found.tags["foundry.reproduces"]) == ("nlp", "abc")
    assert len(found.tags["foundry.spec_id"]) == 64
    assert "foundry.submit_id" not in found.tags
    assert found.notes == ("tags.foundry.submit_id: the name is taken; left out",)


def test_the_spec_can_be_read_again_and_holds_no_secret(tmp_path: Path) -> None:
    spec = replace(SPEC, tags=(("team", "nlp"),))
    data = collect(spec, str(tmp_path / "a.yaml"), submit(tmp_path)).artifacts
    text = data["foundry/spec.resolved.yaml"]
    assert b"hf_verysecret" not in text
    again = load("a.yaml", text)
    assert again.params == spec.params
    assert again.environment == (("HF_TOKEN", "***"), ("A", "b"))


def test_the_id_of_a_spec_is_that_of_what_it_says(tmp_path: Path) -> None:
    ids = {
        collect(spec, str(tmp_path / "a.yaml"), submit(tmp_path)).tags["foundry.spec_id"]
        for spec in (SPEC, replace(SPEC), replace(SPEC, seed=8))
    }
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("path", "workdir", "work_dir", "place"),
    [
        ("ckpt", None, "/home/ann", "/home/ann/ckpt"),
        ("ckpt", "/shared/p", "/home/ann", "/shared/p/ckpt"),
        ("/shared/ckpt", None, "/home/ann", "/shared/ckpt"),
        ("/data/ckpt", None, None, "/nfs/team/ckpt"),
        ("ckpt", "/data", None, "/nfs/team/ckpt"),
        ("/claimed/ckpt", None, None, None),
        (None, None, "/home/ann", None),
    ],
)
def test_where_the_checkpoints_lie_on_this_host(
    tmp_path: Path, path: str | None, workdir: str | None, work_dir: str | None, place: str | None
) -> None:
    mounts = (
        Mount(target="/claimed", claim="pvc"),
        Mount(target="/data", source="/nfs/team"),
    )
    spec = replace(SPEC, checkpoint=Checkpoint(path=path), workdir=workdir, mounts=mounts)
    found = collect(spec, str(tmp_path / "a.yaml"), submit(tmp_path, work_dir=work_dir))
    assert found.tags.get("foundry.checkpoint") == place


def test_data_is_listed_with_what_was_not_found(tmp_path: Path) -> None:
    (tmp_path / "c4").write_text("x")
    spec = replace(SPEC, data=(Data(name="c4", path="c4"), Data(name="far", path="s3://b/x")))
    found = collect(spec, str(tmp_path / "a.yaml"), submit(tmp_path))
    assert [one.name for one in found.inputs] == ["c4"]
    told = json.loads(found.artifacts["foundry/data.json"])
    assert [one["digest"] for one in told["data"]] == [found.inputs[0].digest]
    assert "far" in told["not_found"][0]
    assert any("far" in note for note in found.notes)


def test_what_was_sent_is_told_byte_for_byte(tmp_path: Path) -> None:
    act = submit(tmp_path)
    told = submitted(act, ("env", "MLFLOW_RUN_ID=r", "sbatch", "--job-name=a b", "job.sh"))
    head, _, script = told.partition(b"\n---")
    assert head == b"env MLFLOW_RUN_ID=r sbatch '--job-name=a b' job.sh\n"
    assert script.endswith(b"job.sh\n" + act.script)


def test_a_secret_is_hidden_in_a_command_and_in_a_request(tmp_path: Path) -> None:
    secret = 'a "quoted" secret'
    act = submit(tmp_path, environment=(("MY_TOKEN", secret), ("B_SECRET", "1"), ("N", "1")))
    words = ("env", f"MY_TOKEN={secret}", "B_SECRET=1", "N=1", "sbatch", "--nodes=1")
    command = submitted(act, words).decode("utf-8", "replace")
    assert command.startswith("env 'MY_TOKEN=***' 'B_SECRET=***' N=1 sbatch --nodes=1\n")
    body = json.dumps({"env": [{"name": "MY_TOKEN", "value": secret}]})
    request = submitted(act, ("POST", "/api/v1/x", body)).decode("utf-8", "replace")
    assert "quoted" not in request
    assert request.startswith('POST\n/api/v1/x\n{"env": [{"name": "MY_TOKEN", "value": "***"}]}\n')


def test_passwords_in_addresses_and_options_are_hidden(tmp_path: Path) -> None:
    address = "postgres://ann:verysecret@db.example.org/x"
    option = "--export=ALL,HF_TOKEN=verysecret,A=b"
    spec = replace(
        SPEC, environment=(("DB", address), ("A", "b")), options=(("slurm", (option, "--x=1")),)
    )
    act = submit(tmp_path, environment=(("DB", address), ("A", "b")))
    text = collect(spec, str(tmp_path / "a.yaml"), act).artifacts["foundry/spec.resolved.yaml"]
    assert b"verysecret" not in text
    again = load("a.yaml", text)
    assert again.environment == (("DB", "***"), ("A", "b"))
    assert again.options == (("slurm", ("--export=ALL,HF_TOKEN=***,A=b", "--x=1")),)
    told = submitted(act, ("env", f"DB={address}", "sbatch", option, "a.sh")).decode(
        "utf-8", "replace"
    )
    assert "verysecret" not in told
    assert "A=b" in told


def test_data_and_spec_are_no_changes_of_the_code(tmp_path: Path) -> None:
    make = ("git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(tmp_path))
    (tmp_path / "train.py").write_text("1\n")
    for words in (("init", "-q"), ("add", "train.py"), ("commit", "-qm", "first")):
        subprocess.run([*make, *words], check=True)
    jobs = tmp_path / "jobs"
    (jobs / "data").mkdir(parents=True)
    spec, data = jobs / "a.yaml", jobs / "data" / "a.csv"
    spec.write_text("x")
    data.write_text("a\n")
    (jobs / "linked").symlink_to(tmp_path)
    paths = ("data", "linked", "~nobody-here/x")
    named = tuple(Data(name=path, path=path) for path in paths)
    act = submit(tmp_path, work_dir=str(jobs))
    found = collect(replace(SPEC, data=named), str(spec), act)
    assert (found.code.dirty, found.code.patch) == (False, None)
    assert (found.tags["foundry.git.folder"], found.tags["foundry.git.start"]) == ("jobs", "jobs")
    # Data that is the folder of the spec itself holds the code, too.
    (jobs / "new.py").write_text("1\n")
    found = collect(replace(SPEC, data=(Data(name="all", path="."),)), str(spec), act)
    assert b"new.py" in (found.code.patch or b"")
    elsewhere = collect(SPEC, str(spec), submit(tmp_path, work_dir="/"))
    assert elsewhere.tags["foundry.git.start"] == "/"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("HF_TOKEN", True),
        ("WANDB_API_KEY", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("PGPASSWORD", True),
        ("DB_PASSWORD", True),
        ("TOKENIZERS_PARALLELISM", False),
        ("MAX_TOKENS", False),
        ("KEY", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    """A word that is hidden cannot be sent again: what only sounds like a secret stays."""
    assert bool(SECRET.search(name)) is secret


@given(st.lists(st.text(max_size=30), max_size=6), st.binary(max_size=100))
def test_any_command_and_script_can_be_told(words: list[str], script: bytes) -> None:
    act = Submit(source="lab", script=script, script_name="s")
    assert submitted(act, words).endswith(script)


def test_the_lines_of_a_job_are_plain_text() -> None:
    assert all("\n" not in line and line.isascii() for line in lines())
