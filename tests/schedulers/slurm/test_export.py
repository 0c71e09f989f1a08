"""Variables of ours before `sbatch`, and the option that lets them through to the job."""

from __future__ import annotations

import pytest

from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.slurm.submit import submit_item

OURS = (("MLFLOW_RUN_ID", "r1"), ("MLFLOW_EXPERIMENT_NAME", "a, b"))
NAMES = "MLFLOW_RUN_ID,MLFLOW_EXPERIMENT_NAME"


def command(
    directive: str = "", *options: str, environment: tuple[tuple[str, str], ...] = OURS
) -> tuple[str, ...]:
    act = Submit(
        source="lab",
        script=f"#!/bin/sh\n{directive}\nsleep 1\n".encode(),
        script_name="/tmp/a.sh",
        options=options,
        environment=environment,
    )
    return submit_item(act, "t0ken1").command


def test_without_variables_of_ours_nothing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    words = command("#SBATCH --export=NONE", "-p", "cpu", environment=())
    assert words == ("sbatch", "--parsable", "-p", "cpu", "--comment=foundry:t0ken1", "/tmp/a.sh")


def test_the_variables_stand_before_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SBATCH_EXPORT", raising=False)
    words = command("", "-p", "cpu")
    assert words[:4] == ("env", "MLFLOW_RUN_ID=r1", "MLFLOW_EXPERIMENT_NAME=a, b", "sbatch")
    assert not [w for w in words if w.startswith("--export")]


@pytest.mark.parametrize(
    ("directive", "options", "env", "export"),
    [
        ("#SBATCH --export=ALL", (), None, None),
        ("#SBATCH --export=all,A=b", (), None, None),
        ("#SBATCH --export=NONE", (), None, NAMES),
        ("#SBATCH --export=nil", (), None, NAMES),
        ("#SBATCH --export=A,B=c", (), None, f"A,B=c,{NAMES}"),
        ("#SBATCH --export=NONE", ("--export", "A"), None, f"A,{NAMES}"),
        ("#SBATCH --export=NONE", ("--export=ALL",), None, None),
        ("#SBATCH --export=ALL", (), "NONE", NAMES),
        ("#SBATCH --export=NONE", (), "ALL", None),
        ("", ("--export=A",), "NONE", f"A,{NAMES}"),
        ("#SBATCH --export-file=f", (), None, "MLFLOW_RUN_ID=r1"),
        ("#SBATCH --export=A", ("--export-file=f",), None, "A,MLFLOW_RUN_ID=r1"),
    ],
)
def test_the_option_that_lets_them_through(
    monkeypatch: pytest.MonkeyPatch,
    directive: str,
    options: tuple[str, ...],
    env: str | None,
    export: str | None,
) -> None:
    monkeypatch.delenv("SBATCH_EXPORT", raising=False)
    if env is not None:
        monkeypatch.setenv("SBATCH_EXPORT", env)
    words = command(directive, *options)
    behind = words[words.index("sbatch") + 2 + len(options) :]
    added = [w.removeprefix("--export=") for w in behind if w.startswith("--export=")]
    assert added == ([] if export is None else [export]), "behind the user's own, so it holds"
