"""What GPUs really do, on a real cluster: the agents read a driver, Slurm says whose they are."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.agents import NodeAgents
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry
from tests.stories.seated import Seat

WIDE = (200, 50)
USE = {"h01": [0] * 8, "h02": [83, 83, 0, 0, 0, 0, 0, 0]}
MINUTES_S = 180.0
"""Since when a GPU rests is known when its first window of a minute is over and was kept."""


@pytest.fixture
def not_yet(stub_builds: dict[str, Path], tmp_path: Path) -> NodeAgents:
    """Agents on two of the lab's nodes, to be started: two GPUs at work, all others do nothing."""
    folder = tmp_path / "agents"
    folder.mkdir()
    return NodeAgents(folder, stub_builds["today"], USE)


@pytest.fixture
def agents(not_yet: NodeAgents) -> Iterator[NodeAgents]:
    """The same, running."""
    with not_yet as running:
        yield running


def configured(foundry: Foundry, lab: SlurmLab, agents: NodeAgents) -> str:
    """A configuration with the lab's Slurm and the agents."""
    config = foundry.home / "foundry.toml"
    config.write_text(
        f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\n'
        f'[telemetry.nodes]\nkind = "agents"\ntargets_file = "{agents.targets}"\n'
        "[intervals]\nrefresh_s = 10\n[thresholds]\nidle_after_s = 0\n"
        f'[collector]\nfolder = "{foundry.home}/history"\n'
    )
    return str(config)


def test_an_allocated_gpu_at_rest_is_named_with_its_run_its_owner_and_since_when(
    lab: SlurmLab, on_lab: Foundry, agents: NodeAgents
) -> None:
    idle = lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:1", "-J", "sleeper", user="lab_bob")
    busy = lab.submit("-p", "h100", "-w", "h02", "--gres=gpu:2", "-J", "trainer")
    lab.wait(idle, "RUNNING")
    lab.wait(busy, "RUNNING")
    config = configured(on_lab, lab, agents)

    (resting,) = held(on_lab, config, idle)
    assert (resting["util_pct"], resting["measured_by"]) == (0, "nodes")
    assert [(g["index"], g["util_pct"]) for g in held(on_lab, config, busy)] == [(0, 83), (1, 83)]
    with Seat(on_lab.home, "--config", config, env=on_lab.env, size=WIDE) as seat:
        seat.wait_for("Idle but allocated", MINUTES_S)
        row = re.compile(rf"! {idle} +lab_bob +1 +[0-9]+[ms][0-9ms]* ")
        seat.until(lambda: bool(row.search(seat.text)), "run, owner, GPUs and idle time", MINUTES_S)
        assert f"! {busy} " not in seat.text
        (resting,) = held(on_lab, config, idle)
        assert resting["idle_since"] is not None
        assert seat.leave() == 0
    page = on_lab("--config", config, "overview").out
    assert re.search(rf"^lab/{idle} .*lab_bob ", page, re.MULTILINE), page


def test_an_agent_that_dies_leaves_its_gpus_unknown_and_the_others_as_they_are(
    lab: SlurmLab, on_lab: Foundry, agents: NodeAgents
) -> None:
    config = configured(on_lab, lab, agents)
    agents.kill("h01")
    answer = on_lab("--config", config, "gpus", "--json")
    use = {(gpu["node"], gpu["index"]): gpu["util_pct"] for gpu in answer.json["gpus"]}
    assert {use["h01", n] for n in range(8)} == {None}
    assert [use["h02", n] for n in range(8)] == USE["h02"]
    (source,) = (s for s in answer.json["sources"] if s["name"] == "nodes")
    assert "h01" in source["reason"] or "1 of 2" in source["reason"]


@pytest.mark.parametrize("seen", [True, False], ids=["processes", "no processes"])
def test_processes_tell_in_which_order_slurm_counts_the_gpus(
    lab: SlurmLab, on_lab: Foundry, not_yet: NodeAgents, seen: bool
) -> None:
    job = lab.submit("-p", "h100", "-w", "h02", "--gres=gpu:2")
    pid = process_of(job)
    processes = [f"process {gpu} {pid} 1024" for gpu in (6, 7)] if seen else []
    turned = range(7, -1, -1)
    not_yet.say("h02", [0, 0, 0, 0, 0, 0, 64, 32], *processes, minors=turned)
    with not_yet as agents:
        config = configured(on_lab, lab, agents)
        use = [(g["index"], g["util_pct"]) for g in held(on_lab, config, job)]
        assert use == ([(0, 32), (1, 64)] if seen else [(0, 0), (1, 0)])
        assert "contradiction" not in on_lab("--config", config, "doctor").out


def test_the_doctor_tells_of_a_process_on_the_gpu_of_another(
    lab: SlurmLab, on_lab: Foundry, not_yet: NodeAgents
) -> None:
    guest = lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:1")
    lab.wait(guest, "RUNNING")
    owner = lab.submit("-p", "h100", "-w", "h01", "--gres=gpu:1", user="lab_bob")
    lab.wait(owner, "RUNNING")
    pids = {index: process_of(job) for index, job in enumerate((guest, owner))}
    own = [f"process {gpu} {pid} 1024" for gpu, pid in pids.items()]
    not_yet.say("h01", [50] * 8, *own, f"process 1 {pids[0]} 1024")
    with not_yet as agents:
        config = configured(on_lab, lab, agents)
        told = " ".join(on_lab("--config", config, "doctor").out.split())
    words = f"process of run lab/{guest} on GPU 1 of node h01, which is allocated to lab/{owner}"
    assert f"attribution contradiction {words}" in told, told


def process_of(job: str) -> int:
    """The process of a job that stays, as its environment says whose it is."""
    mark, found = f"SLURM_JOB_ID={job}\0".encode(), list[int]()

    def there() -> bool:
        for entry in Path("/proc").glob("[1-9]*"):
            with contextlib.suppress(OSError):
                sleeps = (entry / "cmdline").read_bytes().startswith(b"sleep\0")
                if sleeps and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return bool(found)

    until(there, 20, f"a process of job {job}", 0.2)
    return found[0]


def test_without_a_scheduler_the_gpus_alone_are_the_estate(
    foundry: Foundry, agents: NodeAgents
) -> None:
    config = foundry.home / "foundry.toml"
    config.write_text(f'[telemetry.nodes]\nkind = "agents"\ntargets_file = "{agents.targets}"\n')
    answer = foundry("--config", str(config), "gpus", "--json")
    assert answer.code == 0, answer.err
    assert "no scheduler was found" in answer.err
    gpus = answer.json["gpus"]
    assert [g["util_pct"] for g in gpus] == [*USE["h01"], *USE["h02"]]
    assert {g["milli_allocated"] for g in gpus} == {None}, "nobody says who holds them"
    page = foundry("--config", str(config), "overview").out
    assert "used 10%" in page
    for node in USE:
        agents.kill(node)
    assert foundry("--config", str(config), "gpus").code == 3


def held(foundry: Foundry, config: str, job: str) -> list[dict[str, Any]]:
    """The GPUs of a run, as `foundry gpus --json` has them."""
    answer = foundry("--config", config, "gpus", "--json")
    assert answer.code == 0, answer.err
    return [gpu for gpu in answer.json["gpus"] if f"lab/{job}" in (gpu["runs"] or ())]
