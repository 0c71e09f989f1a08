"""How far a migration is: what each account held on Slurm against its project on the other side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foundry_tui.migration.census import Census, Row
from foundry_tui.migration.nouns import Tables
from foundry_tui.migration.quotas import Quota
from foundry_tui.migration.tally import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One account. `there` is what its project held; None without one, or shared, or unknown.

    `shared` are the other accounts of that project: what is whose there cannot be told apart.
    `users` are those of the account, the largest first.
    """

    row: Row
    project: str | None
    there: Sums | None
    shared: tuple[str, ...] = ()
    users: tuple[Row, ...] = ()
    quota: Quota | None = None

    @property
    def moved(self) -> float | None:
        """The part 0..1 of its GPU-hours that ran on the other side; None where nobody can tell."""
        return None if self.there is None else moved(self.row.total, self.there)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All accounts, the whole, and the projects that no account moves to.

    `there` is what all projects of accounts held, each counted once.
    """

    lines: tuple[Line, ...]
    whole: Row
    there: Sums
    others: tuple[tuple[str, Sums], ...]

    @property
    def moved(self) -> float | None:
        """The part 0..1 of all GPU-hours that ran in projects of accounts."""
        return moved(self.whole.total, self.there)


def moved(here: Sums, there: Sums) -> float | None:
    """The part of the GPU-hours that is there; None of nothing, and of what is not known."""
    whole = here.gpu_s + there.gpu_s
    return None if not whole or here.unknown or there.unknown else there.gpu_s / whole


def board(
    census: Census,
    tables: Tables,
    projects: Mapping[tuple[str, str], Sums],
    quotas: Iterable[Quota] = (),
    *,
    known: bool = True,
) -> Board:
    """The board of a census. `projects` are the sums of (source, project) on the other side.

    Without `known` not all of the other side told its accounting: then nobody knows what moved.
    """
    held: dict[str, Sums] = {}
    for (_, name), sums in projects.items():
        held.setdefault(name, Sums()).add(sums)
    of = {id(row): tables.project_of(row.account) for row in census.accounts}
    proposed = {quota.account: quota for quota in quotas}
    lines = []
    for row in census.accounts:
        project = of[id(row)]
        sisters = tuple(
            other.account or "—"
            for other in census.accounts
            if other is not row and project is not None and of[id(other)] == project
        )
        alone = known and project is not None and not sisters
        lines.append(
            Line(
                row=row,
                project=project,
                there=held.get(project or "", Sums()) if alone else None,
                shared=sisters,
                users=tuple(
                    user
                    for user in census.users
                    if (user.source, user.account) == (row.source, row.account)
                ),
                quota=proposed.get(row.account or ""),
            )
        )
    used = {project for project in of.values() if project is not None}
    whole = Sums(unknown=int(not known))
    for name in used & held.keys():
        whole.add(held[name])
    others = sorted(((n, s) for n, s in held.items() if n not in used), key=lambda one: one[0])
    return Board(lines=tuple(lines), whole=census.whole, there=whole, others=tuple(others))
