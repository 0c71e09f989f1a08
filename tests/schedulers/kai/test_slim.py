"""What is kept of an object: all that a noun shows, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai import objects, slim
from foundry_tui.schedulers.kai.slim import Slim
from tests.schedulers.kai.things import as_node, as_pod, ended, job, node, pod, read, shared

CONFIG = KubernetesConfig(name="lab", queue_label="site/queue", node_pool_label="site/pool")


def cut(thing: Any) -> Any:
    Slim(CONFIG).cut(thing)
    return thing


def test_labels_and_notes_that_nobody_reads_are_dropped() -> None:
    told = shared("p", "gpu00", "0.5", "g", "h")
    told["metadata"]["labels"] |= {"site/queue": "q", "site/pool": "a", "app": "x", "user": "ada"}
    told["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = "x" * 999
    kept = cut(as_pod(told)).metadata
    assert set(kept.labels) == {
        *("runai-gpu-group/g", "runai-gpu-group/h", "site/queue", "site/pool", "user")
    }
    assert set(kept.annotations) == {"gpu-fraction", "gpu-fraction-num-devices"}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}, True),
        ({"type": "PodScheduled", "status": "True"}, False),
        ({"type": "DisruptionTarget", "status": "True"}, True),
        ({"type": "Ready", "status": "False"}, False),
    ],
)
def test_only_conditions_that_say_something_are_kept(told: dict[str, str], kept: bool) -> None:
    found = cut(as_pod(pod("p", status={"conditions": [told]})))
    assert (found.status.conditions is not None) is kept


def test_a_container_is_kept_when_it_waits_or_ended() -> None:
    runs = {"containerStatuses": [{"state": {"running": {"startedAt": "x"}}}]}
    waits = {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}
    assert cut(as_pod(pod("p", "gpu00", status=runs))).status.container_statuses is None
    for status in (waits, ended(1)):
        assert len(cut(as_pod(pod("p", "gpu00", status=status))).status.container_statuses) == 1


def test_equal_amounts_are_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Slim(CONFIG)
    pods = [as_pod(pod(f"p{n}", gpus=2)) for n in range(2)]
    for thing in pods:
        one.cut(thing)
    first, second = (p.spec.containers[0].resources for p in pods)
    assert first is not None
    assert second is not None
    assert first.limits is second.limits
    assert first.limits == {"nvidia.com/gpu": "2"}
    monkeypatch.setattr(slim, "MOST_SHARED", 0)
    other = as_pod(pod("other", gpus=3))
    one.cut(other)
    kept = other.spec.containers[0].resources
    assert kept is not None
    assert kept.limits == {"nvidia.com/gpu": "3"}


def test_nodes_and_jobs_are_cut_too() -> None:
    told = node("n", 8, 81920, **{"feature.node.kubernetes.io/cpu": "x", "site/pool": "a"})
    told["status"]["conditions"].append({"type": "DiskPressure", "status": "False"})
    found = cut(as_node(told))
    assert "feature.node.kubernetes.io/cpu" not in found.metadata.labels
    assert found.metadata.labels["site/pool"] == "a"
    assert [c.type for c in found.status.conditions] == ["Ready"]
    made = cut(read(objects.Job, job("j", notes={"foundry/held": "true", "x": "y"})))
    assert made.metadata.annotations == {"foundry/held": "true"}
