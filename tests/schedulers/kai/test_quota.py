"""Warnings about quotas: a parent that deserves less than its children together."""

from __future__ import annotations

from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import ChangeQueue, Preview
from foundry_tui.schedulers.kai import actor
from tests.schedulers.kai.stub import StubCluster

QUEUES = "/apis/scheduling.run.ai/v2/queues"


def queue(name: str, quota: float | None, parent: str | None = None) -> tuple[str, dict[str, Any]]:
    gpu = {} if quota is None else {"quota": quota, "limit": -1}
    spec = {"resources": {"gpu": gpu}, **({"parentQueue": parent} if parent else {})}
    return f"{QUEUES}/{name}", {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": spec}


def seen(name: str, **fields: str) -> Preview:
    cluster = StubCluster(
        queue("research", 8), queue("a", 4, "research"), queue("b", 3, "research"), queue("c", None)
    )
    act = ChangeQueue(source="lab", queue=name, fields=tuple(fields.items()))
    return actor.preview(cluster, KubernetesConfig(name="lab"), act, (), "t")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "quota", "words"),
    [
        ("a", "5", None),
        ("a", "6", "the queues below research deserve 9 GPUs together, research itself 8"),
        ("a", "unlimited", "a queue below research has no limit to its quota, research has 8"),
        ("research", "7", None),
        ("research", "6", "the queues below research deserve 7 GPUs together, research itself 6"),
        ("research", "0", "research itself 0"),
        ("research", "unlimited", None),
        ("a", "0", None),
    ],
)
def test_children_that_deserve_more_than_their_parent(
    name: str, quota: str, words: str | None
) -> None:
    warning = seen(name, quota_gpus=quota).items[0].warning
    assert warning is None if words is None else words in str(warning)


def test_a_quota_that_is_not_told_is_none_and_not_unlimited() -> None:
    (item,) = seen("c", quota_gpus="0").items
    assert "it is so already: quota_gpus 0, limit_gpus 0" in str(item.refusal)
    preview = seen("c", limit_gpus="unlimited")
    assert preview.inverse is not None
    assert preview.inverse.fields == (("limit_gpus", "0"),)  # type: ignore[union-attr]
    assert (
        preview.items[0].before == "quota_gpus 0, limit_gpus 0, over_quota_weight 0, priority 100"
    )
