"""A small fake kubelet for every node: bound pods run, deleted pods end, GPUs get their numbers.

KAI holds a shared GPU by a reservation pod and waits until that pod tells in an annotation which
device it got: here the lowest GPU of the node that no other reservation has. The annotation is
named after an index, but what KAI's own reservation pod writes there is the UUID that NVML tells.
"""

import contextlib
import itertools
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.lab.kube.api import Api, ApiError

EXIT = "foundry.lab/exit"
"""Annotation of a pod that ends: `0 after 5` is exit code 0 after 5 seconds."""

GPU_UUID = "run.ai/reserve_for_gpu_index"
GROUP = "runai-gpu-group"
RESERVATIONS = "kai-resource-reservation"
SIGTERM_CODE = 143
"""Exit code of a container that SIGTERM ended, as a deletion does."""


def gpu_uuid(node: str, index: int) -> str:
    """The UUID of a GPU of a node: always the same one."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{node}')}"


def now_text() -> str:
    """The time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Kubelet:
    """Follows all pods in a thread of its own until `stop`; outlives restarts of the API server."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._stopped = threading.Event()
        self._pods: dict[str, Any] = {}
        self._ends: dict[str, tuple[datetime, int]] = {}
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._follow, self._end)
        ]

    def start(self) -> None:
        """Begin to follow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Follow no more; waits for the threads."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(10)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                listed = self.api.get("/api/v1/pods")
                self._pods = {p["metadata"]["uid"]: p for p in listed["items"]}
                for pod in listed["items"]:
                    self._serve(pod)
                for event in self.api.watch("/api/v1/pods", listed["metadata"]["resourceVersion"]):
                    if self._stopped.is_set() or event["type"] == "ERROR":
                        break
                    self._seen(event)
            except (ApiError, httpx.HTTPError, OSError, ValueError):
                time.sleep(0.2)

    def _seen(self, event: Any) -> None:
        pod = event["object"]
        if event["type"] == "BOOKMARK":
            return
        if event["type"] == "DELETED":
            self._pods.pop(pod["metadata"]["uid"], None)
            self._ends.pop(pod["metadata"]["uid"], None)
            return
        self._pods[pod["metadata"]["uid"]] = pod
        self._serve(pod)

    def _serve(self, pod: Any) -> None:
        """Do what a kubelet would do next for this pod."""
        with contextlib.suppress(ApiError):
            if "deletionTimestamp" in pod["metadata"]:
                if pod["status"].get("phase") == "Running":
                    # The controllers of a Job wait for this before they replace a pod.
                    status = _ended(pod, SIGTERM_CODE)
                    self.api.patch(f"{_path(pod)}/status", {"status": status})
                self.api.delete(_path(pod), gracePeriodSeconds="0")
            elif pod["spec"].get("nodeName") and pod["status"].get("phase") == "Pending":
                self._run(pod)

    def _run(self, pod: Any) -> None:
        meta = pod["metadata"]
        if meta["namespace"] == RESERVATIONS and GROUP in meta.get("labels", {}):
            gpu = self._free_gpu(pod)
            changed = self.api.patch(_path(pod), {"metadata": {"annotations": {GPU_UUID: gpu}}})
            self._pods[meta["uid"]] = changed
        started = now_text()
        status = {
            "phase": "Running",
            "startTime": started,
            "hostIP": "127.0.0.1",
            "podIP": "127.0.0.1",
            "conditions": [
                {"type": t, "status": "True", "lastTransitionTime": started}
                for t in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
            "containerStatuses": [
                _container(c, {"running": {"startedAt": started}}, ready=True)
                for c in pod["spec"]["containers"]
            ],
        }
        self.api.patch(f"{_path(pod)}/status", {"status": status})
        wanted = meta.get("annotations", {}).get(EXIT)
        if wanted:
            code, _, seconds = wanted.partition(" after ")
            end = datetime.now(UTC) + timedelta(seconds=float(seconds))
            self._ends[meta["uid"]] = (end, int(code))

    def _free_gpu(self, pod: Any) -> str:
        """The UUID of the first GPU of the node that no other reservation has."""
        node = pod["spec"]["nodeName"]
        taken = {
            other["metadata"].get("annotations", {}).get(GPU_UUID)
            for other in self._pods.values()
            if other["metadata"]["uid"] != pod["metadata"]["uid"]
            and other["metadata"]["namespace"] == RESERVATIONS
            and other["spec"].get("nodeName") == node
        }
        return next(gpu for n in itertools.count() if (gpu := gpu_uuid(node, n)) not in taken)

    def _end(self) -> None:
        """End the pods whose time has come."""
        while not self._stopped.wait(0.1):
            for uid, (end, code) in list(self._ends.items()):
                pod = self._pods.get(uid)
                if datetime.now(UTC) < end or pod is None:
                    continue
                with contextlib.suppress(ApiError, httpx.HTTPError):
                    self.api.patch(f"{_path(pod)}/status", {"status": _ended(pod, code)})
                    self._ends.pop(uid, None)


def _ended(pod: Any, code: int) -> Any:
    ended = {
        "exitCode": code,
        "reason": "Completed" if code == 0 else "OOMKilled" if code == 137 else "Error",
        "startedAt": pod["status"].get("startTime") or now_text(),
        "finishedAt": now_text(),
    }
    return {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [
            _container(c, {"terminated": ended}, ready=False) for c in pod["spec"]["containers"]
        ],
    }


def _container(container: Any, state: Any, *, ready: bool) -> Any:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
    }


def _path(pod: Any) -> str:
    meta = pod["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
