"""One collector for everybody on a login node, on a real cluster with users of their own."""

from __future__ import annotations

import json
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.accounts import Account
from tests.lab.agents import NodeAgents
from tests.lab.components import require
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.test_telemetry import USE

SERVICE = "lab_carol"
"""An operator: Slurm itself hides nothing from him."""

SECRET = "zebra-model"


@pytest.fixture
def agents(stub_builds: dict[str, Path], tmp_path: Path) -> Iterator[NodeAgents]:
    """Agents of two nodes; their list may be read by all users."""
    folder = tmp_path / "agents"
    folder.mkdir()
    with NodeAgents(folder, stub_builds["today"], USE) as running:
        yield running


@pytest.fixture
def private(lab: SlurmLab) -> Iterator[Callable[[str], None]]:
    """Sets PrivateData of the lab; it is open again after the test."""
    require("slurm", Account.missing())
    conf = Path(lab.env["SLURM_CONF"])
    before = conf.read_text()

    def hide(words: str) -> None:
        conf.write_text(f"{before}\nPrivateData={words}\n")
        lab.run(["scontrol", "reconfigure"])
        until(lambda: words in _private(lab), 20, "PrivateData to be in force")

    yield hide
    conf.write_text(before)
    lab.run(["scontrol", "reconfigure"])
    until(lambda: "none" in _private(lab), 20, "PrivateData to be lifted")


def _private(lab: SlurmLab) -> str:
    lines = lab.run(["scontrol", "show", "config"], check=False).stdout.decode().splitlines()
    return next((line for line in lines if line.startswith("PrivateData")), "")


@pytest.fixture
def shared(lab: SlurmLab, agents: NodeAgents) -> Iterator[tuple[Account, Account, Path]]:
    """The service's account, a viewer's, and the folder between them, with one configuration."""
    require("slurm", Account.missing())
    group = pwd.getpwnam(SERVICE).pw_gid
    with Account(lab, SERVICE) as service, Account(lab, "lab_alice", (group,)) as viewer:
        folder = service.home / "shared"
        for account in (service, viewer):
            targets = account.home / "targets.json"
            targets.write_bytes(agents.targets.read_bytes())
            targets.chmod(0o644)
            config = account.home / "config" / "foundry"
            config.mkdir()
            (config / "config.toml").write_text(
                f'cache_dir = "{account.home}/cache"\n'
                f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\n'
                f'[telemetry.nodes]\nkind = "agents"\ntargets_file = "{targets}"\n'
                "[intervals]\nrefresh_s = 10\n"
                f'[collector]\nshared = "{folder}"\nservice_user = "{SERVICE}"\n'
            )
            for path in (config, config / "config.toml"):
                path.chmod(0o755)
        yield service, viewer, folder


def test_a_viewer_sees_all_and_asks_nobody(
    lab: SlurmLab, shared: tuple[Account, Account, Path]
) -> None:
    service, viewer, folder = shared
    job = lab.submit("-p", "h100", "-w", "h02", "--gres=gpu:2", "-J", SECRET, user="lab_bob")
    lab.wait(job, "RUNNING")
    collector = service.start("collect", "--service", "--folder", str(folder))
    until(lambda: published(folder, job), 40, f"the run to be published: {service.said(collector)}")
    runs = viewer.start("runs", "--watch", "10")
    gpus = viewer.start("gpus", "--watch", "10")
    until(lambda: SECRET in viewer.said(runs) and "83" in viewer.said(gpus), 40, "all to be shown")
    until(lambda: (folder / "history" / "history.sqlite").exists(), 40, "a history")
    assert [call for call in viewer.calls if call.startswith(("squeue", "scontrol"))] == []
    doctor = viewer.run("doctor")
    assert f"{folder} is {SERVICE}'s" in doctor
    assert f"{folder}/history" in doctor, doctor


@pytest.mark.parametrize("words", ["jobs,usage", "jobs,nodes,usage"])
def test_a_viewer_finds_nothing_of_what_slurm_hides(
    lab: SlurmLab,
    private: Callable[[str], None],
    shared: tuple[Account, Account, Path],
    words: str,
) -> None:
    service, viewer, folder = shared
    others = lab.submit("-p", "h100", "-w", "h02", "--gres=gpu:2", "-J", SECRET, user="lab_bob")
    lab.wait(others, "RUNNING")
    own = lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:1", "-J", "mine", user="lab_alice")
    lab.wait(own, "RUNNING")
    private(words)
    collector = service.start("collect", "--service", "--folder", str(folder))
    until(
        lambda: f"PrivateData hides {', '.join(words.split(','))}" in service.said(collector),
        40,
        "why",
    )
    kept = folder / "private"
    until(
        lambda: any(SECRET in path.read_text() for path in kept.glob("snap*")), 40, "all to be read"
    )
    until(lambda: (folder / "readings.json").exists(), 40, "readings")
    seen = viewer.readable(folder)
    assert {path.name for path in seen} >= {"collector.json", "readings.json"}
    secrets = [SECRET, "lab_bob", f'"{others}"', *(["h02"] if "nodes" in words else [])]
    for path, text in seen.items():
        assert [word for word in secrets if word in text] == [], path
    runs = [run for run in answer(viewer, "runs")["runs"] if run["ended_at"] is None]
    assert [run["native_id"] for run in runs] == [own]
    (where,) = runs[0]["placement"]
    assert where == {"node": "h01", "gpus": [0]}
    if "nodes" not in words:
        (held,) = [g for g in answer(viewer, "gpus")["gpus"] if g["runs"]]
        assert (held["node"], held["runs"], held["util_pct"]) == ("h01", [f"lab/{own}"], 0)


def answer(account: Account, *words: str) -> Any:
    """The JSON of a command."""
    text = account.run(*words, "--json")
    return json.loads(text[text.index("{") :])


def published(folder: Path, job: str) -> bool:
    """Whether the estate of the service has this run and a measured GPU."""
    try:
        text = (folder / "estate.json").read_text()
    except OSError:
        return False
    return f'"lab/{job}"' in text and '"measured_by":"nodes"' in text
