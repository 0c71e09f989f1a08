"""Records: the contract of the JSON and CSV that scripts rely on."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from foundry_tui.estate.acts import Change, Receipt, ReceiptStatus
from foundry_tui.estate.fractions import ShareAdvice, ShareCost
from foundry_tui.estate.gpu import GpuSlice
from foundry_tui.estate.plan import Move, NotProposed, Plan, Target
from foundry_tui.estate.reading import Fault, FaultKind
from foundry_tui.estate.run import ArrayPart, Attribution, Placement
from foundry_tui.estate.text import safe
from foundry_tui.estate.tradeoff import TradeOff
from foundry_tui.estate.verdict import Kept, Verdict
from foundry_tui.estate.waste import Idle
from foundry_tui.presenters import csvout, records
from foundry_tui.presenters.records.verdicts import promise_record, verdict_record
from foundry_tui.presenters.rows import IDLE_ROWS
from tests.presenters.estate import GPUS, LAB, NODES, NOW, NVML, QUEUES, RUNS, ago
from tests.presenters.test_changes import Entry

CONTRACT = {
    "nodes": "name source state gpu_model gpu_count gpu_milli_allocated gpu_util_pct cpu_milli "
    "cpu_milli_allocated memory_bytes memory_bytes_allocated reason age_s",
    "gpus": "node index uuid model source util_pct mem_used_bytes mem_total_bytes power_w temp_c "
    "milli_allocated runs idle_since how age_s minor slices measured_by guessed util_max_pct "
    "sm_active_pct tensor_active_pct dram_active_pct sm_clock_mhz energy_mj gpu_hours_idle faults",
    "queues": "name source kind parent quota_gpu_milli limit_gpu_milli fair_share_gpu_milli "
    "allocated_gpu_milli requested_gpu_milli running waiting oldest_wait_s",
    "runs": "id native_id source scheduler name user account queue state reason priority request "
    "placement submitted_at started_at ended_at estimated_start_at exit_code gpu_util_pct "
    "mlflow_run_id submit_token array",
    "request": "gpu_count gpu_milli gpu_model nodes cpu_milli memory_bytes time_limit_s",
    "plan": "id generated_at estate_id objective bound gap status solve_s moves before after "
    "assumptions not_proposed",
    "moves": "id target action placement gpu_milli precondition inverse gain cost risk owner why "
    "command",
    "change": "id status receipts",
}

IDLE = Idle(
    run="lab/21",
    user="bob",
    since=NOW,
    placement=(Placement("h01", (0,)),),
    count=1,
    milli=1000,
    gpu_hours=0.5,
)
TRADE_OFF = TradeOff(
    moves=1,
    added=("m1", "m2"),
    gain=2.0,
    cost=0.5,
    gain_unknown=0,
    worth=None,
    gpus_allocated=4.0,
    owners=("bo",),
    stopped=(),
)
SHARE_COST = ShareCost(
    source="lab",
    milli=810,
    asked_by=4,
    effective_milli=1000.0,
    stranded_milli=190.0,
    partners=((230, 1),),
    instead_milli=770,
    instead_effective_milli=750.00004,
    why="it strands 0.19",
)
SHARE_ADVICE = ShareAdvice(
    run="lab/21",
    user="bob",
    state="running",
    asked_milli=810,
    effective_milli=1000.0,
    safe_milli=600,
    advised_milli=770,
    basis="measured",
    why="0.60 is safe",
    evidence=("500 samples",),
)
MOVE = Move(
    id="1",
    target=Target("run", "lab/21"),
    action="place",
    placement=(Placement("a02", (0, 1)), Placement("a03", None), Placement("login")),
    gpu_milli=8000,
    precondition={"state": "pending", "node": None},
    gain=129.0,
    displaces=("lab/18_1", "lab/19"),
)
PLAN = Plan(
    id="p-1",
    generated_at=NOW,
    estate_id="abc",
    objective_name="GPU-hours",
    objective=1.0,
    bound=None,
    gap=None,
    status="heuristic",
    solve_s=0.1,
    moves=(MOVE,),
    before={"gpus": 1.0},
    after={"gpus": None},
    not_proposed=(NotProposed(Target("run", "lab/22"), "held"),),
)


def decoded(noun: str, payload: object) -> Any:
    """The envelope with this payload, as a script reads it."""
    return json.loads(records.envelope(noun, payload, sources=(LAB, NVML), now=NOW))


def rows(noun: str, payload: list[records.Record]) -> list[dict[str, str]]:
    """The CSV of this payload, as a script reads it."""
    text = csvout.to_csv(noun, payload).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize(
    ("noun", "record"),
    [
        ("nodes", records.node_record(NODES[0], NOW)),
        ("gpus", records.gpu_record(GPUS[0], NOW)),
        ("queues", records.queue_record(QUEUES[0])),
        ("runs", records.run_record(RUNS[0])),
        ("request", records.run_record(RUNS[0])["request"]),
        ("plan", records.plan_record(PLAN)),
        ("moves", records.move_record(MOVE)),
        ("change", records.change_record(Change(id="c", act="hold", status="done", receipts=()))),
    ],
)
def test_the_contract_fields_come_first_and_in_order(noun: str, record: records.Record) -> None:
    wanted = CONTRACT[noun].split()
    assert list(record)[: len(wanted)] == wanted


def test_the_envelope_names_schema_moment_and_sources() -> None:
    whole = decoded("nodes", [])
    assert whole["schema"] == "foundry.nodes/1"
    assert whole["generated_at"] == "2026-03-14T09:30:00Z"
    assert whole["nodes"] == []
    assert whole["sources"] == [
        {"name": "lab", "kind": "slurm", "state": "ok", "age_s": 3.0, "reason": None},
        {
            "name": "nvml",
            "kind": "telemetry",
            "state": "off",
            "age_s": None,
            "reason": "no NVML library on this host",
        },
    ]


def test_the_envelope_says_what_is_missing() -> None:
    data = records.envelope("runs", [], sources=(), now=NOW, partial=("lab: shown as last read",))
    assert json.loads(data)["partial"] == ["lab: shown as last read"]


def test_unknown_is_null_and_times_end_in_z() -> None:
    run = decoded("runs", [records.run_record(RUNS[5])])["runs"][0]
    assert run["gpu_util_pct"] is None
    assert run["started_at"] is None
    assert run["submitted_at"] == "2026-03-14T00:28:00Z"
    assert run["array"] is None
    assert run["request"]["gpu_milli"] == 8000


def test_tenants_that_are_unknown_are_not_none_at_all() -> None:
    hidden, free = records.gpu_record(GPUS[15], NOW), records.gpu_record(GPUS[13], NOW)
    assert (hidden["runs"], hidden["milli_allocated"]) == (None, None)
    assert (free["runs"], free["milli_allocated"]) == ([], 0)


def test_a_waiting_range_is_one_run_with_its_count() -> None:
    run = records.run_record(RUNS[3])
    assert run["array"] == {"job_id": "18", "tasks": "2-41", "count": 40}


def test_unknown_indices_are_null() -> None:
    placement = decoded("plan", records.plan_record(PLAN))["plan"]["moves"][0]["placement"]
    assert placement == [
        {"node": "a02", "gpus": [0, 1]},
        {"node": "a03", "gpus": None},
        {"node": "login", "gpus": []},
    ]


def test_a_plan_keeps_a_command_that_nobody_was_asked_for_null() -> None:
    plan = decoded("plan", records.plan_record(PLAN))["plan"]
    assert plan["moves"][0]["command"] is None
    assert plan["moves"][0]["target"] == {"kind": "run", "id": "lab/21"}
    assert plan["not_proposed"] == [{"target": {"kind": "run", "id": "lab/22"}, "why": "held"}]
    assert plan["after"] == {"gpus": None}


def test_a_change_has_one_receipt_per_item() -> None:
    receipts = (
        Receipt(target="lab/1", status=ReceiptStatus.DONE, before="pending", after="held"),
        Receipt(target="lab/2", status=ReceiptStatus.REFUSED, message=safe("not yours")),
    )
    change = Change(id="c-1", act="hold", status="part", receipts=receipts, at=NOW)
    told = decoded("change", records.change_record(change))["change"]
    assert told["receipts"][1] == {
        "target": "lab/2",
        "status": "refused",
        "message": "not yours",
        "before": None,
        "after": None,
    }
    assert (told["id"], told["status"], told["at"]) == ("c-1", "part", "2026-03-14T09:30:00Z")


def test_a_journal_entry_has_its_raw_text_made_safe() -> None:
    change = Change(id="c-1", act="hold", status="open", receipts=(), at=NOW)
    entry = Entry(change, ("lab/1\n",), commands=(("scontrol", "hold", "1\x1b[2J"),))
    told = decoded("journal", [records.journal_record(entry)])["journal"][0]
    assert told["commands"] == [["scontrol", "hold", "1␛[2J"]]
    assert told["items"] == ["lab/1␊"]
    assert (told["id"], told["user"], told["finished_at"]) == ("c-1", "alice", None)
    assert (told["uid"], told["plan"], told["approved_by"]) == (1001, None, [])


def test_a_gpu_tells_what_was_measured_by_whom_and_what_it_wastes() -> None:
    lost = Fault(kind=FaultKind.LOST, words=safe("lost: the driver does not reach it"), grave=True)
    warm = Fault(kind=FaultKind.THROTTLED, words=safe("throttled: heat"))
    gpu = replace(
        GPUS[6],
        measured_by="agents",
        how="NVML, mean of 60 s",
        util_max_pct=0.96,
        energy_mj=123456789,
        faults=(lost, warm),
    )
    told = records.gpu_record(gpu, NOW)
    assert (told["source"], told["measured_by"], told["how"]) == (
        "lab",
        "agents",
        "NVML, mean of 60 s",
    )
    assert told["age_s"] == 3.0
    assert (told["util_max_pct"], told["energy_mj"], told["sm_active_pct"]) == (
        1.0,
        123456789,
        None,
    )
    assert (told["idle_since"], told["gpu_hours_idle"]) == (ago(days=2, hours=6), 54.0)
    assert told["faults"] == [
        {"kind": "lost", "words": "lost: the driver does not reach it", "grave": True},
        {"kind": "throttled", "words": "throttled: heat", "grave": False},
    ]
    (row,) = csv.DictReader(io.StringIO(csvout.to_csv("gpus", [told]).decode()))
    assert row["faults"] == "lost: the driver does not reach it; throttled: heat"
    assert (row["sm_active_pct"], row["gpu_hours_idle"]) == ("", "54.0")
    free = records.gpu_record(replace(GPUS[13], faults=()), NOW)
    assert (free["gpu_hours_idle"], free["faults"]) == (None, [])


def test_a_run_says_how_its_use_was_told_apart() -> None:
    joint = replace(RUNS[0], gpu_util_how=Attribution.JOINT)
    assert records.run_record(joint)["gpu_util_how"] == "joint"
    assert records.run_record(RUNS[0])["gpu_util_how"] is None


KEPT = Kept(what="start", promised=90.0, measured=2.0, kept=True, unit="s", move="m1", rule="room")
VERDICT = Verdict(
    plan="p1", applied_at=NOW, judged_at=NOW, closed=True, promises=(KEPT,), moves=1, moves_done=1
)


def full() -> dict[str, list[records.Record]]:
    """Of each noun one record in which nothing that can be nested is left out."""
    gpu = replace(GPUS[0], slices=(GpuSlice(uuid="m", profile="1g.10gb", milli=142, run=None),))
    run = replace(RUNS[0], array=ArrayPart("18", "1", 1), native={"features": safe("nvlink")})
    return {
        "nodes": [records.node_record(NODES[1], NOW)],
        "gpus": [records.gpu_record(gpu, NOW)],
        "queues": [records.queue_record(QUEUES[0])],
        "runs": [records.run_record(run)],
        "moves": [records.move_record(MOVE)],
        "fractions": [records.advice_record(SHARE_ADVICE)],
        "shares": [records.cost_record(SHARE_COST)],
        "idle": [IDLE_ROWS.record(IDLE, NOW)],
        "tradeoffs": [records.tradeoff_record(TRADE_OFF)],
        "promises": [{"plan": "p1", **promise_record(KEPT)}],
        "verdicts": [{k: v for k, v in verdict_record(VERDICT).items() if k != "promises"}],
        "changes": [
            records.journal_record(Entry(Change(id="c", act="hold", status="done", receipts=())))
        ],
    }


@pytest.mark.parametrize("noun", sorted(csvout.COLUMNS))
def test_csv_has_every_field_of_the_record_in_its_order(noun: str) -> None:
    flat = csvout.flat(full()[noun][0])
    assert tuple(flat) == csvout.COLUMNS[noun]
    assert not any(isinstance(value, (list, dict, tuple)) for value in flat.values())


@pytest.mark.parametrize("noun", sorted(csvout.COLUMNS))
def test_csv_of_nothing_has_its_header(noun: str) -> None:
    assert csvout.to_csv(noun, []).decode() == ",".join(csvout.COLUMNS[noun]) + "\r\n"


def test_csv_flattens_what_is_nested() -> None:
    row = rows("runs", full()["runs"])[0]
    assert row["request_gpu_count"] == "6"
    assert row["array_job_id"] == "18"
    assert row["placement"] == "a01:0,1,2,3,4,5"
    assert row["native"] == "features=nvlink"
    assert row["held"] == "false"
    assert row["started_at"] == "2026-03-14T03:18:00Z"
    assert row["exit_code"] == ""


def test_csv_placement_tells_unknown_indices_from_no_gpu() -> None:
    assert rows("moves", full()["moves"])[0]["placement"] == "a02:0,1;a03:?;login"


def test_csv_leaves_the_fields_of_a_missing_array_empty() -> None:
    row = rows("runs", [records.run_record(RUNS[1])])[0]
    assert (row["array_job_id"], row["array_count"]) == ("", "")


def test_csv_defuses_a_name_that_is_a_formula() -> None:
    run = replace(RUNS[1], name=safe("=cmd|' /C calc'!A0"), user="@x")
    row = rows("runs", [records.run_record(run)])[0]
    assert (row["name"], row["user"]) == ("'=cmd|' /C calc'!A0", "'@x")


def test_an_age_is_never_negative() -> None:
    late = replace(NODES[0], read_at=ago(seconds=-30))
    assert records.node_record(late, NOW)["age_s"] == 0.0
