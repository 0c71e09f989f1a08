"""One user's acts on a real cluster, without the reader: runs are made from the API's objects."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Act, Cancel, Preview, Receipt, ReceiptStatus, Submit
from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai import actor
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.receipts import read_back
from tests.lab.daemons import until
from tests.lab.kube.cluster import KubeLab

DONE, REFUSED = ReceiptStatus.DONE, ReceiptStatus.REFUSED
HOMES = {
    "Job": "/apis/batch/v1/namespaces/team-a/jobs",
    "PyTorchJob": "/apis/kubeflow.org/v1/namespaces/team-a/pytorchjobs",
    "Pod": "/api/v1/namespaces/team-a/pods",
}


class Hands:
    """One user's acts on the lab, without the reader: runs are made from the API's objects."""

    def __init__(self, kube: KubeLab, user: str) -> None:
        self.kube = kube
        path = kube.kubeconfig(user)
        self.config = KubernetesConfig(name="lab", kubeconfig=path, namespaces=("team-a",))
        self.cluster = Cluster(self.config)

    def preview(self, act: Act, *runs: Run, token: str = "") -> Preview:
        return actor.preview(self.cluster, self.config, act, runs, token or new_token())

    def send(self, preview: Preview) -> tuple[Receipt, ...]:
        return read_back(self.cluster, preview, actor.perform(self.cluster, preview, ""))

    def do(self, act: Act, *runs: Run) -> Receipt:
        (receipt,) = self.send(self.preview(act, *runs))
        return receipt

    def submitted(self, *options: str, kind: str = "Job", name: str = "train") -> str:
        """The uid of a new run."""
        act = work(f"--kind={kind}", f"--name={name}", *options)
        receipt = self.do(act)
        assert receipt.status is DONE, receipt
        return receipt.target

    def owner(self, uid: str) -> Any:
        """The workload of a uid; KeyError where it is gone."""
        for kind, home in HOMES.items():
            for found in self.kube.api.get(home)["items"]:
                if found["metadata"]["uid"] == uid:
                    return {**found, "kind": kind}
        raise KeyError(uid)

    def run(self, uid: str, state: RunState = RunState.RUNNING, *, held: bool = False) -> Run:
        found = self.owner(uid)
        native = {
            "kind": safe(found["kind"]),
            "namespace": safe("team-a"),
            "workload": safe(found["metadata"]["name"]),
        }
        return Run(
            id=f"lab/{uid}",
            native_id=uid,
            source="lab",
            scheduler="kai",
            name=safe("train"),
            state=state,
            held=held,
            native=native,
        )

    def pods(self, uid: str) -> list[Any]:
        """The pods of a workload, or the bare pod itself."""
        every = self.kube.api.get(HOMES["Pod"])["items"]
        return [
            pod
            for pod in every
            if uid in (pod["metadata"]["uid"], *(o["uid"] for o in owners(pod)))
        ]

    def phases(self, uid: str) -> list[str]:
        return [pod["status"]["phase"] for pod in self.pods(uid)]

    def placed(self, uid: str, *phases: str) -> Callable[[], bool]:
        return lambda: self.phases(uid) == list(phases)

    def queue_of(self, uid: str) -> set[str]:
        """The queues in which KAI has the pods of a workload."""
        home = "/apis/scheduling.run.ai/v2alpha2/namespaces/team-a/podgroups"
        found = self.kube.api.get(home)["items"]
        return {g["spec"]["queue"] for g in found if uid in {o["uid"] for o in owners(g)}}


HALF = ("--gpu-portion-request=0.5", "--priority=build")


def halves_apart(kube: KubeLab, user: Hands) -> tuple[str, str]:
    """Two runs of half a GPU, alone on the two GPUs of the only node that takes any.

    A third one fills the first GPU for a moment. KAI itself would move a share that can be
    preempted (its consolidation does), so that these are of the class `build`.
    """
    for name in ("gpu00", "gpu01"):
        kube.api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
    kube.add_node("two", 2, "NVIDIA-A100-SXM4-80GB", 81920)
    left, filler = (user.submitted(*HALF, name=n) for n in ("left", "filler"))
    for uid in (left, filler):
        until(user.placed(uid, "Running"), 90, "two halves fill a GPU")
    right = user.submitted(*HALF, name="right")
    until(user.placed(right, "Running"), 90, "the third has the other GPU")

    def apart() -> bool:
        groups = [group_of(user, uid) for uid in (left, filler, right)]
        return all(groups) and groups[0] == groups[1] != groups[2]

    until(apart, 90, "two share a GPU and the third is alone")
    user.do(on(Cancel, filler), user.run(filler))
    until(user.placed(filler), 90, "half of each GPU is free")
    return left, right


def group_of(hands: Hands, uid: str) -> str:
    """The GPU group of a run's one pod; empty while it has none."""
    found = [pod["metadata"]["labels"].get("runai-gpu-group", "") for pod in hands.pods(uid)]
    return str(found[0]) if found else ""


def owners(thing: Any) -> list[Any]:
    return list(thing["metadata"].get("ownerReferences", []))


def new_token() -> str:
    return secrets.token_hex(8)


def work(*options: str) -> Submit:
    given = ("--project=team-a", "--image=lab/none", "--namespace=team-a", *options)
    return Submit(source="lab", script=b"sleep 600", script_name="train.sh", options=given)


def on(act: Any, uid: str) -> Act:
    made: Act = act(source="lab", runs=(f"lab/{uid}",))
    return made
