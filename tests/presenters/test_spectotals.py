"""What a spec asks for, per node and in all."""

from __future__ import annotations

from foundry_tui.jobs.spec import JobSpec
from foundry_tui.presenters.spectotals import totals_lines


def test_a_job_of_several_nodes_is_told_per_node_and_in_all() -> None:
    spec = JobSpec(
        name="a", nodes=2, gpus=8, gpu_model="h100", cpu_milli=64_000, memory_bytes=512 << 30,
        time_limit_s=12 * 3600,
    )  # fmt: skip
    assert totals_lines(spec) == (
        "per node: 8 h100 GPUs, 64 cores, 512G of memory",
        "in all: 2 nodes with 16 h100 GPUs, 128 cores, 1T of memory",
        "at most 192.0 GPU-hours in 12h00m",
    )


def test_a_job_of_one_node_and_parts_of_a_gpu() -> None:
    spec = JobSpec(name="a", gpu_share_milli=250, cpu_milli=500, time_limit_s=3600, array="0-9")
    assert totals_lines(spec) == (
        "it asks for: 1 GPU of 0.25 each, 0.5 cores",
        "at most 0.2 GPU-hours in 1h00m, each task of the array",
    )
    assert totals_lines(JobSpec(name="a")) == ()


def test_an_elastic_job_is_told_from_its_fewest_nodes_to_its_most() -> None:
    spec = JobSpec(name="a", nodes=2, nodes_most=8, gpus=4, time_limit_s=3600)
    assert totals_lines(spec) == (
        "per node: 4 GPUs",
        "in all: 2 to 8 nodes with at least 8 GPUs",
        "at most 32.0 GPU-hours in 1h00m",
    )
