"""What this user may do in the cluster: asked of the API by reviews, never guessed."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

from foundry_tui.estate.rights import Association, Rights
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.ports import SchedulerError, Unavailable

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
NAMESPACES = "/api/v1/namespaces"
MOST_NAMESPACES = 64
AT_ONCE = 8
OTHERS = "what another user may do cannot be asked of Kubernetes"

Ability = tuple[str, str, str]
"""Verb, resource and its group."""

ADMINISTRATION: tuple[Ability, ...] = (
    ("delete", "pods", ""),
    ("delete", "jobs", "batch"),
    ("patch", "jobs", "batch"),
    ("patch", "podgroups", "scheduling.run.ai"),
)
"""What the levers need on everybody's runs: who may do all of it everywhere is an administrator."""

NODES: Ability = ("patch", "nodes", "")
QUEUES: Ability = ("patch", "queues", "scheduling.run.ai")
SUBMITS: Ability = ("create", "pods", "")


def read_rights(cluster: Cluster, user: str | None) -> Rights:
    """May this user change everybody's runs, nodes and queues, and where create some.

    Namespaces stand as accounts: they are what a user is let into. All of it is asked side by side
    within one deadline: six reviews, and of who is no administrator one for each namespace.
    """
    if user is not None and user != user_name():
        return Rights(user=user, admin=False, reason=OTHERS)
    until = time.monotonic() + cluster.config.timeout_s
    asked = (*ADMINISTRATION, NODES, QUEUES)
    try:
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            told = list(pool.map(lambda a: allowed(cluster, a, until=until), asked))
            *everything, nodes, queues = told
            if all(everything):
                return Rights(
                    user=user_name(),
                    admin=True,
                    reason="an administrator of the cluster",
                    may_nodes=nodes,
                    may_queues=queues,
                )
            names = cluster.config.namespaces or _namespaces(cluster, until)
            may = list(
                pool.map(lambda n: allowed(cluster, SUBMITS, namespace=n, until=until), names)
            )
    except SchedulerError as error:
        return Rights(user=user_name(), admin=False, reason=str(error))
    return Rights(
        user=user_name(),
        admin=False,
        associations=tuple(
            Association(account=safe(name)) for name, yes in zip(names, may, strict=True) if yes
        ),
        may_nodes=nodes,
        may_queues=queues,
    )


def allowed(
    cluster: Cluster, ability: Ability, namespace: str | None = None, *, until: float | None = None
) -> bool:
    """Whether this user may do something; without a namespace, in all of them.

    Raises:
        SchedulerError: the API did not answer before `until`, a moment of `time.monotonic` (None:
            within the configured time).
    """
    verb, resource, group = ability
    asked = {"verb": verb, "resource": resource, "group": group}
    if namespace is not None:
        asked["namespace"] = namespace
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = json.loads(
        cluster.request("POST", REVIEW, body=json.dumps(body), timeout_s=_left_s(until))
    )
    return bool(answer.get("status", {}).get("allowed"))


def _namespaces(cluster: Cluster, until: float) -> tuple[str, ...]:
    query = {"limit": str(MOST_NAMESPACES)}
    answer = cluster.request("GET", NAMESPACES, query=query, timeout_s=_left_s(until))
    return tuple(str(n["metadata"]["name"]) for n in json.loads(answer).get("items") or ())


def _left_s(until: float | None) -> float | None:
    if until is None:
        return None
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise Unavailable("what this user may do", "the API server took too long", "ask again")
    return left_s
