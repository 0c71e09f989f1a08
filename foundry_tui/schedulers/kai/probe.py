"""What of a cluster is found, missing or broken: the lines of `foundry doctor`."""

from __future__ import annotations

import json

from foundry_tui.estate.text import safe
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.kinds import BINDS, GROUPS, JOBS, NODES, PODS, QUEUES, Kind
from foundry_tui.schedulers.kai.login import EXTRA, INSTALL
from foundry_tui.schedulers.kai.rights import allowed
from foundry_tui.schedulers.ports import Denied, Probe, SchedulerError

_WITHOUT = {
    NODES: "without nodes no GPU can be shown",
    QUEUES: "without queues no quota can be shown",
    GROUPS: "without PodGroups nobody can tell why a run waits",
    BINDS: "without BindRequests a failing bind is not seen",
    JOBS: "without Jobs a suspended one is not seen",
    PODS: "without pods there is nothing to show; or name `namespaces` in the configuration",
}


def probe(cluster: Cluster) -> tuple[Probe, ...]:
    """The API server, KAI's kinds and the rights to read them. Never raises."""
    try:
        version = json.loads(cluster.request("GET", "/version"))
        found = f"Kubernetes {version.get('gitVersion', '?')} at {cluster.server}"
        lines = [Probe(what="api", state="found", found=safe(found))]
    except SchedulerError as error:
        state = "denied" if isinstance(error, Denied) else "broken"
        lacks = error.hint == EXTRA
        words = safe(error.answer if lacks else str(error))
        mend = INSTALL if lacks else "kubectl get nodes"
        return (Probe(what="api", state=state, found=words, mend=mend),)
    except ValueError:
        told = "an answer that is not Kubernetes'"
        return (Probe(what="api", state="broken", found=safe(told), mend="kubectl version"),)
    return (*lines, *(_kind(cluster, kind) for kind in _WITHOUT))


def _kind(cluster: Cluster, kind: Kind) -> Probe:
    what = kind.name
    for path in kind.paths(cluster.config.namespaces)[:1]:
        try:
            cluster.request("GET", path, query={"limit": "1"})
        except Denied as error:
            words = f"{error.answer}; {_WITHOUT[kind]}"
            return Probe(what=what, state="denied", found=safe(words, max_cells=400))
        except SchedulerError as error:
            missing = getattr(error, "status", 0) == 404
            told = "the cluster has no such kind: is KAI installed?" if missing else error.answer
            mend = f"kubectl api-resources | grep {kind.plural}" if missing else None
            state = "missing" if missing else "broken"
            return Probe(what=what, state=state, found=safe(told, max_cells=400), mend=mend)
    return Probe(what=what, state="found", found=safe(_may_watch(cluster, kind)))


def _may_watch(cluster: Cluster, kind: Kind) -> str:
    group = kind.prefix.split("/")[2] if kind.prefix.startswith("/apis/") else ""
    space = (cluster.config.namespaces or (None,))[0] if kind.namespaced else None
    try:
        may = allowed(cluster, ("watch", kind.plural, group), space)
    except SchedulerError:
        may = True
    return "can be listed and watched" if may else "can be listed, not watched: read anew each time"
