"""The lab is the cluster that the other tests believe it is."""

import pytest

from tests.lab.daemons import LabError, until
from tests.lab.plugin import new_lab_folder
from tests.lab.slurm import SlurmLab


def shown(lab: SlurmLab, *argv: str) -> str:
    return lab.run(argv).stdout.decode()


def job_field(lab: SlurmLab, job: str, field: str) -> str:
    """One `Field=value` of `scontrol show job`."""
    words = shown(lab, "scontrol", "--oneliner", "show", "job", job).split()
    return next(word for word in words if word.startswith(f"{field}=")).partition("=")[2]


def test_eight_nodes_with_40_gpus_are_idle(lab: SlurmLab) -> None:
    rows = shown(lab, "sinfo", "-h", "-N", "-p", "gpu,cpu", "-o", "%N,%T,%G").splitlines()
    assert sorted(row.split(",")[:3] for row in rows) == [
        *([f"a0{n}", "idle", "gpu:a100:4"] for n in (1, 2)),
        *([f"c0{n}", "idle", "(null)"] for n in (1, 2)),
        *([f"h0{n}", "idle", "gpu:h100:8"] for n in (1, 2, 3, 4)),
    ]
    shared = {row[:1]: row.split(",")[3] for row in rows if row[0] != "c"}
    assert shared["h"].startswith("shard:") and shared["h"].endswith(":32")
    assert shared["a"].startswith("mps:") and shared["a"].endswith(":400")


def test_partitions_and_their_limits(lab: SlurmLab) -> None:
    rows = shown(lab, "sinfo", "-h", "-s", "-o", "%P %l %D").splitlines()
    assert sorted(rows) == [
        "a100 7-00:00:00 2",
        "cpu 7-00:00:00 2",
        "gpu* 7-00:00:00 6",
        "h100 7-00:00:00 4",
        "short 30:00 6",
    ]


@pytest.mark.parametrize(
    ("options", "allocated"),
    [
        (["-G", "3"], "gres/gpu=3"),
        (["--gres=gpu:h100:2"], "gres/gpu:h100=2"),
        (["--gres=gpu:a100:4"], "gres/gpu:a100=4"),
        (["--gres=shard:2"], "gres/shard=2"),
        (["--gres=mps:50"], "gres/mps=50"),
        (["-N", "2", "--gres=gpu:1"], "node=2"),
        (["-p", "cpu", "-c", "4"], "cpu=4"),
    ],
    ids=["whole", "typed", "typed-a100", "shard", "mps", "multi-node", "cpu"],
)
def test_job_of_each_kind_runs(lab: SlurmLab, options: list[str], allocated: str) -> None:
    job = lab.submit(*options)
    lab.wait(job, "RUNNING")
    assert allocated in job_field(lab, job, "TRES").split(",")


def test_array_runs_as_many_tasks_as_it_may(lab: SlurmLab) -> None:
    job = lab.submit("--array=0-5%2", "--gres=gpu:1")
    lab.wait(job, "RUNNING")
    until(
        lambda: shown(lab, "squeue", "-h", "-t", "R", "-j", job, "-o", "%K").split() == ["1", "0"],
        10,
        "two tasks to run",
    )
    assert shown(lab, "squeue", "-h", "-t", "PD", "-j", job, "-o", "%K").split() == ["2-5%2"]


def test_job_runs_as_its_user_and_knows_its_gpus(lab: SlurmLab) -> None:
    script = b"#!/bin/sh\nid -un; pwd; echo $CUDA_VISIBLE_DEVICES\n"
    job = lab.submit("-p", "h100", "--gres=gpu:2", user="lab_bob", script=script)
    lab.wait(job, "COMPLETED")
    user, folder, gpus = lab.output(job).read_text().splitlines()
    assert user == "lab_bob"
    assert folder == str(lab.home("lab_bob"))
    if (lab.root / "dev/gpu0").is_char_device():
        assert gpus == "0,1"


def test_high_preempts_low(lab: SlurmLab) -> None:
    low = [lab.submit("-q", "low", "-p", "a100", "--gres=gpu:4") for _ in range(2)]
    for job in low:
        lab.wait(job, "RUNNING")
    high = lab.submit("-q", "high", "-p", "a100", "--gres=gpu:4", user="lab_bob")
    lab.wait(high, "RUNNING")
    assert "RUNNING" not in lab.states(low[0]) & lab.states(low[1])


def test_finished_job_stays_in_sight_and_in_accounting(lab: SlurmLab) -> None:
    job = lab.submit(script=b"#!/bin/sh\nexit 3\n")
    lab.wait(job, "FAILED")
    until(
        lambda: shown(lab, "sacct", "-nPX", "-j", job, "-o", "state,exitcode") == "FAILED|3:0\n",
        20,
        "the end of the job in accounting",
    )


