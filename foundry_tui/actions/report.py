"""Reports: accounting rows in, files out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.site import Site
from foundry_tui.estate.usage import Accounting, Window
from foundry_tui.reports import files
from foundry_tui.reports import jobs as jobs_report
from foundry_tui.schedulers.ports import SchedulerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report: its rows, its CSV, where it was written, and what is missing in it."""

    rows: list[dict[str, Any]]
    csv: bytes
    path: Path | None
    notes: tuple[str, ...]


def jobs(
    site: Site, start: datetime, end: datetime, *, folder: Path | None, command: Sequence[str]
) -> Made:
    """The report `jobs` of all sources that keep accounts.

    Raises:
        WrongUse: the window ends before it starts, or the estate is a saved one.
        SourceMissing: no accounting answered.
        ActionError: the folder cannot be written.
    """
    if site.unasked and not site.playing:
        raise SourceMissing(
            "report: no scheduler was found on this host; `foundry doctor` says why"
        )
    if site.saved is not None:
        raise WrongUse("a saved estate (--estate) holds no accounting")
    try:
        window = Window(start, end)
    except ValueError as error:
        raise WrongUse(f"--from, --to: {error}") from error
    gathered: list[Accounting] = []
    answered: list[str] = []
    notes: list[str] = []
    for name, scheduler in site.schedulers.items():
        try:
            told = scheduler.accounting(window)
        except SchedulerError as error:
            notes.append(f"{name}: no accounting: {error}")
            continue
        gathered.append(told)
        answered.append(name)
        notes += [f"{name}: {note}" for note in told.notes]
    if not gathered:
        raise SourceMissing("; ".join(notes) or "no source keeps accounts")
    whole = Accounting(
        window=window,
        records=tuple(r for a in gathered for r in a.records),
        rejects=tuple(r for a in gathered for r in a.rejects),
    )
    if whole.rejects:
        notes.append(f"{len(whole.rejects)} accounting rows could not be read: {whole.rejects[0]}")
    now = site.clock()
    rows = jobs_report.rows(whole, now)
    data = jobs_report.csv(rows)
    path = None
    if folder is not None:
        try:
            path = files.write(
                folder,
                "jobs",
                data,
                jobs_report.meta(
                    whole,
                    rows,
                    now=now,
                    command=command,
                    sources=answered,
                ),
            )
        except (OSError, ValueError) as error:
            raise ActionError(f"report jobs: {error}") from error
    return Made(rows=rows, csv=data, path=path, notes=tuple(notes))
