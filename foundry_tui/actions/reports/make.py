"""Reports: accounting and history in, CSV files out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.site import Site
from foundry_tui.estate.usage import Window
from foundry_tui.reports.columns import Column
from foundry_tui.reports.made import BY, Asked, Made, Progress
from foundry_tui.reports.writing import files

OF_RUNS = ("usage-by-account", "usage-by-user", "jobs")
OF_STATE = ("gpu-health", "capacity", "queue-balance")
NAMES = (*OF_RUNS, *OF_STATE)

ABOUT = {
    "usage-by-account": "GPU-hours allocated, used, idle and unknown, with cost, by account",
    "usage-by-user": "the same by user, with waits, failures and use of time limits",
    "jobs": "every try of every run: what it held, for how long, and what it did",
    "gpu-health": "every GPU: use, power, heat, errors, time out of service",
    "capacity": "what the GPUs of each partition were there for, and who waited",
    "queue-balance": "quota, use, borrowing and demand of every queue, with advice",
}


def columns_of(name: str) -> tuple[Sequence[Column], Sequence[str]]:
    """The columns of a report, and what is to be known of them beside their names."""
    from foundry_tui.reports.gpus import capacity, health
    from foundry_tui.reports.jobs import columns as jobcolumns
    from foundry_tui.reports.queues import balance
    from foundry_tui.reports.usage import columns as usagecolumns

    return {
        "usage-by-account": (usagecolumns.BY_ACCOUNT, usagecolumns.DEFINITIONS),
        "usage-by-user": (usagecolumns.BY_USER, usagecolumns.DEFINITIONS),
        "jobs": (jobcolumns.COLUMNS, ()),
        "gpu-health": (health.COLUMNS, health.DEFINITIONS),
        "capacity": (capacity.COLUMNS, capacity.DEFINITIONS),
        "queue-balance": (balance.COLUMNS, balance.DEFINITIONS),
    }[name]


class Stopped(ActionError):
    """The report was given up before its end; nothing was written."""


def make(
    site: Site,
    asked: Asked,
    *,
    folder: Path | None = None,
    most: int | None = None,
    told: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Made:
    """Make one report, and write it into `folder` where one is given.

    `most` rows at most are given to look at; the file has all. `told` hears how far it is, and
    `stop` is asked now and then whether to give up.

    Raises:
        WrongUse: the name, the window, the prices or the estate do not allow it; names the option.
        SourceMissing: no accounting answered.
        Stopped: `stop` said so.
        ActionError: the folder cannot be written.
    """
    window = _window(asked)
    if site.unasked and not site.playing:
        raise SourceMissing(
            "report: no scheduler was found on this host; `foundry doctor` says why"
        )
    if site.saved is not None:
        raise WrongUse("a saved estate (--estate) holds no accounting and no history")
    from foundry_tui.actions.reports import given as reportinput
    from foundry_tui.actions.reports import runs as reportruns
    from foundry_tui.actions.reports import state as reportstate

    say = told or (lambda _: None)

    def go(progress: Progress) -> None:
        if stop is not None and stop():
            raise Stopped(f"report {asked.name}: given up; nothing was written")
        say(progress)

    if asked.name in OF_STATE:
        reportstate.check(asked)
    go(Progress(0.0, "asks what is there"))
    given = reportinput.gather(site, asked, window)
    if asked.name in OF_RUNS:
        made = reportruns.make(site, given, most, go)
    else:
        made = reportstate.make(site, given, most, go)
    if folder is None:
        return made
    go(Progress(1.0, "writes"))
    return write(made, folder)


def write(made: Made, folder: Path) -> Made:
    """Write the files of a report into a folder; what comes back has the path of the CSV.

    Raises:
        ActionError: the folder cannot be written.
    """
    asked = made.asked
    name = asked.name.replace("-", "_")
    try:
        path = files.write(
            folder, name, made.lines(), made.meta, bom=asked.excel_bom, mode=asked.mode
        )
    except (OSError, ValueError) as error:
        raise ActionError(f"report {asked.name}: {error}") from error
    return replace(made, path=path)


def _window(asked: Asked) -> Window:
    if asked.name not in NAMES:
        raise WrongUse(f"report {asked.name!r}: there are {', '.join(NAMES)}")
    if asked.by is not None and asked.by not in BY:
        raise WrongUse(f"--by {asked.by!r}: give {', '.join(BY)}")
    try:
        return Window(asked.start, asked.end)
    except ValueError as error:
        raise WrongUse(f"--from, --to: {error}") from error


def picture(made: Made, folder: Path, kind: str) -> Path:
    """Draw a report into the folder, as `svg` or `png`; the path of the picture.

    Raises:
        WrongUse: this report cannot be drawn.
        ActionError: matplotlib is missing, or the folder cannot be written.
    """
    from foundry_tui.reports.drawing import charting
    from foundry_tui.reports.drawing import picture as drawing

    name = f"{made.asked.name.replace('-', '_')}.{kind}"
    try:
        data = drawing.draw(charting.charted(made), kind)
        return files.write_picture(folder / name, data, mode=made.asked.mode)
    except (OSError, ValueError, drawing.PictureError) as error:
        raise ActionError(f"report {made.asked.name}: {error}") from error
