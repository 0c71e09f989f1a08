"""What this user may do in the cluster: asked of the API by reviews, never guessed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from foundry_tui.estate.rights import Association, Rights
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.ports import SchedulerError

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
NAMESPACES = "/api/v1/namespaces"
MOST_NAMESPACES = 64
OTHERS = "what another user may do cannot be asked of Kubernetes"


def read_rights(cluster: Cluster, user: str | None) -> Rights:
    """May this user delete everybody's pods, and in which namespaces may it create some.

    Namespaces stand as accounts: they are what a user is let into.
    """
    if user is not None and user != user_name():
        return Rights(user=user, admin=False, reason=OTHERS)
    try:
        admin = allowed(cluster, "delete", "pods") and allowed(cluster, "delete", "jobs", "batch")
        if admin:
            return Rights(user=user_name(), admin=True, reason="an administrator of the cluster")
        names = cluster.config.namespaces or _namespaces(cluster)
        with ThreadPoolExecutor(max_workers=8) as pool:
            may = list(pool.map(lambda n: allowed(cluster, "create", "pods", namespace=n), names))
    except SchedulerError as error:
        return Rights(user=user_name(), admin=False, reason=str(error))
    return Rights(
        user=user_name(),
        admin=False,
        associations=tuple(
            Association(account=safe(name)) for name, yes in zip(names, may, strict=True) if yes
        ),
    )


def allowed(
    cluster: Cluster, verb: str, resource: str, group: str = "", namespace: str | None = None
) -> bool:
    """Whether this user may do something; without a namespace, in all of them.

    Raises:
        SchedulerError: the API did not answer.
    """
    asked = {"verb": verb, "resource": resource, "group": group}
    if namespace is not None:
        asked["namespace"] = namespace
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = json.loads(cluster.request("POST", REVIEW, body=json.dumps(body)))
    return bool(answer.get("status", {}).get("allowed"))


def _namespaces(cluster: Cluster) -> tuple[str, ...]:
    listed = json.loads(cluster.request("GET", NAMESPACES, query={"limit": str(MOST_NAMESPACES)}))
    return tuple(str(n["metadata"]["name"]) for n in listed.get("items") or ())
