"""Tries that accounting calls running and that nobody runs: they are not billed silently.

slurmdbd learns of an end from slurmctld. When that message is lost (slurmctld was killed, or its
state was), the row has no end for ever and grows with every report. `sacctmgr show runawayjobs`
lists such rows too, but goes on to ask whether it shall mend them, so it is not used here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from foundry_tui.estate.run import HOLDING
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import Commands

FORGOTTEN = safe("it has no end, and the Slurm controller does not know it any more")
UNASKED = "whether tries without an end still run is not known"
LATER = safe("it has no end, and the Slurm controller runs a later try of it")


def judged(
    commands: Commands, records: Sequence[UsageRecord]
) -> tuple[Sequence[UsageRecord], tuple[str, ...]]:
    """The records with their doubts, and a note when nobody could be asked.

    What is in the queue, or was until lately, is believed; a job whose nodes are all down is not.
    """
    suspects = [i for i, r in enumerate(records) if r.ended_at is None and r.state in HOLDING]
    if not suspects:
        return records, ()
    try:
        listed = _listed(commands)
        down = _down(commands)
    except SchedulerError as error:
        return records, (f"{UNASKED}: {error}",)
    found = list(records)
    for i in suspects:
        doubt = _doubt(found[i], listed, down)
        if doubt is not None:
            found[i] = replace(found[i], doubt=doubt)
    return found, ()


def _doubt(
    record: UsageRecord, listed: Mapping[str, int | None], down: frozenset[str]
) -> SafeText | None:
    if record.raw_id not in listed:
        return FORGOTTEN
    started_s = listed[record.raw_id]
    if started_s and record.started_at and started_s > record.started_at.timestamp():
        return LATER
    if record.nodes and down.issuperset(record.nodes):
        names = ",".join(record.nodes)
        return safe(f"it has no end, and its nodes are down: {names}")
    return None


def _listed(commands: Commands) -> dict[str, int | None]:
    """The jobs that the controller knows by their raw ids, with the start of the present try.

    Those that have just ended too: accounting may be some seconds behind. For a waiting job the
    start is a plan and no try.
    """
    out = commands.read(
        "squeue", "-h", "-a", "-t", "all", "-o", "%A|%t|%S", env={"SLURM_TIME_FORMAT": "%s"}
    )
    found: dict[str, int | None] = {}
    for line in out.decode("ascii", "replace").splitlines():
        job, _, rest = line.partition("|")
        state, _, start = rest.partition("|")
        found[job] = int(start) if start.isdigit() and state != "PD" else None
    return found


def _down(commands: Commands) -> frozenset[str]:
    """Nodes in Slurm's state DOWN, also those that do not answer (`down*`)."""
    out = commands.read("sinfo", "-h", "-N", "-o", "%N|%T").decode("utf-8", "surrogateescape")
    rows = (line.partition("|") for line in out.splitlines())
    return frozenset(safe(name) for name, _, state in rows if state.startswith("down"))
