"""Slurm's manners of the simulated cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    Hold,
    Preview,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
    RunAct,
    Submit,
)
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.slurm import SlurmManners
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.simulated.conftest import Clock

HEAD = b"#!/bin/bash\n"


def submit(slurm: SlurmManners, *options: str, script: bytes = HEAD + b"sleep 900\n") -> Receipt:
    act = Submit(source=slurm.name, script=script, script_name="job.sh", options=options)
    preview = slurm.preview(act, (), "token-1")
    return slurm.read_back(preview, slurm.perform(preview, "token-1"))[0]


def run(slurm: SlurmManners, native: str) -> Run:
    return next(r for r in slurm.snapshot().runs if r.native_id == native)


def do(slurm: SlurmManners, act: RunAct) -> Receipt:
    seen = slurm.snapshot().runs
    preview = slurm.preview(act, tuple(r for r in seen if r.id in act.runs), "t")
    return slurm.read_back(preview, slurm.perform(preview, "t"))[0]


def first(slurm: SlurmManners, state: RunState, **fields: object) -> Run:
    """The first run in a state with these values."""
    return next(
        r
        for r in slurm.snapshot().runs
        if r.state is state and all(getattr(r, k) == v for k, v in fields.items())
    )


def test_directives_and_options_become_a_request(slurm: SlurmManners, clock: Clock) -> None:
    script = HEAD + (
        b"#SBATCH --job-name=from-script\n#SBATCH --gres=gpu:a100:2 -t 90\n"
        b"#SBATCH --nodes=2 --cpus-per-task=8\n#SBATCH --mem=64G -p a100\nsleep 60\n"
    )
    found = run(slurm, submit(slurm, "--time=2:00:00", "--qos=high", script=script).target)
    assert (found.name, found.queue, found.qos, found.account) == (
        "from-script",
        "a100",
        "high",
        "ml",
    )
    request = found.request
    assert (request.gpu_count, request.gpu_milli, request.nodes) == (4, 4000, 2)
    assert (request.gpu_model, request.time_limit_s) == ("a100", 7200)
    assert (request.cpu_milli, request.memory_bytes) == (16_000, 128 << 30)


@pytest.mark.parametrize(
    ("options", "count", "milli", "nodes"),
    [
        (("-G", "4"), 4, 4000, 1),
        (("--gpus=16",), 16, 16_000, 2),
        (("--gpus-per-node=2", "-N", "3"), 6, 6000, 3),
        (("--gpus-per-task=1", "-n", "3"), 3, 3000, 1),
        (("--gres=shard:2",), 1, 500, 1),
        (("--gres=shard",), 1, 250, 1),
        ((), 0, 0, 1),
    ],
)
def test_gpus_are_asked_for_in_many_ways(
    slurm: SlurmManners, options: tuple[str, ...], count: int, milli: int, nodes: int
) -> None:
    request = run(slurm, submit(slurm, "--hold", *options).target).request
    assert (request.gpu_count, request.gpu_milli, request.nodes) == (count, milli, nodes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--partition=nowhere",), "Invalid partition name specified"),
        (("--account=bio",), "Invalid account or account/partition combination"),
        (("--qos=best",), "Invalid qos specification"),
        (("--gres=gpu:9",), "Requested node configuration is not available"),
        (("--gres=gpu:v100:1",), "Requested node configuration is not available"),
        (("--gres=shard:5",), "Requested node configuration is not available"),
        (("--mem=9000G",), "Requested node configuration is not available"),
        (("--nodelist=h77",), "Invalid node name specified"),
        (("--array=5-2",), "Invalid job array specification"),
        (("--array=0-1001",), "Invalid job array specification"),
        (("--array=x",), "Invalid job array specification"),
        (("--time=soon",), "time"),
        (("--nodes=many",), "--nodes"),
        (("--mem=lots",), "--mem"),
    ],
)
def test_sbatch_refuses_in_its_own_words(
    slurm: SlurmManners, options: tuple[str, ...], words: str
) -> None:
    before = len(slurm.snapshot().runs)
    receipt = submit(slurm, *options)
    assert receipt.status is ReceiptStatus.REFUSED
    assert receipt.message is not None and words in receipt.message
    assert len(slurm.snapshot().runs) == before


@pytest.mark.parametrize("script", [b"", b"echo no shebang\n", b"#!/bin/sh\n#SBATCH -J 'open\n"])
def test_what_is_no_batch_script_is_refused_in_the_preview(
    slurm: SlurmManners, script: bytes
) -> None:
    act = Submit(source=slurm.name, script=script, script_name="job.sh")
    preview = slurm.preview(act, (), "t")
    assert len(preview.refused) == 1
    assert slurm.perform(preview, "t")[0].status is ReceiptStatus.REFUSED


def test_the_command_is_the_one_that_a_real_slurm_would_get(slurm: SlurmManners) -> None:
    act = Submit(
        source=slurm.name,
        script=HEAD + b"#SBATCH --comment=mine\n",
        script_name="dir/job.sh",
        options=("--time=5",),
        script_args=("a b",),
    )
    (item,) = slurm.preview(act, (), "token-9").items
    assert item.command == (
        *("sbatch", "--parsable", "--time=5"),
        *("--comment=foundry:token-9 mine", "dir/job.sh", "a b"),
    )
    for made, words in (
        (Cancel(source="sim-slurm", runs=("sim-slurm/17",)), ("scancel", "17")),
        (
            Cancel(source="sim-slurm", runs=("sim-slurm/18_[4-9%2]",)),
            ("scancel", "--state=PENDING", "18"),
        ),
        (Hold(source="sim-slurm", runs=("18_[4-9%2]",)), ("scontrol", "hold", "18")),
        (Requeue(source="sim-slurm", runs=("18_3",)), ("scontrol", "requeue", "18_3")),
        (
            ChangeRun(source="sim-slurm", runs=("17",), fields=(("time_limit_s", "600"),)),
            ("scontrol", "update", "JobId=17", "TimeLimit=10"),
        ),
    ):
        assert slurm.preview(made, (), "t").items[0].command == words


def test_a_script_that_sleeps_and_exits_does_so(slurm: SlurmManners, clock: Clock) -> None:
    script = HEAD + b"sleep 100\nsleep 20\nexit 3\n"
    receipt = submit(slurm, "-p", "short", "--gres=shard:1", "-p", "a100", script=script)
    clock.pass_simulated(30)
    while run(slurm, receipt.target).state is RunState.PENDING:
        clock.pass_simulated(600)
    clock.pass_simulated(130)
    found = run(slurm, receipt.target)
    assert (found.state, found.exit_code) == (RunState.FAILED, 3)
    assert found.started_at is not None and found.ended_at is not None
    assert found.ended_at - found.started_at == timedelta(seconds=120)


def test_a_waiting_range_is_one_record(slurm: SlurmManners) -> None:
    receipt = submit(slurm, "--array=0-9,15%2", "--hold", "--gres=shard:1", "-p", "a100")
    found = run(slurm, f"{receipt.target}_[0-9,15%2]")
    assert found.array is not None
    assert (found.array.job_id, found.array.tasks, found.count) == (
        receipt.target,
        "0-9,15%2",
        11,
    )
    waiting = next(q for q in slurm.snapshot().queues if q.name == "a100").waiting
    assert waiting is not None and waiting >= 11
    assert slurm.find_submitted("token-1") == receipt.target


def test_started_tasks_are_runs_of_their_own(slurm: SlurmManners, clock: Clock) -> None:
    receipt = submit(slurm, "--array=0-9%2", "--gres=shard:1", "-p", "a100", "--qos=high")
    for _ in range(400):
        mine = [r for r in slurm.snapshot().runs if r.array and r.array.job_id == receipt.target]
        if sum(r.state is RunState.RUNNING for r in mine) == 2:
            break
        clock.pass_simulated(300)
    names = {r.native_id: r for r in mine}
    running = [r for r in mine if r.state is RunState.RUNNING]
    (rest,) = [r for r in mine if r.state is RunState.PENDING]
    assert len(running) == 2
    assert {r.count for r in running} == {1}
    assert (rest.reason, rest.native_id[-3:]) == ("JobArrayTaskLimit", "%2]")
    assert_consistent(slurm.snapshot(), slurm.name)
    # The waiting range goes; what runs stays, until the whole array is named.
    assert do(slurm, Cancel(source=slurm.name, runs=(rest.id,))).status is ReceiptStatus.DONE
    assert all(run(slurm, r.native_id).state is RunState.RUNNING for r in running)
    whole = Cancel(source=slurm.name, runs=(f"{slurm.name}/{receipt.target}",))
    assert do(slurm, whole).status is ReceiptStatus.DONE
    assert {run(slurm, n).state for n in names if "[" not in n} <= {
        RunState.CANCELLED,
        RunState.COMPLETED,
    }


def test_the_runs_of_others_are_not_ours_to_change(slurm: SlurmManners) -> None:
    theirs = first(slurm, RunState.RUNNING, user="dara")
    act = Cancel(source=slurm.name, runs=(theirs.id,))
    preview = slurm.preview(act, (theirs,), "t")
    assert preview.items[0].owner == "dara"
    assert preview.items[0].refusal is not None
    assert "belongs to dara" in preview.items[0].refusal
    # Also when the preview did not know whose it is.
    for shown in (preview, slurm.preview(act, (), "t")):
        assert slurm.perform(shown, "t")[0].status is ReceiptStatus.REFUSED
    assert run(slurm, theirs.native_id).state is RunState.RUNNING


def test_a_coordinator_may_change_the_runs_of_the_account(slurm: SlurmManners) -> None:
    assert slurm.rights().coordinates == ("bio", "robotics")
    theirs = first(slurm, RunState.RUNNING, user="bo")
    act = Cancel(source=slurm.name, runs=(theirs.id,))
    preview = slurm.preview(act, (theirs,), "t")
    assert (preview.items[0].owner, preview.items[0].refusal) == ("bo", None)
    assert slurm.perform(preview, "t")[0].status is not ReceiptStatus.REFUSED


def test_a_loss_of_an_unknown_share_is_unknown(slurm: SlurmManners) -> None:
    mine = first(slurm, RunState.RUNNING, user="ada")
    act = Cancel(source=slurm.name, runs=(mine.id,))
    assert (slurm.preview(act, (mine,), "t").items[0].loss_gpu_s or 0.0) > 0.0
    unclear = replace(mine, request=replace(mine.request, gpu_milli=None))
    assert slurm.preview(act, (unclear,), "t").items[0].loss_gpu_s is None


def test_a_throttle_that_is_no_number_is_none(slurm: SlurmManners) -> None:
    receipt = submit(slurm, "--hold", "--array=1-3%²")
    assert receipt.status is ReceiptStatus.DONE
    (waits,) = [r for r in slurm.snapshot().runs if r.array and r.array.job_id == receipt.target]
    assert waits.array is not None and waits.array.tasks == "1-3"


def test_hold_release_and_their_refusals(slurm: SlurmManners) -> None:
    waits = run(slurm, submit(slurm, "--hold").target)
    assert (waits.held, waits.reason, waits.priority) == (True, "JobHeldUser", 0)
    assert do(slurm, Release(source=slurm.name, runs=(waits.id,))).after == "pending"
    assert do(slurm, Hold(source=slurm.name, runs=(waits.id,))).after == "pending (held)"
    assert do(slurm, Requeue(source=slurm.name, runs=(waits.id,))).message == (
        "Job is pending execution"
    )
    mine = first(slurm, RunState.RUNNING, user="ada")
    refused = do(slurm, Hold(source=slurm.name, runs=(mine.id,)))
    assert (refused.status, refused.message) == (
        ReceiptStatus.REFUSED,
        "Job is no longer pending execution",
    )


def test_a_changed_run_shows_its_new_words(slurm: SlurmManners) -> None:
    waits = run(slurm, submit(slurm, "--hold", "--gres=gpu:h100:2", "-p", "h100").target)
    fields = (
        *(("queue", "a100"), ("features", "a100"), ("gpus_per_node", "4"), ("nodes", "2")),
        *(("nodelist", "a[01-02]"), ("qos", "low"), ("time_limit_s", "600"), ("account", "ml")),
    )
    assert do(slurm, ChangeRun(source=slurm.name, runs=(waits.id,), fields=fields[:1])).message
    change = ChangeRun(source=slurm.name, runs=(waits.id,), fields=fields[:1] + fields[2:])
    assert do(slurm, change).status is ReceiptStatus.DONE
    changed = run(slurm, waits.native_id)
    assert (changed.queue, changed.qos) == ("a100", "low")
    assert (changed.request.gpu_count, changed.request.nodes) == (8, 2)
    assert changed.request.time_limit_s == 600
    assert changed.native is not None
    assert changed.native["required_nodes"] == "a01,a02"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queue", "nowhere"),
        ("qos", "best"),
        ("nodes", "0"),
        ("nodes", "²"),
        ("gpus", "none"),
        ("time_limit_s", "soon"),
        ("nodelist", "h99"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    slurm: SlurmManners, field: str, value: str
) -> None:
    waits = run(slurm, submit(slurm, "--hold", "--gres=gpu:1").target)
    before = slurm.details(waits)
    try:
        receipt = do(
            slurm, ChangeRun(source=slurm.name, runs=(waits.id,), fields=((field, value),))
        )
    except ValueError as error:
        assert field == "time_limit_s"
        assert value in str(error)
    else:
        assert receipt.status is ReceiptStatus.REFUSED
        assert receipt.message
    assert slurm.details(waits) == before


def test_an_estimate_is_the_plan_and_changes_move_it(slurm: SlurmManners, clock: Clock) -> None:
    waits = run(slurm, submit(slurm, "-q", "high", "-G", "h100:8", "-p", "h100", "-t", "60").target)
    plain = slurm.estimate(waits)
    assert plain.starts_at is not None
    assert plain.starts_at > slurm.now()
    assert [(p.node[0], len(p.gpus or ())) for p in plain.placement] == [("h", 8)]
    pinned = slurm.estimate(waits, changes=(("nodelist", "h02"),))
    assert [p.node for p in pinned.placement] == ["h02"]
    small = slurm.estimate(waits, changes=(("gpus_per_node", "1"), ("queue", "short")))
    assert small.starts_at is not None
    assert small.starts_at <= plain.starts_at
    assert small.queue == "short"
    never = slurm.estimate(waits, changes=(("gpus_per_node", "9"),))
    assert never.starts_at is None and never.reason is not None
    barred = slurm.estimate(waits, changes=(("queue", "short"), ("time_limit_s", "90000")))
    assert (barred.starts_at, barred.reason) == (None, "PartitionTimeLimit")
    with pytest.raises(ValueError, match="'color' cannot be changed"):
        slurm.estimate(waits, changes=(("color", "red"),))
    assert run(slurm, waits.native_id).request == waits.request


def test_rights_tell_the_limits_that_bind(slurm: SlurmManners) -> None:
    rights = slurm.rights()
    assert (rights.user, rights.admin) == ("ada", False)
    assert rights.associations is not None
    assert [a.account for a in rights.associations] == ["ml"]
    assert {(x.scope, x.name, x.what) for x in rights.limits} == {
        ("user_of_qos", "low", "gpus"),
        ("user_of_qos", "normal", "gpus"),
        ("account", "robotics", "gpus"),
    }
    held = sum(
        (r.request.gpu_milli or 0) / 1000
        for r in slurm.snapshot().runs
        if r.state is RunState.RUNNING and (r.user, r.qos) == ("ada", "normal")
    )
    normal = next(x for x in rights.limits if x.name == "normal")
    assert (normal.used, normal.value) == (held, 24)


def test_logs_grow_while_a_run_works(slurm: SlurmManners, clock: Clock) -> None:
    busy = next(
        r
        for r in slurm.snapshot().runs
        if r.state is RunState.RUNNING and (r.gpu_util_pct or 0) > 20
    )
    log = slurm.logs(busy, tail_lines=3)
    assert len(log.lines) == 3
    assert log.path == f"/home/{busy.user}/slurm-{busy.native_id}.out"
    clock.pass_simulated(60)
    later = slurm.logs(busy, tail_lines=3)
    assert later.lines[0] in log.lines
    assert later.lines[-1] not in log.lines
    assert slurm.logs(busy, tail_lines=0).lines == ()
    assert slurm.logs(busy, tail_lines=1).truncated
    assert slurm.logs(busy, tail_lines=5, errors=True).lines == ()


def test_details_know_the_submit_token(slurm: SlurmManners) -> None:
    waits = run(slurm, submit(slurm, "--hold", "--gres=gpu:2", "--time=90").target)
    words = slurm.details(waits)
    assert words["comment"] == "foundry:token-1"
    assert words["time_limit"] == "1:30:00"
    assert words["tres_per_node"] == "gres:gpu:2"
    assert words["reason"] == "JobHeldUser"


@pytest.fixture
def admin(clock: Clock) -> SlurmManners:
    """The same cluster with an administrator before it."""
    return build(None, clock, admin=True)[0]


def carry(slurm: SlurmManners, act: Act) -> tuple[Preview, tuple[Receipt, ...]]:
    preview = slurm.preview(act, slurm.snapshot().runs, "t")
    return preview, slurm.read_back(preview, slurm.perform(preview, "t"))


def test_only_an_administrator_changes_nodes_queues_and_others_runs(
    slurm: SlurmManners, admin: SlurmManners
) -> None:
    plain, almighty = slurm.rights(), admin.rights()
    assert (plain.admin, plain.may_nodes, plain.may_queues) == (False, False, False)
    assert (almighty.admin, almighty.may_nodes, almighty.may_queues) == (True, True, True)
    assert not admin.rights("bo").admin
    for rule in (ChangeNode, ChangeQueue):
        assert "FOUNDRY_DEMO_ROLE=admin" in str(slurm.supports(rule))
        assert admin.supports(rule) is None
    theirs = next(
        r for r in slurm.snapshot().runs if r.state is RunState.RUNNING and r.user == "dara"
    )
    act = Cancel(source=slurm.name, runs=(theirs.id,))
    assert do(slurm, act).status is ReceiptStatus.REFUSED
    assert do(admin, act).status is ReceiptStatus.DONE


def test_a_closed_partition_starts_nothing_and_takes_nothing(
    admin: SlurmManners, clock: Clock
) -> None:
    close = ChangeQueue(source=admin.name, queue="short", fields=(("state", "inactive"),))
    first_job = submit(admin, "--gres=gpu:1", "--time=60", "--partition=short").target
    preview, (receipt,) = carry(admin, close)
    assert (receipt.status, receipt.before, receipt.after) == (
        *(ReceiptStatus.DONE, "state=up"),
        "state=inactive",
    )
    assert submit(admin, "--partition=short").status is ReceiptStatus.REFUSED
    clock.pass_simulated(4 * 3600)
    waits = run(admin, first_job)
    assert (waits.state, waits.reason) == (RunState.PENDING, "PartitionDown")
    assert preview.inverse is not None
    carry(admin, preview.inverse)
    clock.pass_simulated(3600)
    assert run(admin, first_job).started_at is not None
    with pytest.raises(ValueError, match="nodes"):
        carry(admin, replace(close, fields=(("nodes", "h01"),)))


def test_a_drain_of_ours_is_not_repaired_and_anothers_reason_is_respected(
    admin: SlurmManners, clock: Clock
) -> None:
    drain = ChangeNode(source=admin.name, nodes=("h02", "nope"), state="drain", reason="fan")
    preview, receipts = carry(admin, drain)
    assert [r.status for r in receipts] == [ReceiptStatus.DONE, ReceiptStatus.REFUSED]
    assert preview.inverse == ChangeNode(
        source=admin.name, nodes=("h02",), state="resume", reason="fan"
    )
    clock.pass_simulated(12 * 3600)
    node = next(n for n in admin.snapshot().nodes if n.name == "h02")
    assert (node.reason, node.placeable) == ("fan", False)
    other = replace(preview.inverse, reason="disk")
    assert "another reason" in str(carry(admin, other)[1][0].message)
    back, (receipt,) = carry(admin, preview.inverse)
    assert receipt.status is ReceiptStatus.DONE
    assert back.inverse == replace(drain, nodes=("h02",))
    assert next(n for n in admin.snapshot().nodes if n.name == "h02").placeable
    with pytest.raises(ValueError, match="reason"):
        carry(admin, replace(drain, reason=None))


def test_a_change_names_the_old_values(slurm: SlurmManners) -> None:
    job = submit(slurm, "--hold", "--gres=gpu:2", "--time=90", "-w", "h01").target
    act = ChangeRun(
        source=slurm.name,
        runs=(f"{slurm.name}/{job}",),
        fields=(("nodelist", ""), ("gpus_per_node", "1"), ("time_limit_s", "600")),
    )
    preview, (receipt,) = carry(slurm, act)
    assert receipt.before == "pending (held); nodelist=h01; gpus_per_node=2; time_limit_s=5400"
    assert receipt.after == "pending (held); nodelist=; gpus_per_node=1; time_limit_s=600"
    old = (("nodelist", "h01"), ("gpus_per_node", "2"), ("time_limit_s", "5400"))
    assert preview.inverse == replace(act, fields=old)
    share = submit(slurm, "--hold", "--gres=shard:1", "--time=90").target
    act = replace(act, runs=(f"{slurm.name}/{share}",), fields=(("gpus_per_node", "1"),))
    preview, (receipt,) = carry(slurm, act)
    assert (preview.inverse, receipt.status) == (None, ReceiptStatus.REFUSED)
