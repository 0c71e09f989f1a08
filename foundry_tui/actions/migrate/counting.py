"""What of a site moves: the accounting of both sides counted, and the largest scripts translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.migrate.translating import tables as read_tables
from foundry_tui.actions.site import Site
from foundry_tui.actions.tracker import backend
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.usage import Account, UsageRecord, Window
from foundry_tui.migration.census import Census, Reading, interactive, judge, reading, unread
from foundry_tui.migration.nouns import Rank, Tables
from foundry_tui.migration.tally import Group, Sums, Tally
from foundry_tui.migration.translate import translate
from foundry_tui.reports.made import Asked, Progress
from foundry_tui.schedulers.ports import SchedulerError, ScriptReader

if TYPE_CHECKING:
    from foundry_tui.actions.reports.runs import Books

SCRIPTS = 100
"""So many groups of runs have their script read, the largest by GPU-hours."""

DAYS = 30
"""The window, where nobody says one."""

KINDS = ("slurm", "runai", "kai")
NAMES = {"slurm": "Slurm", "runai": "Run:ai", "kai": "KAI"}

DEMO = Tables(
    partitions=(("gpu", "default"), ("h100", "default"), ("a100", "default"), ("short", "default")),
    accounts=(("ml", "vision"), ("bio", "genomics")),
    qos=(("high", Rank("high")), ("normal", Rank("medium")), ("low", Rank("low", True))),
    modules=(("pytorch/2.5", "registry.example.org/ml/pytorch:2.5"),),
    image="registry.example.org/ml/train:3",
    shards_per_gpu=4,
)
"""The mapping tables of the simulated site, on which one account and the paths are still open."""

Go = Callable[[Progress], None]


def silent(_progress: Progress) -> None:
    """Tell nobody how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The work of a window on both sides.

    `there` are the sums of projects of Run:ai and KAI by (source, project). `incomplete`: a source
    did not tell all of its accounting; `notes` say so in words, and what else is missing.
    """

    window: Window
    snapshot: Snapshot
    tables: Tables
    census: Census
    tally: Tally
    there: Mapping[tuple[str, str], Sums]
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
        SourceMissing: as `sides`; or no Slurm told its accounting.
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
    notes: list[str] = []
    books = _books()
    names = (*slurm, *others) if both else slurm
    wanted = Asked(name="jobs", start=start, end=end, accounts=accounts, users=users)
    for part in _parts(site, names, wanted, window, books, notes, go):
        tally.add(r for r in part if r.source in slurm)
        elsewhere.add(r for r in part if r.source not in slurm)
    silent_ones = [s.name for s in books.sources if not s.answered]
    if all(name in silent_ones for name in slurm):
        raise SourceMissing("migrate: " + ("; ".join(notes) or "no Slurm keeps accounts"))
    if not tally.kinds:
        raise NothingMatched(
            f"migrate: nothing ran on {', '.join(slurm)} from {start:%Y-%m-%d %H:%M} to "
            f"{end:%Y-%m-%d %H:%M} UTC" + (" of what was asked for" if accounts or users else "")
        )
    if tally.doubtful:
        notes.append(f"{tally.doubtful} tries without a believable end are left out")
    target = next((backend(site, name) for name in others), "runai")
    read = _readings(site, tally, tables, target, scripts, notes, go)
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
        accounts=books.accounts,
        notes=tuple(dict.fromkeys(notes)),
        incomplete=bool(silent_ones),
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


def _readings(
    site: Site,
    tally: Tally,
    tables: Tables,
    target: str,
    most: int,
    notes: list[str],
    go: Go,
) -> dict[Group, Reading]:
    """The largest groups by what their script says."""
    largest = sorted(
        tally.groups, key=lambda g: (-tally.groups[g].gpu_s, -tally.groups[g].runs, str(g))
    )
    found: dict[Group, Reading] = {}
    down: dict[str, str] = {}
    for number, group in enumerate(largest[:most]):
        words = f"script {number + 1} of {min(most, len(largest))}"
        go(Progress(0.9 + 0.1 * number / most, words))
        if group.source in down:
            found[group] = unread(down[group.source])
            continue
        try:
            found[group] = _reading(site, group, tally, tables, target)
        except SchedulerError as error:
            down[group.source] = f"{group.source} did not answer"
            notes.append(f"{group.source}: its scripts were not read: {error}")
            found[group] = unread(down[group.source])
    return found


def _reading(site: Site, group: Group, tally: Tally, tables: Tables, target: str) -> Reading:
    scheduler = site.schedulers[group.source]
    if not isinstance(scheduler, ScriptReader):
        return unread(f"{group.source} tells no scripts")
    latest = tally.latest[group]
    why = "no run of it is known"
    for raw_id, ended in ((latest.live, False), (latest.ended, False), (latest.ended, True)):
        if raw_id is None:
            continue
        answer = scheduler.batch_script(raw_id, ended=ended)
        if answer.data is not None:
            return reading(translate(f"{group.name or 'job'}.sh", answer.data, tables, target))
        why = str(answer.reason or why)
        if answer.interactive:
            return interactive()
    return unread(why)
