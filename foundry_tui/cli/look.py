"""Commands that show the estate: overview, doctor, nodes, gpus, queues, runs, snapshot."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from foundry_tui.actions import doctor as doctors
from foundry_tui.actions import look
from foundry_tui.actions.errors import PARTLY, NothingMatched, SourceMissing
from foundry_tui.actions.select import compiled
from foundry_tui.actions.site import down, silent_meters
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.estate import fields
from foundry_tui.estate import filter as filters
from foundry_tui.estate.snapshot import Snapshot, encode
from foundry_tui.presenters import csvout, filterable, records, tables
from foundry_tui.presenters import overview as pages
from foundry_tui.presenters.details import doctor_text
from foundry_tui.presenters.page import Listing, Style

Noun = TypeVar("Noun")

watching = click.option(
    "--watch", "seconds", type=click.FloatRange(min=0.1), metavar="S", help="Show it every S s."
)


LEADS_S = 60.0
"""Who shows less often than this does not collect for the user's other screens."""

LISTS = frozenset({"--json", "--csv", "--where"})
"""What a command that lists nouns can do."""


def told(snapshot: Snapshot, notes: Sequence[str] = ()) -> None:
    """Say on standard error which sources are not from now, and what is missing."""
    for source in down(snapshot.sources):
        age = source.age_s(snapshot.generated_at)
        old = "nothing is known of it" if age is None else f"its data is {age:.0f} s old"
        output.narrate(f"{source.name} is {source.state}: {old}: {source.reason}")
    for words in notes:
        output.narrate(words)


def unmeasured(snapshot: Snapshot) -> None:
    """Say on standard error which sources of readings are silent: it changes no exit code."""
    for source in silent_meters(snapshot.sources):
        output.narrate(f"{source.name} is {source.state}: {source.reason}")


def watched(context: Context, seconds: float | None, once: Callable[[], int]) -> int:
    """Show once, or again and again; the sources are then asked as often as it is shown."""
    if seconds is not None:
        context.site.refresh_s = max(output.MIN_WATCH_S, seconds)
        if context.site.refresh_s <= LEADS_S:
            context.site.stay()
    return output.watch(seconds, once, lambda: seconds is not None and context.site.stirred())


def style(context: Context) -> Style:
    """How a page is drawn on this terminal."""
    return Style(
        width=output.width(),
        colour=output.colour(),
        ascii=context.ascii_only,
        # In a pipe nothing is clipped: there is no edge, and somebody greps for an id.
        wide=context.wide or not sys.stdout.isatty(),
    )


def show(
    context: Context,
    noun: str,
    rows: Sequence[Noun],
    snapshot: Snapshot,
    *,
    fields: Mapping[str, filters.Field],
    seen: Callable[[Noun], Any],
    record: Callable[[Noun], records.Record],
    table: Callable[[Sequence[Noun], Listing], str],
    notes: Sequence[str] = (),
) -> int:
    """Filter nouns and print them as asked: JSON, CSV or a table.

    Raises:
        NothingMatched: there are some, and the filter let none through.
    """
    wanted = compiled(context.where, fields, context.site.me)
    kept = [r for r in rows if wanted is None or wanted.match(seen(r))]
    now = snapshot.generated_at
    partial = (*snapshot.partial, *notes)
    if context.as_json:
        output.emit(
            records.envelope(
                noun,
                [record(r) for r in kept],
                sources=snapshot.sources,
                now=now,
                partial=partial,
            )
        )
    elif context.as_csv:
        output.emit(csvout.to_csv(noun, (record(r) for r in kept)))
    else:
        listing = Listing(
            now=now,
            sources=snapshot.sources,
            style=style(context),
            where=context.where,
            total=len(rows),
            notes=partial,
            idle_after_s=context.site.idle_after_s,
        )
        output.emit(table(kept, listing))
    if context.as_json or context.as_csv:
        told(snapshot, notes)
    if wanted is not None and not kept:
        raise NothingMatched(f"none of {len(rows)} {noun} matches {context.where!r}")
    return age_code(snapshot)


def age_code(snapshot: Snapshot) -> int:
    """0 when all data is from now, 5 when some sources are not, 3 when none is."""
    if not down(snapshot.sources):
        return 0
    good = any(s.usable for s in snapshot.sources if s.kind != "telemetry")
    return PARTLY if good else SourceMissing.code


