"""What the filter language knows of each noun: the names of its fields, and how they compare."""

from __future__ import annotations

from foundry_tui.estate.filter import Field, Fields

_TEXT = Field("text")
_NUMBER = Field("number")

TRACKED_FIELDS: Fields = {
    "id": Field("set", ("run_id",)),
    "name": Field("text", ("run",), fuzzy=True),
    "state": Field("text", ("status",)),
    "user": Field("text"),
    "experiment": Field("text", ("exp",), fuzzy=True),
    "age_s": Field("duration_s", ("age",)),
    "duration_s": Field("duration_s", ("duration", "took")),
}
"""Of tracked runs; metrics, params and tags come beside them by their own names.

`age_s` counts from the start; `duration_s` from the start to the end, or until now.
"""

RUN_FIELDS: Fields = {
    "id": Field("set"),  # the full id and the native id, so that either finds the run
    "name": Field("text", fuzzy=True),
    "state": _TEXT,
    "user": _TEXT,
    "account": _TEXT,
    "queue": Field("set", ("partition", "project")),
    "qos": _TEXT,
    "source": _TEXT,
    "reason": _TEXT,
    "node": Field("set", ("nodes",)),
    "priority": _NUMBER,
    "gpu_count": Field("number", ("gpu", "gpus")),
    "gpu_util_pct": Field("number", ("util",)),
    "memory_bytes": Field("bytes", ("mem", "memory")),
    "age_s": Field("duration_s", ("age",)),
    "wait_s": Field("duration_s", ("wait",)),
}
"""Fields of a run. `age_s` counts from submission, `wait_s` from submission to the start."""

NODE_FIELDS: Fields = {
    "name": Field("text", ("node",), fuzzy=True),
    "state": _TEXT,
    "gpu_model": Field("text", ("model",)),
    "gpu_count": Field("number", ("gpu", "gpus")),
    "gpu_free": Field("number", ("free",)),
    "gpu_util_pct": Field("number", ("util",)),
    "queue": Field("set", ("partition", "project")),
    "reason": _TEXT,
    "source": _TEXT,
}
"""Fields of a node. `gpu_free` counts GPUs, in parts where they are shared: 2.5 is possible."""

GPU_FIELDS: Fields = {
    "node": Field("text", fuzzy=True),
    "model": _TEXT,
    "source": _TEXT,
    "runs": Field("set", ("run",)),  # full and native ids, as for a run
    "util_pct": Field("number", ("util",)),
    "mem_used_bytes": Field("bytes", ("mem",)),
    "gpu_free": Field("number", ("free",)),
    "gpu_allocated": Field("number", ("alloc",)),
    "idle_s": Field("duration_s", ("idle",)),
    "gpu_hours_idle": Field("number", ("wasted",)),
    "util_max_pct": Field("number", ("util_max",)),
    "power_w": Field("number", ("power", "watt")),
    "temp_c": Field("number", ("temp",)),
    "measured_by": _TEXT,
    "faults": Field("set", ("fault",)),
}
"""Fields of a GPU. `gpu_free` and `gpu_allocated` are parts of this GPU, from 0 to 1.

`faults` holds the kind and the words of each, `grave` where one needs an admin, and `fault`, so
that this word alone finds every GPU that has any.
"""

QUEUE_FIELDS: Fields = {
    "name": Field("text", ("queue",), fuzzy=True),
    "kind": _TEXT,
    "parent": _TEXT,
    "source": _TEXT,
    "running": _NUMBER,
    "waiting": _NUMBER,
    "oldest_wait_s": Field("duration_s", ("wait",)),
}
"""Fields of a queue."""
