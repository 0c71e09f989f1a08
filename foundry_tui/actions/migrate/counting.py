"""What of a site moves: the accounting of both sides, and the largest scripts translated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.migrate.reading import Go, readings
from foundry_tui.actions.migrate.translating import tables as read_tables
from foundry_tui.actions.site import Site
from foundry_tui.actions.tracker import backend
from foundry_tui.estate.run import LIVE
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import Account, UsageRecord, Window
from foundry_tui.migration.census import Census, judge
from foundry_tui.migration.nouns import Rank, Tables
from foundry_tui.migration.tally import MOST_GROUPS, Sums, Tally
from foundry_tui.reports.made import Asked, Progress

if TYPE_CHECKING:
    from foundry_tui.actions.reports.runs import Books

SCRIPTS = 100
"""So many groups of runs have their script read, the largest by GPU-hours."""

DAYS = 30
"""The window, where nobody says one."""

DEMO = Tables(
    partitions=(("gpu", "default"), ("h100", "default"), ("a100", "default"), ("short", "default")),
    accounts=(("ml", "vision"), ("bio", "genomics")),
    qos=(("high", Rank("high")), ("normal", Rank("medium")), ("low", Rank("low", True))),
    modules=(("pytorch/2.5", "registry.example.org/ml/pytorch:2.5"),),
    image="registry.example.org/ml/train:3",
    shards_per_gpu=4,
)
"""The mapping tables of the simulated site, on which one account and the paths are still open."""


def silent(_progress: Progress) -> None:
    """Tell nobody how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The work of a window on both sides.

    `there` are the sums of projects of Run:ai and KAI by (source, project), whole only where
    `there_known`. `incomplete`: a source did not tell all of its accounting; `notes` say so in
    words, and what else is missing.
    """

    window: Window
    snapshot: Snapshot
    tables: Tables
    census: Census
    tally: Tally
    there: Mapping[tuple[str, str], Sums]
    there_known: bool
    accounts: Mapping[tuple[str, str], Account]
    notes: tuple[str, ...]
    incomplete: bool


def tables_of(site: Site, path: Path | None) -> Tables:
    """The mapping tables: those that are named, the configured ones, or those of the demo.

    Raises:
        WrongUse: the file cannot be read or used.
    """
    if site.mode == "demo" and path is None and site.config.migration.tables is None:
        return DEMO
    return read_tables(path or site.config.migration.tables, site.options.config)


def sides(site: Site) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the Slurm sources, and of those that runs can go to.

    Raises:
        SourceMissing: a saved estate, no scheduler, or none that is Slurm.
    """
    if site.saved is not None:
        raise SourceMissing("migrate: a saved estate (--estate) has no accounting to count")
    if site.unasked and not site.playing:
        raise SourceMissing(
            "migrate: no scheduler was found on this host; `foundry doctor` says why, --demo plays "
            "on the simulated estate"
        )
    kinds = {name: backend(site, name) for name in site.schedulers}
    slurm = tuple(name for name, kind in kinds.items() if kind == "slurm")
    if not slurm:
        raise SourceMissing(
            "migrate: there is no Slurm here whose work could move; `foundry doctor` says why"
        )
    return slurm, tuple(name for name, kind in kinds.items() if kind in ("runai", "kai"))


