"""The arithmetic of a distributed run is refused with its numbers, before anything is sent."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.launchers.checks import check
from foundry_tui.jobs.spec import JobSpec, Launcher, Parallel

SPEC = JobSpec(name="t", script="x\n", nodes=2, gpus=8, launcher=Launcher.DEEPSPEED)
DS = replace(SPEC, deepspeed_config="ds.json")


def told(spec: JobSpec, **config: object) -> str:
    return "\n".join(check(spec, json.dumps(config).encode(), name="t.yaml"))


def test_parallel_has_to_be_the_number_of_processes() -> None:
    fits = replace(SPEC, parallel=Parallel(tp=2, pp=2, dp=4))
    assert check(fits) == ()
    wrong = replace(SPEC, parallel=Parallel(tp=2, dp=4))
    with pytest.raises(SpecError) as caught:
        check(wrong, name="t.yaml")
    assert str(caught.value) == (
        "t.yaml: parallel: tp 2 * pp 1 * dp 4 = 8, but 2 nodes * 8 processes = 16; "
        "make both the same"
    )
    assert caught.value.field == "parallel"
    across = replace(SPEC, parallel=Parallel(tp=16))
    assert "parallel.tp: 16 is more than the 8 processes of a node" in check(across)[0]
    elastic = replace(fits, nodes_most=8)
    assert "with more of them dp has to grow" in check(elastic)[0]
    alone = replace(SPEC, nodes=None, gpus=None, processes=3, parallel=Parallel(pp=3))
    assert check(alone) == ()


@pytest.mark.parametrize(
    ("train", "micro", "steps"),
    [(64, 2, 2), (64, 4, None), (64, None, 4), (64, None, None), (None, 4, None), (None, 4, 2)],
)
def test_batch_sizes_that_fit_are_taken(
    train: int | None, micro: int | None, steps: int | None
) -> None:
    names = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
    given = {n: v for n, v in zip(names, (train, micro, steps), strict=True) if v is not None}
    assert told(DS, **given) == ""


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {
                "train_batch_size": 64,
                "train_micro_batch_size_per_gpu": 4,
                "gradient_accumulation_steps": 2,
            },
            "ds.json: train_batch_size is 64, but train_micro_batch_size_per_gpu 4 * "
            "gradient_accumulation_steps 2 * 16 processes = 128",
        ),
        ({"train_batch_size": 40}, "is 40, but it is no multiple of 16 processes = 16"),
        (
            {"train_batch_size": 48, "train_micro_batch_size_per_gpu": 2},
            "no multiple of train_micro_batch_size_per_gpu 2 * 16 processes = 32",
        ),
        ({}, "neither train_batch_size nor train_micro_batch_size_per_gpu is given"),
        ({"gradient_accumulation_steps": 2}, "neither"),
        ({"train_batch_size": 0}, "train_batch_size: expected a whole number above 0 or `auto`"),
        ({"train_batch_size": True}, "not true"),
        ({"train_batch_size": "64"}, "not '64'"),
        ({"train_batch_size": 64.5}, "not the number 64.5"),
    ],
)
def test_batch_sizes_that_deepspeed_would_refuse(config: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        told(DS, **config)
    assert words in str(caught.value)
    assert caught.value.field == "deepspeed_config"


def test_what_is_auto_is_left_to_the_program() -> None:
    words = told(DS, train_batch_size="auto", train_micro_batch_size_per_gpu="auto")
    assert "train_batch_size, train_micro_batch_size_per_gpu is `auto`" in words
    with pytest.raises(SpecError, match="no multiple"):
        told(DS, train_batch_size=40, gradient_accumulation_steps="auto")
    elastic = told(DS, train_batch_size=40, elasticity={"enabled": True})
    assert "elasticity is enabled" in elastic


def test_the_batch_is_that_of_the_data_parallel_processes() -> None:
    split = replace(DS, parallel=Parallel(tp=4, dp=4))
    sizes = {"train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": 1}
    assert told(split, train_batch_size=8, **sizes) == ""
    with pytest.raises(SpecError, match=r"\* 4 dp = 8"):
        told(split, train_batch_size=32, **sizes)


def test_stage_and_offload_are_told() -> None:
    zero = {
        "stage": 3,
        "offload_optimizer": {"device": "cpu"},
        "offload_param": {"device": "nvme"},
    }
    assert told(DS, train_batch_size=16, zero_optimization=zero) == (
        "deepspeed: ZeRO stage 3, optimizer offloaded to 'cpu', parameters offloaded to 'nvme'"
    )
    none = {"stage": 2, "offload_optimizer": {"device": "none"}}
    assert told(DS, train_batch_size=16, zero_optimization=none) == "deepspeed: ZeRO stage 2"


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b"3", b"null"])
def test_a_file_that_is_no_table_of_json_is_refused(data: bytes) -> None:
    with pytest.raises(SpecError, match=r"t\.yaml: deepspeed_config: ds\.json: "):
        check(DS, data, name="t.yaml")


def test_what_does_not_go_together_is_told() -> None:
    plain = replace(SPEC, launcher=Launcher.NONE, processes=4, restarts=1)
    assert [note.partition(":")[0] for note in check(plain)] == ["processes", "restarts"]
    two = replace(SPEC, processes=16)
    assert "16 on each node share 8 GPUs" in check(two)[0]
    assert "though `launcher` is not deepspeed" in told(
        replace(DS, launcher=Launcher.TORCHRUN), train_batch_size=16
    )
