"""Fields of a spec in containers: the option that each becomes, the note, or the refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.spec import (
    Checkpoint,
    JobSpec,
    Launcher,
    Mount,
    Retry,
    Secret,
    Words,
)
from foundry_tui.schedulers.options import parse
from tests.jobs.containers.made import NOT_THERE, ONE, SHAPES, rendered

KINDS = ("kai", "runai")


def options(spec: JobSpec, kind: str) -> tuple[str, ...]:
    return rendered(spec, kind).submit.options


def told(spec: JobSpec, kind: str) -> str:
    return "\n".join(rendered(spec, kind).notes)


@pytest.mark.parametrize("kind", KINDS)
def test_what_pods_find_is_in_the_options(kind: str) -> None:
    wanted = parse(options(SHAPES["all"], kind))
    assert wanted.working_dir == "/shared/ann"
    assert [(s.variable, s.secret, s.key) for s in wanted.secrets] == [
        ("HF_TOKEN", "hf-token", "HF_TOKEN")
    ]
    assert [(v.target, v.claim, v.source, v.read_only) for v in wanted.volumes] == [
        ("/shared", "team-pvc", None, False),
        ("/data", None, "/mnt/data", True),
    ]
    assert (wanted.grace_s, wanted.retries, wanted.node_pools) == (120, 3, ("h100",))


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_of_a_secret_is_known_here(kind: str) -> None:
    secret = Secret(variable="HF_TOKEN", name="hf-token", key="key")
    submit = rendered(replace(ONE, secrets=(secret,)), kind).submit
    assert "HF_TOKEN" not in dict(submit.environment)
    assert "HF_TOKEN" not in submit.script.decode()
    assert "--env-secret=HF_TOKEN=hf-token:key" in submit.options


@pytest.mark.parametrize(("kind", "name"), [("kai", "KAI"), ("runai", "Run:ai")])
def test_what_has_no_meaning_there_is_in_a_note(kind: str, name: str) -> None:
    notes = told(SHAPES["all"], kind)
    assert "modules: not loaded in a container: cuda/12.4, nccl" in notes
    assert f"account: {name} charges the queue" in notes
    assert f"notify: {name} sends no mail" in notes
    assert f"checkpoint: {name} sends SIGTERM, not USR1" in notes
    assert "ends it after 120 s" in notes
    assert "retry:" in notes and "preempted begins again and is not counted" in notes
    assert "mounts: /mnt/data is a folder of each node" in notes
    assert "team-pvc" not in notes
    assert ("time_limit: Run:ai knows none" in notes) == (kind == "runai")


def test_a_time_limit_is_kept_by_kubernetes_alone() -> None:
    assert parse(options(ONE, "kai")).deadline_s == 3600
    assert parse(options(ONE, "runai")).deadline_s is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_a_pool_and_needs_no_note_where_one_is_named(kind: str) -> None:
    spec = replace(ONE, gpu_model="h100")
    assert "gpu_model:" in told(spec, kind)
    assert "gpu_model:" not in told(replace(spec, node_pool=Words("h100")), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("launcher", "gpus", "large"),
    [
        (Launcher.NONE, 4, False),
        (Launcher.TORCHRUN, 4, True),
        (Launcher.DEEPSPEED, 4, True),
        (Launcher.MPI, 4, True),
        (Launcher.TORCHRUN, 1, False),
    ],
)
def test_processes_that_talk_get_shared_memory(
    kind: str, launcher: Launcher, gpus: int, large: bool
) -> None:
    spec = replace(ONE, launcher=launcher, gpus=gpus)
    assert parse(options(spec, kind)).large_shm == large
    assert ("/dev/shm" in told(spec, kind)) == large


@pytest.mark.parametrize("kind", KINDS)
def test_several_pods(kind: str) -> None:
    two = parse(options(replace(SHAPES["two"], launcher=Launcher.TORCHRUN), kind))
    assert (two.workers, two.max_replicas) == (2, None)
    assert two.kind == ("PyTorchJob" if kind == "kai" else None)
    elastic = replace(SHAPES["elastic"], launcher=Launcher.TORCHRUN)
    wanted = parse(options(elastic, kind))
    assert (wanted.workers, wanted.min_replicas, wanted.max_replicas) == (8, 2, 8)
    assert "it starts when 2 of its 8 pods have a place" in told(elastic, kind)


def test_mpi_is_a_framework_of_run_ai() -> None:
    wanted = parse(options(replace(SHAPES["two"], launcher=Launcher.HOROVOD), "runai"))
    assert (wanted.framework, wanted.slots, wanted.workers) == ("mpi", 4, 2)
    alone = replace(ONE, launcher=Launcher.MPI)
    assert parse(options(alone, "kai")).framework is None
    assert "the image needs mpirun" in told(alone, "kai")


@pytest.mark.parametrize(
    ("array", "tasks", "at_a_time"),
    [("0-9", 10, None), ("0-9%4", 10, 4), ("0", 1, None), ("0-2%8", 3, 3)],
)
def test_an_array_is_an_indexed_job(array: str, tasks: int, at_a_time: int | None) -> None:
    wanted = parse(options(replace(SHAPES["array"], array=array), "kai"))
    assert (wanted.completions, wanted.parallelism) == (tasks, at_a_time)


@pytest.mark.parametrize("array", ["1-9", "0-9:2", "0,2,5", "5"])
def test_other_numbers_than_those_of_kubernetes_are_refused(array: str) -> None:
    with pytest.raises(SpecError, match=r"array: KAI counts tasks from 0, one by one"):
        rendered(replace(ONE, array=array), "kai")


@pytest.mark.parametrize(
    ("kind", "spec", "why"),
    [
        ("runai", replace(ONE, array="0-9"), "array: Run:ai gives its pods no number"),
        ("kai", replace(SHAPES["two"], array="0-9"), "array: each task is one pod"),
        (
            "kai",
            replace(ONE, array="0-9", launcher=Launcher.TORCHRUN),
            "array: each task is one pod",
        ),
        ("kai", replace(ONE, needs=("7",)), "needs: KAI lets no run wait for another"),
        ("runai", replace(ONE, needs=("7",)), "needs: Run:ai lets no run wait"),
        ("kai", SHAPES["elastic"], "nodes: 2:8 needs `launcher: torchrun`"),
        ("runai", replace(ONE, workdir="data"), "workdir: a path that begins with /"),
        (
            "kai",
            replace(ONE, secrets=(Secret(variable="A", name="a b", key="k"),)),
            "secrets: VARIABLE=SECRET:KEY",
        ),
        ("kai", replace(ONE, mounts=(Mount(target="/a,b", source="/a"),)), "mounts: path=FOLDER"),
    ],
)
def test_what_cannot_be_done_names_its_field(kind: str, spec: JobSpec, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        rendered(spec, kind)


@pytest.mark.parametrize(
    ("kind", "launcher"), [(kind, launcher) for kind in KINDS for launcher in NOT_THERE[kind]]
)
def test_launchers_of_elsewhere_say_what_to_use(kind: str, launcher: Launcher) -> None:
    with pytest.raises(SpecError, match=r"launcher: .*use torchrun"):
        rendered(replace(SHAPES["two"], launcher=launcher), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_no_retry_is_none(kind: str) -> None:
    never = replace(ONE, retry=Retry(on=(), most=3))
    assert parse(options(never, kind)).retries == 0
    assert "retry:" not in told(never, kind)
    assert parse(options(ONE, kind)).retries is None


def test_another_signal_and_another_grace_are_told() -> None:
    spec = replace(ONE, checkpoint=Checkpoint(signal="USR2", grace_s=30))
    assert "sends SIGTERM, not USR2" in told(spec, "kai")
    assert parse(options(spec, "kai")).grace_s == 30


def test_native_options_add_secrets_and_overrule_the_rest() -> None:
    native = ("--env-secret=B=s:k", "--backoff-limit=1")
    spec = replace(SHAPES["all"], options=(("kai", native),))
    made = rendered(spec, "kai")
    assert [n for n in made.notes if n.startswith("options:")] == [
        "options: retries overrules what the fields say"
    ]
    wanted = parse(made.submit.options)
    assert ([s.variable for s in wanted.secrets], wanted.retries) == (["HF_TOKEN", "B"], 1)
