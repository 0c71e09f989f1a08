"""When a script would start on Slurm, and when its translation would on Run:ai or KAI."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from foundry_tui.actions import act, dryrun
from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.scripts import read_script
from foundry_tui.actions.site import Site
from foundry_tui.actions.tracker import backend
from foundry_tui.actions.whatif import Room
from foundry_tui.migration.nouns import Tables
from foundry_tui.migration.translate import ENDING, translate
from foundry_tui.schedulers.ports import SchedulerError

KINDS = ("slurm", "runai", "kai")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one source says of a start; `reason` why it does not say when.

    `how` it knows; `room` is for schedulers that plan no starts ahead. `asked` is False where it
    never came to ask.
    """

    source: str
    kind: str
    starts_at: datetime | None = None
    nodes: tuple[str, ...] = ()
    queue: str | None = None
    reason: str | None = None
    how: str = ""
    room: Room | None = None
    asked: bool = True


def estimates(
    site: Site,
    script: str,
    tables: Tables,
    target: str | None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Start, ...]:
    """What every source says of a start, Slurm first. Nothing is submitted.

    `target` is runai or kai, None for both.

    Raises:
        WrongUse: the script cannot be read, or there is no such target here.
        SourceMissing: there is nobody to ask.
    """
    if site.saved is not None:
        raise SourceMissing("migrate: a saved estate (--estate) has no scheduler to ask")
    name, data = read_script(script, "a batch script")
    kinds = {source: backend(site, source) for source in site.schedulers}
    wanted = KINDS if target is None else ("slurm", target)
    if target is not None and target not in kinds.values():
        raise WrongUse(f"--target {target}: there is no such source here")
    found: list[Start] = []
    for kind in wanted:
        for source in (s for s, k in kinds.items() if k == kind):
            tell(f"asks {source}")
            if kind == "slurm":
                found.append(_asked(site, source, kind, name))
            else:
                found.append(_translated(site, source, kind, name, data, tables))
    if not found:
        raise SourceMissing("migrate: there is no scheduler here; `foundry doctor` says why")
    return tuple(found)


def _translated(
    site: Site, source: str, kind: str, name: str, data: bytes, tables: Tables
) -> Start:
    made = translate(name, data, tables, kind)
    if made.spec_text is None or made.withheld is not None:
        why = made.problem or made.withheld or "no job spec can say it"
        return Start(source=source, kind=kind, reason=f"not translated: {why}", asked=False)
    with tempfile.TemporaryDirectory(prefix="foundry-") as folder:
        spec = Path(folder) / f"{Path(name).stem or 'job'}{ENDING}"
        spec.write_text(made.spec_text)
        return _asked(site, source, kind, str(spec))


def _asked(site: Site, source: str, kind: str, path: str) -> Start:
    """What a source says; a refusal is an answer too."""
    try:
        prepared = act.prepare_submit(site, source, (), path, (), unlinked=True, sends=False)
        refused = prepared.preview.refused
        if refused:
            return Start(source=source, kind=kind, reason=str(refused[0].refusal))
        told = dryrun.start(site, prepared)
    except (ActionError, SchedulerError) as error:
        return Start(source=source, kind=kind, reason=str(error), asked=False)
    if isinstance(told, str):
        return Start(source=source, kind=kind, reason=told, asked=False)
    return Start(
        source=source,
        kind=kind,
        starts_at=told.starts_at,
        nodes=told.nodes,
        queue=told.queue,
        reason=told.reason,
        how=told.how,
        room=told.room,
    )
