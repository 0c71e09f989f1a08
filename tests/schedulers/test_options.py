"""The options of a submission to Run:ai or KAI: words to amounts, and refusals that name them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.options import (
    MAX_SCRIPT_BYTES,
    Wanted,
    parse,
    shell_command,
    workload_name,
)


def act(script: bytes, *args: str) -> Submit:
    return Submit(source="r", script=script, script_name="dir/train.sh", script_args=args)


def test_all_words_become_amounts_with_units() -> None:
    wanted = parse(
        (
            *("--name=a-1", "-p", "team a", "-i", "img:1", "-g", "2"),
            *("--gpu-portion-request=0.25", "--cpu-core-request", "1.5"),
            *("--cpu-memory-request=8Gi", "--preemptibility=non-preemptible"),
            *("--priority", "high", "--node-pools=a,b", "--workers=4"),
            *("--kind", "Job", "--namespace", "ns"),
        )
    )
    assert wanted == Wanted(
        name="a-1",
        project="team a",
        image="img:1",
        gpu_devices=2,
        gpu_portion_milli=250,
        cpu_milli=1500,
        memory_bytes=8 << 30,
        preemptibility="non-preemptible",
        priority="high",
        node_pools=("a", "b"),
        workers=4,
        kind="Job",
        namespace="ns",
    )
    assert wanted.portion == "0.25"


def test_nothing_asked_is_no_gpu() -> None:
    assert parse(()) == Wanted()
    assert Wanted().gpu_devices == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [("20G", 20 * 10**9), ("20Gi", 20 << 30), ("500MB", 5 * 10**8), ("1.5k", 1500)],
)
def test_memory_units(text: str, found: int) -> None:
    wanted = parse((f"--gpu-memory-request={text}",))
    assert (wanted.gpu_memory_bytes, wanted.gpu_devices) == (found, 1)


@pytest.mark.parametrize(
    "options",
    [
        ("--gpu-portion-request=0",),
        ("--gpu-portion-request=1.5",),
        ("--gpu-portion-request=nan",),
        ("--gpu-portion-request=inf",),
        ("--gpu-portion-request=-0.5",),
        ("--gpu-portion-request=0.0001",),
        ("--gpu-portion-request=1e-400000",),
        ("--gpu-memory-request=0G",),
        ("--gpu-memory-request=20i",),
        ("--gpu-devices-request=\u0663",),
        ("--gpu-devices-request=-1",),
        ("--workers=0",),
        ("--preemptibility=maybe",),
        ("--node-pools=a,,b",),
        ("--image=",),
        ("--image",),
        ("--project=a\x1b",),
        ("--cpu-core-request=0",),
    ],
)
def test_a_wrong_value_names_its_option(options: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=options[0].partition("=")[0]):
        parse(options)


def test_what_excludes_each_other_and_what_is_not_known() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        parse(("--gpu-portion-request=0.5", "--gpu-memory-request=1G"))
    with pytest.raises(ValueError, match="at least 1 device"):
        parse(("-g", "0", "--gpu-portion-request=0.5"))
    with pytest.raises(ValueError, match="--time"):
        parse(("--time=60",))
    with pytest.raises(ValueError, match=r"train\.sh"):
        parse(("train.sh",))


@given(st.lists(st.text(max_size=20) | st.sampled_from(["-g", "--name=x", "-g=1"]), max_size=6))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        wanted = parse(words)
    except ValueError as error:
        assert str(error)
    else:
        assert wanted.workers >= 1


def test_the_command_holds_the_script_and_its_arguments() -> None:
    assert shell_command(act(b"#!/bin/sh\necho $1\n", "a b")) == (
        *("/bin/sh", "-c", "#!/bin/sh\necho $1\n", "dir/train.sh", "a b"),
    )


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (b"", "empty"),
        (b"\xff\n", "UTF-8"),
        (b"a\0", "NUL"),
        (b"x" * (MAX_SCRIPT_BYTES + 1), "KiB"),
    ],
)
def test_what_is_no_script_is_refused(script: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        shell_command(act(script))


@pytest.mark.parametrize(
    ("script", "name"),
    [("dir/Train_big.v2.sh", "train-big"), ("-", "run"), ("9x.sh", "run-9x"), ("é.sh", "run")],
)
def test_a_name_is_made_from_the_script(script: str, name: str) -> None:
    assert workload_name(Wanted(), script) == name


@pytest.mark.parametrize("name", ["A", "a_b", "-a", "a-", "a" * 64, "", "a\n"])
def test_a_name_that_kubernetes_refuses_is_refused_here(name: str) -> None:
    with pytest.raises(ValueError, match="--name"):
        workload_name(Wanted(name=name), "x.sh")
