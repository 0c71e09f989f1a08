"""The options of a submission to Run:ai or KAI: words to amounts, and refusals that name them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.acts import Submit
from foundry_tui.schedulers.options import (
    ADDED,
    FLAGS,
    MAX_SCRIPT_BYTES,
    VALUED,
    Wanted,
    option_of,
    parse,
    shell_command,
    workload_name,
)
from foundry_tui.schedulers.optionvalues import SecretVariable, Volume


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


def test_what_a_pod_finds_and_how_it_ends() -> None:
    wanted = parse(
        (
            *("--env-secret", "A=hf-token:key", "--env-secret=B_2=x:K.e-y"),
            *("--existing-pvc=claimname=team,path=/shared", "--host-path", "path=/a,mount=/b"),
            *("--host-path=path=/c,mount=/d,readwrite",),
            *("--existing-pvc=path=/ro,claimname=b,readonly",),
            *("--large-shm", "--working-dir=/w d", "--termination-grace-period=2m"),
            *("--backoff-limit=3", "--deadline", "12h"),
        )
    )
    assert wanted == Wanted(
        secrets=(SecretVariable("A", "hf-token", "key"), SecretVariable("B_2", "x", "K.e-y")),
        volumes=(
            Volume(target="/shared", claim="team"),
            Volume(target="/b", source="/a", read_only=True),
            Volume(target="/d", source="/c"),
            Volume(target="/ro", claim="b", read_only=True),
        ),
        large_shm=True,
        working_dir="/w d",
        grace_s=120,
        retries=3,
        deadline_s=43_200,
    )
    assert not parse(("--large-shm=false",)).large_shm
    assert VALUED.isdisjoint(FLAGS)


def test_pods_that_come_together_and_tasks_that_do_not() -> None:
    elastic = parse(("--min-replicas=2", "--max-replicas=8"))
    assert (elastic.workers, elastic.min_replicas, elastic.max_replicas) == (8, 2, 8)
    assert parse((*("--min-replicas=2", "--max-replicas=8"), "--workers=4")).workers == 4
    mpi = parse(("--framework=mpi", "--slots-per-worker=8", "--workers=2"))
    assert (mpi.framework, mpi.slots, mpi.workers) == ("mpi", 8, 2)
    tasks = parse(("--completions=10", "--parallelism=4"))
    assert (tasks.completions, tasks.parallelism, tasks.workers) == (10, 4, 1)
    assert [option_of(f) for f in ("retries", "grace_s", "kind")] == [
        "--backoff-limit",
        "--termination-grace-period",
        "--kind",
    ]
    assert {"--env-secret", "--existing-pvc"} == {option_of(field) for field in ADDED}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--min-replicas=2",), "--min-replicas and --max-replicas go together"),
        (("--min-replicas=4", "--max-replicas=2"), "--workers: of --min-replicas 4"),
        (("--min-replicas=2", "--max-replicas=4", "--workers=5"), "not 5"),
        (("--framework=mpi", "--min-replicas=1", "--max-replicas=2"), "--min-replicas: MPI"),
        (("--slots-per-worker=2",), "--slots-per-worker: for --framework mpi"),
        (("--parallelism=2",), "--parallelism: give --completions"),
        (("--completions=2", "--parallelism=3"), "--parallelism: at most"),
        (("--completions=2", "--workers=2"), "--completions: each task is one pod"),
        (("--env-secret=A=s:k", "--env-secret=A=t:k"), "--env-secret: A is given twice"),
        (("--host-path=path=/a,mount=/b", "--existing-pvc=claimname=c,path=/b"), "/b is given"),
    ],
)
def test_options_that_do_not_go_together_are_named(options: tuple[str, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse(options)


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
        ("--env-secret=TOKEN=value",),
        ("--env-secret=A B=s:k",),
        ("--env-secret=A=S_ecret:k",),
        ("--env-secret=A=s:",),
        ("--existing-pvc=claimname=c",),
        ("--existing-pvc=claimname=c,path=b",),
        ("--existing-pvc=claimname=c,path=/a,path=/b",),
        ("--existing-pvc=claimname=c,path=/a,readwrite",),
        ("--existing-pvc=claimname=../c,path=/a",),
        ("--host-path=path=/a/../b,mount=/c",),
        ("--host-path=path=/a,mount=/c,x=y",),
        ("--working-dir=relative",),
        ("--large-shm=maybe",),
        ("--termination-grace-period=-1",),
        ("--termination-grace-period=1.5h",),
        ("--deadline=0",),
        ("--deadline=99999999d",),
        ("--backoff-limit=-1",),
        ("--framework=tf",),
        ("--completions=0",),
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
