"""Records as CSV: the field names of JSON, what is nested joined by an underscore.

`placement` becomes `h01:0,1;h02:3` (`h01:?` where the indices are unknown, `h01` where no GPU is
held), a fault its words, any other list its items with semicolons between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from foundry_tui.estate import csvtext
from foundry_tui.presenters.records import Record


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


COLUMNS: Mapping[str, tuple[str, ...]] = {
    "nodes": _names(
        "name source state gpu_model gpu_count gpu_milli_allocated gpu_util_pct cpu_milli "
        "cpu_milli_allocated memory_bytes memory_bytes_allocated reason age_s queues features "
        "reason_since gpu_measured_count"
    ),
    "gpus": _names(
        "node index uuid model source util_pct mem_used_bytes mem_total_bytes power_w temp_c "
        "milli_allocated runs idle_since how age_s minor slices measured_by guessed util_max_pct "
        "sm_active_pct tensor_active_pct dram_active_pct sm_clock_mhz energy_mj gpu_hours_idle "
        "faults"
    ),
    "queues": _names(
        "name source kind parent quota_gpu_milli limit_gpu_milli fair_share_gpu_milli "
        "allocated_gpu_milli requested_gpu_milli running waiting oldest_wait_s state "
        "total_gpu_milli time_limit_s max_nodes default"
    ),
    "runs": _names(
        "id native_id source scheduler name user account queue state reason priority "
        "request_gpu_count request_gpu_milli request_gpu_model request_nodes request_cpu_milli "
        "request_memory_bytes request_time_limit_s request_gpu_memory_bytes request_mig_profile "
        "placement submitted_at started_at ended_at estimated_start_at exit_code gpu_util_pct "
        "mlflow_run_id submit_token array_job_id array_tasks array_count qos held eligible_at "
        "ends_by native gpu_util_how"
    ),
    "moves": _names(
        "id target_kind target_id action placement gpu_milli precondition inverse gain cost risk "
        "owner why command queue displaces starts_at worth steps awaits irreversible "
        "starts_within_s rule"
    ),
    "fractions": _names(
        "run user state asked_milli effective_milli safe_milli advised_milli basis why evidence "
        "mig_profile"
    ),
    "shares": _names(
        "source milli asked_by effective_milli stranded_milli partners instead_milli "
        "instead_effective_milli why"
    ),
    "idle": _names("run user gpu_milli idle_since gpu_hours_idle placement"),
    "tradeoffs": _names(
        "moves added gain cost net gain_unknown worth gpus_allocated owners stopped"
    ),
    "verdicts": _names(
        "plan applied_at judged_at closed undone moves moves_done kept decided open"
    ),
    "promises": _names("plan what promised measured kept unit move rule why"),
    "changes": _names(
        "id status receipts act at undoes source user host items commands finished_at uid "
        "sudo_user ssh_connection plan move step why until approved_by inverse"
    ),
}
"""The columns of each kind of row, in the order of the records' fields."""

_NESTED = ("request", "array", "target")


def to_csv(noun: str, records: Iterable[Record], columns: Sequence[str] = ()) -> bytes:
    """The records as a CSV file, with these columns or those of `COLUMNS`."""
    return csvtext.write(map(flat, records), columns or COLUMNS[noun])


def flat(record: Record) -> dict[str, object]:
    """A record with every value in one cell."""
    row: dict[str, object] = {}
    for key, value in record.items():
        if key in _NESTED:
            row |= {f"{key}_{name}": inner for name, inner in (value or {}).items()}
        elif key == "faults":
            row[key] = "; ".join(fault["words"] for fault in value) or None
        elif isinstance(value, (list, tuple, dict)):
            row[key] = _placement(value) if key == "placement" else _joined(value)
        else:
            row[key] = value
    return row


def _placement(placement: Iterable[Record]) -> str | None:
    parts = []
    for part in placement:
        gpus = part["gpus"]
        held = "?" if gpus is None else ",".join(map(str, gpus))
        parts.append(f"{part['node']}:{held}" if held else part["node"])
    return ";".join(parts) or None


def _joined(value: Iterable[object] | Record) -> str | None:
    if isinstance(value, dict):
        return ";".join(f"{k}={'' if v is None else v}" for k, v in value.items()) or None
    return ";".join(_joined(v) or "" if isinstance(v, dict) else str(v) for v in value) or None
