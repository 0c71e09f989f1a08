"""Slurm, KAI and Run:ai in one list: the same commands, the same fields, the same spec file.

Slurm and KAI are the real ones of the lab; the control plane of Run:ai is the stateful fake.
"""

from __future__ import annotations

import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.lab.daemons import LabError, until
from tests.lab.kube import objects
from tests.lab.kube.cluster import KubeLab
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Answer, Foundry

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


def test_a_submit_is_told_what_starts_it_now_and_kai_starts_it(
    both: Foundry, kube: KubeLab
) -> None:
    """Nothing is sent by a dry run; the change that it names is one that KAI itself takes."""
    script = both.home / "train.sh"
    script.write_text("#!/bin/sh\nsleep 600\n")

    def submit(*options: str, more: tuple[str, ...] = ()) -> Answer:
        asked = ("--source", "kai", "--unlinked", *more, "--project=team-a", "--image=x", *options)
        answer = both("submit", *asked, str(script))
        assert answer.code == 0, answer.err
        return answer

    dry = ("--dry-run",)
    assert "start: there is room for it now" in submit("--gpu-devices-request=8", more=dry).err
    told = submit("--gpu-devices-request=9", more=dry).err
    assert "it can never start: it asks for 9 GPUs on one node" in told
    assert "To start it now: ask for 8 GPUs instead of 9" in " ".join(told.split())
    firm = ("--gpu-devices-request=6", "--preemptibility=non-preemptible")
    told = submit(*firm, more=dry).err
    assert "queue team-a has a quota of 4 GPUs and holds 0 GPUs" in told
    assert "ask for 4 GPUs instead of 6" in told
    assert not listed(both, source="kai")

    submit("--gpu-devices-request=4", "--preemptibility=non-preemptible")
    until(lambda: bool(listed(both, source="kai", state="running")), 45, "KAI to start it", 1.0)


def test_fair_shares_are_those_of_the_running_scheduler(both: Foundry, kube: KubeLab) -> None:
    """What `queues --json` computes is what KAI tells in its metrics, for a queue that borrows."""
    asks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        *(("team-a", f"borrows-{i}", {"gpus": 1}) for i in range(6)),
        ("team-a", "shares", {"annotations": {"gpu-fraction": "0.5"}}),
        ("team-b", "too-wide", {"gpus": 16}),
    )
    for team, name, asked in asks:
        pod = objects.pod(name, queue=team, **asked)
        kube.api.create(f"/api/v1/namespaces/{team}/pods", pod)
    seen: dict[str, tuple[float, float]] = {}

    def agree() -> bool:
        kai = _fair_shares(kube)
        ours = both("queues", "--where", "source=kai", "--json").json["queues"]
        seen.update({q["name"]: (q["fair_share_gpu_milli"], kai[q["name"]]) for q in ours})
        held = {q["name"]: q["allocated_gpu_milli"] for q in ours}
        alike = all(abs(a - b) <= 1 for a, b in seen.values())
        return alike and held["team-a"] == 6500

    try:
        until(agree, 60, "the shares to agree", 1.0)
    except LabError as error:
        raise AssertionError(seen) from error
    assert seen["research"][0] == 12_000
    assert seen["team-a"][0] == 6000, "4 that it deserves, and half of the 4 that nobody does"


def _fair_shares(kube: KubeLab) -> dict[str, float]:
    """Queue -> thousandths of GPU, as the scheduler's metrics tell."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(kube.metrics_url, timeout=10) as answer:
        text = answer.read().decode()
    told = re.findall(r'kai_queue_fair_share_gpu\{queue_name="([^"]+)"\} (\S+)', text)
    return defaultdict(float, {name: 1000 * float(gpus) for name, gpus in told})
