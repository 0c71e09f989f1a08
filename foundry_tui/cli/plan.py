"""Commands that compute: advise and fractions."""

from __future__ import annotations

import math
from pathlib import Path

import click

from foundry_tui.actions import fractions as sharing
from foundry_tui.actions.advise import TIME_LIMIT_S, advice
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.rightsize import spec_change
from foundry_tui.actions.tradeoffs import tradeoffs
from foundry_tui.actions.verdicts import rule_records
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
@click.option("--no-moves", is_flag=True, help="Do not move running runs to make room.")
@click.option("--no-check", is_flag=True, help="Do not ask the scheduler about each placement.")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Plan as a file.")
def advise(
    context: Context,
    policy: str,
    objective: str,
    time_limit: float,
    limit: int | None,
    no_moves: bool,
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
        room=not no_moves,
        trust=rule_records(context.site),
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
@click.option(
    "--diff", "as_diff", is_flag=True, help="The advice for RUN as a change of its job spec."
)
@click.option("--spec", metavar="FILE", help="That spec; without it the one of the run's record.")
@click.option("--apply", is_flag=True, help="Write the change into the file of --spec.")
def fractions(
    context: Context,
    references: tuple[str, ...],
    gpu_util: float | None,
    memory: float | None,
    memory_util: float | None,
    device: float | None,
    as_diff: bool,
    spec: str | None,
    apply: bool,
) -> int:
    if apply and spec is None:
        raise WrongUse("--apply: name the file that is written with --spec FILE")
    if apply and (context.site.options.read_only or context.site.config.read_only):
        raise ActionError("--apply: read-only, no file is changed")
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
    known = sharing.measured(context.site, snapshot)
    found = sharing.fractions(snapshot, references, assumed=assumed, known=known)
    if as_diff or spec is not None:
        change = spec_change(context.site, snapshot, found, spec)
        output.emit(change.difference.rstrip("\n") or f"{change.name} says so already")
        if change.note is not None:
            output.narrate(change.note)
        if apply and change.path is not None and change.difference:
            path = change.path.resolve()
            mode = path.stat().st_mode
            write_atomically(path, change.after)
            path.chmod(mode & 0o777)
            output.narrate(f"{path} is changed; the next submit asks for that share")
    elif context.as_json:
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
