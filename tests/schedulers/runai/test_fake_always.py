"""What holds in the fake whatever is asked of it: no GPU is given twice, no limit is passed."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.schedulers.runai.fake.cluster import CLUSTER_ID, WHOLE_MILLI, small_cluster
from foundry_tui.schedulers.runai.fake.control import ControlPlane, Pace
from foundry_tui.schedulers.runai.fake.quotas import use
from foundry_tui.schedulers.runai.fake.work import KINDS, PRIORITIES, Phase, Workload

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class World:
    """A control plane under random orders."""

    def __init__(self, seed: int) -> None:
        self.random, self.now = random.Random(seed), NOON
        self.control = ControlPlane(small_cluster(), lambda: self.now, Pace())

    def step(self) -> None:
        """One random order, then some time."""
        roll, live = self.random.random(), self._live()
        if roll < 0.5 or not live:
            self._create()
        elif roll < 0.6:
            self.control.delete(self.random.choice(live))
        elif roll < 0.7:
            self.control.suspend(self.random.choice(live))
        elif roll < 0.8:
            self.control.resume(self.random.choice(live))
        self.now += timedelta(seconds=self.random.choice((0, 0.5, 1, 5, 60)))
        self.control.settle()

    def _live(self) -> list[Workload]:
        found = self.control.workloads.values()
        return [w for w in found if w.phase is not Phase.DELETED and w.kind.can_suspend]

    def _create(self) -> None:
        pick = self.random.choice
        kind = pick(("trainings", "distributed", "workspaces"))
        body = {
            "name": f"job-{len(self.control.workloads)}",
            "projectId": pick(("4500033", "4500034", "4500035")),
            "clusterId": CLUSTER_ID,
            "spec": {
                "image": "x",
                "args": f"sleep {pick((3, 30, 300))}",
                "numWorkers": pick((1, 2, 3)),
                "nodePools": pick((["a100"], ["h100"], ["h100", "a100"])),
                "priorityClass": pick(tuple(PRIORITIES)),
                "preemptibility": pick(("preemptible", "preemptible", "non-preemptible")),
                "compute": {
                    "gpuDevicesRequest": pick((0, 1, 2, 4, 8)),
                    "gpuRequestType": "portion",
                    "gpuPortionRequest": pick((0.25, 0.4, 0.5, 1)),
                    "cpuCoreRequest": pick((0, 4, 32)),
                },
            },
        }
        self.control.create(KINDS[kind], body, "ada")

    def check(self) -> None:
        """Compare what is booked with what is held, and both with the bounds."""
        workloads = list(self.control.workloads.values())
        held: dict[tuple[str, int], int] = defaultdict(int)
        for workload in workloads:
            assert len(workload.seats) in (0, len(workload.pods))
            for seat, need in zip(workload.seats, workload.pods, strict=False):
                assert len(set(seat.gpus)) == need.devices
                for gpu in seat.gpus:
                    held[seat.node, gpu] += seat.milli
        for node in self.control.cluster.nodes:
            booked = [WHOLE_MILLI - free for free in node.free_gpu_milli]
            assert booked == [held[node.name, gpu] for gpu in range(node.gpu_count)]
            assert max(booked) <= WHOLE_MILLI
            assert 0 <= node.free_cpu_milli <= node.cpu_milli
        for project in self.control.cluster.projects:
            for pool, quota in project.quotas.items():
                told = use(workloads, [project], pool)
                assert told.non_preemptible_milli <= quota.deserved_milli
                assert quota.limit_milli is None or told.allocated_milli <= quota.limit_milli


@pytest.mark.parametrize("seed", range(25))
def test_no_order_breaks_the_books(seed: int) -> None:
    world = World(seed)
    for _ in range(60):
        world.step()
        world.check()
    phases = {w.phase for w in world.control.workloads.values()}
    assert len(phases) >= 3, "the orders lead somewhere"


def test_the_same_orders_lead_to_the_same_state() -> None:
    ends = []
    for _ in range(2):
        world = World(7)
        for _ in range(60):
            world.step()
        ends.append([(w.id, w.name, w.phase, w.seats) for w in world.control.workloads.values()])
    assert ends[0] == ends[1]
