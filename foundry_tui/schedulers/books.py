"""Accounts of schedulers that charge their queues: Run:ai's projects, KAI's queues."""

from __future__ import annotations

from collections.abc import Iterable

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.usage import Account


def accounts_of(queues: Iterable[Queue]) -> tuple[Account, ...]:
    """The queues as who is charged, a department as the parent of its projects; by name.

    Of a department and a project with one name the project stays, in which the runs are.
    """
    found: dict[str, Account] = {}
    for queue in sorted(queues, key=lambda q: (q.kind != "department", q.name)):
        found[queue.name] = Account(
            name=queue.name,
            parent=queue.parent if queue.parent != queue.name else None,
            quota_gpu_milli=queue.quota_gpu_milli,
        )
    return tuple(found[name] for name in sorted(found))
