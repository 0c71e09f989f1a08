"""Another reader of the same database: `sacct --json`, put into the fields of a record.

It shares no code with the reader of the text, so that what both say alike is not one mistake.
Written for the dialect of Slurm 22.05 (openapi/dbv0.0.38), which the lab speaks.
"""

from __future__ import annotations

import json
from typing import Any

from foundry_tui.estate.usage import UsageRecord
from tests.lab.slurm import SlurmLab

Facts = tuple[object, ...]


def by_json(lab: SlurmLab, start: str, end: str) -> list[Facts]:
    """What the JSON says of every try between two moments."""
    argv = ["env", "TZ=UTC", "sacct", "-a", "-X", "-D", "--json", "-S", start, "-E", end]
    answer = json.loads(lab.run(argv, timeout_s=60).stdout.decode("utf-8", "surrogateescape"))
    assert answer["errors"] == []
    return sorted((_facts(job) for job in answer["jobs"]), key=repr)


def _facts(job: dict[str, Any]) -> Facts:
    time, array, het = job["time"], job["array"], job["het"]
    if array["task_id"] is not None:
        shown = f"{array['job_id']}_{array['task_id']}"
    elif array["task"]:
        shown = f"{array['job_id']}_[{array['task']}]"
    elif het["job_id"]:
        shown = f"{het['job_id']}+{het['job_offset']}"
    else:
        shown = str(job["job_id"])
    held = {t["name"]: t["count"] for t in job["tres"]["allocated"] if t["type"] == "gres"}
    others = {t["type"]: t["count"] for t in job["tres"]["allocated"] if t["type"] != "gres"}
    typed = {name: n for name, n in held.items() if name.startswith("gpu:") and n}
    shares = {name: n for name, n in held.items() if name in ("shard", "mps") and n}
    cores, memory_mib = others.get("cpu"), others.get("mem")
    return (
        str(job["job_id"]),
        shown,
        job["association"]["user"],
        job["account"],
        job["partition"],
        job["qos"],
        job["state"]["current"],
        time["submission"] or None,
        time["eligible"] or None,
        (time["start"] or None) if job["nodes"] != "None assigned" else None,
        time["end"] or None,
        time["suspended"],
        60 * time["limit"] if isinstance(time["limit"], int) else None,
        held.get("gpu", 0) or sum(typed.values()),
        tuple(sorted(typed)),
        tuple(sorted(shares.items())),
        1000 * cores if cores else None,
        memory_mib << 20 if memory_mib else None,
        job["het"]["job_offset"] if job["het"]["job_id"] else None,
        job["working_directory"],
        job["name"],
    )


def by_text(records: list[UsageRecord], words: dict[str, str]) -> list[Facts]:
    """The same of our records; `words` are Slurm's for the states."""
    return sorted((_of(r, words) for r in records), key=repr)


def _of(record: UsageRecord, words: dict[str, str]) -> Facts:
    times = (record.submitted_at, record.eligible_at, record.started_at, record.ended_at)
    held = record.held or ()
    whole = [h for h in held if h.share == "whole"]
    shares = sorted((str(h.share), h.count) for h in held if h.share != "whole")
    return (
        record.raw_id,
        record.native_id,
        record.user,
        record.account,
        record.queue,
        record.qos,
        words[record.state],
        *(None if t is None else int(t.timestamp()) for t in times),
        record.suspended_s,
        record.time_limit_s,
        sum(h.count for h in whole),
        tuple(sorted(f"gpu:{h.gpu_type}" for h in whole)),
        tuple(shares),
        record.cpu_milli,
        record.memory_bytes,
        record.het_offset,
        record.work_dir,
        record.name,
    )
