"""A small stand-in for the training operator: PyTorchJobs get their pods, and lose them again.

KAI makes one gang of a PyTorchJob's pods; the operator itself is no part of what is tested.
"""

import contextlib
import threading
from typing import Any

import httpx

from tests.lab.kube.api import Api, ApiError

PATH = "/apis/kubeflow.org/v1/pytorchjobs"
GROUP = "kubeflow.org/v1"


def crd() -> Any:
    """The kind PyTorchJob without a schema of its own."""
    names = {"kind": "PyTorchJob", "plural": "pytorchjobs", "singular": "pytorchjob"}
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "pytorchjobs.kubeflow.org"},
        "spec": {
            "group": "kubeflow.org",
            "names": names,
            "scope": "Namespaced",
            "versions": [version],
        },
    }


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
                    self.api.ensure(pods, _pod(job, name, role, replica["template"]))
        phases = {pod["status"].get("phase") for pod in there.values()}
        if there and phases <= {"Succeeded", "Failed"}:
            kind = "Failed" if "Failed" in phases else "Succeeded"
            path = f"/apis/{GROUP}/namespaces/{meta['namespace']}/pytorchjobs/{meta['name']}/status"
            self.api.patch(path, {"status": {"conditions": [{"type": kind, "status": "True"}]}})


def _pod(job: Any, name: str, role: str, template: Any) -> Any:
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
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": given.get("annotations", {}),
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }
