"""Mapping tables that are proposed: what fits, how sure, and what stays open."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.run import Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.migration.mapping import read
from foundry_tui.migration.proposals import propose, short, text


def node(name: str, source: str, model: str | None, *queues: str) -> Node:
    return Node(
        name=name,
        source=source,
        state=NodeState.IDLE,
        gpu_model=model,
        gpu_count=8 if model else 0,
        queues=queues,
    )


def queue(name: str, source: str, kind: str, *qos: str, accounts: tuple[str, ...] = ()) -> Queue:
    return Queue(name=name, source=source, kind=kind, qos=qos or None, accounts=accounts or None)


def run(source: str, account: str | None, qos: str) -> Run:
    return Run(
        id=f"{source}/1",
        native_id="1",
        source=source,
        scheduler=source,
        name=safe("x"),
        state=RunState.RUNNING,
        request=Request(),
        account=account,
        qos=qos,
    )


SNAPSHOT = Snapshot(
    generated_at=datetime(2026, 1, 1, tzinfo=UTC),
    nodes=(
        node("a", "slurm", "h100", "h100", "all"),
        node("b", "slurm", "a100", "a100", "all"),
        node("c", "slurm", "v100", "old"),
        node("d", "slurm", None, "cpu"),
        node("e", "runai", "NVIDIA-H100-80GB-HBM3", "pool-h"),
        node("f", "runai", "NVIDIA-A100-SXM4-80GB", "pool-a"),
        node("g", "runai", "NVIDIA-H100-80GB-HBM3", "pool-mixed"),
        node("h", "runai", "NVIDIA-A100-SXM4-80GB", "pool-mixed"),
    ),
    queues=(
        queue("h100", "slurm", "partition", "gold", "low", accounts=("nlp", "astro")),
        queue("nlp", "runai", "project"),
        queue("team-vision", "runai", "project"),
        queue("research", "runai", "department"),
    ),
    runs=(run("slurm", "vision", "normal"), run("runai", None, "low")),
)


def test_node_pools_by_their_gpus_accounts_by_name_qos_by_order() -> None:
    found = {
        (p.table, p.key): (p.value, None if p.confidence is None else p.confidence.value)
        for p in propose(SNAPSHOT)
    }
    assert found == {
        ("partitions", "a100"): ("pool-a", "sure"),
        ("partitions", "all"): ("pool-mixed", "sure"),
        ("partitions", "cpu"): (None, None),
        ("partitions", "h100"): ("pool-h", "sure"),
        ("partitions", "old"): (None, None),
        ("accounts", "astro"): (None, None),
        ("accounts", "nlp"): ("nlp", "sure"),
        ("accounts", "vision"): ("team-vision", "guess"),
        ("qos", "gold"): (None, None),
        ("qos", "low"): ("low", "likely"),
        ("qos", "normal"): ("medium", "guess"),
    }
    assert all(p.why for p in propose(SNAPSHOT))


def test_the_file_can_be_read_and_holds_what_was_found_alone() -> None:
    made = text(propose(SNAPSHOT))
    tables = read("t.toml", made.encode())
    assert dict(tables.partitions) == {"a100": "pool-a", "all": "pool-mixed", "h100": "pool-h"}
    assert dict(tables.accounts) == {"nlp": "nlp", "vision": "team-vision"}
    assert '# "old" = "FILL-IN"' in made and "# open: no node pool has v100" in made


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("NVIDIA-H100-80GB-HBM3", "h100"),
        ("h100", "h100"),
        ("NVIDIA A100-SXM4-40GB", "a100"),
        ("Tesla V100-PCIE-16GB", "v100"),
        ("NVIDIA-L40S", "l40s"),
        ("nvidia_h200", "h200"),
    ],
)
def test_a_model_has_one_short_name_on_both_sides(model: str, name: str) -> None:
    assert short(model) == name


def test_both_sides_are_needed() -> None:
    with pytest.raises(LookupError, match="partitions of Slurm"):
        propose(Snapshot(generated_at=SNAPSHOT.generated_at, queues=SNAPSHOT.queues[1:]))
