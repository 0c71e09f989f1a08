"""Two small live clusters for the tests: one in which much happens, one in which nothing does."""

from __future__ import annotations

from dataclasses import replace

from scheduler_sim.cluster import NodeSpec, Request
from scheduler_sim.engine import LiveCluster
from scheduler_sim.jobs import JobSpec
from scheduler_sim.limits import LiveSpec, QueueSpec
from scheduler_sim.workload import Person, Template

H = 3600
NODES = tuple(NodeSpec(f"n{i}", 4, "A100" if i < 2 else "H100", 64_000, 64_000) for i in range(4))
SPEC = LiveSpec(
    nodes=NODES,
    queues=(QueueSpec("gpu", (0, 1, 2, 3), 12 * H), QueueSpec("h100", (2, 3), 12 * H, 60)),
    templates=(
        Template(
            name="big", request=Request(gpus=4), mean_s=4 * H, weight=2, queues=("gpu", "h100")
        ),
        Template(name="one", request=Request(gpus=1), mean_s=H, weight=6, queues=("gpu",)),
        Template(name="arr", request=Request(gpus=1), mean_s=H, weight=1, queues=("gpu",), tasks=5),
        Template(
            name="part",
            request=Request(gpus=1, gpu_milli=250),
            mean_s=H,
            weight=3,
            queues=("gpu,h100",),
            idle_pct=50,
            follow_pct=20,
            held_pct=10,
        ),
    ),
    people=(Person("ada", "ml"), Person("bo", "bio")),
    user_limits={"normal": 10_000},
    account_limits={"bio": 8000},
    fail_every_s=4 * H,
    repair_s=H,
)
QUIET = replace(
    SPEC,
    templates=(Template(name="x", request=Request(gpus=1), mean_s=60, weight=1, queues=("gpu",)),),
    load=1e-9,
    fail_every_s=10**9,
    user_limits={},
    account_limits={},
)


def quiet(**changes: object) -> LiveCluster:
    """A cluster in which nothing happens by itself."""
    return LiveCluster(replace(QUIET, **changes), 1)  # type: ignore[arg-type]


def spec(gpus: int = 1, **fields: object) -> JobSpec:
    values: dict[str, object] = {
        "name": "mine",
        "user": "ada",
        "account": "ml",
        "queue": "gpu",
        "request": Request(gpus=gpus),
        "duration_s": 600,
        "limit_s": H,
    }
    return JobSpec(**{**values, **fields})  # type: ignore[arg-type]