@command("overview")
@watching
def overview(context: Context, seconds: float | None = None) -> int:
    after_s = context.site.idle_after_s

    def once() -> int:
        snapshot = context.site.whole()
        now = snapshot.generated_at
        if context.as_json:
            payload = asdict(
                pages.gpu_totals(snapshot.nodes, snapshot.gpus, now, idle_after_s=after_s)
            )
            output.emit(records.envelope("overview", payload, sources=snapshot.sources, now=now))
        else:
            output.emit(
                pages.overview(snapshot, now=now, style=style(context), idle_after_s=after_s)
            )
        return age_code(snapshot)

    return watched(context, seconds, once)


@command("doctor")
def doctor(context: Context) -> int:
    found = doctors.doctor(context.site)
    if context.as_json:
        payload = [
            {
                "source": n,
                "kind": k,
                "what": p.what,
                "state": p.state,
                "found": p.found,
                "mend": p.mend,
            }
            for n, k, probes in found
            for p in probes
        ]
        output.emit(records.envelope("doctor", payload, sources=(), now=context.site.clock()))
    else:
        output.emit(doctor_text(found, style(context)))
    broken = any(p.state == "broken" for _, _, probes in found for p in probes)
    return 3 if broken else 0


@command("nodes", serves=LISTS)
@watching
def nodes(context: Context, seconds: float | None) -> int:
    def once() -> int:
        snapshot = context.site.whole()
        return show(
            context,
            "nodes",
            snapshot.nodes,
            snapshot,
            fields=fields.NODE_FIELDS,
            seen=filterable.node_fields,
            record=lambda n: records.node_record(n, snapshot.generated_at),
            table=lambda rows, page: tables.nodes_table(rows, snapshot.gpus, page),
        )

    return watched(context, seconds, once)


@command("gpus", serves=LISTS)
@watching
def gpus(context: Context, seconds: float | None) -> int:
    def once() -> int:
        snapshot = context.site.whole()
        unmeasured(snapshot)
        return show(
            context,
            "gpus",
            snapshot.gpus,
            snapshot,
            fields=fields.GPU_FIELDS,
            seen=lambda g: filterable.gpu_fields(g, snapshot.generated_at),
            record=lambda g: records.gpu_record(g, snapshot.generated_at),
            table=lambda rows, page: tables.gpus_table(rows, snapshot.runs, page),
        )

    return watched(context, seconds, once)


@command("queues", serves=LISTS)
@watching
def queues(context: Context, seconds: float | None) -> int:
    def once() -> int:
        snapshot = context.site.whole(measured=False)
        return show(
            context,
            "queues",
            snapshot.queues,
            snapshot,
            fields=fields.QUEUE_FIELDS,
            seen=filterable.queue_fields,
            record=records.queue_record,
            table=lambda rows, page: tables.queues_table(rows, page, snapshot.queues),
        )

    return watched(context, seconds, once)


@command("runs", serves=LISTS)
@watching
@click.option(
    "--since",
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Also my runs that ended within so many hours; 0 for none.",
)
def runs(context: Context, seconds: float | None, since: float) -> int:
    def once() -> int:
        snapshot = context.site.whole()
        rows, notes = look.with_finished(context.site, snapshot, since * 3600.0)
        return show(
            context,
            "runs",
            rows,
            snapshot,
            fields=fields.RUN_FIELDS,
            seen=lambda r: filterable.run_fields(r, snapshot.generated_at),
            record=records.run_record,
            table=tables.runs_table,
            notes=notes,
        )

    return watched(context, seconds, once)


@command("snapshot")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="File to write.")
def snapshot(context: Context, target: Path | None) -> int:
    taken = context.site.whole()
    told(taken)
    data = encode(taken)
    if target is None:
        output.emit(data)
    else:
        write_atomically(target, data)
        count = f"{len(taken.nodes)} nodes, {len(taken.gpus)} GPUs, {len(taken.runs)} runs"
        output.narrate(f"wrote {target}: {count}")
    return age_code(taken)


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only.

    Raises:
        OSError: the folder cannot be written, or is full; the old file is then still there.
    """
    if target.is_dir():
        raise OSError(errno.EISDIR, "is a folder: name a file in it", str(target))
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
