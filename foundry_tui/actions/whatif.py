"""Whether a submit would find room now, and the smallest change with which it would.

For schedulers that plan no starts ahead (Run:ai, KAI): told from the lists, and nobody is asked to
start anything.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foundry_tui.actions.act import Prepared
from foundry_tui.actions.tracker import backend
from foundry_tui.estate.acts import Submit
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.options import Wanted, parse
from foundry_tui.schedulers.ports import SchedulerError

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site

RUNAI = "runai"
KINDS = frozenset({RUNAI, "kai"})


@dataclass(frozen=True, slots=True)
class Room:
    """What a submit would wait for (None: it has room now), and changes that start it now."""

    obstacle: str | None
    changes: tuple[str, ...] = ()


def room(site: Site, prepared: Prepared, seen: Snapshot | None = None) -> Room | None:
    """Whether what is prepared would find room in `seen`, else in the source as it is now.

    None where the scheduler tells starts itself, where the submit would be refused, or where the
    source does not show what has to be known.
    """
    from foundry_tui.explain.diagnosis import diagnose
    from foundry_tui.explain.verdict import Deed, Kind

    act, source = prepared.preview.act, prepared.source
    kind = backend(site, source)
    if not isinstance(act, Submit) or kind not in KINDS or prepared.preview.refused:
        return None
    try:
        snapshot = site.scheduler(source).snapshot() if seen is None else seen
        wanted = parse(act.options)
    except (SchedulerError, ValueError):
        return None
    run = _as_run(source, kind, wanted, snapshot)
    found = diagnose(run, snapshot, details={}, rights=None, now=site.clock())
    if found.kind is Kind.UNKNOWN:
        return None
    if found.kind is Kind.NEXT_CYCLE:
        return Room(None)
    with suppress(SchedulerError):  # to which other queues it could go
        rights = site.scheduler(source).rights()
        mine = replace(run, user=rights.user)
        found = diagnose(mine, snapshot, details={}, rights=rights, now=site.clock())
    changes = (c.sentence for c in found.candidates if c.act is Deed.RESUBMIT)
    never = found.kind is Kind.BAD_CONSTRAINTS
    return Room(found.sentence if never else f"it would wait: {found.sentence}", tuple(changes))


def _as_run(source: str, kind: str, wanted: Wanted, snapshot: Snapshot) -> Run:
    """The submit as the run that it would be: a waiting one, of which all pods start together."""
    known = {q.name for q in snapshot.queues if q.source == source}
    # a project may be named by its id, or be the only one that may be used
    queue = None if kind == RUNAI and wanted.project not in known else wanted.project
    # an elastic run starts with the fewest pods that it can do with
    pods = wanted.min_replicas or wanted.workers
    share = wanted.gpu_portion_milli or WHOLE_MILLI
    words = {
        "queue_label": wanted.project,
        "pods_wanted": str(pods),
        "min_member": str(pods),
        "preemptible": "false" if wanted.preemptibility == "non-preemptible" else "true",
        "node_pools": ",".join(wanted.node_pools),
    }
    return Run(
        id=f"{source}/new",
        native_id="new",
        source=source,
        scheduler=kind,
        name=SafeText("new"),
        state=RunState.PENDING,
        queue=queue,
        request=Request(
            gpu_count=pods * wanted.gpu_devices,
            gpu_milli=None if wanted.gpu_memory_bytes else pods * wanted.gpu_devices * share,
            gpu_memory_bytes=wanted.gpu_memory_bytes,
            cpu_milli=pods * (wanted.cpu_milli or 0),
            memory_bytes=pods * (wanted.memory_bytes or 0),
        ),
        native={k: safe(v) for k, v in words.items() if v},
    )