def test_users_have_their_associations(lab: SlurmLab) -> None:
    rows = shown(lab, "sacctmgr", "-nP", "show", "assoc", "format=user,account,qos").splitlines()
    assert sorted(row for row in rows if row.startswith("lab_")) == [
        "lab_alice|ml|high,low,normal",
        "lab_bob|bio|high,low,normal",
        "lab_bob|ml|high,low,normal",
        "lab_carol|bio|high,low,normal",
    ]
    rows = shown(lab, "sacctmgr", "-nP", "show", "user", "format=user,adminlevel").splitlines()
    assert {row for row in rows if not row.endswith("|None")} == {
        "root|Administrator",
        "lab_carol|Operator",
    }


def test_user_without_an_association_is_refused(lab: SlurmLab) -> None:
    with pytest.raises(LabError, match="Invalid account or account/partition combination"):
        lab.submit(user="lab_dave")


def test_user_may_not_cancel_anothers_job_but_the_operator_may(lab: SlurmLab) -> None:
    job = lab.submit(user="lab_bob")
    lab.wait(job, "RUNNING")
    scancel = str(lab.commands_as("lab_alice") / "scancel")
    refused = lab.run([scancel, job], check=False)
    assert refused.returncode != 0
    assert b"Access/permission denied" in refused.stderr
    lab.run(["scancel", job], user="lab_carol")
    lab.wait(job, "CANCELLED")


def test_dead_node_is_down_and_comes_back(lab: SlurmLab) -> None:
    with lab.node_down("h04"):
        until(lambda: lab.node_states()["h04"] == "down*", 60, "h04 to be DOWN")
        assert lab.node_states()["h03"] == "idle"
    until(lambda: lab.node_states()["h04"] == "idle", 20, "h04 to be idle")


def test_controller_stops_and_remembers_its_jobs(lab: SlurmLab) -> None:
    job = lab.submit("--hold")
    with lab.controller_down():
        assert lab.run(["scontrol", "ping"], check=False).returncode == 1
    assert lab.states(job) == {"PENDING"}


def test_hung_controller_takes_calls_and_never_answers(lab: SlurmLab) -> None:
    with lab.controller_hung():
        with pytest.raises(LabError, match="took over 3 s"):
            lab.run(["squeue"], timeout_s=3)
        slow = lab.run(["squeue"], check=False)
        assert b"Socket timed out on send/recv operation" in slow.stderr
    assert shown(lab, "squeue", "-h") == ""


def test_munge_down_refuses_every_call(lab: SlurmLab) -> None:
    with lab.munge_down():
        refused = lab.run(["sinfo"], check=False)
        assert refused.returncode == 1
        assert b"Munge encode failed" in refused.stderr
    assert "h100" in shown(lab, "sinfo")


def test_dbd_down_takes_accounting_and_leaves_the_queue(lab: SlurmLab) -> None:
    with lab.dbd_down():
        assert b"Connection refused" in lab.run(["sacct"], check=False).stderr
        assert shown(lab, "squeue", "-h") == ""
    assert lab.run(["sacct"]).returncode == 0


def test_reset_undoes_what_a_test_did(lab: SlurmLab) -> None:
    lab.submit("--hold")
    lab.wait(lab.submit("--gres=gpu:1"), "RUNNING")
    lab.submit("--array=0-99", "--gres=gpu:8")
    for change in (
        ["update", "NodeName=h02", "State=DRAIN", "Reason=test"],
        ["update", "NodeName=h03", "State=DOWN", "Reason=test"],
        ["update", "PartitionName=cpu", "State=INACTIVE"],
        [
            "create",
            "reservation",
            "ReservationName=mine",
            "Users=root",
            "Nodes=c01",
            "StartTime=now",
            "Duration=60",
        ],
    ):
        lab.run(["scontrol", *change])
    lab.kill_node("c02")
    lab.stop_dbd()
    lab.hang_controller()

    lab.reset()

    assert shown(lab, "squeue", "-h") == ""
    assert set(lab.node_states().values()) == {"idle"}
    assert set(shown(lab, "sinfo", "-h", "-o", "%a").split()) == {"up"}
    assert "No reservations" in shown(lab, "scontrol", "show", "reservations")
    assert lab.run(["sacct"]).returncode == 0


def test_second_lab_with_512_nodes_lives_beside_the_first(lab: SlurmLab) -> None:
    large = SlurmLab.start(new_lab_folder(), extra_down_nodes=512)
    try:
        down = shown(large, "sinfo", "-h", "-p", "big", "-t", "down", "-o", "%D %N").split()
        assert down == ["512", "g[001-512]"]
    finally:
        large.stop()
    assert not large.root.exists()
    assert set(lab.node_states().values()) == {"idle"}
