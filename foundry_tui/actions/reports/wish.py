"""A report as it is typed into the form of the screens, and as the command that does the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.reports.make import NAMES
from foundry_tui.actions.reports.windows import moment, period_of
from foundry_tui.estate import csvtext
from foundry_tui.reports.made import BY, Asked

WHOLE = "whole"
"""Not cut into periods."""

CUTS = (WHOLE, *BY)

_PERIOD = re.compile(r"\d{4}-(\d{2}|W\d{2}|\d{2}-\d{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What stands in the form: texts, so that `7d` stays relative until the report is made.

    `end` may be empty where `start` names a period (`2026-10`, `2026-W43`, `2026-10-05`).
    `accounts`, `users` and `queues` are separated by spaces or commas.
    """

    name: str = "jobs"
    start: str = "1d"
    end: str = "now"
    cut: str = WHOLE
    accounts: str = ""
    users: str = ""
    queues: str = ""
    prices: str = ""
    anonymise: bool = False
    excel_bom: bool = False


WINDOWS = (
    ("the last day", "1d", "now"),
    ("the last week", "7d", "now"),
    ("the last 30 days", "30d", "now"),
    ("this month", "this-month", "now"),
    ("last month", "last-month", "this-month"),
)
"""The windows that a key goes through: words, begin and end."""


def asked(wish: Wish, now: datetime) -> Asked:
    """The report that is asked for, its window fixed to the second.

    Raises:
        WrongUse: the name, a time or the cut is none; says which, and what to give.
    """
    if wish.name not in NAMES:
        raise WrongUse(f"report {wish.name!r}: there are {', '.join(NAMES)}")
    if wish.cut not in CUTS:
        raise WrongUse(f"cut {wish.cut!r}: give {', '.join(CUTS)}")
    first, last = wish.start.strip(), wish.end.strip()
    now = now.replace(microsecond=0)
    if not last and _PERIOD.fullmatch(first):
        start, end = period_of(first, "from")
    else:
        start, end = moment(first or "1d", "from", now), moment(last or "now", "to", now)
    if end < start:
        raise WrongUse(
            f"from {csvtext.rfc3339(start)} to {csvtext.rfc3339(end)}: it ends before it begins"
        )
    made = Asked(
        name=wish.name,
        start=start,
        end=end,
        by=None if wish.cut == WHOLE else wish.cut,
        accounts=_words(wish.accounts),
        users=_words(wish.users),
        queues=_words(wish.queues),
        prices=Path(wish.prices.strip()).expanduser() if wish.prices.strip() else None,
        anonymise=wish.anonymise,
        excel_bom=wish.excel_bom,
    )
    return replace(made, command=command_of(made))


def window_words(wish: Wish) -> str:
    """What the window of a wish is called: a name of `WINDOWS`, or its two ends."""
    given = (wish.start.strip(), wish.end.strip())
    for words, *ends in WINDOWS:
        if given == tuple(ends):
            return words
    return given[0] if not given[1] else f"{given[0] or '1d'} to {given[1]}"


def command_of(made: Asked, folder: Path | None = None) -> tuple[str, ...]:
    """The `foundry report` that makes the same, to put into scripts."""
    words = ["foundry", "report", made.name]
    words += ["--from", csvtext.rfc3339(made.start), "--to", csvtext.rfc3339(made.end)]
    if made.by is not None:
        words += ["--by", made.by]
    for option, values in (
        ("--account", made.accounts),
        ("--user", made.users),
        ("--queue", made.queues),
    ):
        for value in values:
            words += [option, value]
    if made.prices is not None:
        words += ["--prices", str(made.prices)]
    words += ["--anonymise"] if made.anonymise else []
    words += ["--excel-bom"] if made.excel_bom else []
    words += ["-o", str(folder)] if folder is not None else []
    return tuple(words)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
