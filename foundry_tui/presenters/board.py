"""The migration board as text, records, rows of CSV, and as the lines of a screen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Window
from foundry_tui.migration.board import Board, Line
from foundry_tui.migration.census import Fate
from foundry_tui.migration.tally import Sums
from foundry_tui.presenters import toned, units
from foundry_tui.presenters.census import blocked_words, share_text, sums_record
from foundry_tui.presenters.migratequotas import gpus
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.table import Column, draw

BOARD_COLUMNS = (
    Column("ACCOUNT"),
    Column("PROJECT", priority=2),
    Column("MOVED", align="right"),
    Column("SLURM GPU-H", align="right"),
    Column("THERE GPU-H", align="right"),
    Column("CLEAN", align="right"),
    Column("HAND", align="right"),
    Column("CANNOT", align="right"),
    Column("NOT SEEN", align="right"),
    Column("BLOCKED BY", min_width=10, priority=1, stretch=True),
)
CSV = (
    "source", "account", "project", "moved_share", "slurm_runs", "slurm_gpu_hours", "there_runs",
    "there_gpu_hours", "clean_runs", "hand_runs", "cannot_runs", "not_seen_runs", "blocked_by",
)  # fmt: skip
MOST_USERS = 8


def board_cells(line: Line) -> tuple[SafeText, ...]:
    """One account in the order of `BOARD_COLUMNS`."""
    row = line.row
    there = None if line.there is None else line.there.gpu_hours
    return (
        safe(row.account or "—"),
        units.UNKNOWN if line.project is None else safe(line.project),
        _percent(line.moved),
        units.gpu_hours(row.total.gpu_hours),
        units.gpu_hours(there),
        *(SafeText(str(row.fates[f].runs)) for f in _FATES),
        blocked_words(row),
    )


_FATES = (Fate.CLEAN, Fate.HAND, Fate.CANNOT, Fate.UNSEEN)


def board_text(board: Board, window: Window, notes: Iterable[str], style: Style) -> str:
    """Every account on a line, then the totals; runs are counted by their fate."""
    rows = [board_cells(line) for line in board.lines]
    rows.append(_total(board))
    head = f"{units.when(window.start)} to {units.when(window.end)}; clean, hand, cannot in runs"
    lines = [*wrap(head, style.width), "", *draw(BOARD_COLUMNS, rows, style).lines]
    for note in (*board_notes(board), *notes):
        lines += wrap(f"note: {note}", style.width, rest="  ")
    return finish(lines, style)


def _total(board: Board) -> tuple[SafeText, ...]:
    whole = board.whole
    return (
        SafeText("all"),
        SafeText(""),
        _percent(board.moved),
        units.gpu_hours(whole.total.gpu_hours),
        units.gpu_hours(board.there.gpu_hours),
        *(SafeText(str(whole.fates[f].runs)) for f in _FATES),
        blocked_words(whole),
    )


def board_notes(board: Board) -> list[str]:
    """What the totals leave out, and what cannot be told apart."""
    notes = []
    for line in board.lines:
        if line.shared:
            notes.append(
                f"{line.row.account} shares the project {line.project} with "
                f"{', '.join(line.shared)}: what is whose there is not known"
            )
    if board.others:
        told = ", ".join(f"{n} ({units.gpu_hours(s.gpu_hours)})" for n, s in board.others)
        notes.append(f"GPU-hours of projects that no account moves to are left out: {told}")
    return notes


def summary(board: Board) -> str:
    """The whole in a few words."""
    here, there = board.whole.total, board.there
    return (
        f"{_percent(board.moved)} moved: {units.gpu_hours(there.gpu_hours)} GPU-h there, "
        f"{units.gpu_hours(here.gpu_hours)} on Slurm"
    )


def account_lines(line: Line, width: int) -> list[toned.Line]:
    """The details of one account: its reasons, its users, its quota."""
    row = line.row
    facts = [("project", line.project or "— (no line in [accounts] of the tables)")]
    if line.shared:
        facts.append(("shared with", ", ".join(line.shared)))
    facts.append(("moved", str(_percent(line.moved))))
    facts += [(f.value, f"{row.fates[f].runs} runs, {share_text(row, f)}") for f in _FATES]
    if line.quota is not None:
        facts.append(("quota", _quota_words(line)))
    lines = [*toned.pairs(facts, width), [], toned.heading("In the way")]
    for reason in row.blocked:
        sums = row.reasons[reason]
        text = f"{reason.what} ({_held(sums)}): {reason.why}; mended by: {reason.mend}"
        tone = "bad" if reason.fate is Fate.CANNOT else "warn"
        lines += toned.paragraph(text, width, tone=tone, indent=3)
    if not row.blocked:
        lines += toned.paragraph("nothing", width, tone="good", indent=3)
    lines += [[], toned.heading("Users")]
    for user in line.users[:MOST_USERS]:
        shares = ", ".join(f"{share_text(user, f)} {f.value}" for f in _FATES if user.fates[f].runs)
        text = f"{user.user or '—'}: {_held(user.total)}; {shares}"
        lines += toned.paragraph(text, width, indent=3)
    if len(line.users) > MOST_USERS:
        lines += toned.paragraph(f"and {len(line.users) - MOST_USERS} more", width, tone="dim")
    return lines


def _quota_words(line: Line) -> str:
    quota = line.quota
    if quota is None or quota.quota is None:
        return "—" if quota is None else f"— ({quota.why})"
    return (
        f"{quota.quota} GPUs, weight {units.number(quota.weight)}: held p50 {gpus(quota.use.p50)}, "
        f"p95 {gpus(quota.use.p95)}, entitled {gpus(quota.entitled)}"
    )


def _held(sums: Sums) -> str:
    return f"{sums.runs} runs, {units.gpu_hours(sums.gpu_hours)} GPU-h"


def _percent(share: float | None) -> SafeText:
    return units.percent(None if share is None else 100 * share)


def board_record(board: Board, window: Window) -> Record:
    """The board as an object; `moved_share` is 0..1, null where nobody can tell."""
    return {
        "start": window.start,
        "end": window.end,
        "moved_share": board.moved,
        "slurm": sums_record(board.whole.total),
        "there": sums_record(board.there),
        "accounts": [line_record(line) for line in board.lines],
        "other_projects": [{"project": name, **sums_record(s)} for name, s in board.others],
    }


def line_record(line: Line) -> Record:
    """One account of the board."""
    row = line.row
    there = None if line.there is None else sums_record(line.there)
    return {
        "source": row.source,
        "account": row.account,
        "project": line.project,
        "shared_with": line.shared,
        "moved_share": line.moved,
        "slurm": sums_record(row.total),
        "there": there,
        **{fate.value.replace(" ", "_"): sums_record(row.fates[fate]) for fate in _FATES},
        "blocked_by": list(dict.fromkeys(reason.what for reason in row.blocked)),
        "quota_gpus": None if line.quota is None else line.quota.quota,
    }


def flat_record(line: Line) -> Record:
    """One account as a row of `CSV`."""
    row = line.row
    return {
        "source": row.source,
        "account": row.account,
        "project": line.project,
        "moved_share": line.moved,
        "slurm_runs": row.total.runs,
        "slurm_gpu_hours": sums_record(row.total)["gpu_hours"],
        "there_runs": None if line.there is None else line.there.runs,
        "there_gpu_hours": None if line.there is None else sums_record(line.there)["gpu_hours"],
        **{f"{f.value.replace(' ', '_')}_runs": row.fates[f].runs for f in _FATES},
        "blocked_by": "; ".join(dict.fromkeys(str(reason.what) for reason in row.blocked)),
    }


def board_csv(lines: Sequence[Line]) -> bytes:
    """One row per account."""
    return csvtext.write(map(flat_record, lines), CSV)
