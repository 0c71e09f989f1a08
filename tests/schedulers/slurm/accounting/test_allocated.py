"""What a try held, from its AllocTRES: GPUs by type, shards, MPS and MIG, and what is not told."""

from __future__ import annotations

import pytest

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.usage import HeldGpus
from foundry_tui.schedulers.slurm.accounting.allocated import Allocations
from tests.schedulers.slurm.accounting.sacctrows import NODES, parsed, record, row


@pytest.mark.parametrize(
    ("tres", "held"),
    [
        ("gres/gpu=2", {("h100", 2)}),
        ("gres/gpu:h100=2", {("h100", 2)}),
        ("gres/gpu=2,gres/gpu:h100=2", {("h100", 2)}),
        ("gres/gpu:h100=2,gres/gpu=2", {("h100", 2)}),
        ("gres/gpu:h100=2,gres/gpu:a100=1", {("h100", 2), ("a100", 1)}),
        ("gres/gpu:a100=1,gres/gpu:h100=2,gres/gpu=3", {("h100", 2), ("a100", 1)}),
        ("gres/gpu=4,gres/gpu:v100=3", {("v100", 3), ("h100", 1)}),
        ("gres/gpu=2,gres/gpu:v100=3", {("v100", 2)}),
        ("gres/gpu=1,gres/gpu:v100=3,gres/gpu:p100=3", {("h100", 1)}),
        ("gres/gpu=0", set()),
        ("gres/gpu:h100=0,gres/gpu=0", set()),
        ("gres/gpumem=17,gres/gpuutil=80,gres/foo=9,license/cfd=2", set()),
        ("cpu=1,mem=1G", set()),
    ],
)
def test_r01_the_plain_count_else_the_typed_ones_and_never_both(
    tres: str, held: set[tuple[str, int]]
) -> None:
    found = record(AllocTRES=f"cpu=1,{tres},node=1")
    assert found.held is not None
    assert {(h.gpu_type, h.count) for h in found.held} == held
    assert found.gpu_count == sum(count for _, count in held)
    assert found.gpu_milli == 1000 * sum(count for _, count in held)


def test_gpus_of_a_model_that_the_accounting_does_not_name_are_those_of_the_nodes() -> None:
    tres = "gres/gpu=2"
    assert record(AllocTRES=tres, NodeList="h[01-02]").gpu_model == "h100"
    for unsure in ("h01,a01", "m01", "gone", "h01,gone", ""):
        (held,) = record(AllocTRES=tres, NodeList=unsure).held or ()
        assert (held.gpu_type, held.count, held.milli) == (None, 2, 2000)


def test_r09_shards_and_mps_are_worth_what_their_nodes_make_of_a_gpu() -> None:
    shards = record(AllocTRES="cpu=1,gres/shard=2")
    assert shards.held == (HeldGpus("h100", 2, 500, Share.SHARD),)
    assert (shards.gpu_count, shards.gpu_milli) == (1, 500)
    assert shards.held[0].billed_milli == 500
    mps = record(AllocTRES="cpu=1,gres/mps=50", NodeList="a01")
    assert mps.held == (HeldGpus("a100", 50, 500, Share.MPS),)
    both = record(AllocTRES="gres/gpu:h100=1,gres/gpu=1,gres/shard=4,gres/shard:h100=4")
    assert both.held == (HeldGpus("h100", 1, 1000), HeldGpus("h100", 4, 1000, Share.SHARD))
    assert both.gpu_milli == 2000
    assert record(AllocTRES="gres/shard=2", NodeList="h[01-02]").gpu_count == 2


@pytest.mark.parametrize("nodes", ["gone", "h[02-03]", "c01", ""])
def test_r09_what_a_share_is_worth_is_unknown_where_no_node_tells(nodes: str) -> None:
    found = record(AllocTRES="cpu=1,gres/shard=2", NodeList=nodes)
    (held,) = found.held or ()
    assert (held.count, held.milli, held.billed_milli) == (2, None, None)
    assert found.gpu_milli is None
    assert found.gpu_count == max(1, len(found.nodes))


@pytest.mark.parametrize(
    ("kind", "count", "milli"),
    [
        ("1g.10gb", 1, 142),
        ("1g.10gb", 7, 1000),
        ("a100_3g.20gb", 2, 857),
        ("nvidia_a100_2g.10gb", 1, 285),
        ("7g.80gb", 1, 1000),
        ("1g.10gb+me", 1, 142),
        ("1g.6gb", 1, 250),
        ("a30_2g.12gb", 2, 1000),
        ("4g.24gb", 1, 1000),
    ],
)
def test_r09_a_mig_instance_is_billed_whole_and_worth_its_slices(
    kind: str, count: int, milli: int
) -> None:
    found = record(AllocTRES=f"cpu=1,gres/gpu:{kind}={count},gres/gpu={count}")
    assert found.held == (HeldGpus(kind, count, milli, Share.MIG),)
    assert found.held[0].billed_milli == 1000 * count
    assert found.gpu_count == count


def test_r09_the_instances_of_one_device_are_never_worth_more_than_it() -> None:
    for whole in ("1g.10gb 7", "2g.20gb 3", "3g.40gb 2", "1g.6gb 4"):
        profile, times = whole.split()
        (held,) = record(AllocTRES=f"gres/gpu:{profile}=1").held or ()
        assert held.milli is not None
        assert 0 < held.milli * int(times) <= 1000


def test_r08_gpus_that_are_not_told_are_not_none() -> None:
    assert record(AllocTRES="").held is None
    assert record(AllocTRES="").gpu_count is None
    waiting = record(AllocTRES="", Start="Unknown", End="Unknown", State="PENDING", NodeList="")
    assert (waiting.held, waiting.gpu_count, waiting.gpu_milli) == ((), 0, 0)
    (untold,), _ = parsed(
        row(AllocTRES="cpu=1,mem=1G,node=1"), allocations=Allocations(NODES, tracked=False)
    )
    assert (untold.held, untold.gpu_count, untold.gpus) == (None, None, None)


@pytest.mark.parametrize("count", ["-1", "2.5", "9" * 10, "9" * 25])
def test_r03_a_number_of_gpus_that_cannot_be_is_a_reject(count: str) -> None:
    for tres in (f"gres/gpu={count}", f"gres/gpu:h100={count}", f"gres/shard={count}"):
        records, rejects = parsed(row(AllocTRES=f"cpu=1,{tres}"))
        assert not records
        assert "AllocTRES" in rejects[0]
