"""Rows as `sacct -p` prints them, for tests: named cells, the rest as of a plain finished job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from foundry_tui.estate.text import SafeText
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.schedulers.slurm.accounting import sacct
from foundry_tui.schedulers.slurm.accounting.allocated import Allocations
from foundry_tui.schedulers.slurm.nodes import parse_nodes

MARK = b"\x1fabcdefgh"
T0 = 1_795_219_200
"""2026-11-21, midnight UTC."""

NODES = parse_nodes(
    "NodeName=h01 Gres=gpu:h100:8,shard:32\n"
    "NodeName=h02 Gres=gpu:h100:8,shard:32\n"
    "NodeName=h03 Gres=gpu:h100:8,shard:64\n"
    "NodeName=a01 Gres=gpu:a100:4,mps:400\n"
    "NodeName=m01 Gres=gpu:a100:2,gpu:h100:2,shard:16\n"
    "NodeName=c01 Gres=(null)\n"
)

PLAIN = {
    "JobIDRaw": "7",
    "JobID": "7",
    "User": "ada",
    "Account": "ml",
    "Partition": "h100",
    "QOS": "normal",
    "State": "COMPLETED",
    "Submit": str(T0),
    "Eligible": str(T0),
    "Start": str(T0 + 10),
    "End": str(T0 + 110),
    "Suspended": "00:00:00",
    "Timelimit": "01:00:00",
    "AllocTRES": "billing=1,cpu=2,gres/gpu:h100=2,gres/gpu=2,mem=1000M,node=1",
    "NodeList": "h01",
    "ExitCode": "0:0",
    "Reservation": "",
    "Comment": "",
    "WorkDir": "/home/ada",
    "JobName": "train",
}


def row(**given: str | bytes) -> bytes:
    """One row; a cell of bytes stands as it is."""
    assert set(given) <= set(sacct.COLUMNS), given
    cells = (given.get(name, PLAIN[name]) for name in sacct.COLUMNS)
    return b"".join((c if isinstance(c, bytes) else c.encode()) + MARK for c in cells) + b"\n"


def parsed(
    *rows: bytes, allocations: Allocations | None = None
) -> tuple[list[UsageRecord], list[SafeText]]:
    """What becomes of these rows, on the nodes above."""
    return sacct.parse(b"".join(rows), MARK, "lab", allocations or Allocations(NODES))


def record(**given: str | bytes) -> UsageRecord:
    """The record of one good row."""
    (found,), rejects = parsed(row(**given))
    assert rejects == []
    return found


def at(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def ids(records: Iterable[UsageRecord]) -> list[str]:
    return [r.native_id for r in records]
