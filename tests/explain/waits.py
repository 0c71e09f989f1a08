"""Ways to make a run wait in the lab: each a context that yields the waiting job's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.lab.daemons import until
from tests.lab.slurm import SlurmLab


def job_of(lab: SlurmLab, *options: str, user: str = "lab_alice") -> str:
    """A job that is submitted and left to the scheduler."""
    return lab.submit(*options, user=user)


def running(lab: SlurmLab, *options: str, user: str = "lab_bob") -> str:
    """A job that runs."""
    job = lab.submit(*options, user=user)
    lab.wait(job, "RUNNING")
    return job


@contextmanager
def limited(lab: SlurmLab, entity: Sequence[str], limit: str) -> Iterator[None]:
    """A limit in the accounting (`MaxJobs=1`), taken away in the end."""
    name, _, value = limit.partition("=")
    tres = value.partition("=")[0] if "=" in value else ""
    none = f"{name}={tres}=-1" if tres else f"{name}=-1"
    _account(lab, *entity, limit)
    try:
        yield
    finally:
        _account(lab, *entity, none)


def _account(lab: SlurmLab, *words: str) -> None:
    lab.run(["sacctmgr", "--immediate", "modify", *words])


@contextmanager
def partition(lab: SlurmLab, name: str, change: str, back: str) -> Iterator[None]:
    """A partition that is different for a while."""
    lab.run(["scontrol", "update", f"PartitionName={name}", change])
    try:
        yield
    finally:
        lab.run(["scontrol", "update", f"PartitionName={name}", back])


@contextmanager
def reserved(lab: SlurmLab, nodes: str, start: str, user: str) -> Iterator[str]:
    """A reservation of whole nodes; its jobs are cancelled in the end, or it could not go."""
    name = "explained"
    lab.run(
        [
            *("scontrol", "create", f"reservation={name}", f"starttime={start}"),
            *("duration=60", f"nodes={nodes}", f"users={user}"),
        ]
    )
    try:
        yield name
    finally:
        lab.run(["scancel", "--quiet", "--user=lab_alice"], check=False)
        lab.run(["scontrol", "delete", f"ReservationName={name}"])


def altered(lab: SlurmLab, change: str, *options: str) -> str:
    """A job that was changed while it was on hold, so that Slurm finds its mistake only later."""
    job = job_of(lab, "--hold", *options)
    lab.run(["scontrol", "update", f"JobId={job}", *change.split()])
    lab.run(["scontrol", "release", job])
    return job


@contextmanager
def held_by_user(lab: SlurmLab) -> Iterator[str]:
    yield job_of(lab, "--hold", "--gres=gpu:1")


@contextmanager
def held_by_admin(lab: SlurmLab) -> Iterator[str]:
    job = job_of(lab, "--hold")
    lab.run(["scontrol", "hold", job])
    yield job


@contextmanager
def dependency(lab: SlurmLab) -> Iterator[str]:
    yield job_of(lab, f"--dependency=afterok:{running(lab)}")


@contextmanager
def dependency_never(lab: SlurmLab) -> Iterator[str]:
    failed = lab.submit(user="lab_alice", script=b"#!/bin/sh\nexit 1\n")
    lab.wait(failed, "FAILED")
    yield job_of(lab, f"--dependency=afterok:{failed}")


@contextmanager
def begin_time(lab: SlurmLab) -> Iterator[str]:
    yield job_of(lab, "--begin=now+1hour")


@contextmanager
def time_limit(lab: SlurmLab) -> Iterator[str]:
    yield job_of(lab, "--partition=short", "--time=60")


@contextmanager
def node_limit(lab: SlurmLab) -> Iterator[str]:
    yield job_of(lab, "--partition=h100", "--nodes=5", "--gres=gpu:h100:1")


@contextmanager
def max_nodes(lab: SlurmLab) -> Iterator[str]:
    with partition(lab, "a100", "MaxNodes=1", "MaxNodes=UNLIMITED"):
        yield job_of(lab, "--partition=a100", "--nodes=2", "--gres=gpu:a100:1")


@contextmanager
def partition_down(lab: SlurmLab) -> Iterator[str]:
    with partition(lab, "a100", "State=DOWN", "State=UP"):
        yield job_of(lab, "--partition=a100", "--gres=gpu:1")


@contextmanager
def drained_node(lab: SlurmLab) -> Iterator[str]:
    lab.run(["scontrol", "update", "NodeName=h03", "State=DRAIN", "Reason=fan broken"])
    yield job_of(lab, "--nodelist=h03", "--gres=gpu:1")


@contextmanager
def too_few_nodes(lab: SlurmLab) -> Iterator[str]:
    lab.run(["scontrol", "update", "NodeName=h03", "State=DRAIN", "Reason=fan broken"])
    yield job_of(lab, "--partition=h100", "--nodes=4", "--gres=gpu:h100:1")


@contextmanager
def resources(lab: SlurmLab) -> Iterator[str]:
    running(lab, "--partition=h100", "--nodes=4", "--gres=gpu:7", "--time=20")
    yield job_of(lab, "--partition=h100", "--gres=gpu:2")


@contextmanager
def priority(lab: SlurmLab) -> Iterator[str]:
    whole = ("--partition=a100", "--nodes=2", "--gres=gpu:a100:3", "--time=20", "--qos=high")
    running(lab, *whole)
    job_of(lab, *whole, user="lab_bob")
    yield job_of(lab, "--partition=a100", "--gres=gpu:1", "--time=60")


@contextmanager
def room_before_others(lab: SlurmLab) -> Iterator[str]:
    """Two nodes that no other queue has, with room for a small run but not for the one ahead."""
    most = ("--partition=cpu", "--nodes=2", "--ntasks-per-node=20", "--time=20", "--qos=high")
    running(lab, *most)
    first = job_of(lab, *most, user="lab_bob")
    job = job_of(lab, "--partition=cpu", "--constraint=cpuonly", "--time=60")
    until(lambda: _planned(lab, first), 15, f"Slurm to plan the start of {first}", 0.2)
    yield job


def _planned(lab: SlurmLab, job: str) -> bool:
    answer = lab.run(["squeue", "--noheader", f"--jobs={job}", "-o", "%S"])
    return answer.stdout.decode().strip()[:1].isdigit()


@contextmanager
def qos_gpus_per_user(lab: SlurmLab) -> Iterator[str]:
    with limited(lab, ("qos", "low", "set"), "MaxTRESPerUser=gres/gpu=2"):
        running(lab, "--qos=low", "--gres=gpu:2", user="lab_alice")
        yield job_of(lab, "--qos=low", "--gres=gpu:1")


@contextmanager
def qos_gpus_of_all(lab: SlurmLab) -> Iterator[str]:
    with limited(lab, ("qos", "low", "set"), "GrpTRES=gres/gpu=3"):
        running(lab, "--qos=low", "--gres=gpu:2")
        yield job_of(lab, "--qos=low", "--gres=gpu:2")


@contextmanager
def qos_runs(lab: SlurmLab) -> Iterator[str]:
    with limited(lab, ("qos", "low", "set"), "MaxJobsPerUser=1"):
        running(lab, "--qos=low", user="lab_alice")
        yield job_of(lab, "--qos=low")


@contextmanager
def qos_wall(lab: SlurmLab) -> Iterator[str]:
    with limited(lab, ("qos", "normal", "set"), "MaxWall=10"):
        yield job_of(lab, "--time=20", "--gres=gpu:1")


@contextmanager
def account_gpus(lab: SlurmLab) -> Iterator[str]:
    with limited(lab, ("account", "ml", "set"), "GrpTRES=gres/gpu=4"):
        running(lab, "--account=ml", "--gres=gpu:3")
        yield job_of(lab, "--gres=gpu:2")


@contextmanager
def account_gpus_other(lab: SlurmLab) -> Iterator[str]:
    with limited(lab, ("account", "ml", "set"), "GrpTRES=gres/gpu=4"):
        running(lab, "--account=ml", "--gres=gpu:3")
        yield job_of(lab, "--account=ml", "--gres=gpu:2", user="lab_bob")


@contextmanager
def user_runs(lab: SlurmLab) -> Iterator[str]:
    with limited(lab, ("user", "lab_alice", "where", "account=ml", "set"), "MaxJobs=1"):
        running(lab, user="lab_alice")
        yield job_of(lab)


@contextmanager
def runs_of_each_user(lab: SlurmLab) -> Iterator[str]:
    """An account's own maximum is the default of each of its users, not one pot for all."""
    with limited(lab, ("account", "ml", "set"), "MaxJobs=1"):
        running(lab, "--account=ml", user="lab_bob")
        running(lab, user="lab_alice")
        yield job_of(lab)


