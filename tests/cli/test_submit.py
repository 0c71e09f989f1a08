"""`foundry submit` of job specs on the simulated estate: what is looked at before it is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from foundry_tui.actions import act
from foundry_tui.actions.site import Site
from foundry_tui.cli import main
from foundry_tui.estate.acts import Change

GOOD = """\
name: good
command: python train.py
queue: h100
gpus: 1
preflight: ["touch made"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("CACHE", "STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(GOOD.replace("gpus: 1", "gpus: 9"))
    return tmp_path


def called(*args: str) -> int:
    return main(["submit", "--demo", "--source", "sim-slurm", *args])


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is sent, which goes on to the simulated scheduler."""
    names: list[str] = []
    perform = act.perform

    def noted(site: Site, prepared: act.Prepared) -> Change:
        assert prepared.spec is not None
        names.append(prepared.spec.name)
        return perform(site, prepared)

    monkeypatch.setattr(act, "perform", noted)
    return names


def test_a_good_spec_is_looked_at_and_sent(
    folder: Path, capfd: pytest.CaptureFixture[str], sent: list[str]
) -> None:
    assert called("good.yaml") == 0
    out, err = capfd.readouterr()
    assert out.startswith("sim-slurm/")
    assert "preflight: touch made" in err
    assert " 0 failed" in err
    assert (folder / "made").exists()
    assert sent == ["good"]


def test_a_check_that_fails_stops_it(
    folder: Path, capfd: pytest.CaptureFixture[str], sent: list[str]
) -> None:
    assert called("bad.yaml") == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "FAIL  gpus" in err
    assert "nothing was sent: gpus: asks for 9 GPUs on each node" in err
    assert not (folder / "made").exists(), "a command does not run behind a check that failed"
    assert sent == []


def test_a_command_that_fails_stops_it(
    folder: Path, capfd: pytest.CaptureFixture[str], sent: list[str]
) -> None:
    (folder / "good.yaml").write_text(GOOD.replace("touch made", "sh -c 'echo dirty; exit 3'"))
    assert called("good.yaml") == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "nothing was sent: command: sh -c 'echo dirty; exit 3': exit code 3" in err
    assert sent == []


@pytest.mark.parametrize(("name", "code"), [("good.yaml", 0), ("bad.yaml", 1)])
def test_a_dry_run_says_what_a_submit_would_come_to(
    folder: Path, capfd: pytest.CaptureFixture[str], sent: list[str], name: str, code: int
) -> None:
    assert called(name, "--dry-run") == code
    out, err = capfd.readouterr()
    assert "sbatch --parsable" in out
    assert ("FAIL" in err) is bool(code)
    assert not (folder / "made").exists()
    assert sent == []
    assert called(name, "--dry-run", "--json") == code
    assert json.loads(capfd.readouterr().out)["schema"] == "foundry.preview/1"


def several(folder: Path, **commands: str) -> list[str]:
    """Specs that need each other in the order of their names."""
    names, before = [], ""
    for name, command in commands.items():
        needs = f"needs: [{before}]\n" if before else ""
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\n{needs}command: sleep 1\npreflight: [{json.dumps(command)}]\n"
        )
        names.append(f"{name}.yaml")
        before = name
    return names


def test_of_several_none_is_sent_when_the_last_one_fails(
    folder: Path, capfd: pytest.CaptureFixture[str], sent: list[str]
) -> None:
    assert called(*several(folder, one="touch made", two="false")) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert (folder / "made").exists()
    assert "nothing was sent: command: false: exit code 1" in err
    assert sent == []


def test_several_are_looked_at_once_and_told_as_one_object(
    folder: Path, capfd: pytest.CaptureFixture[str], sent: list[str]
) -> None:
    names = several(folder, one="touch one", two="touch two")
    assert called(*names, "--json") == 0
    out, err = capfd.readouterr()
    whole = json.loads(out)
    assert (whole["schema"], len(whole["runs"])) == ("foundry.runs/1", 2)
    assert err.count("preflight: touch one") == 1
    assert sent == ["one", "two"]
    assert called(*names, "--json", "--dry-run") == 0
    assert len(json.loads(capfd.readouterr().out)["preview"]) == 2


def test_a_spec_that_changes_after_it_was_looked_at_is_not_sent(
    folder: Path, capfd: pytest.CaptureFixture[str], sent: list[str]
) -> None:
    names = several(folder, one="true", two="sh -c 'echo gpus: 1 >>two.yaml'")
    assert called(*names) == 5
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 1
    assert sent == ["one"]
    assert "nothing was sent of two.yaml: it changed after it was looked at" in err