def count(
    site: Site,
    start: datetime,
    end: datetime,
    *,
    tables: Tables,
    accounts: tuple[str, ...] = (),
    users: tuple[str, ...] = (),
    scripts: int = SCRIPTS,
    both: bool = False,
    go: Go = silent,
) -> Counted:
    """Count the tries of a window; `both`: on the other side too.

    Raises:
        WrongUse: the window ends before it begins.
        SourceMissing: as `sides`; or no Slurm told its accounting, nor anything that runs.
        NothingMatched: nothing ran.
    """
    slurm, others = sides(site)
    try:
        window = Window(start, end)
    except ValueError as error:
        raise WrongUse(f"--from, --to: {error}") from error
    go(Progress(0.0, "reads the estate"))
    snapshot = site.whole(measured=False)
    tally = Tally(window, site.clock())
    elsewhere = Tally(window, site.clock())
    notes = ["the mapping tables are made up, as the site is"] if tables is DEMO else []
    books = _books()
    names = (*slurm, *others) if both else slurm
    wanted = Asked(name="jobs", start=start, end=end, accounts=accounts, users=users)
    for part in _parts(site, names, wanted, window, books, notes, go):
        tally.add(r for r in part if r.source in slurm)
        elsewhere.add(r for r in part if r.source not in slurm)
    silent_ones = [s.name for s in books.sources if not s.answered]
    if all(name in silent_ones for name in slurm) and not tally.kinds:
        tally.add(r for name in slurm for r in live_tries(snapshot, name) if _asked(r, wanted))
        if not tally.kinds:
            raise SourceMissing("migrate: " + ("; ".join(notes) or "no Slurm keeps accounts"))
        notes.append("no accounting answered: only what runs or waits now is counted")
    if not tally.kinds:
        raise NothingMatched(
            f"migrate: nothing ran on {', '.join(slurm)} from {start:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M} UTC" + (" of what was asked for" if accounts or users else "")
        )
    if tally.doubtful:
        notes.append(f"{tally.doubtful} tries without a believable end are left out")
    if tally.folded:
        notes.append(
            f"there are more than {MOST_GROUPS:,} names of runs: {tally.folded:,} tries under "
            "further ones are judged by accounting alone"
        )
    target = next((backend(site, name) for name in others), "runai")
    read = readings(site, tally, tables, target, scripts, notes, go)
    there: dict[tuple[str, str], Sums] = {}
    for what, sums in elsewhere.kinds.items():
        there.setdefault((what.source, what.account or ""), Sums()).add(sums)
    return Counted(
        window=window,
        snapshot=snapshot,
        tables=tables,
        census=judge(tally, read, tables),
        tally=tally,
        there=there,
        there_known=not any(name in silent_ones for name in others),
        accounts=books.accounts,
        notes=tuple(dict.fromkeys(notes)),
        incomplete=bool(silent_ones),
    )


def live_tries(snapshot: Snapshot, source: str) -> Iterator[UsageRecord]:
    """What runs and waits on a source now, as tries; for a source whose accounting is silent."""
    for run in snapshot.runs:
        if run.source != source or run.state not in LIVE:
            continue
        raw = next(filter(str.isdigit, run.seen_as), None)
        ran = run.started_at is not None
        yield UsageRecord(
            source=source,
            native_id=run.native_id,
            raw_id=raw or (run.array.job_id if run.array else run.native_id),
            name=run.name,
            user=run.user,
            account=run.account,
            queue=run.queue,
            qos=run.qos,
            state=run.state,
            submitted_at=run.submitted_at,
            eligible_at=run.eligible_at,
            started_at=run.started_at,
            ended_at=None,
            gpu_count=run.request.gpu_count if ran else 0,
            gpu_milli=run.request.gpu_milli if ran else 0,
        )


def _asked(record: UsageRecord, asked: Asked) -> bool:
    return (not asked.users or record.user in asked.users) and (
        not asked.accounts or record.account in asked.accounts
    )


def _books() -> Books:
    from foundry_tui.actions.reports.runs import Books

    return Books()


def _parts(
    site: Site,
    names: Sequence[str],
    asked: Asked,
    window: Window,
    books: Books,
    notes: list[str],
    go: Go,
) -> Iterator[Sequence[UsageRecord]]:
    """The tries of these sources, part by part, as reports read them."""
    from foundry_tui.actions.reports.given import Input
    from foundry_tui.actions.reports.runs import parts
    from foundry_tui.reports.writing.sidecar import Telemetry
    from foundry_tui.store.history import HistoryError, Past

    past: Past | None = None
    try:
        past = site.past
    except HistoryError as error:
        notes.append(f"what Run:ai forgot is not known: {error}")
    given = Input(
        asked=asked,
        window=window,
        edges=(),
        now=site.clock(),
        prices=None,
        pseudonyms=None,
        past=past,
        readings=None,
        telemetry=Telemetry(resolution_s=None, idle_pct=None, reason="nobody asked for it"),
        notes=notes,
    )
    only = copy(site)
    only.schedulers = {name: site.schedulers[name] for name in names}
    yield from parts(only, given, books, go, compared=False)
