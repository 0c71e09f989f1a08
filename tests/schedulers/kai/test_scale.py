"""A large cluster: 2,000 nodes, 16,000 GPUs, 20,000 pods."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.run import RunState
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.kai.connect import Refused
from foundry_tui.schedulers.kai.follow import PAGE
from tests.schedulers.kai.things import (
    BINDS,
    GROUPS,
    JOBS,
    NODES,
    PODS,
    PRIORITIES,
    QUEUES,
    group,
    job,
    meta,
    node,
    pod,
    queue,
    reservation,
    shared,
)

NODES_COUNT, PODS_COUNT, TEAMS = 2000, 20_000, 40


def _filler(thing: dict[str, Any]) -> dict[str, Any]:
    """The fields that a real object has beside those that are read: as much text again."""
    fields: dict[str, Any] = {f"f:field-{n}": {"f:name": {}} for n in range(12)}
    managed = {"manager": "kubelet", "operation": "Update", "fieldsV1": fields}
    thing["metadata"]["managedFields"] = [managed]
    for container in thing.get("spec", {}).get("containers", ()):
        container["env"] = [{"name": f"VARIABLE_{n}", "value": "x" * 20} for n in range(10)]
        container["volumeMounts"] = [{"name": "kube-api-access", "mountPath": "/var/run/secrets"}]
    return thing


def _pods() -> Iterator[dict[str, Any]]:
    """Half of the Jobs' pods share GPUs by halves; the last quarter of all waits."""
    for number in range(PODS_COUNT):
        owner = ("Job", f"job-{number // 2}")
        name, team = f"job-{number // 2}-{number % 2}", f"team-{number // 2 % TEAMS}"
        notes = {"pod-group-name": f"pg-{number // 2}"}
        if number >= PODS_COUNT * 3 // 4:
            yield pod(name, gpus=1, queue=team, namespace=team, owner=owner, notes=notes)
        elif number % 4 < 2:
            at = f"gpu{number // 4 % NODES_COUNT:04}"
            told = f"group-{number // 4}"
            made = shared(name, at, "0.5", told, queue=team, namespace=team, owner=owner)
            made["metadata"]["annotations"].update(notes)
            yield made
        else:
            at = f"gpu{(number // 4 * 2 + number % 2) % NODES_COUNT:04}"
            yield pod(name, at, gpus=1, queue=team, namespace=team, owner=owner, notes=notes)
    for number in range(PODS_COUNT * 3 // 16):
        at = f"gpu{number % NODES_COUNT:04}"
        yield reservation(f"group-{number}", at, f"GPU-{number}")


def _things() -> Mapping[str, list[dict[str, Any]]]:
    jobs = range(PODS_COUNT // 2)
    return {
        PODS: list(_pods()),
        NODES: [node(f"gpu{n:04}", 8) for n in range(NODES_COUNT)],
        JOBS: [job(f"job-{n}", 2) for n in jobs],
        GROUPS: [group(f"pg-{n}", f"team-{n % TEAMS}", queue=f"team-{n % TEAMS}") for n in jobs],
        QUEUES: [
            queue("research", quota=16000),
            *(queue(f"team-{n}", "research", quota=400) for n in range(TEAMS)),
        ],
        BINDS: [],
        PRIORITIES: [{"metadata": meta("train"), "value": 50}],
    }


class Recorded:
    """A cluster that answers with pages made beforehand, and whose watches stay silent."""

    def __init__(self) -> None:
        self.config = KubernetesConfig(name="large", timeout_s=60.0)
        self.pages = {path: self._paged(things) for path, things in _things().items()}

    def _paged(self, things: list[dict[str, Any]]) -> list[bytes]:
        pages = []
        for at in range(0, max(1, len(things)), PAGE):
            more = {"continue": str(at // PAGE + 1)} if at + PAGE < len(things) else {}
            items = [_filler(thing) for thing in things[at : at + PAGE]]
            told = {"metadata": {"resourceVersion": "5000", **more}, "items": items}
            pages.append(json.dumps(told).encode())
        return pages

    def request(self, _method: str, path: str, *, query: Mapping[str, str], **_: Any) -> bytes:
        if path not in self.pages:
            raise Refused(path, "404", 404)
        return self.pages[path][int(query.get("continue", 0))]

    def stream(
        self, _path: str, _query: Mapping[str, str], opened: Callable[[], None]
    ) -> Iterator[bytes]:
        opened()
        threading.Event().wait()
        yield b""


@pytest.fixture(scope="module")
def large() -> KaiAdapter:
    """An adapter of a large cluster that was read once; `first_cpu_s` is what that took."""
    cluster = Recorded()
    adapter = KaiAdapter(cluster.config)
    adapter.cluster = cluster  # type: ignore[assignment]
    return adapter


def test_a_first_list_and_then_little(large: KaiAdapter) -> None:
    estate = large.snapshot()
    assert (len(estate.nodes), len(estate.gpus)) == (NODES_COUNT, 8 * NODES_COUNT)
    assert len(estate.runs) == PODS_COUNT // 2
    assert_consistent_cheaply(estate)
    large.snapshot()  # the watches start
    state = large._state
    assert state is not None
    pods = state.followers[0]
    changed = [pod(f"job-{n}-0", phase="Succeeded", owner=("Job", f"job-{n}")) for n in range(50)]
    for thing in changed:
        pods._take(json.dumps({"type": "MODIFIED", "object": thing}).encode())
    after = large.snapshot()
    same = sum(a is b for a, b in zip(estate.runs, after.runs, strict=True))
    assert len(estate.runs) - same == 50, "only what has changed is made anew"
    again = large.snapshot()
    assert all(a is b for a, b in zip(after.runs, again.runs, strict=True))


def assert_consistent_cheaply(estate: Any) -> None:
    """The sums of the contract's consistency, whose loops are not made for so many runs."""
    held = sum(g.milli_allocated or 0 for g in estate.gpus)
    asked = sum(r.request.gpu_milli for r in estate.runs if r.state is RunState.RUNNING)
    assert held == asked == sum(n.gpu_milli_allocated for n in estate.nodes)
