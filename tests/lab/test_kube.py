"""The Kubernetes lab itself: KAI places fractions, gangs wait, quota is taken back."""

import pytest

from tests.lab.daemons import until
from tests.lab.kube import objects
from tests.lab.kube.api import ApiError
from tests.lab.kube.cluster import KubeLab

PODS = "/api/v1/namespaces/{}/pods"
GANGS = "/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs"
GROUPS = "/apis/scheduling.run.ai/v2alpha2/namespaces/{}/podgroups"


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
    (held,) = kube.api.get("/api/v1/namespaces/kai-resource-reservation/pods")["items"]
    assert held["metadata"]["labels"]["runai-gpu-group"] == group
    assert held["metadata"]["annotations"]["run.ai/reserve_for_gpu_index"] == "0"
    kube.api.create(PODS.format("team-a"), half("third"))
    assert group_of(kube, "third") != group


def test_a_gang_waits_as_a_whole_and_starts_as_a_whole(kube: KubeLab) -> None:
    kube.api.create(PODS.format("team-b"), objects.pod("in-the-way", "team-b", gpus=1))
    kube.wait_phase("in-the-way", "Running", "team-b")
    kube.api.create(GANGS.format("team-a"), objects.gang("gang", 2, gpus=4))

    def told() -> str:
        groups = kube.api.get(GROUPS.format("team-a"))["items"]
        conditions = [
            c for g in groups for c in g.get("status", {}).get("schedulingConditions", [])
        ]
        return " ".join(str(c.get("message")) for c in conditions)

    until(lambda: "gang" in told(), 30, "the gang to be told why it waits", 0.2)
    phases = {p["status"]["phase"] for p in kube.api.get(PODS.format("team-a"))["items"]}
    assert phases == {"Pending"}
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
    left = kube.api.get(PODS.format("team-a"))["items"]
    running = [p for p in left if p["status"]["phase"] == "Running"]
    assert len(running) == 9


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
