"""The process in which pyslurm runs: one request on standard input, one answer, the end.

pyslurm has no place in the program's own process: it holds the GIL for a whole call (10 s when
slurmctld hangs), prints from C, ends the process when there is no configuration, and can crash
it. This file imports nothing else of ours, so that the worker starts fast and from anywhere.

Requests: `{"want": "version"}` or `{"want": "jobs"}`. Answers: `{"version"}`, `{"jobs"}`, or
`{"error", "message", "errno"}` with `error` one of missing, mismatch, rpc, failed. The names are
those of pyslurm 25.11.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

PLAIN = (
    "id",
    "name",
    "state",
    "state_reason",
    "user_name",
    "account",
    "partition",
    "qos",
    "priority",
    "array_id",
    "array_task_id",
    "array_tasks_waiting",
    "array_tasks_parallel",
    "allocated_nodes",
    "scheduled_nodes",
    "required_nodes",
    "constraints",
    "reservation",
    "submit_time",
    "eligible_time",
    "start_time",
    "end_time",
    "time_limit",
    "num_nodes",
    "cpus",
    "comment",
)
"""Attributes of a job that JSON can hold as they are. `to_dict()` costs six times as much."""


def main() -> None:
    """Answer the request on standard input; whatever C code prints goes to standard error."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        json.dump(_answer(json.load(sys.stdin)), answer)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        import pyslurm
    except ModuleNotFoundError as error:
        kind = "missing" if error.name == "pyslurm" else "mismatch"
        return {"error": kind, "message": str(error)}
    except (ImportError, OSError, RuntimeError) as error:
        return {"error": "mismatch", "message": str(error)}
    try:
        if request["want"] == "version":
            return {"version": str(pyslurm.__version__)}
        return {"jobs": [_job(job) for job in pyslurm.Jobs.load().values()]}
    except pyslurm.RPCError as error:
        return {"error": "rpc", "message": str(error.msg), "errno": error.errno}
    except Exception as error:  # whatever pyslurm raises must reach the reader as an answer
        return {"error": "failed", "message": f"{type(error).__name__}: {error}"}


def _job(job: Any) -> dict[str, Any]:
    found = {name: _value(job, name) for name in PLAIN}
    tres = job.allocated_tres
    found["tres"] = _tres(job.requested_tres if tres is None else tres)
    found["dependency"] = _dependency(job.dependencies)
    again = getattr(job, "is_requeueable", None)
    found["requeue"] = "" if again is None else str(int(again))
    return found


def _value(job: Any, name: str) -> Any:
    """An attribute; text that is not UTF-8, on which pyslurm raises, with its bytes kept."""
    try:
        return getattr(job, name)
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "surrogateescape")


def _tres(tres: Any) -> str:
    """Trackable resources as Slurm writes them; `gpu` and `gpu:h100` both stand in there."""
    if tres is None:
        return ""
    found = [
        f"{name}={item.count}{unit}"
        for name, unit in (("cpu", ""), ("mem", "M"), ("node", ""))
        if (item := getattr(tres, name, None)) is not None
    ]
    return ",".join(found + [f"{item.type_and_name}={item.count}" for item in tres.gres.values()])


def _dependency(found: dict[str, Any] | None) -> str:
    """pyslurm's mapping back in Slurm's words: `afterok:12:13,singleton`."""
    if not found:
        return ""
    lists = {kind: jobs for kind, jobs in found.items() if isinstance(jobs, list) and jobs}
    words = [f"{kind}:{':'.join(map(str, jobs))}" for kind, jobs in lists.items()]
    if found.get("singleton"):
        words.append("singleton")
    return ("?" if found.get("satisfy") == "any" else ",").join(words)


if __name__ == "__main__":
    main()
