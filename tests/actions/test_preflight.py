"""A preflight as a whole: what it looks at on which scheduler, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from foundry_tui.actions import preflight
from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.preflight import Unfit, require, run
from foundry_tui.actions.site import Options, Site
from foundry_tui.actions.sources import Scheduler
from foundry_tui.config.model import Config
from foundry_tui.estate.snapshot import Snapshot, decode
from foundry_tui.jobs.preflight.verdict import State, Verdict
from foundry_tui.jobs.spec import Checkpoint, Data, JobSpec, Words
from tests.jobs.preflight.registry import DIGEST, Stand, served

ESTATE = Path(__file__).parents[2] / "data" / "estate-12.json"
SPEC = JobSpec(name="x", script="python train.py\n", gpus=1, queue=Words("h100"))


def site(kind: str = "slurm", url: str = "http://mlflow.example:5000") -> Site:
    source = SimpleNamespace(name="sim-slurm", kind=kind)
    return Site(
        options=Options(),
        config=Config(),
        mode="live",
        tell=lambda words: None,
        schedulers={"sim-slurm": cast(Scheduler, source)},
        _tracker=cast(Any, SimpleNamespace(url=url)),
    )


@pytest.fixture(autouse=True)
def in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def looked(spec: JobSpec, here: Site | None = None, **given: Any) -> Verdict:
    whole: dict[str, Any] = {
        "experiment": "mine",
        "snapshot": decode(ESTATE.read_bytes()),
        "commands": False,
        "told": lambda words: None,
    }
    origin = Path.cwd() / "job.yaml"
    return run(here or site(), spec, origin, "sim-slurm", **(whole | given))


def states(verdict: Verdict) -> dict[str, State]:
    return {str(c.name): c.state for c in verdict.checks}


def test_a_spec_that_asks_for_what_there_is_passes(tmp_path: Path) -> None:
    (tmp_path / "c4.csv").write_text("a\n1\n")
    (tmp_path / "s.yaml").write_text("columns: {a: int}")
    spec = replace(
        SPEC,
        data=(Data(name="c4", path="c4.csv", schema="s.yaml"),),
        checkpoint=Checkpoint(path="ckpt"),
        image=f"a.b/c@{DIGEST}",
    )
    verdict = looked(spec)
    assert verdict.failed == ()
    assert verdict.seconds >= 0
    found = states(verdict)
    assert found["data c4"] is found["workdir"] is found["gpus"] is found["nodes"] is State.OK
    assert found["image"] is State.SKIPPED
    require(verdict)


def test_a_container_on_slurm_is_one_where_options_say_so(tmp_path: Path) -> None:
    options = (("slurm", ("--container-image=a.b/c",)),)
    spec = replace(
        SPEC, image=f"a.b/c@{DIGEST}", options=options, data=(Data(name="c4", path="/x"),)
    )
    found = states(looked(spec))
    assert found["image"] is State.OK
    assert found["data c4"] is State.SKIPPED
    assert states(looked(replace(spec, options=())))["data c4"] is State.FAIL


def test_what_fails_stops_the_submit_and_is_named(tmp_path: Path) -> None:
    spec = replace(SPEC, data=(Data(name="c4", path="none"),), gpus=64)
    verdict = looked(spec)
    assert {str(c.name) for c in verdict.failed} == {"gpus", "data c4"}
    with pytest.raises(Unfit) as caught:
        require(verdict)
    assert str(caught.value).startswith("nothing was sent: gpus: asks for 64 GPUs")
    assert str(caught.value).endswith("(and 2 more)")
    assert caught.value.code == 1


def test_paths_in_containers_of_kubernetes_are_skipped(tmp_path: Path) -> None:
    spec = replace(
        SPEC,
        image="a.b/c:1",
        data=(Data(name="c4", path="/data/c4"),),
        checkpoint=Checkpoint(path="/data/ckpt"),
        workdir="/work",
    )
    found = states(looked(spec, site("kai")))
    assert found["data c4"] is found["checkpoint"] is found["workdir"] is State.SKIPPED


def test_commands_run_only_when_they_are_to_run(tmp_path: Path) -> None:
    spec = replace(SPEC, preflight=(("touch", "made"),))
    verdict = looked(spec)
    assert verdict.checks[-1].words == "would run: touch made"
    assert not (tmp_path / "made").exists()
    told: list[str] = []
    assert looked(spec, commands=True, told=told.append).checks[-1].state is State.OK
    assert (tmp_path / "made").exists()
    assert told == ["preflight: touch made"]


def test_commands_do_not_run_when_something_has_failed_before(tmp_path: Path) -> None:
    spec = replace(SPEC, preflight=(("touch", "made"),), data=(Data(name="c4", path="none"),))
    verdict = looked(spec, commands=True)
    assert verdict.checks[-1].state is State.SKIPPED
    assert not (tmp_path / "made").exists()


def test_a_command_runs_in_the_workdir_and_its_exit_code_fails(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    spec = replace(SPEC, preflight=(("touch", "made"), ("false",)), workdir="p")
    verdict = looked(spec, commands=True)
    assert (tmp_path / "p" / "made").exists()
    assert [c.words for c in verdict.failed] == ["false: exit code 1; it printed nothing"]


def test_the_registry_is_asked_only_when_it_is_to_be_asked() -> None:
    with served(Stand()) as stand:
        spec, here = replace(SPEC, image=f"{stand.host}/team/img:1.0"), site("kai")
        assert [c.state for c in looked(spec, here).checks if c.name == "image"] == [State.WARN]
        assert stand.seen == []
        verdict = looked(spec, here, registry=True)
        told = [str(c.words) for c in verdict.checks if c.name == "image"]
    assert told[1] == f"today {DIGEST}"


def test_the_record_and_its_server_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text('mlflow.set_experiment("theirs")\n')
    found = states(looked(SPEC, site(url="http://127.0.0.1:5000")))
    assert found["mlflow experiment"] is found["mlflow server"] is State.WARN
    spec = replace(SPEC, experiment="theirs")
    assert "mlflow experiment" not in states(looked(spec, experiment=None))


def test_the_variable_for_system_metrics_is_handed_on_by_slurm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    spec = replace(SPEC, modules=("python/3.12",))
    assert states(looked(spec))["mlflow system metrics"] is State.WARN


def test_without_an_estate_the_rest_is_looked_at() -> None:
    found = states(looked(SPEC, snapshot=None))
    assert found["queue"] is State.SKIPPED
    assert found["workdir"] is State.OK


def test_a_batch_script_has_no_preflight(tmp_path: Path) -> None:
    from foundry_tui.actions.opening import open_site

    (tmp_path / "x.sh").write_text("#!/bin/sh\ntrue\n")
    demo = open_site(Options(demo=True), lambda words: None)
    with pytest.raises(WrongUse, match=r"x\.sh is a batch script"):
        preflight.look(
            demo, "x.sh", "sim-slurm", commands=False, registry=False, told=lambda words: None
        )


def test_an_estate_that_is_simulated_has_no_folders_here(tmp_path: Path) -> None:
    demo = site()
    demo.mode = "demo"
    spec = replace(SPEC, data=(Data(name="c4", path="/no/such/c4"),), workdir="/no/such")
    found = states(looked(spec, demo))
    assert found["data c4"] is found["workdir"] is State.SKIPPED


def test_an_empty_snapshot_speaks_against_nothing() -> None:
    now = decode(ESTATE.read_bytes()).generated_at
    assert looked(SPEC, snapshot=Snapshot(generated_at=now)).failed == ()
