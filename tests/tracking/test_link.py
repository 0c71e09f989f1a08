"""Variables and tags of a link, and the static look for the experiment that a program sets."""

from __future__ import annotations

import pytest

from foundry_tui.tracking.link import (
    Commit,
    environment,
    job_tag,
    named_experiments,
    python_files,
    tags,
    without_password,
)


def test_the_variables() -> None:
    assert environment("http://h:5000", "r1", "a b") == (
        ("MLFLOW_TRACKING_URI", "http://h:5000"),
        ("MLFLOW_RUN_ID", "r1"),
        ("MLFLOW_EXPERIMENT_NAME", "a b"),
    )
    with_id = environment("http://h:5000", "r1", "a", experiment_id="7")
    assert with_id[-1] == ("MLFLOW_EXPERIMENT_ID", "7")


def test_the_tags() -> None:
    known = tags(
        user="ada",
        backend="slurm",
        cluster="lab",
        token="t0ken1",
        script="/home/ada/\udcfftrain.sh",
        commit=Commit(commit="c0ffee", branch="main", remote="https://git.example.org/a.git"),
    )
    assert known == {
        "mlflow.user": "ada",
        "mlflow.source.type": "JOB",
        "mlflow.source.name": "/home/ada/\ufffdtrain.sh",
        "mlflow.source.git.commit": "c0ffee",
        "mlflow.source.git.branch": "main",
        "mlflow.source.git.repoURL": "https://git.example.org/a.git",
        "foundry.backend": "slurm",
        "foundry.cluster": "lab",
        "foundry.submit_id": "t0ken1",
    }
    bare = tags(user="ada", backend="slurm", cluster="lab", token="t", script="s", commit=None)
    assert not [key for key in bare if "git" in key]
    assert job_tag("slurm", "17") == {"foundry.slurm.job_id": "17"}
    assert job_tag("runai", "u-u") == {"foundry.runai.workload_id": "u-u"}


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://ada:s3cret@git.example.org/a.git", "https://git.example.org/a.git"),
        ("https://t0ken@git.example.org/a.git", "https://git.example.org/a.git"),
        ("git@git.example.org:ada/a.git", "git@git.example.org:ada/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
    ],
)
def test_no_password_of_a_remote_gets_into_a_tag(remote: str, shown: str) -> None:
    assert without_password(remote) == shown


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('mlflow.set_experiment("llama")', ("llama",)),
        ("set_experiment('a b', 3)", ("a b",)),
        ('mlflow.set_experiment( experiment_name = "x" )', ("x",)),
        ('mlflow.set_experiment(\n    "x",\n)', ("x",)),
        ('set_experiment("a")\nset_experiment("b")\nset_experiment("a")', ("a", "b")),
        ('# mlflow.set_experiment("x")', ()),
        ('mlflow.set_experiment(f"x-{day}")', ()),
        ("mlflow.set_experiment(name)", ()),
        ('mlflow.set_experiment("x" + day)', ()),
        ('unset_experiment("x")', ()),
        ("", ()),
    ],
)
def test_the_experiment_that_a_program_sets(text: str, named: tuple[str, ...]) -> None:
    assert named_experiments(text) == named


@pytest.mark.parametrize(
    ("script", "files"),
    [
        ("python train.py --lr 1", ("train.py",)),
        ("srun python3 -u ./src/a.py; python b.py", ("./src/a.py", "b.py")),
        ('python "/x/y.py"', ("/x/y.py",)),
        ("# python no.py\npython $HOME/a.py", ()),
        ("cp *.py /tmp; ls a.pyc", ()),
        ("torchrun --nproc=8 t.py\ntorchrun t.py", ("t.py",)),
    ],
)
def test_the_programs_that_a_script_names(script: str, files: tuple[str, ...]) -> None:
    assert python_files(script) == files
