"""What of a site's work moves: by account and by reason, as text, records and rows of CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Window
from foundry_tui.migration.census import Census, Fate, Reason, Row
from foundry_tui.migration.tally import HOUR_S, Sums
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.table import Column, draw

ACCOUNT_COLUMNS = (
    Column("ACCOUNT"),
    Column("RUNS", align="right"),
    Column("GPU-H", align="right"),
    Column("CLEAN", align="right"),
    Column("HAND", align="right"),
    Column("CANNOT", align="right"),
    Column("NOT SEEN", align="right"),
    Column("BLOCKED BY", min_width=12, stretch=True),
)
REASON_COLUMNS = (
    Column("REASON", min_width=12, stretch=True),
    Column("RUNS", align="right"),
    Column("GPU-H", align="right"),
    Column("MENDED BY", min_width=16, stretch=True),
    Column("WHY", min_width=16, priority=1, stretch=True),
)
CSV = (
    "level", "source", "account", "user", "reason", "fate", "mend", "why", "runs", "gpu_hours",
    "runs_unknown", "clean_share", "hand_share", "cannot_share", "not_seen_share",
)  # fmt: skip
MOST_REASONS = 12
"""Reasons that the page shows; all of them are in JSON and CSV."""

MOST_NAMED = 3


def census_text(
    census: Census, window: Window, notes: Iterable[str], style: Style, *, source: bool = False
) -> str:
    """Accounts, then the reasons with what mends them. `source` says that there are several."""
    rows = [account_cells(row, source=source) for row in (*census.accounts, census.whole)]
    lines = wrap(_head(census, window), style.width)
    lines += ["", *draw(ACCOUNT_COLUMNS, rows, style).lines]
    reasons = census.whole.blocked
    if reasons:
        table = [reason_cells(r, census.whole.reasons[r]) for r in reasons[:MOST_REASONS]]
        lines += ["", *draw(REASON_COLUMNS, table, style).lines]
        if len(reasons) > MOST_REASONS:
            lines.append(f"and {len(reasons) - MOST_REASONS} more reasons (--json, --csv)")
    for note in (*scope_notes(census), *notes):
        lines += wrap(f"note: {note}", style.width, rest="  ")
    return finish(lines, style)


def _head(census: Census, window: Window) -> str:
    total = census.whole.total
    return (
        f"{units.when(window.start)} to {units.when(window.end)}: {total.runs} runs, "
        f"{units.gpu_hours(total.gpu_hours)} GPU-hours"
    )


def scope_notes(census: Census) -> list[str]:
    """On what the numbers rest."""
    notes = [
        f"scripts were read of {census.read} of {census.groups} groups (user, name and account); "
        f"the rest is judged by accounting alone"
    ]
    by_books = census.whole.by_books
    if by_books.runs:
        notes.append(
            f"of them, {by_books.runs} runs ({units.gpu_hours(by_books.gpu_hours)} GPU-hours) need "
            "a person by accounting alone; their scripts may need more"
        )
    if census.whole.total.unknown:
        notes.append(f"how many GPUs {census.whole.total.unknown} tries held is not known")
    return notes


def account_cells(row: Row, *, source: bool = False) -> tuple[SafeText, ...]:
    """One account in the order of `ACCOUNT_COLUMNS`; the whole has no source."""
    name = row.account or "—"
    if not row.source:
        name = "all"
    elif source:
        name = f"{row.source}/{name}"
    return (
        safe(name),
        SafeText(str(row.total.runs)),
        units.gpu_hours(row.total.gpu_hours),
        *(share_text(row, fate) for fate in (Fate.CLEAN, Fate.HAND, Fate.CANNOT, Fate.UNSEEN)),
        blocked_words(row),
    )


def share_text(row: Row, fate: Fate) -> SafeText:
    """The part of an account that has a fate, in percent."""
    share = row.share(fate)
    return units.percent(None if share is None else 100 * share)


def blocked_words(row: Row) -> SafeText:
    """What stands in the way of most GPU-hours."""
    known = list(dict.fromkeys(str(reason.what) for reason in row.blocked))
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    return safe(", ".join(known[:MOST_NAMED]) + more, max_cells=200)


def reason_cells(reason: Reason, sums: Sums) -> tuple[SafeText, ...]:
    """One reason in the order of `REASON_COLUMNS`."""
    return (
        reason.what,
        SafeText(str(sums.runs)),
        units.gpu_hours(sums.gpu_hours),
        reason.mend,
        reason.why,
    )


def census_record(census: Census, window: Window) -> Record:
    """A census as an object; shares are 0..1, null where there is nothing to share."""
    return {
        "start": window.start,
        "end": window.end,
        "groups": census.groups,
        "scripts_read": census.read,
        "whole": row_record(census.whole),
        "accounts": [row_record(row) for row in census.accounts],
        "users": [row_record(row) for row in census.users],
        "reasons": [
            reason_record(reason, census.whole.reasons[reason]) for reason in census.whole.blocked
        ],
    }


def row_record(row: Row) -> Record:
    """The runs of an account or user, with their fates and reasons."""
    return {
        "source": row.source or None,
        "account": row.account,
        "user": row.user,
        **sums_record(row.total),
        **{f"{_key(fate)}": sums_record(row.fates[fate]) for fate in Fate},
        "shares": {_key(fate): row.share(fate) for fate in Fate},
        "by_accounting_alone": sums_record(row.by_books),
        "reasons": [reason_record(r, row.reasons[r]) for r in row.blocked],
    }


def reason_record(reason: Reason, sums: Sums) -> Record:
    return {
        "what": reason.what,
        "fate": reason.fate.value,
        "why": reason.why,
        "mend": reason.mend,
        **sums_record(sums),
    }


def sums_record(sums: Sums) -> Record:
    """`runs_unknown` are tries of which nobody knows how many GPUs they held."""
    hours = sums.gpu_hours
    return {
        "runs": sums.runs,
        "gpu_hours": None if hours is None else round(sums.gpu_s / HOUR_S, 3),
        "runs_unknown": sums.unknown,
    }


def census_csv(census: Census) -> bytes:
    """A row for each account, each user, and each reason of each account."""
    rows: list[Record] = []
    for level, found in (("account", census.accounts), ("user", census.users)):
        for row in found:
            rows.append(_flat(level, row))
            if level == "account":
                rows += _reasons(row)
    return csvtext.write(rows, CSV)


def _flat(level: str, row: Row) -> Record:
    shares = {f"{_key(fate)}_share": row.share(fate) for fate in Fate}
    who = {"source": row.source, "account": row.account, "user": row.user}
    return {"level": level, **who, **sums_record(row.total), **shares}


def _reasons(row: Row) -> Sequence[Record]:
    return [
        {
            "level": "reason",
            "source": row.source,
            "account": row.account,
            "reason": reason.what,
            "fate": reason.fate.value,
            "mend": reason.mend,
            "why": reason.why,
            **sums_record(row.reasons[reason]),
        }
        for reason in row.blocked
    ]


def _key(fate: Fate) -> str:
    return fate.value.replace(" ", "_")