@contextmanager
def array_limit(lab: SlurmLab) -> Iterator[str]:
    job = job_of(lab, "--array=0-3%1")
    lab.wait(job, "RUNNING")
    yield job


@contextmanager
def own_reservation(lab: SlurmLab) -> Iterator[str]:
    with reserved(lab, "h01", "now+60minutes", "lab_alice") as name:
        yield job_of(lab, "--partition=h100", f"--reservation={name}", "--gres=gpu:1")


@contextmanager
def others_reservation(lab: SlurmLab) -> Iterator[str]:
    with reserved(lab, "a01,a02", "now", "root"):
        yield job_of(lab, "--partition=a100", "--gres=gpu:1")


@contextmanager
def licences(lab: SlurmLab) -> Iterator[str]:
    running(lab, "--licenses=cfd:2")
    yield job_of(lab, "--licenses=cfd:1")


@contextmanager
def bad_feature(lab: SlurmLab) -> Iterator[str]:
    yield altered(lab, "Partition=h100", "--constraint=pcie", "--gres=gpu:1")


@contextmanager
def bad_nodelist(lab: SlurmLab) -> Iterator[str]:
    yield altered(lab, "Partition=h100", "--nodelist=a01")


@contextmanager
def bad_memory(lab: SlurmLab) -> Iterator[str]:
    yield altered(lab, "MinMemoryNode=999000", "--mem=1G", "--partition=a100")


@contextmanager
def partition_memory(lab: SlurmLab) -> Iterator[str]:
    with partition(lab, "a100", "MaxMemPerNode=2000", "MaxMemPerNode=0"):
        yield job_of(lab, "--partition=a100", "--mem=4000", "--gres=gpu:1")


@contextmanager
def wrong_account(lab: SlurmLab) -> Iterator[str]:
    job = job_of(lab, "--hold", "--partition=a100", "--account=ml", user="lab_bob")
    with partition(lab, "a100", "AllowAccounts=bio", "AllowAccounts=ALL"):
        lab.run(["scontrol", "release", job])
        yield job


@contextmanager
def lost_qos(lab: SlurmLab) -> Iterator[str]:
    job = job_of(lab, "--hold", "--qos=low")
    user = ("user", "lab_alice", "where", "account=ml", "set")
    _account(lab, *user, "qos=normal")
    try:
        lab.run(["scontrol", "release", job])
        yield job
    finally:
        _account(lab, *user, "qos=normal,high,low")
