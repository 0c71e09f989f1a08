"""What is kept from reading to reading: never old, whatever the objects are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.gpu import Share, contradictions
from foundry_tui.estate.run import HOLDING, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.kai import kinds
from foundry_tui.schedulers.kai.assemble import Assembly
from tests.schedulers.kai.things import bind, group, job, node, pod, queue, read, reservation

CONFIG = KubernetesConfig(name="lab")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NODES = ("gpu00", "gpu01")
NAMES = tuple(f"p{n}" for n in range(6))


class Held:
    """The collections in memory, as the watches leave them."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.changes = 0
        for name, gpus in zip(NODES, (2, 4), strict=True):
            self.put(kinds.NODES, node(name, gpus))
        for made in (queue("research"), queue("team-a", "research", quota=2)):
            self.put(kinds.QUEUES, made)

    def put(self, kind: kinds.Kind, thing: dict[str, Any]) -> None:
        made = read(kind.type, thing)
        self.tables.setdefault(kind.name, {})[made.metadata.uid] = made
        self.changes += 1

    def remove(self, kind: kinds.Kind, name: str) -> None:
        if self.tables.get(kind.name, {}).pop(f"uid-{name}", None) is not None:
            self.changes += 1

    def rows(self, kind: kinds.Kind) -> list[Any]:
        return list(self.tables.get(kind.name, {}).values())


def made(assembly: Assembly, held: Held, now: datetime = NOW) -> Snapshot:
    return assembly.make(held, {}, now)  # type: ignore[arg-type]


ODD = st.sampled_from(
    ["0.5", "0.25", "1", "", "0", "-1", "1e9", "NaN", "inf", "0.5.5", "½", "9" * 40, "\x1b[2J"]
)
FRACTIONS = st.fixed_dictionaries(
    {},
    optional={
        "gpu-fraction": ODD,
        "gpu-memory": ODD,
        "gpu-fraction-num-devices": ODD,
        "pod-group-name": st.sampled_from(["g0", "g1", "nowhere"]),
        "foundry/name": st.just("a\x1b]0;x\x07"),
    },
)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "runai-gpu-group": st.sampled_from(["g", "h", ""]),
        "runai-gpu-group/x": st.sampled_from(["g", "x"]),
        "kai.scheduler/node-pool": st.just("pool"),
    },
)
PODS = st.builds(
    pod,
    st.sampled_from(NAMES),
    st.sampled_from([None, *NODES, "gone"]),
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown", "Strange"]),
    gpus=st.sampled_from([0, 1, 2, 9, "-1", "1e99", "x"]),
    queue=st.sampled_from([None, "team-a", "nowhere"]),
    scheduler=st.sampled_from(["kai-scheduler", "default-scheduler", ""]),
    notes=FRACTIONS,
    labels=LABELS,
    owner=st.sampled_from([None, ("Job", "j0"), ("Job", "j1"), ("ReplicaSet", "r0")]),
)
OTHERS = st.one_of(
    st.tuples(st.just(kinds.PODS), PODS),
    st.tuples(
        st.just(kinds.PODS),
        st.builds(
            reservation,
            st.sampled_from([None, "g", "h"]),
            st.sampled_from(NODES),
            st.sampled_from([None, "", "0", "1", "99", "-1", "GPU-1"]),
        ),
    ),
    st.tuples(
        st.just(kinds.JOBS),
        st.builds(
            job,
            st.sampled_from(["j0", "j1"]),
            st.sampled_from([-1, 0, 1, 3, 1 << 40]),
            suspend=st.booleans(),
        ),
    ),
    st.tuples(
        st.just(kinds.GROUPS),
        st.builds(group, st.sampled_from(["g0", "g1"]), queue=st.sampled_from([None, "team-a"])),
    ),
    st.tuples(
        st.just(kinds.BINDS),
        st.builds(bind, st.sampled_from(NAMES), st.sampled_from(["g", "h"])),
    ),
    st.tuples(st.just(kinds.PODS), st.sampled_from(NAMES)),
    st.tuples(st.just(kinds.JOBS), st.sampled_from(["j0", "j1"])),
)


def told(runs: Sequence[Run]) -> dict[str, Run]:
    """The runs without what was chosen for them: their devices, and the moment of reading."""
    return {r.id: replace(r, placement=(), read_at=None) for r in runs}


def assert_fits(estate: Snapshot) -> None:
    runs = {r.id: r for r in estate.runs}
    assert len(runs) == len(estate.runs)
    for gpu in estate.gpus:
        for tenant in gpu.tenants or ():
            assert 0 < tenant.milli <= 1000
            run = runs.get(tenant.run)
            assert run is None or run.state in HOLDING
            assert tenant.share is not Share.WHOLE or len(gpu.tenants or ()) == 1
    for run in estate.runs:
        for text in (run.name, run.queue, *(run.native or {}).values()):
            assert text is None or text.isprintable()


@settings(max_examples=150, deadline=None)
@given(st.lists(OTHERS, max_size=25))
def test_whatever_changes_what_is_kept_is_what_would_be_made_anew(
    steps: list[tuple[kinds.Kind, Any]],
) -> None:
    held, kept = Held(), Assembly("lab", CONFIG)
    for number, (kind, thing) in enumerate(steps):
        if isinstance(thing, str):
            held.remove(kind, thing)
        else:
            held.put(kind, thing)
        estate = made(kept, held, NOW + timedelta(seconds=number))
        assert_fits(estate)
        fresh = made(Assembly("lab", CONFIG), held, NOW + timedelta(seconds=number))
        assert told(estate.runs) == told(fresh.runs)
        assert [q.allocated_gpu_milli for q in estate.queues] == [
            q.allocated_gpu_milli for q in fresh.queues
        ]
        assert [(n.name, n.state, n.cpu_milli_allocated) for n in estate.nodes] == [
            (n.name, n.state, n.cpu_milli_allocated) for n in fresh.nodes
        ]


def test_unchanged_objects_give_the_same_nouns() -> None:
    held, assembly = Held(), Assembly("lab", CONFIG)
    held.put(kinds.PODS, pod("p0", "gpu00", gpus=1))
    first, again = made(assembly, held), made(assembly, held, NOW + timedelta(seconds=5))
    assert again.generated_at == NOW + timedelta(seconds=5)
    assert again.runs is first.runs
    held.put(kinds.PODS, pod("p1", "gpu01", gpus=1))
    third = made(assembly, held, NOW + timedelta(seconds=6))
    assert next(r for r in third.runs if r.name == "p0") is first.runs[0]


def test_what_the_pods_of_a_job_hold_is_counted_pod_by_pod() -> None:
    held = Held()
    held.put(kinds.JOBS, job("j0", 3))
    held.put(kinds.PODS, pod("p0", "gpu00", gpus=1, owner=("Job", "j0")))
    held.put(kinds.PODS, pod("p1", gpus=1, owner=("Job", "j0")))
    held.put(kinds.PODS, pod("p2", "gpu00", phase="Failed", gpus=1, owner=("Job", "j0")))
    estate = made(Assembly("lab", CONFIG), held)
    team = next(q for q in estate.queues if q.name == "team-a")
    assert (team.allocated_gpu_milli, team.requested_gpu_milli) == (1000, 1000)
    (run,) = estate.runs
    assert run.request.gpu_milli == 3000


def test_a_suspended_job_without_pods_holds_nothing() -> None:
    held = Held()
    held.put(kinds.JOBS, job("j0", 3, suspend=True))
    estate = made(Assembly("lab", CONFIG), held)
    assert [q.allocated_gpu_milli for q in estate.queues] == [0, 0]
    assert contradictions(estate.gpus) == ()
