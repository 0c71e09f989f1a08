"""Who works on a GPU: processes of the driver joined to users and runs of /proc."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

from foundry_tui.agent.nvml import owner as owner_module
from foundry_tui.agent.nvml.owner import Owner, identify
from foundry_tui.agent.nvml.processes import Looked, boot_ticks
from foundry_tui.agent.nvml.reader import Reader
from foundry_tui.agent.shapes import ProcessUse
from tests.agent.test_reader import Clock, step
from tests.lab.nvml.stub import StubHost

DRIVER = "driver 580.95.05"
GPU = "gpu uuid=GPU-aaaa util=97 name=H100"
OTHER = "gpu uuid=GPU-bbbb util=0 name=H100"
POD = "1a2b3c4d-1111-2222-3333-0123456789ab"


class Proc:
    """A /proc of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, pid: int, cgroup: str = "", environ: bytes = b"", started: int = 500) -> None:
        place = self.folder / str(pid)
        place.mkdir(exist_ok=True)
        fields = ["R", *("0" for _ in range(18)), str(started), *("0" for _ in range(30))]
        (place / "stat").write_text(f"{pid} (a) R 0 (python) {' '.join(fields)}\n")
        (place / "cgroup").write_text(cgroup)
        (place / "environ").write_bytes(environ)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    folder = tmp_path / "proc"
    folder.mkdir()
    return Proc(folder)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(nvml: ModuleType, clock: Clock, proc: Proc) -> Reader:
    return Reader(nvml, proc=str(proc.folder), monotonic=clock)


def uses(reader: Reader, clock: Clock) -> list[ProcessUse]:
    found = step(reader, clock, processes=True)
    assert found.processes is not None
    return found.processes


@pytest.mark.parametrize(
    ("cgroup", "job", "how"),
    [
        ("0::/system.slice/slurmstepd.scope/job_123/step_0/user/task_0\n", "123", "cgroup"),
        ("0::/system.slice/n1_slurmstepd.scope/job_9/step_batch/user/task_0\n", "9", "cgroup"),
        ("0::/system.slice/slurmstepd.scope/job_7\n", "7", "cgroup"),
        ("0::/../../system.slice/slurmstepd.scope/job_5/step_extern\n", "5", "cgroup"),
        (
            "11:pids:/x\n9:devices:/slurm/uid_1000/job_42/step_0/task_0\n1:name=z:/\n",
            "42",
            "cgroup",
        ),
        ("9:memory:/slurm_node1/uid_0/job_43/step_extern\n", "43", "cgroup"),
        ("4:devices:/slurm/uid_1000/job_44\n", "44", "cgroup"),
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"
            f"{POD.replace('-', '_')}.slice/cri-containerd-{'ab' * 32}.scope\n",
            POD,
            "pod",
        ),
        (f"4:cpu:/kubepods/burstable/pod{POD}/{'cd' * 32}\n", POD, "pod"),
        (f"4:cpu:/kubepods/pod{'0f' * 16}/{'cd' * 32}\n", "0f" * 16, "pod"),
        (f"4:cpu:/kubepods/pod{'0f' * 15}/{'cd' * 32}\n", None, None),
        (f"4:cpu:/kubepods/pod{'0f' * 20}/{'cd' * 32}\n", None, None),
        (
            f"0::/kubepods/pod{POD}/abc/system.slice/slurmstepd.scope/job_77/step_0\n",
            "77",
            "cgroup",
        ),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None, None),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/"
            "system.slice/slurmstepd.scope/job_1/step_0\n",
            None,
            None,
        ),
        ("0::/system.slice/docker-evil.scope/slurmstepd.scope/job_1/step_0\n", None, None),
        ("0::/system.slice/slurmd.service\n", None, None),
        ("0::/system.slice/slurmstepd.scope/job_12x/step_0\n", None, None),
        ("", None, None),
    ],
)
def test_the_run_of_a_control_group(
    proc: Proc, cgroup: str, job: str | None, how: str | None
) -> None:
    proc.add(4242, cgroup)
    assert identify(4242, str(proc.folder)) == Owner(500, os.getuid(), job, how)


