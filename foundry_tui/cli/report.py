"""`foundry report`: utilisation as CSV files, as JSON, or drawn."""

from __future__ import annotations

import gc
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foundry_tui.actions.errors import PARTLY, WrongUse
from foundry_tui.actions.reports import make as reports
from foundry_tui.actions.reports.windows import window
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.estate.text import safe
from foundry_tui.reports.made import BY, Asked, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CHARTS = ("text", "svg", "png")
BAR_CELLS = 24
QUIET_S = 1.0
"""A report that is made sooner shows no bar."""


@command("report", serves=frozenset({"--json", "--csv"}))
@click.argument("name", metavar="NAME", type=click.Choice(reports.NAMES))
@click.option("--from", "start", metavar="TIME", help="Begin, UTC.  [default: 1d]")
@click.option("--to", "end", metavar="TIME", help="End, UTC; not included.  [default: now]")
@click.option(
    "--period", metavar="PERIOD", help="A month (2026-10), a week (2026-W43) or a day (2026-10-05)."
)
@click.option("--by", type=click.Choice(BY), help="Cut the window into periods.")
@click.option("--account", "accounts", multiple=True, help="Only this account or project.")
@click.option("--user", "users", multiple=True, help="Only this user.")
@click.option("--queue", "queues", multiple=True, help="Only this partition or project.")
@click.option("--prices", type=click.Path(path_type=Path), help="Prices, instead of the site's.")
@click.option("--anonymise", is_flag=True, help="Pseudonyms for users, accounts and jobs.")
@click.option("--excel-bom", is_flag=True, help="A byte order mark, for old spreadsheets.")
@click.option("--mode", metavar="OCTAL", default="600", show_default=True, help="Of the files.")
@click.option(
    "--chart",
    is_flag=False,
    flag_value="text",
    type=click.Choice(CHARTS),
    help="Draw the hours: as text, or into the folder of -o (extra `charts`).",
)
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Folder for the files."
)
def report(
    context: Context,
    name: str,
    start: str | None,
    end: str | None,
    period: str | None,
    by: str | None,
    accounts: tuple[str, ...],
    users: tuple[str, ...],
    queues: tuple[str, ...],
    prices: Path | None,
    anonymise: bool,
    excel_bom: bool,
    mode: str,
    chart: str | None,
    folder: Path | None,
) -> int:
    now = context.site.clock()
    begins, ends = window(start, end, period, now)
    _check(context, chart, folder, excel_bom=excel_bom)
    asked = Asked(
        name=name,
        start=begins,
        end=ends,
        by=by,
        accounts=accounts,
        users=users,
        queues=queues,
        prices=prices,
        anonymise=anonymise,
        excel_bom=excel_bom,
        mode=_mode(mode),
        command=("foundry", *sys.argv[1:]),
    )
    keep = None if context.as_json or chart else 0
    with progress_bar() as told, _uncollected():
        made = reports.make(context.site, asked, folder=folder, most=keep, told=told)
    if made.path is not None:
        output.narrate(f"wrote {made.path} ({made.row_count} rows) and its .meta.json")
        for kind in ("svg", "png"):
            older = made.path.with_suffix(f".{kind}")
            if anonymise and kind != chart and older.exists():
                output.narrate(f"{older} is older and may hold names: do not hand it on")
    if chart == "text":
        from foundry_tui.cli.look import style
        from foundry_tui.presenters.reportchart import chart_text

        output.emit(chart_text(made, style(context)))
    elif chart is not None and folder is not None:
        output.narrate(f"wrote {reports.picture(made, folder, chart)}")
    elif context.as_json:
        from foundry_tui.presenters import records

        missing = made.notes if made.incomplete else ()
        output.emit(records.envelope("report", made.rows, sources=(), now=now, partial=missing))
    elif folder is None:
        _print(made.lines(), bom=excel_bom)
    for note in made.notes:
        output.narrate(note)
    return PARTLY if made.incomplete else 0


def _print(lines: Iterable[str], *, bom: bool) -> None:
    """The CSV on standard output, line by line."""
    out = sys.stdout.buffer
    sys.stdout.flush()
    if bom:
        out.write(b"\xef\xbb\xbf")
    for words in lines:
        out.write(words.encode() + b"\r\n")
    out.flush()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nobody looks for cycles meanwhile: in a million records there is none, and it takes 4 %."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """A bar on standard error for a person who waits; nothing for a script.

    It is gone when the report is made, and when it fails or is interrupted.
    """
    out = sys.stderr
    if out is None or not out.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    began, shown = time.monotonic(), False

    def show(progress: Progress) -> None:
        nonlocal shown
        if time.monotonic() - began >= QUIET_S:
            full = round(progress.done * BAR_CELLS)
            bar = "#" * full + "." * (BAR_CELLS - full)
            cells = (os.get_terminal_size(out.fileno()).columns or 80) - 1
            words = safe(f"{progress.done:4.0%} {bar} {progress.words}", max_cells=cells)
            out.write(f"\r\x1b[K{words}")
            out.flush()
            shown = True

    try:
        yield show
    finally:
        if shown:
            out.write("\r\x1b[K")
            out.flush()


def _check(context: Context, chart: str | None, folder: Path | None, *, excel_bom: bool) -> None:
    """Refuse options that exclude each other, and what would silently be ignored."""
    if folder is None:
        if chart in ("svg", "png"):
            raise WrongUse(f"--chart {chart}: say with -o into which folder")
        if context.as_csv and chart:
            raise WrongUse("--csv and --chart exclude each other; -o DIR writes the CSV too")
        if excel_bom and (context.as_json or chart):
            raise WrongUse("--excel-bom: it is of a CSV file; say with -o into which folder")
        given = click.get_current_context().get_parameter_source("mode")
        if given is not click.core.ParameterSource.DEFAULT:
            raise WrongUse("--mode: say with -o into which folder")
    if context.as_json and chart:
        raise WrongUse("--json and --chart exclude each other")


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0o400 <= mode <= 0o777:
        raise WrongUse(f"--mode {text!r}: give the mode of a file, such as 600 or 640")
    return mode
