"""Partitions as queues, from `scontrol show partitions`."""

from __future__ import annotations

import re
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.slurm.directives import time_limit_s
from foundry_tui.schedulers.slurm.tres import count, parse_tres

_FIELD = re.compile(r"(?:^| )([A-Za-z]+)=(\S*)")


def parse_queues(text: str, source: str, read_at: datetime) -> tuple[Queue, ...]:
    """The lines of `scontrol -o show partitions`; use is counted later, from the runs.

    A partition has no quota. Its limit is what its partition QOS sets, which this listing does not
    tell, so it stays unknown.
    """
    queues = []
    for line in text.split("\n"):
        if not line.startswith("PartitionName="):
            continue
        words = dict(_FIELD.findall(line))
        queues.append(
            Queue(
                name=safe(words["PartitionName"]),
                source=source,
                kind="partition",
                state=words.get("State", "UNKNOWN").lower(),
                total_gpu_milli=WHOLE_MILLI * count(parse_tres(words.get("TRES", "")), "gpu"),
                default=words.get("Default") == "YES",
                priority=_int(words.get("PriorityTier", "")),
                time_limit_s=_limit(words.get("MaxTime", "")),
                max_nodes=_int(words.get("MaxNodes", "")),
                accounts=_list(words.get("AllowAccounts", "ALL")),
                qos=_list(words.get("AllowQos", "ALL")),
                read_at=read_at,
            )
        )
    return tuple(queues)


def _list(text: str) -> tuple[str, ...] | None:
    return None if text in ("ALL", "") else tuple(safe(text).split(","))


def _int(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _limit(text: str) -> int | None:
    try:
        return time_limit_s(text)
    except ValueError:
        return None
