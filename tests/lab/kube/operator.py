"""A small stand-in for the training operator: PyTorchJobs get their pods, and lose them again.

KAI makes one gang of a PyTorchJob's pods; the operator itself is no part of what is tested. The
pods get the variables that the real one (1.9) sets, which is how their processes find each other.
"""

import contextlib
import threading
from typing import Any

import httpx

from tests.lab.kube.api import Api, ApiError

PATH = "/apis/kubeflow.org/v1/pytorchjobs"
GROUP = "kubeflow.org/v1"
PORT = "23456"


class Operator:
    """Looks at all PyTorchJobs a few times a second until `stop`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; waits for the thread."""
        self._stopped.set()
        self._thread.join(10)

    def _work(self) -> None:
        while not self._stopped.wait(0.25):
            with contextlib.suppress(ApiError, httpx.HTTPError, OSError, ValueError):
                for job in self.api.get(PATH)["items"]:
                    self._serve(job)

    def _serve(self, job: Any) -> None:
        meta, spec = job["metadata"], job["spec"]
        if "deletionTimestamp" in meta or job.get("status", {}).get("conditions"):
            return
        pods = f"/api/v1/namespaces/{meta['namespace']}/pods"
        mine = self.api.get(pods, labelSelector=f"training.kubeflow.org/job-name={meta['name']}")
        there = {pod["metadata"]["name"]: pod for pod in mine["items"]}
        if spec.get("runPolicy", {}).get("suspend"):
            for name in there:
                self.api.delete(f"{pods}/{name}")
            return
        for role, replica in spec["pytorchReplicaSpecs"].items():
            for number in range(replica.get("replicas", 1)):
                name = f"{meta['name']}-{role.lower()}-{number}"
                if name not in there:
                    self.api.ensure(pods, _pod(job, name, role, number))
        phases = {pod["status"].get("phase") for pod in there.values()}
        if there and phases <= {"Succeeded", "Failed"}:
            kind = "Failed" if "Failed" in phases else "Succeeded"
            path = f"/apis/{GROUP}/namespaces/{meta['namespace']}/pytorchjobs/{meta['name']}/status"
            self.api.patch(path, {"status": {"conditions": [{"type": kind, "status": "True"}]}})


def _pod(job: Any, name: str, role: str, number: int) -> Any:
    replica = job["spec"]["pytorchReplicaSpecs"][role]
    template = replica["template"]
    given = template.get("metadata", {})
    labels = {
        **given.get("labels", {}),
        "training.kubeflow.org/job-name": job["metadata"]["name"],
        "training.kubeflow.org/replica-type": role.lower(),
    }
    owner = {
        "apiVersion": GROUP,
        "kind": "PyTorchJob",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    told = [{"name": key, "value": value} for key, value in _variables(job, role, number).items()]
    containers = [
        {**container, "env": [*container.get("env", ()), *told]}
        for container in template["spec"]["containers"]
    ]
    restart = replica.get("restartPolicy", "OnFailure")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": given.get("annotations", {}),
            "ownerReferences": [owner],
        },
        "spec": {**template["spec"], "containers": containers, "restartPolicy": restart},
    }


def _variables(job: Any, role: str, number: int) -> dict[str, str]:
    """What the operator tells a pod of the others; ranks and sizes count pods."""
    name, spec = job["metadata"]["name"], job["spec"]
    replicas = spec["pytorchReplicaSpecs"]
    pods = str(sum(replica.get("replicas", 1) for replica in replicas.values()))
    told = {"PYTHONUNBUFFERED": "1"}
    if "Master" in replicas:
        rank = str(number + 1 if role == "Worker" else number)
        told |= {
            "MASTER_PORT": PORT,
            "PET_MASTER_PORT": PORT,
            "MASTER_ADDR": f"{name}-master-0",
            "PET_MASTER_ADDR": f"{name}-master-0",
            "WORLD_SIZE": pods,
            "RANK": rank,
            "PET_NODE_RANK": rank,
        }
    told["PET_NPROC_PER_NODE"] = spec.get("nprocPerNode", "auto")
    if (elastic := spec.get("elasticPolicy")) is None:
        return {**told, "PET_NNODES": pods}
    return {
        **told,
        "PET_RDZV_ENDPOINT": f"{name}-worker-0:{PORT}",
        "PET_RDZV_BACKEND": elastic.get("rdzvBackend", "c10d"),
        "PET_NNODES": f"{elastic['minReplicas']}:{elastic['maxReplicas']}",
    }
