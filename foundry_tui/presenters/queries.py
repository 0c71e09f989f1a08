"""Filters and commands that name what is on a screen, for a drill-down or to be copied."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from foundry_tui.estate.node import Node
from foundry_tui.estate.queue import Queue, children
from foundry_tui.estate.run import Run


def quoted(value: str) -> str:
    """A value as the filter language takes it word for word."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def where_queue(queue: Queue, queues: Sequence[Queue]) -> str:
    """The filter of the runs of a queue and of those below it."""
    found, waiting = dict[str, None](), [queue]
    while waiting:
        one = waiting.pop()
        if one.name not in found:
            found[one.name] = None
            waiting += [q for q in children(queues, one) if q.source == queue.source]
    return f"queue={'|'.join(map(quoted, found))} source={quoted(queue.source)}"


def command_of(row: object) -> str:
    """The command that shows a row on the command line; empty when there is none."""
    if isinstance(row, Run):
        return shlex.join(("foundry", "inspect", row.id))
    if isinstance(row, Node):
        return shlex.join(("foundry", "gpus", "--where", f"node={quoted(row.name)}"))
    if isinstance(row, Queue):
        return shlex.join(("foundry", "runs", "--where", f"queue={quoted(row.name)}"))
    return ""
