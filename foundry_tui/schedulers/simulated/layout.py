"""What the simulated estate looks like: two clusters, who works there and on what.

Two thirds of the nodes are under Slurm, one third under Run:ai. Everything grows with the number
of nodes, so that a small and a large estate show the same picture.
"""

from __future__ import annotations

from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.text import safe
from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.limits import LiveSpec, QueueSpec
from scheduler_sim.workload import Person, Template

USER = "ada"
"""Who uses the simulated estate, and owns some of its runs; no administrator unless asked for."""

SMALL = 32
"""Nodes up to which a cluster's scheduler looks at its queue twice a minute, after a day's past.
A larger one is only made into a file: it gets less past, and a lazier scheduler."""

GPUS_PER_NODE = 8
DEPARTMENTS = {"vision": "research", "speech": "research", "genomics": "product"}
"""Run:ai projects and the departments above them."""

COORDINATES = ("bio", "robotics")
"""Accounts of the simulated Slurm whose runs the user may change too, as their coordinator: so some
of the advice can be carried out, and some cannot."""

PLANS_QUOTA_OF = "research"
"""The department whose quotas the user of the simulated estate may change: by a role of the site's
own, which gives no right to anybody's workloads."""

OVER_QUOTA_WEIGHT = {"vision": 2, "speech": 1, "genomics": 1}
NODE_POOL = "default"

FAULTS: dict[tuple[str, int], Fault] = {
    ("h03", 5): Fault(kind=FaultKind.ROW_REMAP, words=safe("remapped row waits for a reset")),
    ("a04", 6): Fault(
        kind=FaultKind.LOST, words=safe("lost: the driver does not reach it"), grave=True
    ),
}
"""Node and index of the GPUs that are never quite well. A lost one gives no readings."""

_CPU_MILLI = 128_000
_MEMORY_MIB = 1 << 20
_H = 3600


def _need(gpus: int, milli: int = 1000) -> Request:
    """GPUs with 14 cores and 117 GiB for each whole one."""
    share = gpus * milli
    return Request(gpus, milli, max(2000, 14 * share), max(8192, 120 * share))


def _past_s(nodes: int) -> int:
    return 30 * _H if nodes <= SMALL else 10 * _H


def _pass_every_s(nodes: int) -> int:
    return 30 if nodes <= SMALL else 600


_NAMES = ("ada", "bo", "chen", "dara", "eli", "fadi")


