"""What of a site's work moves to the other scheduler, as far as its books and scripts tell. Pure.

Each kind of run (who, what, where it ran) has a fate. What accounting shows counts for every run,
because options beside a script on the command line of sbatch stand there alone; a script that was
read adds what its translation found. A script that nobody could read leaves its runs `not seen`,
unless accounting alone says that they need a person; then they may need even more.

Clean means that a submit of the translation needs no person first. What is approximated (the log,
the time limit) is told by `foundry migrate SCRIPT` and stops nobody. Lost directives, such as mail,
need a person who decides that the run can do without; a run cannot move where the translator says
that nothing may be submitted, or that it has components of its own resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from foundry_tui.estate.gpu import Share
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.jobs.writing import word
from foundry_tui.migration.nouns import Class, Finding, Kind, Tables, Translation
from foundry_tui.migration.tally import Group, Sums, Tally, What

_BOOKED = ("--account", "--partition", "--qos", "--reservation", "hetjob")
"""Directives of a script that accounting shows too; there it has what really held."""

_PERSON = safe("a person looks at the script")
_IMAGE = safe("an image in [modules], or `image`, in the tables")
_PATH = safe("a line in [paths] of the tables")
_MENDS = {"image": _IMAGE, "module": _IMAGE, "conda": _IMAGE, "path": _PATH, "source": _PATH}
"""Idiom of a script -> what mends it, where that is no person."""


class Fate(StrEnum):
    """What becomes of runs, best first; `not seen` says that nothing against them is known."""

    CLEAN = "clean"
    UNSEEN = "not seen"
    HAND = "hand"
    CANNOT = "cannot"


ORDER: tuple[Fate, ...] = tuple(Fate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why runs do not move cleanly: `what` is in the way, and what mends it."""

    what: SafeText
    why: SafeText
    mend: SafeText
    fate: Fate = Fate.HAND


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the script of a group told; `seen` is False where nobody could read it."""

    reasons: tuple[Reason, ...] = ()
    seen: bool = True


@dataclass(slots=True, kw_only=True)
class Row:
    """The runs of one account, or of one user of it (`user`), by their fate.

    `by_books` are those whose script was not read although they have a fate. A run may have
    several reasons, so that the sums of `reasons` do not add up to the whole.
    """

    source: str
    account: str | None
    user: str | None = None
    total: Sums = field(default_factory=Sums)
    fates: dict[Fate, Sums] = field(default_factory=lambda: {fate: Sums() for fate in Fate})
    by_books: Sums = field(default_factory=Sums)
    reasons: dict[Reason, Sums] = field(default_factory=dict)

    def add(self, sums: Sums, fate: Fate, reasons: Iterable[Reason], *, seen: bool) -> None:
        """Count runs of one fate."""
        self.total.add(sums)
        self.fates[fate].add(sums)
        if not seen and fate is not Fate.UNSEEN:
            self.by_books.add(sums)
        for reason in reasons:
            self.reasons.setdefault(reason, Sums()).add(sums)

    def share(self, fate: Fate) -> float | None:
        """The part of its GPU-hours (of its runs, where it held no GPU) that has this fate."""
        return self.fates[fate].part_of(self.total)

    @property
    def blocked(self) -> tuple[Reason, ...]:
        """The reasons, those with most GPU-hours first."""
        return tuple(sorted(self.reasons, key=lambda r: (*_largest(self.reasons[r]), r.what)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """All runs of a window by account and by user, the largest first, and the whole.

    Of `groups` (one script of a user under one account), `read` had a script that was read.
    """

    accounts: tuple[Row, ...]
    users: tuple[Row, ...]
    whole: Row
    groups: int
    read: int


def reading(made: Translation) -> Reading:
    """What a translated script says of the runs that it made."""
    if made.problem is not None:
        why = safe(f"the script cannot be translated: {made.problem}", max_cells=300)
        return Reading(reasons=(_reason("script", why, fate=Fate.CANNOT),))
    found = [_found(finding) for finding in made.findings if _counts(finding)]
    if made.spec is None:
        why = made.withheld or safe("no job spec can say it")
        found.append(_reason("no spec", why, fate=Fate.CANNOT))
    return Reading(reasons=tuple(dict.fromkeys(found)))


def unread(why: str) -> Reading:
    """The reading of a script that could not be had."""
    reason = _reason("script not seen", why, _mend_unread(why), Fate.UNSEEN)
    return Reading(reasons=(reason,), seen=False)


def interactive() -> Reading:
    """The reading of runs that were started with `srun` or `salloc`."""
    why = "it never had a batch script: srun or salloc started it"
    return Reading(reasons=(_reason("interactive", why, "a person: a workspace in its place"),))


def portable() -> Reading:
    """The reading of runs that a job spec made, which the other side takes as it is."""
    return Reading()


def spec_refused(why: str) -> Reading:
    """The reading of runs that a job spec made, which the other side does not take."""
    return Reading(reasons=(_reason("job spec", why, "a person changes the spec"),))


def judge(tally: Tally, readings: Mapping[Group, Reading], tables: Tables) -> Census:
    """The fate of all that was counted; a group without a reading was not looked at."""
    beyond = unread("not among the largest groups whose scripts were asked for (--scripts)")
    accounts: dict[tuple[str, str | None], Row] = {}
    users: dict[tuple[str, str | None, str | None], Row] = {}
    whole = Row(source="", account=None)
    for what, sums in tally.kinds.items():
        told = readings.get(what.group, beyond)
        reasons = dict.fromkeys((*by_books(what, tables), *told.reasons))
        worst = max((r.fate for r in reasons), key=ORDER.index, default=Fate.CLEAN)
        first = (what.source, what.account)
        account = accounts.setdefault(first, Row(source=first[0], account=first[1]))
        user = users.setdefault(
            (*first, what.user), Row(source=first[0], account=first[1], user=what.user)
        )
        for row in (account, user, whole):
            row.add(sums, worst, reasons, seen=told.seen)
    return Census(
        accounts=_ordered(accounts.values()),
        users=_ordered(users.values()),
        whole=whole,
        groups=len(tally.groups),
        read=sum(one.seen for one in readings.values()),
    )


def by_books(what: What, tables: Tables) -> tuple[Reason, ...]:
    """What accounting alone has against runs of this kind."""
    found: list[Reason] = []
    for name in filter(None, (what.queue or "").split(",")):
        if tables.pool(name) is None:
            why = "no node pool stands for it"
            found.append(_reason(f"partition {name}", why, _line("partitions", name, "POOL")))
    if tables.project_of(what.account) is None:
        why = "no project stands for it"
        mend = _line("accounts", what.account or "ACCOUNT", "PROJECT")
        found.append(_reason(f"account {what.account or '—'}", why, mend))
    if what.qos is not None and what.qos not in dict(tables.qos):
        why = "no priority class stands for it"
        found.append(_reason(f"QOS {what.qos}", why, _line("qos", what.qos, "PRIORITY")))
    if what.heterogeneous:
        why = "components with resources of their own have no counterpart"
        found.append(_reason("heterogeneous job", why, fate=Fate.CANNOT))
    if what.reservation is not None:
        mend = "a person: a project or a node pool in its place"
        found.append(_reason("reservation", "reservations are of Slurm alone", mend))
    if Share.MIG in what.shares:
        mend = "a person: GPU memory or a share of a GPU in its place"
        found.append(_reason("MIG", "a MIG instance is not asked for there by its profile", mend))
    if Share.MPS in what.shares:
        why = "MPS per cent become a share, which nothing enforces"
        found.append(_reason("MPS", why, "a person: a share of a GPU in its place"))
    if Share.SHARD in what.shares and tables.shards_per_gpu is None:
        why = "what a shard is worth is not known"
        found.append(_reason("shards", why, "shards_per_gpu = N   in the tables"))
    return tuple(found)


def _line(table: str, key: str, value: str) -> str:
    return f'{word(key)} = "{value}"   in [{table}] of the tables'


def _reason(what: str, why: str, mend: str = _PERSON, fate: Fate = Fate.HAND) -> Reason:
    return Reason(
        what=safe(what, max_cells=80),
        why=safe(why, max_cells=300),
        mend=safe(mend, max_cells=160),
        fate=fate,
    )


def _mend_unread(why: str) -> str:
    if "--scripts" in why:
        return "--scripts N"
    if "AccountingStoreFlags" in why:
        return "AccountingStoreFlags=job_script, for jobs from then on"
    return "an operator of Slurm asks, who sees the scripts of all"


def _counts(finding: Finding) -> bool:
    """Whether a finding is against a clean move, and no one that accounting tells better."""
    if finding.kind is Kind.IGNORED or str(finding.name) in _BOOKED or finding.name == "project":
        return False
    return finding.blocks or finding.klass in (Class.MANUAL, Class.LOST)


def _found(finding: Finding) -> Reason:
    stops = finding.klass is Class.LOST and (finding.blocks or finding.name == "manifest")
    mend = _MENDS.get(str(finding.name).partition(" ")[0], _PERSON)
    return _reason(finding.name, finding.why, mend, Fate.CANNOT if stops else Fate.HAND)


def _largest(sums: Sums) -> tuple[float, int]:
    return -sums.gpu_s, -sums.runs


def _ordered(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda r: (*_largest(r.total), r.source, r.account or "")))
