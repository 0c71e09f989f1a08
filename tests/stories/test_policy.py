"""A site's policy and Slurm's own rights, as two users of a real cluster meet them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.lab.accounts import Account
from tests.lab.components import require
from tests.lab.slurm import SlurmLab


def configured(account: Account, lab: SlurmLab, policy: Path) -> Account:
    """The account with a configuration that names the lab and the policy."""
    folder = account.home / "config" / "foundry"
    folder.mkdir(exist_ok=True)
    path = folder / "config.toml"
    path.write_text(
        f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\n[changes]\npolicy = "{policy}"\n'
    )
    for one in (folder, path):
        one.chmod(0o755)
    return account


@pytest.fixture
def policy(lab: SlurmLab) -> Path:
    """A policy of root that lets everybody hold runs of their accounts, and nothing else."""
    require("slurm", Account.missing())
    path = lab.root / "policy.toml"
    path.write_text('[roles.everybody]\nusers = ["*"]\nmay = ["hold"]\non = "account"\n')
    path.chmod(0o644)
    return path


def test_rights_and_roles_are_told_before_anything_is_sent(lab: SlurmLab, policy: Path) -> None:
    job = lab.submit("-p", "gpu", "--hold", "--gres=gpu:1", user="lab_carol")
    with Account(lab, "lab_alice") as alice, Account(lab, "lab_carol") as carol:
        configured(alice, lab, policy)
        configured(carol, lab, policy)
        page = alice.run("rights")
        assert "lab (slurm), as lab_alice" in page
        assert "everybody: hold, on runs of own accounts" in page
        assert "needs a Slurm administrator" in page
        (mine,) = json.loads(alice.run("rights", "--json"))["rights"]
        (hers,) = json.loads(carol.run("rights", "--json"))["rights"]
        assert (mine["admin"], hers["admin"]) == (False, True)
        assert (mine["may_nodes"], hers["may_nodes"]) == (False, False)
        assert [a["account"] for a in mine["associations"]] == ["ml"]
        refused = alice.run("hold", job, "--confirm", "1")
        assert f"lab/{job} belongs to lab_carol" in refused
        assert "lets everybody change runs of your accounts only" in refused
        cancelled = carol.run("cancel", job, "--yes")
        assert "needs a role of the site's policy that may cancel" in cancelled
        policy.chmod(0o666)
        assert "nothing may be changed until the policy is mended" in carol.run(
            "cancel", job, "--yes"
        )
        assert not any(c.startswith(("scancel", "scontrol hold")) for c in alice.calls)
    assert lab.states(job) == {"PENDING"}


def test_a_plan_waits_until_another_user_has_agreed(lab: SlurmLab, policy: Path) -> None:
    folder = lab.root / "approvals"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o1777)
    policy.write_text(f'[approval]\nacts = ["hold"]\nfolder = "{folder}"\n')
    job = lab.submit("-p", "gpu", "--begin=now+1hour", "--gres=gpu:1", user="lab_alice")
    plan = lab.root / "plan.json"
    hold = {"act": "hold", "source": "lab", "runs": [f"lab/{job}"]}
    move = {"id": "m1", "target": {"kind": "run", "id": f"lab/{job}"}, "steps": [hold]}
    made = {"id": "p-1", "generated_at": datetime.now(UTC).isoformat(), "moves": [move]}
    plan.write_text(json.dumps({"plan": made}))
    plan.chmod(0o644)
    with Account(lab, "lab_alice") as alice, Account(lab, "lab_bob") as bob:
        configured(alice, lab, policy)
        configured(bob, lab, policy)
        alone = alice.run("apply", str(plan), "--yes")
        assert "approval.acts names hold" in alone and "nobody has so far" in alone
        assert "nothing was sent" in alone
        own = alice.run("approve", str(plan), "--yes")
        assert "agreed to plan p-1" in own
        assert "nobody has so far" in alice.run("apply", str(plan), "--yes")
        assert f"hold lab/{job}" in bob.run("approve", str(plan), "--yes")
        applied = alice.run("apply", str(plan), "--yes", "--why", "room")
        assert "done" in applied, applied
        told = alice.run("journal", "--plan", "p-1")
        assert "lab_bob" in told and "room" in told
    shown = lab.run(["squeue", "-h", "-j", job, "-o", "%r"]).stdout.decode()
    assert "Held" in shown
