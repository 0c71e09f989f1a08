"""The Kubernetes lab itself: KAI places fractions, gangs wait, quota is taken back."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.lab.daemons import until
from tests.lab.kube import objects
from tests.lab.kube.api import Api, ApiError
from tests.lab.kube.cluster import KubeLab
from tests.lab.kube.kubelet import GPU_UUID, gpu_uuid

PODS = "/api/v1/namespaces/{}/pods"
GANGS = "/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs"
GROUPS = "/apis/scheduling.run.ai/v2alpha2/namespaces/{}/podgroups"
RESERVATIONS = PODS.format("kai-resource-reservation")


def half(name: str) -> object:
    """A pod that asks for half a GPU."""
    return objects.pod(name, annotations={"gpu-fraction": "0.5"})


def group_of(kube: KubeLab, name: str) -> str:
    """The GPU group that a running pod shares."""
    pod = kube.wait_phase(name, "Running")
    return str(pod["metadata"]["labels"]["runai-gpu-group"])


def test_two_halves_share_a_gpu_that_a_reservation_holds(kube: KubeLab) -> None:
    kube.api.create(PODS.format("team-a"), half("first"))
    group = group_of(kube, "first")
    kube.api.create(PODS.format("team-a"), half("second"))
    assert group_of(kube, "second") == group
    (held,) = kube.api.get(RESERVATIONS)["items"]
    assert held["metadata"]["labels"]["runai-gpu-group"] == group
    node = held["spec"]["nodeName"]
    kube.api.create(PODS.format("team-a"), half("third"))
    assert group_of(kube, "third") != group
    gpus = {pod["metadata"]["annotations"][GPU_UUID] for pod in kube.api.get(RESERVATIONS)["items"]}
    assert gpus == {gpu_uuid(node, 0), gpu_uuid(node, 1)}


def told(kube: KubeLab, field: str) -> str:
    """What KAI says in `field` about the pod groups of team-a that wait."""
    groups = kube.api.get(GROUPS.format("team-a"))["items"]
    conditions = [c for g in groups for c in g.get("status", {}).get("schedulingConditions", [])]
    return " ".join(
        str(reason.get(field)) for c in conditions for reason in [c, *c.get("reasons", [])]
    )


def phases(kube: KubeLab) -> dict[str, str]:
    """Phase of every pod of team-a."""
    pods = kube.api.get(PODS.format("team-a"))["items"]
    return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods}


def test_a_gang_waits_for_quota_and_then_starts(kube: KubeLab) -> None:
    gang = objects.gang("gang", 2, gpus=2, priority="build")
    kube.api.create(GANGS.format("team-a"), gang)
    until(lambda: "NonPreemptibleOverQuota" in told(kube, "reason"), 30, "the quota to be named")
    members = ["gang-master-0", "gang-worker-0", "gang-worker-1"]
    assert phases(kube) == dict.fromkeys(members, "Pending")
    kube.add_queue("team-a", "research", quota=6)
    for name in members:
        kube.wait_phase(name, "Running")


def test_a_gang_waits_as_a_whole_and_starts_as_a_whole(kube: KubeLab) -> None:
    kube.api.create(PODS.format("team-b"), objects.pod("in-the-way", "team-b", gpus=1))
    kube.wait_phase("in-the-way", "Running", "team-b")
    kube.api.create(GANGS.format("team-a"), objects.gang("gang", 2, gpus=4))
    until(lambda: "gang" in told(kube, "message"), 30, "the gang to be told why it waits", 0.2)
    assert set(phases(kube).values()) == {"Pending"}
    kube.api.delete(f"{PODS.format('team-b')}/in-the-way")
    for name in ("gang-master-0", "gang-worker-0", "gang-worker-1"):
        kube.wait_phase(name, "Running")


def test_a_queue_takes_back_what_it_deserves(kube: KubeLab) -> None:
    for number in range(12):
        kube.api.create(PODS.format("team-a"), objects.pod(f"borrower-{number}", gpus=1))
    for number in range(12):
        kube.wait_phase(f"borrower-{number}", "Running")
    kube.api.create(PODS.format("team-b"), objects.pod("owner", "team-b", gpus=3))
    kube.wait_phase("owner", "Running", "team-b")
    assert list(phases(kube).values()).count("Running") == 9


def test_kai_tells_the_order_of_the_queue_and_its_snapshot(kube: KubeLab) -> None:
    kube.api.create(PODS.format("team-a"), objects.pod("too-large", gpus=16))
    until(lambda: "too-large" in told(kube, "message"), 30, "the pod to be told why it waits")
    with httpx.Client(base_url=kube.scheduler_url, trust_env=False) as pages:

        def ordered() -> bool:
            answer = pages.get("/get-job-order")
            return answer.is_success and "too-large" in answer.text

        until(ordered, 30, "the pod to stand in the order of the queue", 0.2)
        assert pages.get("/get-snapshot").content.startswith(b"PK")


def test_the_simulator_shares_as_the_scheduler_does(kube: KubeLab) -> None:
    for queue, pods in (("team-a", 12), ("team-b", 5)):
        for number in range(pods):
            pod = objects.pod(f"{queue}-{number}", queue, gpus=1)
            kube.api.create(PODS.format(queue), pod)

    def metrics() -> dict[str, float]:
        lines = httpx.get(kube.metrics_url, trust_env=False).text.splitlines()
        rows = [line for line in lines if line.startswith("kai_queue_fair_share_gpu{")]
        return {row.split('queue_name="')[1].split('"')[0]: float(row.split()[-1]) for row in rows}

    def shared() -> bool:
        now = metrics()
        return (now.get("team-a"), now.get("team-b")) == (7, 5)

    until(shared, 30, "the scheduler to give team-a 7 GPUs and team-b 5", 0.2)
    wants = {"team-a": 12.0, "team-b": 5.0}
    queues = [
        {
            "uid": name,
            "name": name,
            "resourceShare": {
                "gpu": {"deserved": 4, "maxAllowed": -1, "overQuotaWeight": 1, "request": request}
            },
        }
        for name, request in wants.items()
    ]
    answer = httpx.post(
        f"{kube.fairshare_url}/simulate",
        json={"totalResource": {"GPU": 12}, "queues": queues},
        trust_env=False,
    )
    assert {name: share["gpu"] for name, share in answer.json().items()} == {
        "team-a": 7,
        "team-b": 5,
    }


def test_a_pod_ends_with_the_exit_code_it_is_told(kube: KubeLab) -> None:
    pod = objects.pod("ends", annotations={"foundry.lab/exit": "3 after 0.2"})
    kube.api.create(PODS.format("team-a"), pod)
    ended = kube.wait_phase("ends", "Failed")
    (container,) = ended["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 3


def test_users_may_what_their_group_may(kube: KubeLab) -> None:
    viewer, alice = kube.as_user("viewer"), kube.as_user("alice")
    viewer.get("/api/v1/pods")
    with pytest.raises(ApiError, match="403"):
        viewer.create(PODS.format("team-a"), objects.pod("mine"))
    alice.create(PODS.format("team-a"), objects.pod("mine"))
    with pytest.raises(ApiError, match="403"):
        alice.create(PODS.format("team-b"), objects.pod("mine", "team-b"))


def test_an_old_version_is_gone_after_compaction(kube: KubeLab) -> None:
    old = kube.api.get("/api/v1/pods")["metadata"]["resourceVersion"]
    kube.api.create(PODS.format("team-a"), objects.pod("newer"))
    kube.wait_phase("newer", "Running")
    kube.compact()
    first = next(kube.api.watch("/api/v1/pods", old))
    assert (first["type"], first["object"]["code"]) == ("ERROR", 410)


def test_a_killed_api_server_comes_back_with_everything(kube: KubeLab) -> None:
    kube.api.create(PODS.format("team-a"), half("stays"))
    group = group_of(kube, "stays")
    kube.kill_api()
    kube.start_api()
    assert group_of(kube, "stays") == group
    kube.api.create(PODS.format("team-a"), half("comes"))
    assert group_of(kube, "comes") == group


def test_each_node_pool_has_a_scheduler_of_its_own(kube: KubeLab) -> None:
    kube.add_node("l40s00", 2, "NVIDIA-L40S", 46068, pool="l40s")
    kube.add_queue("research-l40s", quota=2, pool="l40s")
    kube.add_queue("team-a-l40s", "research-l40s", quota=2, pool="l40s")
    in_pool = objects.pod("in-pool", "team-a-l40s", gpus=2, labels={objects.POOL_LABEL: "l40s"})
    kube.api.create(PODS.format("team-a"), in_pool)
    kube.api.create(PODS.format("team-a"), objects.pod("elsewhere", gpus=2))
    assert kube.wait_phase("elsewhere", "Running")["spec"]["nodeName"] == "gpu01"
    assert "conditions" not in kube.pod("in-pool")["status"]
    kube.serve_pool("l40s")
    assert kube.wait_phase("in-pool", "Running")["spec"]["nodeName"] == "l40s00"


def test_a_reset_takes_back_all_that_a_test_added(kube: KubeLab) -> None:
    def seen() -> list[object]:
        queues = kube.api.get("/apis/scheduling.run.ai/v2/queues")["items"]
        nodes = kube.api.get("/api/v1/nodes")["items"]
        spaces = kube.api.get("/api/v1/namespaces")["items"]
        return [
            {q["metadata"]["name"]: q["spec"] for q in queues},
            {n["metadata"]["name"]: (n["spec"], n["metadata"]["labels"]) for n in nodes},
            {space["metadata"]["name"] for space in spaces},
            kube.workloads(),
        ]

    before = seen()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "added"}}
    kube.api.create("/api/v1/namespaces", namespace)
    kube.add_queue("added", "research", quota=1)
    kube.add_queue("team-b", "research", quota=1, limit=2, weight=3, priority=200)
    kube.add_node("added", 1, "NVIDIA-L40S", 46068, pool="l40s")
    kube.add_node("gpu00", 8, "NVIDIA-A100-SXM4-80GB", 81920, pool="l40s")
    kube.api.create(PODS.format("added"), objects.pod("mine", "added", gpus=1))
    kube.wait_phase("mine", "Running", "added")
    kube.api.patch("/api/v1/nodes/gpu01", {"spec": {"unschedulable": True}})
    kube.reset()
    assert seen() == before


def counted(api: Api) -> list[str]:
    """GPUs that KAI's podgroupcontroller counts for the pod groups of team-a."""
    groups = api.get(GROUPS.format("team-a"))["items"]
    amounts = [g.get("status", {}).get("resourcesStatus", {}).get("allocated", {}) for g in groups]
    return [amount["nvidia.com/gpu"] for amount in amounts if "nvidia.com/gpu" in amount]


def test_a_second_lab_in_the_foreground_works_and_ends_without_a_rest(kube: KubeLab) -> None:
    command = [sys.executable, "-m", "tests.lab.kube"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            kubeconfig = Path(process.stdout.readline().partition("=")[2].strip())
            root = kubeconfig.parent
            url = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
            second = Api(url, root / "certs")
            for api in (kube.api, second):
                api.create(PODS.format("team-a"), objects.pod("beside", gpus=2))
            until(lambda: counted(kube.api) == ["2"], 30, "the first lab to count GPUs", 0.2)
            until(lambda: counted(second) == ["2"], 30, "the second lab to count GPUs", 0.2)
            second.close()
        finally:
            process.terminate()
            process.stdout.read()
    assert process.returncode == 0
    assert not root.exists()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if bytes(root) in line]
