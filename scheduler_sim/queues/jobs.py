"""The runs of a simulation as arrays, checked once when they are built.

Times are whole seconds from any fixed moment; fractions of a second are dropped. A run whose true
duration is longer than its limit is killed at the limit, as a scheduler does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scheduler_sim.cluster import Request

LAST_S = 1 << 40
"""Seconds are below this (34,000 years), so that no sum of them overflows."""

NO_LIMIT_S = 1 << 40
"""The `limit_s` of a run that has no time limit: in plans it never ends."""

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Jobs:
    """Runs in order of submission; one row per run in each array. Make it with `build`.

    `submit_s` is when a run joins the queue, `duration_s` how long it truly runs, `limit_s` its
    time limit, which is all a scheduler may plan with. `nodes` is the gang: so many different nodes
    at once, on each of them `kinds[kind]`. `user` and `account` are rows of `users` and `accounts`.
    A higher `priority` goes first where a discipline looks at it. `names` is None where runs have
    none.
    """

    submit_s: Int64s
    duration_s: Int64s
    limit_s: Int64s
    nodes: Int32s
    kind: Int32s
    user: Int32s
    account: Int32s
    priority: Int64s
    kinds: tuple[Request, ...]
    users: tuple[str, ...]
    accounts: tuple[str, ...]
    names: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.submit_s)

    def name(self, row: int) -> str:
        """What to call a run: its name, or its row."""
        return str(row) if self.names is None else self.names[row]

    @classmethod
    def build(
        cls,
        *,
        submit_s: ArrayLike,
        duration_s: ArrayLike,
        kinds: Sequence[Request],
        kind: ArrayLike | None = None,
        limit_s: ArrayLike | None = None,
        nodes: ArrayLike | None = None,
        user: ArrayLike | None = None,
        account: ArrayLike | None = None,
        priority: ArrayLike | None = None,
        users: Sequence[str] = ("",),
        accounts: Sequence[str] = ("",),
        names: Sequence[str] | None = None,
        most_nodes: int | None = None,
    ) -> Jobs:
        """The runs, sorted by submission; those of one second keep the order given.

        Left out: `kind`, `user` and `account` are row 0, `nodes` 1, `priority` 0, and `limit_s` the
        duration, as if every estimate were exact. `most_nodes` is the size of the cluster, where it
        is known, so that a gang that is larger is refused here.

        Raises:
            ValueError: names the field and the row: a time that is NaN, negative or too far away,
                a limit or a gang below 1, a gang above `most_nodes`, a row of `kinds`, `users` or
                `accounts` that does not exist, or columns of different lengths.
        """
        submit = _whole("submit_s", submit_s, None, least=0)
        count = len(submit)
        duration = _whole("duration_s", duration_s, count, least=0)
        if limit_s is None:
            limit = np.maximum(duration, 1)
        else:
            limit = _whole("limit_s", limit_s, count, least=1)
        gang = _column("nodes", nodes, count, default=1, least=1, below=1 << 31)
        if most_nodes is not None and (gang > most_nodes).any():
            row = int(np.argmax(gang > most_nodes))
            raise ValueError(
                f"nodes: row {row} asks for {gang[row]} at once, the cluster has {most_nodes}"
            )
        which = _column("kind", kind, count, below=len(kinds))
        who = _column("user", user, count, below=len(users))
        payer = _column("account", account, count, below=len(accounts))
        rank = _column("priority", priority, count, least=-LAST_S)
        if names is not None and len(names) != count:
            raise ValueError(f"names: {len(names)} for {count} rows of submit_s")
        order = np.argsort(submit, kind="stable")
        return cls(
            submit[order],
            duration[order],
            limit[order],
            gang[order].astype(np.int32),
            which[order].astype(np.int32),
            who[order].astype(np.int32),
            payer[order].astype(np.int32),
            rank[order],
            tuple(kinds),
            tuple(users),
            tuple(accounts),
            None if names is None else tuple(names[i] for i in order.tolist()),
        )


def _column(
    field: str,
    given: ArrayLike | None,
    count: int,
    *,
    default: int = 0,
    least: int = 0,
    below: int = LAST_S,
) -> Int64s:
    if given is None:
        if count and default >= below:
            raise ValueError(f"{field}: row 0 is {default}, and there are {below} to choose from")
        return np.full(count, default, dtype=np.int64)
    return _whole(field, given, count, least=least, below=below)


def _whole(
    field: str, given: ArrayLike, count: int | None, *, least: int, below: int = LAST_S + 1
) -> Int64s:
    """The column as whole numbers within least..below-1.

    Raises:
        ValueError: names the field and the first row that is not.
    """
    try:
        column = np.atleast_1d(np.asarray(given))
        numbers = column if column.dtype.kind in "iu" else column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field}: numbers are needed ({error})") from None
    if numbers.ndim != 1:
        raise ValueError(f"{field}: one number per row, got an array of shape {numbers.shape}")
    if count is not None and len(numbers) != count:
        raise ValueError(f"{field}: {len(numbers)} rows, submit_s has {count}")
    wrong = np.flatnonzero(~((numbers >= least) & (numbers < below)))
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(f"{field}: row {row} is {numbers[row]}; {least}..{below - 1} is possible")
    return numbers.astype(np.int64)