@pytest.mark.parametrize(
    ("environ", "job"),
    [
        (b"A=1\0SLURM_JOB_ID=31\0B=2\0", "31"),
        (b"SLURM_JOB_ID=32", "32"),
        (b"SLURM_ARRAY_JOB_ID=5\0SLURM_ARRAY_TASK_ID=2\0SLURM_JOB_ID=7\0", "7"),
        (b"X_SLURM_JOB_ID=33\0", None),
        (b"SLURM_JOB_ID=34;rm\0", None),
        (b"SLURM_JOB_ID=\0", None),
        (b"SLURM_JOB_ID=" + b"9" * 30 + b"\0", None),
    ],
)
def test_the_environment_is_asked_where_the_control_group_says_nothing(
    proc: Proc, environ: bytes, job: str | None
) -> None:
    proc.add(1, "0::/\n", environ)
    owner = identify(1, str(proc.folder))
    assert (owner.job, owner.how) == (job, "environ" if job else None)


def test_the_control_group_wins_over_what_a_process_says_of_itself(proc: Proc) -> None:
    proc.add(1, "0::/system.slice/slurmstepd.scope/job_7/step_0\n", b"SLURM_JOB_ID=8\0")
    assert identify(1, str(proc.folder))[2:] == ("7", "cgroup")


def test_this_process_is_found_in_the_real_proc() -> None:
    owner = identify(os.getpid())
    assert owner.started is not None
    assert 0 < owner.started <= boot_ticks()
    assert owner.uid == os.getuid()