def _people(accounts: tuple[str, ...], nodes: int) -> tuple[Person, ...]:
    """Six people share a small estate; a large one has two more for every three nodes."""
    more = tuple(f"user{i:03d}" for i in range(max(0, 2 * nodes // 3 - len(_NAMES))))
    return tuple(
        Person(name, accounts[i % len(accounts)], 2 if i < 2 else 1)
        for i, name in enumerate(_NAMES + more)
    )


def _nodes(prefix_model: tuple[tuple[str, str], ...], count: int) -> tuple[NodeSpec, ...]:
    """`count` nodes, the models in equal parts, numbered per prefix with equal width."""
    found = []
    for part, (prefix, model) in enumerate(prefix_model):
        share = (count + len(prefix_model) - 1 - part) // len(prefix_model)
        width = max(2, len(str(share)))
        found += [
            NodeSpec(f"{prefix}{i:0{width}d}", GPUS_PER_NODE, model, _CPU_MILLI, _MEMORY_MIB)
            for i in range(1, share + 1)
        ]
    return tuple(found)


def slurm_spec(nodes: int, waiting: int) -> LiveSpec:
    """The Slurm part: H100 and A100 nodes in partitions `gpu`, `h100`, `a100` and `short`."""
    specs = _nodes((("h", "h100"), ("a", "a100")), nodes)
    rows = tuple(range(len(specs)))
    by_model = {m: tuple(i for i in rows if specs[i].model == m) for m in ("h100", "a100")}
    total = GPUS_PER_NODE * nodes
    templates = (
        Template(
            name="pretrain", request=_need(8), nodes=2, mean_s=9 * _H, weight=3, util_pct=92,
            queues=("h100", "gpu"), qos="high", idle_pct=5,
        ),
        Template(
            name="train-llm", request=_need(8), mean_s=7 * _H, weight=7, util_pct=88,
            queues=("gpu", "h100", "a100"), idle_pct=9, follow_pct=15,
        ),
        Template(
            name="finetune", request=_need(4), mean_s=6 * _H, weight=16, util_pct=78,
            queues=("gpu", "h100,a100", "a100"), idle_pct=18, held_pct=6, follow_pct=8,
        ),
        Template(
            name="train", request=_need(2), mean_s=5 * _H, weight=16, util_pct=70,
            queues=("gpu", "a100"), idle_pct=24, held_pct=5, fail_pct=12,
        ),
        Template(
            name="eval", request=_need(1), mean_s=1 * _H, weight=24, util_pct=55,
            queues=("gpu", "short", "a100"), idle_pct=20, follow_pct=12, fail_pct=14,
        ),
        Template(
            name="sweep", request=_need(1), mean_s=2 * _H, weight=3, util_pct=65,
            queues=("gpu",), qos="low", tasks=24, throttle=6, fail_pct=15,
        ),
        Template(
            name="notebook", request=_need(1, 250), mean_s=8 * _H, weight=9, util_pct=15,
            queues=("a100",), idle_pct=60, fail_pct=4,
        ),
    )  # fmt: skip
    return LiveSpec(
        nodes=specs,
        queues=(
            QueueSpec("gpu", rows, 48 * _H),
            QueueSpec("h100", by_model["h100"], 48 * _H),
            QueueSpec("a100", by_model["a100"], 48 * _H),
            QueueSpec("short", rows, 4 * _H, rank_minutes=240),
        ),
        templates=templates,
        people=_people(("ml", "bio", "robotics"), nodes),
        load=1.5,
        max_waiting=waiting,
        user_limits={
            "low": 4000 * max(1, total // 64),
            "normal": 24_000 * max(1, total // 64),
        },
        account_limits={"robotics": 20_000 * max(1, total // 64)},
        start_s=-_past_s(nodes),
        pass_every_s=_pass_every_s(nodes),
        fail_every_s=14 * _H * 8 // nodes,
        first_number=4021,
    )


def runai_spec(nodes: int, waiting: int) -> LiveSpec:
    """The Run:ai part: DGX nodes in one node pool, three projects, runs that share GPUs."""
    specs = _nodes((("dgx-h", "NVIDIA-H100-80GB-HBM3"), ("dgx-a", "NVIDIA-A100-SXM4-80GB")), nodes)
    rows = tuple(range(len(specs)))
    templates = (
        Template(
            name="llm-train", request=_need(8), mean_s=6 * _H, weight=4, util_pct=90,
            longest_limit_s=None, idle_pct=6,
        ),
        Template(
            name="vit-train", request=_need(2), mean_s=5 * _H, weight=14, util_pct=80,
            longest_limit_s=None, idle_pct=18, fail_pct=12,
        ),
        Template(
            name="asr-tune", request=_need(1), mean_s=4 * _H, weight=18, util_pct=65,
            longest_limit_s=None, idle_pct=20,
        ),
        Template(
            name="half", request=_need(1, 500), mean_s=5 * _H, weight=16, util_pct=40,
            longest_limit_s=None, idle_pct=20,
        ),
        Template(
            name="workspace", request=_need(1, 300), mean_s=9 * _H, weight=12, util_pct=12,
            longest_limit_s=None, preemptible=False, idle_pct=60, fail_pct=2,
        ),
        Template(
            name="serve", request=_need(1, 810), mean_s=14 * _H, weight=6, util_pct=35,
            longest_limit_s=None, preemptible=False, fail_pct=2,
        ),
    )  # fmt: skip
    total_milli = 1000 * GPUS_PER_NODE * nodes
    return LiveSpec(
        nodes=specs,
        queues=tuple(QueueSpec(project, rows) for project in DEPARTMENTS),
        templates=templates,
        people=_people(tuple(DEPARTMENTS), nodes),
        load=1.5,
        max_waiting=waiting,
        account_limits={"speech": total_milli * 3 // 8},
        quotas=quotas(nodes),
        start_s=-_past_s(nodes),
        pass_every_s=_pass_every_s(nodes),
        fail_every_s=24 * _H * 4 // nodes,
    )


def quotas(nodes: int) -> dict[str, int]:
    """What each Run:ai project deserves, in thousandths of a GPU; an eighth is nobody's."""
    total_milli = 1000 * GPUS_PER_NODE * nodes
    return {
        "vision": total_milli * 3 // 8,
        "speech": total_milli // 4,
        "genomics": total_milli // 4,
    }
