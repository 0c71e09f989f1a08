"""Run:ai's manners of the simulated cluster."""

from __future__ import annotations

import json

import pytest

from foundry_tui.estate.acts import Cancel, Receipt, ReceiptStatus, Submit
from foundry_tui.estate.run import LIVE, Run, RunState
from foundry_tui.schedulers.simulated.runai import RunaiManners
from foundry_tui.schedulers.simulated.runai_acts import DELAY_S
from tests.schedulers.simulated.conftest import Clock

SCRIPT = b"sleep 5000\n"


def work(runai: RunaiManners, *options: str, script: bytes = SCRIPT) -> Submit:
    return Submit(source=runai.name, script=script, script_name="train.sh", options=options)


def submit(runai: RunaiManners, *options: str) -> Receipt:
    preview = runai.preview(work(runai, *options), (), "token-1")
    return runai.read_back(preview, runai.perform(preview, "token-1"))[0]


def listed(runai: RunaiManners, native: str) -> Run | None:
    return next((r for r in runai.snapshot().runs if r.native_id == native), None)


def test_a_submission_is_accepted_and_seen_some_seconds_later(
    runai: RunaiManners, clock: Clock
) -> None:
    receipt = submit(runai, "--name=late")
    assert (receipt.status, receipt.message) == (ReceiptStatus.ACCEPTED, "202 Creating")
    clock.pass_simulated(DELAY_S - 2)
    assert listed(runai, receipt.target) is None
    assert runai.find_submitted("token-1") is None
    clock.pass_simulated(4)
    found = listed(runai, receipt.target)
    assert found is not None
    assert (found.name, found.queue, found.user) == ("late", "vision", "ada")
    assert found.request.time_limit_s is None
    assert runai.find_submitted("token-1") == receipt.target


def test_a_deletion_is_accepted_and_seen_some_seconds_later(
    runai: RunaiManners, clock: Clock
) -> None:
    mine = next(
        r
        for r in runai.snapshot().runs
        if (r.user, r.state) == ("ada", RunState.RUNNING) and not r.name.startswith("serve")
    )
    act = Cancel(source=runai.name, runs=(mine.id,))
    preview = runai.preview(act, (mine,), "t")
    assert preview.items[0].command == ("DELETE", f"/api/v1/workloads/trainings/{mine.native_id}")
    assert preview.inverse is None
    sent = runai.perform(preview, "t")
    assert sent[0].message == "202 Request has been accepted."
    assert runai.read_back(preview, sent)[0].status is ReceiptStatus.ACCEPTED
    still = listed(runai, mine.native_id)
    assert still is not None and still.native is not None
    assert (still.state, still.native["phase"]) == (RunState.RUNNING, "Deleting")
    again = runai.perform(preview, "t")[0]
    assert again.status is ReceiptStatus.UNCHANGED
    clock.pass_simulated(DELAY_S + 2)
    assert listed(runai, mine.native_id) is None
    assert runai.read_back(preview, sent)[0].status is ReceiptStatus.DONE


def test_each_item_of_a_batch_is_answered_on_its_own(runai: RunaiManners) -> None:
    runs = [r for r in runai.snapshot().runs if r.state in LIVE]
    mine = next(r for r in runs if r.user == "ada" and not r.name.startswith("serve"))
    theirs = next(r for r in runs if r.user == "bo")
    fixed = next(r for r in runs if r.user == "ada" and r.name.startswith("serve"))
    ghost = f"{runai.name}/00000000-0000-4000-a000-000000000000"
    targets = (theirs.id, mine.id, ghost, fixed.id)
    act = Cancel(source=runai.name, runs=targets)
    receipts = runai.perform(runai.preview(act, (mine, theirs, fixed), "t"), "t")
    assert [r.target for r in receipts] == list(targets)
    assert [r.status for r in receipts] == [
        ReceiptStatus.REFUSED,
        ReceiptStatus.ACCEPTED,
        ReceiptStatus.REFUSED,
        ReceiptStatus.REFUSED,
    ]
    texts = [(r.message or "")[:3] for r in receipts]
    assert texts == ["403", "202", "404", "409"]
    assert fixed.native is not None
    assert fixed.native["delete_supported"] == "false"


def test_fractions_share_a_gpu(runai: RunaiManners, clock: Clock) -> None:
    receipts = [submit(runai, f"--name=f{i}", "--gpu-portion-request=0.2") for i in range(3)]
    clock.pass_simulated(DELAY_S + 40)
    for _ in range(200):
        runs = [listed(runai, r.target) for r in receipts]
        if all(r and r.state is RunState.RUNNING for r in runs):
            break
        clock.pass_simulated(120)
    gpus = [g for g in runai.snapshot().gpus if set(g.runs) & {r.id for r in runs if r}]
    assert all(g.shared and (g.milli_allocated or 0) <= 1000 for g in gpus)
    assert sum(t.milli for g in gpus for t in g.tenants or () if t.milli == 200) == 600


