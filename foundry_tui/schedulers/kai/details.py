"""One run in the cluster's own words: events, the log of its pods, and what a submit would say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import Submit
from foundry_tui.estate.run import Run
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.submit import submit_item
from foundry_tui.schedulers.kai.wire import Api
from foundry_tui.schedulers.ports import Estimate, Log, SchedulerError

NO_ESTIMATE = SafeText("KAI plans no starts ahead, so nobody can tell when")
HOW = "the cluster itself: a dry run of its API and of KAI's admission"
EVENTS = 8
MESSAGE_CELLS = 400
LOG_BYTES = 4 << 20
_SELECTORS = {
    "Job": "controller-uid={uid}",
    "PyTorchJob": "training.kubeflow.org/job-name={name}",
}
_TRY_TOKEN = "foundry-tries"


def read_details(cluster: Cluster, run: Run) -> dict[str, SafeText]:
    """The native words of the run and its latest events, newest last."""
    words = dict(run.native or {})
    words["uid"] = safe(run.native_id)
    if run.submit_token:
        words["submit_token"] = safe(run.submit_token)
    try:
        told = [e for pod in _pods(cluster, run)[:1] for e in _events(cluster, pod)]
        told += _events_of(cluster, run.native, run.native_id)
    except SchedulerError as error:
        words["events"] = safe(str(error), max_cells=MESSAGE_CELLS)
        return words
    for number, (_, text) in enumerate(sorted(set(told))[-EVENTS:], 1):
        words[f"event_{number}"] = safe(text, max_cells=MESSAGE_CELLS)
    return words


def read_log(cluster: Cluster, run: Run, tail_lines: int) -> Log:
    """The end of the log of one pod of the run; both streams are one."""
    try:
        pods = _pods(cluster, run)
        if not pods:
            return Log(path=None, reason="the run has no pod (any more), and so no log")
        meta = pods[0]["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/log"
        query = {
            "tailLines": str(tail_lines),
            "limitBytes": str(LOG_BYTES),
            # A pod with helpers beside it has no log of its own, only its containers have.
            "container": str(pods[0]["spec"]["containers"][0]["name"]),
        }
        data = cluster.request("GET", path, query=query)
    except SchedulerError as error:
        return Log(path=None, reason=safe(str(error), max_cells=MESSAGE_CELLS))
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    shown = safe(f"{meta['namespace']}/{meta['name']}")
    if not lines:
        return Log(path=shown, reason="the pod has written nothing yet")
    more = len(pods) > 1
    return Log(
        path=safe(f"{shown} (one of {len(pods)} pods)") if more else shown,
        lines=tuple(safe(line, max_cells=2000) for line in lines[-tail_lines:]),
        truncated=len(lines) >= tail_lines,
    )


def try_submit(cluster: Cluster, config: KubernetesConfig, act: Submit) -> Estimate:
    """A server-side dry run: whether the API and KAI's admission would take it."""
    item = submit_item(Api(cluster), config, act, _TRY_TOKEN)
    words = item.refusal or item.warning
    taken = safe(f"it would be taken; {NO_ESTIMATE}")
    return Estimate(starts_at=None, reason=safe(words) if words else taken, how=HOW)


def _pods(cluster: Cluster, run: Run) -> list[Any]:
    """The run's pods: those that run first, then the newest, then in the order of their names.

    Raises:
        SchedulerError: the API did not answer.
    """
    words = run.native or {}
    space, kind, name = words.get("namespace"), words.get("kind"), words.get("workload")
    if not space or not name:
        return []
    home = f"/api/v1/namespaces/{quote(space)}/pods"
    if kind == "Pod":
        listed = _listed(cluster, home, {"fieldSelector": f"metadata.name={name}"})
        return [pod for pod in listed if pod["metadata"]["uid"] == run.native_id]
    # A label spares the server and us the rest of the namespace; not every owner sets one.
    selector = _SELECTORS.get(kind or "", "").format(name=name, uid=run.native_id)
    listed = _listed(cluster, home, {"labelSelector": selector}) if selector else []
    found = [pod for pod in listed or _listed(cluster, home, {}) if _owned(pod, run.native_id)]
    found.sort(key=lambda pod: str(pod["metadata"]["name"]))
    found.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    found.sort(key=lambda pod: pod.get("status", {}).get("phase") != "Running")
    return found


def _listed(cluster: Cluster, path: str, query: Mapping[str, str]) -> list[Any]:
    return json.loads(cluster.request("GET", path, query=query)).get("items") or []


def _owned(pod: Any, uid: str) -> bool:
    return uid in [owner["uid"] for owner in pod["metadata"].get("ownerReferences") or ()]


def _events(cluster: Cluster, pod: Any) -> list[tuple[str, str]]:
    meta = pod["metadata"]
    return _events_of(cluster, {"namespace": meta["namespace"]}, meta["uid"])


def _events_of(cluster: Cluster, words: Any, uid: str) -> list[tuple[str, str]]:
    space = (words or {}).get("namespace")
    if not space:
        return []
    path = f"/api/v1/namespaces/{quote(space)}/events"
    query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": "200"}
    found = []
    for event in _listed(cluster, path, query):
        at = str(event.get("lastTimestamp") or event.get("eventTime") or "")
        found.append((at, f"{at} {event.get('reason', '')}: {event.get('message', '')}".strip()))
    return found
