"""Slurm, KAI and Run:ai in one list: the same commands, the same fields, the same spec file.

Slurm and KAI are the real ones of the lab; the control plane of Run:ai is the stateful fake.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.lab.daemons import until
from tests.lab.kube.cluster import KubeLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry

SPEC = """\
name: both-worlds
image: python:3.12
command: sleep 600
queue:
  slurm: h100
  kai: team-a
  runai: vision
gpus: 1
cpus: 1
memory: 1Gi
"""


@pytest.fixture
def cloud() -> Iterator[FakeRunai]:
    """A Run:ai control plane, twenty times as fast as the clock."""
    with FakeRunai(speed=20.0) as fake:
        yield fake


@pytest.fixture
def both(lab: SlurmLab, kube: KubeLab, cloud: FakeRunai, tmp_path: Path) -> Foundry:
    """`foundry` on a login node of the lab's Slurm that also knows a KAI and a Run:ai."""
    secret = tmp_path / "runai.secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\n'
        f'[kubernetes.kai]\nkubeconfig = "{kube.kubeconfig()}"\nnamespaces = ["team-a", "team-b"]\n'
        f'[runai.cloud]\nurl = "{cloud.url}"\nclient_id = "foundry"\ncredential_file = "{secret}"\n'
    )
    return Foundry(tmp_path, {"FOUNDRY_CONFIG": str(config)})


def listed(foundry: Foundry, **wanted: Any) -> list[dict[str, Any]]:
    """The runs of `runs --json` with these values."""
    answer = foundry("runs", "--json")
    assert answer.code == 0, answer.err
    runs: list[dict[str, Any]] = answer.json["runs"]
    return [r for r in runs if all(r[k] == v for k, v in wanted.items())]


def test_the_same_spec_goes_to_all_and_stands_in_one_list(both: Foundry) -> None:
    spec = both.home / "train.yaml"
    spec.write_text(SPEC)
    sent = {}
    for source in ("lab", "kai", "cloud"):
        answer = both("submit", str(spec), "--source", source, "--unlinked", "--json")
        assert answer.code == 0, (source, answer.err)
        sent[source] = answer.json["run"]["id"]

    def all_run() -> bool:
        return len(listed(both, name="both-worlds", state="running")) == 3

    until(all_run, 60, "the three runs to run", 0.5)
    runs = {r["source"]: r for r in listed(both, name="both-worlds")}
    assert {s: r["id"] for s, r in runs.items()} == sent
    assert {s: r["scheduler"] for s, r in runs.items()} == {
        "lab": "slurm",
        "kai": "kai",
        "cloud": "runai",
    }
    assert len({tuple(r) for r in runs.values()}) == 1, "the fields are the same"
    for run in runs.values():
        assert (run["request"]["gpu_count"], run["request"]["gpu_milli"]) == (1, 1000)
        assert run["placement"][0]["node"]
        assert run["started_at"]
        assert run["submit_token"]
    gone = both("cancel", *sent.values(), "--confirm", "3", "--json")
    assert gone.code == 0, gone.err
    until(lambda: not listed(both, name="both-worlds", state="running"), 60, "all to end", 0.5)


def test_queues_and_nodes_of_all_stand_together(both: Foundry) -> None:
    queues = both("queues", "--json").json["queues"]
    assert {(q["source"], q["kind"]) for q in queues} >= {
        ("lab", "partition"),
        ("kai", "queue"),
        ("cloud", "project"),
        ("cloud", "department"),
    }
    shares = {q["name"]: q for q in queues if q["source"] == "kai"}
    assert shares["team-a"]["parent"] == "research"
    assert (shares["team-a"]["quota_gpu_milli"], shares["research"]["allocated_gpu_milli"]) == (
        4000,
        0,
    )
    nodes = both("nodes", "--json").json["nodes"]
    assert {n["source"] for n in nodes} == {"lab", "kai", "cloud"}
    gpus = [g for g in both("gpus", "--json").json["gpus"] if g["source"] == "kai"]
    assert len(gpus) == 12


def test_a_source_that_is_gone_is_aged_and_the_others_live(both: Foundry, kube: KubeLab) -> None:
    assert both("nodes", "--json").code == 0
    kube.kill_api()
    try:
        answer = both("nodes", "--json")
        states = {s["name"]: s for s in answer.json["sources"]}
        assert states["lab"]["state"] == "ok"
        assert states["kai"]["state"] == "down"
        assert "not reached" in states["kai"]["reason"]
        assert states["kai"]["age_s"] > 0
        assert {n["source"] for n in answer.json["nodes"]} == {"lab", "kai", "cloud"}
    finally:
        kube.start_api()
    until(lambda: _state(both, "kai") == "ok", 60, "the cluster to be read again", 1.0)


def _state(foundry: Foundry, source: str) -> str:
    sources = foundry("nodes", "--json").json["sources"]
    return str(next(s["state"] for s in sources if s["name"] == source))


def test_why_names_quota_gang_and_node_fit_on_kai(both: Foundry, kube: KubeLab) -> None:
    from tests.lab.kube import objects

    pods = "/api/v1/namespaces/team-a/pods"
    kube.api.create(pods, objects.pod("over-quota", gpus=6, priority="build"))
    kube.api.create(pods, objects.pod("too-wide", gpus=16))
    gangs = "/apis/kubeflow.org/v1/namespaces/team-b/pytorchjobs"
    kube.api.create(pods, objects.pod("in-the-way", gpus=1))
    kube.wait_phase("in-the-way", "Running")
    kube.api.create(gangs, objects.gang("gang", 2, queue="team-b", gpus=4))
    wanted = {"over-quota": "quota of 4 GPUs", "too-wide": "can never start", "gang": "all 3 pods"}
    told: dict[str, str] = {}

    def explained() -> bool:
        for run in listed(both, source="kai", state="pending"):
            told[run["name"]] = both("why", run["id"]).out
        return all(text in told.get(name, "") for name, text in wanted.items())

    try:
        until(explained, 45, "every reason to be told", 1.0)
    except Exception as error:
        raise AssertionError(told) from error