def test_a_process_that_is_not_there_or_ends_under_our_eyes_has_no_owner(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert identify(77, str(proc.folder)) == Owner()
    proc.add(78, "0::/system.slice/slurmstepd.scope/job_7/step_0\n")
    (proc.folder / "78" / "stat").write_text("78 (x")
    assert identify(78, str(proc.folder)) == Owner()
    proc.add(79, "0::/system.slice/slurmstepd.scope/job_7/step_0\n")
    starts = iter([500, 900])
    monkeypatch.setattr(owner_module, "start_ticks", lambda *_: next(starts))
    assert identify(79, str(proc.folder)) == Owner(), "another process has taken the number"


def test_processes_are_told_with_user_run_memory_and_use(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc
) -> None:
    proc.add(10, "0::/system.slice/slurmstepd.scope/job_7/step_0\n")
    proc.add(11, started=600)
    host.says(
        DRIVER, GPU, OTHER,
        "process 0 10 1024", "process 1 10 2048", "process 1 11 1", "process 1 12 5",
        "sm 0 10 55 1000", "sm 0 10 44 900", "sm 1 11 3 1000",
    )  # fmt: skip
    me = os.getuid()
    assert uses(reader, clock) == [
        ProcessUse("GPU-aaaa", 10, 500, None, me, "7", "cgroup", 55, 1024),
        ProcessUse("GPU-bbbb", 10, 500, None, me, "7", "cgroup", 0, 2048),
        ProcessUse("GPU-bbbb", 11, 600, None, me, None, None, 3, 1),
        ProcessUse("GPU-bbbb", 12, None, None, None, None, None, 0, 5),
    ]


def test_the_newest_time_is_handed_back_so_that_use_is_of_the_last_minute(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc
) -> None:
    proc.add(10)
    host.says(DRIVER, GPU, "process 0 10 1", "sm 0 10 55 1000")
    assert [use.sm_util for use in uses(reader, clock)] == [55]
    assert [use.sm_util for use in uses(reader, clock)] == [0], "nothing since is no activity"
    host.says(DRIVER, GPU, "process 0 10 1", "sm 0 10 55 1000", "sm 0 10 20 1001")
    assert [use.sm_util for use in uses(reader, clock)] == [20]


@pytest.mark.parametrize(("code", "sm_util"), [(6, 0.0), (3, None), (4, None)])
def test_use_that_is_not_told_is_unknown_and_none_found_is_none(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc, code: int, sm_util: float | None
) -> None:
    proc.add(10)
    host.says(DRIVER, GPU, "process 0 10 1", f"fail 0 nvmlDeviceGetProcessUtilization {code}")
    found = step(reader, clock, processes=True)
    assert [use.sm_util for use in found.processes or ()] == [sm_util]
    assert found.gpus[0].errors.get("sm_util") == (None if code == 6 else code)


def test_a_list_that_grows_is_asked_for_again(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc
) -> None:
    proc.add(10)
    host.says(DRIVER, GPU, "process 0 10 1", "grow 2")
    found = step(reader, clock, processes=True)
    assert len(found.processes or ()) == 1
    assert "processes" not in found.gpus[0].errors
    host.says(DRIVER, GPU, "process 0 10 1", "grow 9")
    found = step(reader, clock, processes=True)
    assert (found.processes, found.gpus[0].errors["processes"]) == ([], 7)


def test_a_driver_before_510_lists_processes_by_its_own_call(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc
) -> None:
    proc.add(10)
    call = "nvmlDeviceGetComputeRunningProcesses"
    host.says(DRIVER, GPU, "process 0 10 7", f"fail 0 {call}_v3 13")
    for _ in range(2):
        found = step(reader, clock, processes=True)
        assert [(use.pid, use.mem_bytes) for use in found.processes or ()] == [(10, 7)]
        assert "processes" not in found.gpus[0].errors
    assert host.calls()[f"{call}_v3"] == 1, "what this driver lacks is asked for once"


def test_a_list_that_is_refused_keeps_the_others(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc
) -> None:
    proc.add(10)
    host.says(
        DRIVER, GPU, OTHER, "process 1 10 1", "fail 0 nvmlDeviceGetComputeRunningProcesses_v3 4"
    )
    found = step(reader, clock, processes=True)
    assert [use.uuid for use in found.processes or ()] == ["GPU-bbbb"]
    assert (found.gpus[0].errors["processes"], found.gpus[0].values["gpu_util"]) == (4, 97)


def test_on_mig_the_instances_are_asked_and_not_the_whole(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc
) -> None:
    proc.add(10)
    host.says(
        DRIVER, GPU.replace(" name", " mig=1 name"),
        "instance 0 0 gi=1 slices=1", "instance 0 2 gi=5 slices=1", "instance 0 4 gi=5 slices=1",
        "process 0 10 100 1", "process 0 10 200 5", "process 0 11 300 5",
    )  # fmt: skip
    assert [(use.pid, use.gi, use.mem_bytes, use.sm_util) for use in uses(reader, clock)] == [
        (10, 1, 100, None),
        (10, 5, 200, None),
        (11, 5, 300, None),
    ]


def test_a_number_that_changes_hands_between_two_gpus_is_looked_at_again(proc: Proc) -> None:
    proc.add(10, "0::/system.slice/slurmstepd.scope/job_7/step_0\n", started=500)
    looked = Looked(str(proc.folder))
    assert looked.owner(10, 1000) == Owner(500, os.getuid(), "7", "cgroup")
    proc.add(10, "0::/system.slice/slurmstepd.scope/job_8/step_0\n", started=900)
    assert looked.owner(10, 1000) == Owner(900, os.getuid(), "8", "cgroup")
    assert looked.owner(10, 899) is None


def test_a_process_that_began_after_the_drivers_answer_is_another_one(
    host: StubHost, reader: Reader, clock: Clock, proc: Proc
) -> None:
    proc.add(10, "0::/system.slice/slurmstepd.scope/job_7/step_0\n", started=boot_ticks() + 10_000)
    host.says(DRIVER, GPU, "process 0 10 1")
    assert uses(reader, clock) == []


@pytest.mark.parametrize(("share", "at_us", "told"), [(4294967295, 99, None), (50, 2**62, 0.0)])
def test_samples_that_nobody_took_are_not_believed(
    host: StubHost, reader: Reader, clock: Clock, share: int, at_us: int, told: float | None
) -> None:
    """Some drivers answer them; one from the future must not hide all that come after."""
    host.says(DRIVER, GPU, "process 0 7 1000", f"sm 0 7 {share} {at_us}")
    assert [use.sm_util for use in uses(reader, clock)] == [told]
    host.says(DRIVER, GPU, "process 0 7 1000", "sm 0 7 80 500")
    assert [use.sm_util for use in uses(reader, clock)] == [80.0]
