"""What of a real Slurm's work moves: its books counted, its scripts read as who may see them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

SHORT = b"#!/bin/sh\n#SBATCH --mem=1G\nsleep 1\n"
LONG = b"#!/bin/sh\n#SBATCH --licenses=cfd:1\nexec sleep 600\n"
TABLES = """\
image = "registry.example.org/train:1"
[partitions]
h100 = "hopper"
a100 = "ampere"
[accounts]
ml = "team-a"
[qos]
normal = "medium"
"""


@pytest.fixture
def keeps(lab: SlurmLab) -> Iterator[SlurmLab]:
    """The lab while slurmdbd keeps the scripts of jobs that are over."""
    conf = lab.root / "etc/slurm.conf"
    before = conf.read_text()
    conf.write_text(before.replace("StoreFlags=job_comment", "StoreFlags=job_comment,job_script"))
    lab.run(["scontrol", "reconfigure"])
    yield lab
    conf.write_text(before)
    lab.run(["scontrol", "reconfigure"])


def reader(lab: SlurmLab, user: str) -> SlurmAdapter:
    folder = str(lab.commands_as(user))
    return SlurmAdapter("lab", conf=str(lab.root / "etc/slurm.conf"), folder=folder)


def test_a_sites_work_is_counted_and_judged(
    keeps: SlurmLab, on_lab: Foundry, tmp_path: Path
) -> None:
    lab = keeps
    since = datetime.fromtimestamp(int(time.time()), UTC)
    over = lab.submit("-p", "h100", "-A", "ml", "-J", "over", "--gres=gpu:2", script=SHORT)
    live = lab.submit("-p", "h100", "-A", "ml", "-J", "live", "--gres=gpu:1", script=LONG)
    bobs = lab.submit(
        *("-p", "a100", "-A", "bio", "-J", "bobs", "--gres=gpu:1"), user="lab_bob", script=SHORT
    )
    het = lab.submit(*("-p", "h100", "-n1", ":", "-p", "a100", "-n1"), user="lab_bob", script=SHORT)
    session = ["srun", "-p", "h100", "-A", "ml", "-J", "talk", "--gres=gpu:1", "sleep", "30"]
    lab.run(["sh", "-c", 'nohup "$@" >/dev/null 2>&1 &', "sh", *session], user="lab_alice")
    for job in (over, bobs):
        lab.wait(job, "COMPLETED")
    lab.wait(live, "RUNNING")

    def booked(what: str, *states: str) -> bool:
        argv = ["sacct", "-anXP", "--name", what, "-S", since.strftime("%FT%T"), "-o", "State"]
        return lab.run(["env", "TZ=UTC", *argv]).stdout.decode().strip() in states

    until(lambda: booked("over", "COMPLETED") and booked("bobs", "COMPLETED"), 30, "the ends", 0.3)
    until(lambda: booked("talk", "RUNNING") and booked("live", "RUNNING"), 30, "what runs", 0.3)

    alice, carol = reader(lab, "lab_alice"), reader(lab, "lab_carol")
    assert alice.batch_script(over, ended=True).data == SHORT
    assert alice.batch_script(live, ended=False).data == LONG
    refused = alice.batch_script(bobs, ended=True)
    assert refused.data is None and refused.reason is not None
    refused = alice.batch_script(het, ended=False)
    assert refused.data is None and "owner" in str(refused.reason)
    assert carol.batch_script(bobs, ended=True).data == SHORT

    (tmp_path / "tables.toml").write_text(TABLES)
    answer = on_lab(
        *("migrate", "plan", "--from", since.isoformat(), "--json"), "--tables=tables.toml"
    )
    assert answer.code == 0, answer.err
    plan = answer.json["migration_plan"]
    users = {(row["account"], row["user"]): row for row in plan["users"]}
    mine = users["ml", "lab_alice"]
    assert (mine["runs"], mine["clean"]["runs"], mine["hand"]["runs"]) == (3, 1, 2)
    assert {r["what"] for r in mine["reasons"]} == {"--licenses", "interactive"}
    bob = users["bio", "lab_bob"]
    (account,) = [r for r in bob["reasons"] if r["what"] == "account bio"]
    assert account["mend"].startswith("bio = ")
    assert plan["whole"]["cannot"]["runs"] == 2, "both components of the heterogeneous job"
    assert plan["whole"]["gpu_hours"] > 0

    quotas = on_lab(
        *("migrate", "quotas", "--from", since.isoformat(), "--json"), "--tables=tables.toml"
    )
    assert quotas.code == 0, quotas.err
    told = {row["account"]: row for row in json.loads(quotas.out)["quotas"]["accounts"]}
    assert (told["ml"]["shares"], told["bio"]["shares"]) == (70, 30)
    assert told["ml"]["share"] == pytest.approx(0.7)

    with lab.dbd_down():
        late = on_lab("migrate", "plan", "--json", "--tables=tables.toml")
    assert late.code == 5, late.err
    assert any("only what runs or waits now" in words for words in late.json["partial"])
    runs = {row["user"]: row["runs"] for row in late.json["migration_plan"]["users"]}
    assert runs["lab_alice"] >= 1

    (tmp_path / "job.sh").write_bytes(SHORT)
    found = on_lab("migrate", "estimate", "job.sh", "--json").json["estimates"]
    assert [one["kind"] for one in found] == ["slurm"]
    assert found[0]["starts_at"] is not None and found[0]["how"] == "sbatch --test-only"


def test_where_scripts_are_not_kept_the_reason_says_so(lab: SlurmLab) -> None:
    job = lab.submit("-p", "cpu", script=SHORT)
    lab.wait(job, "COMPLETED")
    answer = reader(lab, "lab_alice").batch_script(job, ended=True)
    assert answer.data is None and "AccountingStoreFlags" in str(answer.reason)