def test_the_request_that_would_be_posted(runai: RunaiManners) -> None:
    act = work(
        runai, "-p", "vision", "-g", "2", "--gpu-portion-request", "0.5", "--cpu-core-request=4"
    )
    (item,) = runai.preview(act, (), "token-7").items
    assert item.command[:2] == ("POST", "/api/v1/workloads/trainings")
    body = json.loads(item.command[2])
    assert (body["name"], body["projectId"]) == ("train", "vision")
    assert body["spec"]["compute"] == {
        "gpuDevicesRequest": 2,
        "gpuRequestType": "portion",
        "gpuPortionRequest": 0.5,
        "gpuPortionLimit": 0.5,
        "cpuCoreRequest": 4.0,
        "cpuMemoryRequest": "8Gi",
    }
    assert body["spec"]["annotations"] == [{"name": "foundry/submit-token", "value": "token-7"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--project=nowhere",), "404 project 'nowhere' was not found"),
        (("--project=speech",), "403 no access rule lets ada"),
        (("--gpu-portion-request=1.5",), "--gpu-portion-request"),
        (("--gpu-portion-request=nan",), "--gpu-portion-request"),
        (("--gpu-portion-request=inf",), "--gpu-portion-request"),
        (("--gpu-devices-request=9",), "400 gpuDevicesRequest"),
        (("--gpu-devices-request=²",), "--gpu-devices-request"),
        (("--cpu-memory-request=lots",), "--cpu-memory-request"),
        (("--preemptibility=maybe",), "--preemptibility"),
        (("--name=Not Good",), "--name"),
        (("--time=5",), "option '--time=5' is not known"),
        (("train.sh",), "option 'train.sh' is not known"),
        (("--name",), "--name: has no value"),
        (("--gpu-memory-request=81Gi",), "400 gpuMemoryRequest"),
        (("--cpu-core-request=129",), "400 cpuCoreRequest"),
        (("--node-pools=nowhere",), "400 nodePools"),
        (("--kind=Job",), "--kind cannot be used"),
    ],
)
def test_a_bad_submission_is_refused_in_the_preview(
    runai: RunaiManners, options: tuple[str, ...], words: str
) -> None:
    preview = runai.preview(work(runai, *options), (), "t")
    (item,) = preview.refused
    assert item.refusal is not None and item.refusal.startswith(words)
    assert runai.perform(preview, "t")[0].status is ReceiptStatus.REFUSED


def test_projects_under_departments_with_quota_limit_and_fair_share(runai: RunaiManners) -> None:
    queues = {q.name: q for q in runai.snapshot().queues}
    assert {q.name for q in queues.values() if q.kind == "department"} == {"research", "product"}
    assert {n: q.parent for n, q in queues.items() if q.kind == "project"} == {
        "vision": "research",
        "speech": "research",
        "genomics": "product",
    }
    vision, research = queues["vision"], queues["research"]
    assert vision.quota_gpu_milli == 12_000
    assert queues["speech"].limit_gpu_milli == 12_000
    assert (research.quota_gpu_milli, research.kind) == (20_000, "department")
    projects = [q for q in queues.values() if q.kind == "project"]
    assert sum(q.fair_share_gpu_milli or 0 for q in projects) == 32_000
    for project in projects:
        asked = (project.allocated_gpu_milli or 0) + (project.requested_gpu_milli or 0)
        assert (project.fair_share_gpu_milli or 0) >= min(project.quota_gpu_milli or 0, asked)


def test_what_is_over_quota_and_cannot_be_preempted_waits(
    runai: RunaiManners, clock: Clock
) -> None:
    act = [
        work(runai, f"--name=firm{i}", "--preemptibility=non-preemptible", script=b"sleep 900000\n")
        for i in range(14)
    ]
    for one in act:
        runai.perform(runai.preview(one, (), "t"), "t")
    for _ in range(200):
        clock.pass_simulated(1200)
        queues = {q.name: q for q in runai.snapshot().queues}
        barred = [r for r in runai.snapshot().runs if r.reason == "NonPreemptibleOverQuota"]
        if barred:
            break
    assert {r.name.rstrip("0123456789") for r in barred} == {"firm"}
    assert {r.queue for r in barred} == {"vision"}
    assert queues["vision"].quota_gpu_milli == 12_000


def test_an_estimate_knows_a_free_place_or_nothing(runai: RunaiManners, clock: Clock) -> None:
    native = submit(runai, "--name=big", "-g", "8").target
    clock.pass_simulated(DELAY_S + 2)
    run = listed(runai, native)
    assert run is not None
    estimate = runai.estimate(run)
    if run.state is RunState.PENDING:
        assert (estimate.starts_at, estimate.reason) == (
            None,
            "Not enough resources in the requested nodepool",
        )
    with pytest.raises(ValueError, match="cannot be changed"):
        runai.estimate(run, changes=(("queue", "speech"),))


def test_a_failed_script_fails_its_workload(runai: RunaiManners, clock: Clock) -> None:
    act = work(runai, "--name=bad", "--gpu-portion-request=0.1", script=b"sleep 60\nexit 2\n")
    (receipt,) = runai.perform(runai.preview(act, (), "t"), "t")
    for _ in range(300):
        clock.pass_simulated(60)
        run = listed(runai, receipt.target)
        if run is not None and run.state not in LIVE:
            break
    assert run is not None
    assert (run.state, run.exit_code) == (RunState.FAILED, 2)
    log = runai.logs(run, tail_lines=5)
    assert "loss is NaN" in log.lines[-1]


def test_rights_are_one_project(runai: RunaiManners) -> None:
    rights = runai.rights()
    assert rights.queues_of(None) == ("vision",)
    assert not rights.may_change("bo")
