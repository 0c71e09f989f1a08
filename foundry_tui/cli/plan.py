"""Commands that compute: advise, fractions and report."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from foundry_tui.actions import fractions as sharing
from foundry_tui.actions import report as reporting
from foundry_tui.actions.advise import TIME_LIMIT_S, advice
from foundry_tui.actions.errors import PARTLY, WrongUse
from foundry_tui.actions.tradeoffs import tradeoffs
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import age_code, style, told, write_atomically
from foundry_tui.estate.fractions import Assumed
from foundry_tui.presenters import csvout, records
from foundry_tui.presenters.fractions import fractions_text
from foundry_tui.presenters.plan import plan_text

GIB = 1 << 30


@command("advise", serves=frozenset({"--json", "--csv"}))
@click.option(
    "--policy",
    type=click.Choice(["best", "fgd", "best_fit"]),
    default="best",
    show_default=True,
    help="How a place is chosen: by bid prices, least fragmentation, or the fullest that fits.",
)
@click.option(
    "--objective",
    type=click.Choice(["start", "strand", "disturb"]),
    default="start",
    show_default=True,
    help="What for: start the work that is worth most, strand fewest GPUs, or disturb nobody.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0),
    metavar="S",
    default=TIME_LIMIT_S,
    show_default=True,
    help="Seconds for the exact search; 0 for none.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many moves.")
@click.option("--no-check", is_flag=True, help="Do not ask the scheduler about each placement.")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Plan as a file.")
def advise(
    context: Context,
    policy: str,
    objective: str,
    time_limit: float,
    limit: int | None,
    no_check: bool,
    target: Path | None,
) -> int:
    _finite("--time-limit", time_limit)
    snapshot = context.site.whole()
    told(snapshot)
    plan = advice(
        context.site,
        snapshot,
        policy=policy,
        limit=limit,
        check=not no_check,
        progress=output.narrate,
        objective=objective,
        time_limit_s=time_limit,
    )
    points = tradeoffs(plan)
    record = {**records.plan_record(plan), "tradeoffs": [*map(records.tradeoff_record, points)]}
    data = records.envelope("plan", record, sources=snapshot.sources, now=snapshot.generated_at)
    if target is not None:
        write_atomically(target, data)
        output.narrate(f"wrote {target}: {len(plan.moves)} moves")
    if context.as_json:
        output.emit(data)
    elif context.as_csv:
        output.emit(csvout.to_csv("moves", (records.move_record(m) for m in plan.moves)))
    elif target is None:
        now = snapshot.generated_at
        output.emit(plan_text(plan, now=now, style=style(context), tradeoffs=points))
    return age_code(snapshot)


@command("fractions", serves=frozenset({"--json", "--csv"}))
@click.argument("references", metavar="[RUN|SHARE]...", nargs=-1)
@click.option(
    "--gpu-util",
    type=click.FloatRange(0, 100),
    metavar="PCT",
    help="Assume that runs without a history keep a GPU busy so much.",
)
@click.option("--memory", type=click.FloatRange(0), metavar="GIB", help="Their peak of GPU memory.")
@click.option(
    "--memory-util",
    type=click.FloatRange(0, 100),
    metavar="PCT",
    help="Their use of the memory controller.",
)
@click.option(
    "--device",
    type=click.FloatRange(0, min_open=True),
    metavar="GIB",
    help="The memory of their GPU, where no reading tells it.",
)
def fractions(
    context: Context,
    references: tuple[str, ...],
    gpu_util: float | None,
    memory: float | None,
    memory_util: float | None,
    device: float | None,
) -> int:
    _finite("--memory", memory, GIB)
    _finite("--device", device, GIB)
    assumed = None
    if gpu_util is not None and memory is not None:
        assumed = Assumed(
            gpu_util_pct=gpu_util,
            mem_peak_bytes=round(memory * GIB),
            memory_util_pct=memory_util,
            device_bytes=None if device is None else round(device * GIB),
        )
    elif any(given is not None for given in (gpu_util, memory, memory_util, device)):
        raise WrongUse("give --gpu-util and --memory together: without one, no share is safe")
    snapshot = context.site.whole()
    told(snapshot)
    found = sharing.fractions(snapshot, references, assumed=assumed)
    if context.as_json:
        record = records.fractions_record(found)
        output.emit(
            records.envelope(
                "fractions", record, sources=snapshot.sources, now=snapshot.generated_at
            )
        )
    elif context.as_csv:
        rows = (records.advice_record(advice) for advice in found.runs)
        output.emit(csvout.to_csv("fractions", rows))
    else:
        now = snapshot.generated_at
        output.emit(fractions_text(found, now=now, style=style(context)))
    return age_code(snapshot)


def _finite(name: str, value: float | None, unit: int = 1) -> None:
    """Refuse what passes for a number above 0 and is none: nan, inf, or infinite in its unit.

    Raises:
        WrongUse: names the option.
    """
    if value is not None and not math.isfinite(value * unit):
        raise WrongUse(f"{name} {value:g}: give a finite number")


def _moment(text: str, name: str, now: datetime) -> datetime:
    """A time of the command line: a date, an RFC 3339 time, `now`, or `7d` ago."""
    text = text.strip()
    if text == "now":
        return now
    unit = {"h": 1, "d": 24, "w": 168}.get(text[-1:])
    try:
        if unit is not None and text[:-1].isdecimal():
            return now - timedelta(hours=unit * int(text[:-1]))
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise WrongUse(
            f"{name} {text!r}: give a date (2026-11-01), a time (2026-11-01T06:00Z), now, or 7d"
        ) from error


@command("report", serves=frozenset({"--json", "--csv"}))
@click.argument("name", metavar="NAME", type=click.Choice(["jobs"]))
@click.option("--from", "start", default="1d", show_default=True, help="Begin, UTC.")
@click.option("--to", "end", default="now", show_default=True, help="End, UTC; not included.")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Folder for the files."
)
def report(context: Context, name: str, start: str, end: str, folder: Path | None) -> int:
    now = context.site.clock()
    made = reporting.jobs(
        context.site,
        _moment(start, "--from", now),
        _moment(end, "--to", now),
        folder=folder,
        command=sys.argv[1:],
    )
    if context.as_json:
        output.emit(records.envelope("report", made.rows, sources=(), now=now))
    elif folder is None:
        output.emit(made.csv)
    else:
        output.narrate(f"wrote {made.path} ({len(made.rows)} rows) and its .meta.json")
    for note in made.notes:
        output.narrate(note)
    return PARTLY if made.notes else 0
