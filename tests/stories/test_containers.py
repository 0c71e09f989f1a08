"""A distributed spec on a real API server with KAI: tried, started together, met, secrets by name.

The kind PyTorchJob is that of the training operator's own release, so that the server's dry run
judges every field of it. Its controller and the nodes are stand-ins, so the command of each pod is
run here, with the variables that the pod has in the cluster.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemons import until
from tests.lab.kube.api import ApiError
from tests.lab.kube.cluster import KubeLab
from tests.stories.conftest import Answer, Foundry

SPEC = """\
name: meets
image: python:3.12
command: echo "rank $RANK of $WORLD_SIZE, record ${MLFLOW_RUN_ID:-none}, secret $HF_TOKEN, lr ${lr}"
launcher: torchrun
queue: team-a
nodes: 2
gpus: 2
cpus: 1
memory: 1Gi
time_limit: 1h
params: {lr: 3e-4}
secrets: {HF_TOKEN: hf-token/key}
mounts:
  - {claim: team-pvc, target: /shared}
  - {source: /mnt/data, target: /data, read_only: true}
workdir: /shared
checkpoint: {path: /shared/ckpt, grace: 120s}
"""
SECRET = "value-that-nobody-may-see"
JOBS = "/apis/kubeflow.org/v1/namespaces/team-a/pytorchjobs"
PODS = "/api/v1/namespaces/team-a/pods"

TORCHRUN = '''\
#!/usr/bin/env python3
"""Stands for torchrun: the nodes meet at the endpoint, are numbered, and start their ranks."""

import os, socket, subprocess, sys, time

cut = sys.argv.index("--no-python")
told = dict(word[2:].split("=", 1) for word in sys.argv[1:cut])
nodes, each = int(told["nnodes"].split(":")[0]), int(told["nproc-per-node"])
host, port = told["rdzv-endpoint"].rsplit(":", 1)
assert port == "23456" and told["rdzv-backend"] == "c10d" and told["rdzv-id"]
place = ("127.0.0.1", int(os.environ["LAB_PORT"]))
if host == os.environ["HOSTNAME"]:
    node, server = 0, socket.create_server(place)
    server.settimeout(30)
    for number in range(1, nodes):
        server.accept()[0].sendall(bytes([number]))
else:
    end = time.monotonic() + 30
    while True:
        try:
            node = socket.create_connection(place, 30).recv(1)[0]
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
world = {"WORLD_SIZE": str(nodes * each)}
ranks = [{"RANK": str(node * each + n), "LOCAL_RANK": str(n), **world} for n in range(each)]
program = sys.argv[cut + 1 :]
started = [subprocess.Popen(program, env={**os.environ, **rank}) for rank in ranks]
sys.exit(max(process.wait() for process in started))
'''


@pytest.fixture
def alice(kube: KubeLab, tmp_path: Path) -> Foundry:
    """`foundry` of a user who may work in team-a, and may not read a Secret there."""
    home = "/api/v1/namespaces/team-a/secrets"
    text = base64.b64encode(SECRET.encode()).decode()
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf-token"}}
    kube.api.ensure(home, {**body, "data": {"key": text}})
    bind_claim(kube)
    with pytest.raises(ApiError, match="cannot get resource"):
        kube.as_user("alice").get(f"{home}/hf-token")
    config = tmp_path / "config.toml"
    config.write_text(
        f'[kubernetes.kai]\nkubeconfig = "{kube.kubeconfig("alice")}"\nnamespaces = ["team-a"]\n'
    )
    return Foundry(tmp_path, {"FOUNDRY_CONFIG": str(config)})


def bind_claim(kube: KubeLab) -> None:
    """A volume claim of team-a with its volume; KAI places no pod whose claim has none.

    No controller of the lab binds them: what it would write is written here.
    """
    claims, volumes = (
        "/api/v1/namespaces/team-a/persistentvolumeclaims",
        "/api/v1/persistentvolumes",
    )
    amounts = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    size = {"storage": "1Gi"}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "team-pvc",
            "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
        },
        "spec": {**amounts, "resources": {"requests": size}, "volumeName": "team-pv"},
    }
    if not kube.api.ensure(claims, claim):
        return
    uid = kube.api.get(f"{claims}/team-pvc")["metadata"]["uid"]
    owner = {"namespace": "team-a", "name": "team-pvc", "uid": uid}
    spec = {**amounts, "capacity": size, "hostPath": {"path": "/mnt"}, "claimRef": owner}
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "team-pv"}}
    kube.api.create(volumes, {**volume, "spec": spec})
    kube.api.patch(f"{volumes}/team-pv/status", {"status": {"phase": "Bound"}})
    full = {"status": {"phase": "Bound", "accessModes": ["ReadWriteMany"], "capacity": size}}
    kube.api.patch(f"{claims}/team-pvc/status", full)


def submit(alice: Foundry, spec: str, *more: str) -> Answer:
    path = alice.home / "train.yaml"
    path.write_text(spec)
    return alice("submit", str(path), "--source", "kai", "--unlinked", *more)


def pods_of(kube: KubeLab, count: int) -> list[Any]:
    """The pods in team-a, as soon as there are so many and all run."""

    def there() -> bool:
        pods = kube.api.get(PODS)["items"]
        return len(pods) == count and {p["status"].get("phase") for p in pods} == {"Running"}

    until(there, 60, f"{count} pods to run", 0.2)
    pods: list[Any] = kube.api.get(PODS)["items"]
    return pods


@pytest.mark.parametrize("nodes", ["2", "2..4"])
def test_the_server_tries_what_is_rendered_and_nothing_is_made(
    alice: Foundry, kube: KubeLab, nodes: str
) -> None:
    spec = SPEC.replace("nodes: 2", f"nodes: {nodes}").replace("gpus: 2", "gpus: 1")
    answer = submit(alice, spec, "--dry-run")
    assert answer.code == 0, answer.err
    assert "pytorchjobs" in answer.out
    assert not kube.api.get(JOBS)["items"]
    shown = alice("render", str(alice.home / "train.yaml"), "--target", "kai")
    assert shown.code == 0, shown.err
    assert ("elasticPolicy" in shown.out) == (nodes != "2")
    assert SECRET not in answer.out + answer.err + shown.out


def test_the_kind_is_the_real_one_and_refuses_what_it_does_not_know(kube: KubeLab) -> None:
    """So that a dry run that passes means something."""
    bare = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "x"}}
    with pytest.raises(ApiError, match="pytorchReplicaSpecs: Required value"):
        kube.api.create(JOBS, {**bare, "spec": {}})
    elastic = {"elasticPolicy": {"minReplicas": "two"}, "pytorchReplicaSpecs": {}}
    with pytest.raises(ApiError, match=r"elasticPolicy\.minReplicas"):
        kube.api.create(JOBS, {**bare, "spec": elastic})


def test_two_pods_start_together_and_their_processes_meet(alice: Foundry, kube: KubeLab) -> None:
    answer = submit(alice, SPEC, "--json")
    assert answer.code == 0, answer.err
    pods = pods_of(kube, 2)
    groups = kube.api.get("/apis/scheduling.run.ai/v2alpha2/namespaces/team-a/podgroups")["items"]
    assert [group["spec"]["minMember"] for group in groups] == [2]
    assert SECRET not in json.dumps([pods, kube.api.get(JOBS)])
    for pod in pods:
        assert pod["spec"]["activeDeadlineSeconds"] == 3600
        assert pod["spec"]["terminationGracePeriodSeconds"] == 120
        (container,) = pod["spec"]["containers"]
        assert container["workingDir"] == "/shared"
        mounts = {m["mountPath"]: m.get("readOnly", False) for m in container["volumeMounts"]}
        assert {k: mounts.get(k) for k in ("/shared", "/data", "/dev/shm")} == {
            "/shared": False,
            "/data": True,
            "/dev/shm": False,
        }
    assert run_here(kube, pods, alice.home) == [
        f"rank 0 of 4, record r1, secret {SECRET}, lr 3e-4",
        *(f"rank {n} of 4, record none, secret {SECRET}, lr 3e-4" for n in (1, 2, 3)),
    ]


def test_an_elastic_run_starts_with_what_there_is_room_for(alice: Foundry, kube: KubeLab) -> None:
    """Pods of 4 GPUs: eight are wanted, two are enough, three have a place."""
    spec = SPEC.replace("nodes: 2", "nodes: 2..8").replace("gpus: 2", "gpus: 4")
    assert submit(alice, spec).code == 0

    def running() -> list[Any]:
        pods: list[Any] = kube.api.get(PODS)["items"]
        return [p for p in pods if p["status"].get("phase") == "Running"]

    until(lambda: len(running()) == 3, 60, "three of the eight pods to run", 0.2)
    assert len(kube.api.get(PODS)["items"]) == 8


def test_the_pods_of_an_elastic_run_meet_at_the_first(alice: Foundry, kube: KubeLab) -> None:
    """Without a master no pod has a rank before they have met."""
    assert submit(alice, SPEC.replace("nodes: 2", "nodes: 2..3")).code == 0
    pods = sorted(pods_of(kube, 3), key=lambda pod: str(pod["metadata"]["name"]))
    said = run_here(kube, pods[:2], alice.home)
    assert [line.split(",")[0] for line in said] == [f"rank {n} of 4" for n in range(4)]


def test_a_gang_that_does_not_fit_starts_no_pod_at_all(alice: Foundry, kube: KubeLab) -> None:
    one = "name: one\nimage: x\nqueue: team-a\ngpus: 1\ncpus: 1\nmemory: 1Gi\ncommand: sleep 600\n"
    assert submit(alice, one).code == 0
    pods_of(kube, 1)
    # Nodes of 8 and 4 GPUs would take three pods of 4, if that one GPU were free.
    whole = SPEC.replace("gpus: 2", "gpus: 4").replace("nodes: 2", "nodes: 3")
    answer = submit(alice, whole)
    assert answer.code == 0, answer.err

    def gang() -> list[Any]:
        pods: list[Any] = kube.api.get(PODS)["items"]
        return [p for p in pods if p["metadata"]["name"].startswith("meets")]

    def refused() -> bool:
        pods = gang()
        told = [
            c
            for pod in pods
            for c in pod["status"].get("conditions", ())
            if c["type"] == "PodScheduled" and c["status"] == "False"
        ]
        return len(pods) == 3 and len(told) == 3

    until(refused, 60, "KAI to look at all pods", 0.2)
    assert {p["status"]["phase"] for p in gang()} == {"Pending"}


def test_the_tasks_of_an_array_are_numbered(alice: Foundry, kube: KubeLab) -> None:
    spec = (
        "name: many\nimage: x\nqueue: team-a\ngpus: 1\ncpus: 1\nmemory: 1Gi\n"
        'command: echo "task $FOUNDRY_ARRAY_TASK_ID"\narray: 0-2\n'
    )
    answer = submit(alice, spec, "--json")
    assert answer.code == 0, answer.err
    pods = pods_of(kube, 3)
    assert run_here(kube, pods, alice.home) == ["task 0", "task 1", "task 2"]
    (job,) = kube.api.get("/apis/batch/v1/namespaces/team-a/jobs")["items"]
    assert (job["spec"]["completionMode"], job["spec"]["completions"]) == ("Indexed", 3)


def run_here(kube: KubeLab, pods: list[Any], folder: Path) -> list[str]:
    """What the containers print, each run with the variables of its pod; the lines in order."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "torchrun").write_text(TORCHRUN)
    (tools / "torchrun").chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    common = {"PATH": f"{tools}:{os.environ['PATH']}", "LAB_PORT": str(port)}
    started = []
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        env = {e["name"]: value_of(kube, pod, e) for e in container["env"]}
        ours = {"HOSTNAME": pod["metadata"]["name"], "MLFLOW_RUN_ID": "r1"}
        command = [word.replace("$$", "$") for word in container["command"]]
        process = subprocess.Popen(
            command, env={**env, **common, **ours}, cwd=folder, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
    said = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started)
    return sorted("".join(said).splitlines())


def value_of(kube: KubeLab, pod: Any, variable: Any) -> str:
    """The value of a variable as a kubelet finds it."""
    source = variable.get("valueFrom", {})
    if "secretKeyRef" in source:
        reference = source["secretKeyRef"]
        secret = kube.api.get(f"/api/v1/namespaces/team-a/secrets/{reference['name']}")
        return base64.b64decode(secret["data"][reference["key"]]).decode()
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"]
        name = path.partition("'")[2].partition("'")[0]
        return str(pod["metadata"]["annotations"].get(name) or pod["metadata"]["labels"][name])
    return str(variable.get("value", ""))
