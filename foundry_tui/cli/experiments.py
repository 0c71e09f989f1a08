"""Commands about tracked runs: experiments, tracked, diff, best, report-run, note, tag."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from foundry_tui.actions.errors import NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.experiments import best as ranking
from foundry_tui.actions.experiments import compare, find, overview
from foundry_tui.actions.experiments import note as notes
from foundry_tui.actions.experiments import report as reports
from foundry_tui.actions.experiments.note import set_headline
from foundry_tui.actions.experiments.server import source_of
from foundry_tui.cli import output
from foundry_tui.cli.context import Context, command
from foundry_tui.cli.look import style, write_atomically
from foundry_tui.estate.text import safe
from foundry_tui.experiments.nouns import Reduce
from foundry_tui.experiments.reduce import ALPHA
from foundry_tui.presenters import experimenttext as texts
from foundry_tui.presenters import records
from foundry_tui.presenters.compared import comparison_text
from foundry_tui.presenters.experimentcsv import comparison_csv, tracked_csv
from foundry_tui.presenters.page import source_words
from foundry_tui.presenters.records import experiments as made
from foundry_tui.presenters.runreport import report_text

LISTS = frozenset({"--json", "--csv", "--where"})
MOST_NOTE_BYTES = 1 << 16


@command("experiments")
@click.option("--users", is_flag=True, help="What each user's runs cost beside what they reached.")
@click.option(
    "--prices", type=click.Path(path_type=Path), help="Prices of GPU-hours, as reports take them."
)
@click.option(
    "--headline",
    nargs=2,
    metavar="EXPERIMENT METRIC:max|min",
    help="Write down what an experiment is about, for everybody.",
)
def experiments(
    context: Context, users: bool, prices: Path | None, headline: tuple[str, str] | None
) -> int:
    if headline is not None:
        former = set_headline(context.site, *headline)
        output.narrate(f"{headline[0]}: the headline was {former or 'not set'}")
    found = overview.overview(context.site, prices, by_user=users)
    told = _told(found.complete, found.words)
    if context.as_json:
        if users:
            spent = [made.spent_record(row) for row in found.by_user]
            _json(context, "experiment_users", spent, found, told)
        else:
            rows = [made.standing_record(row) for row in found.rows]
            _json(context, "experiments", rows, found, told)
    else:
        now = context.site.clock()
        told = (*told, _age(context, found.read_at, found.problem))
        if users:
            output.emit(texts.spent_text(found.by_user, style(context), told))
        else:
            output.emit(texts.experiments_text(found.rows, now, style(context), told))
    return _code(found.problem)


@command("tracked", serves=LISTS)
@click.option("--experiment", "-e", metavar="E", help="Of this experiment alone: name or id.")
@click.option("--sort", default="", metavar="KEY", help="By metric.K, param.K, tag.K or a column.")
@click.option("--ascending", is_flag=True, help="The least first.")
@click.option("--columns", default="", metavar="K,K", help="Metrics, params and tags to show.")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1), help="Runs shown.")
@click.option("--all", "whole", is_flag=True, help="Every run, however many the server has.")
def tracked(
    context: Context,
    experiment: str | None,
    sort: str,
    ascending: bool,
    columns: str,
    most: int,
    whole: bool,
) -> int:
    found = find.listing(
        context.site,
        experiment=experiment,
        where=context.where or "",
        sort=sort,
        descending=not ascending,
        most=find.ALL if whole else most,
        whole=whole,
    )
    chosen = [name.strip() for name in columns.split(",") if name.strip()]
    if sort not in chosen and any(texts.column_value(run, sort) is not None for run in found.rows):
        chosen.insert(0, sort)
    told = _told(found.complete, found.words)
    if found.total > len(found.rows):
        told = (*told, f"{len(found.rows)} of {found.total} runs; --most or --all shows more")
    by_id = found.experiments
    if context.as_json:
        rows = [made.run_of_experiment_record(r, by_id.get(r.experiment_id)) for r in found.rows]
        _json(context, "tracked", rows, found, told)
    elif context.as_csv:
        output.emit(tracked_csv(found.rows, found.experiments, chosen))
    else:
        told = (*told, _age(context, found.read_at, found.problem))
        page = texts.tracked_table(
            found.rows, by_id, context.site.clock(), style(context), columns=chosen, notes=told
        )
        output.emit(page)
    if context.as_csv:
        _narrate((*([found.problem] if found.problem else []), *told))
    if not found.rows and (context.where or experiment):
        raise NothingMatched(f"no tracked run matches {context.where or experiment!r}")
    return _code(found.problem)


@command("diff", serves=frozenset({"--json", "--csv"}))
@click.argument("references", metavar="RUN RUN...", nargs=-1, required=True)
@click.option("--all", "every", is_flag=True, help="The rows that are alike too.")
def diff(context: Context, references: tuple[str, ...], every: bool) -> int:
    show_diff(context, compare.diff(context.site, references), every=every)
    return 0


def show_diff(context: Context, found: compare.Compared, *, every: bool = False) -> None:
    """Runs side by side, on standard output."""
    if context.as_json:
        payload = made.comparison_record(found.comparison, every=every)
        _json(context, "diff", payload, found, found.notes)
    elif context.as_csv:
        output.emit(comparison_csv(found.comparison, every))
        _narrate(found.notes)
    else:
        output.emit(
            comparison_text(found.comparison, style(context), every=every, notes=found.notes)
        )


@command("best", serves=frozenset({"--json", "--where"}))
@click.argument("experiment", required=False)
@click.option("--metric", metavar="K", help="The metric; without it the experiment's headline.")
@click.option("--max", "most_is_best", is_flag=True, help="The greatest is the best.")
@click.option("--min", "least_is_best", is_flag=True, help="The least is the best.")
@click.option(
    "--reduce",
    default="last",
    show_default=True,
    type=click.Choice([one.value for one in Reduce]),
    help="Which of a metric's values stands for a run.",
)
@click.option(
    "--alpha",
    default=ALPHA,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True),
    help="Weight of the newest value with --reduce smooth.",
)
@click.option("--group-seeds", is_flag=True, help="Mean and deviation over runs alike but seed.")
@click.option("--seed-key", "keys", multiple=True, metavar="K", help="What counts as a seed.")
@click.option("--most", default=10, show_default=True, type=click.IntRange(1), help="Rows shown.")
def best(
    context: Context,
    experiment: str | None,
    metric: str | None,
    most_is_best: bool,
    least_is_best: bool,
    reduce: str,
    alpha: float,
    group_seeds: bool,
    keys: tuple[str, ...],
    most: int,
) -> int:
    if most_is_best and least_is_best:
        raise WrongUse("--max and --min exclude each other")
    found = ranking.best(
        context.site,
        experiment,
        metric,
        lower=least_is_best if most_is_best or least_is_best else None,
        reduce=Reduce(reduce),
        where=context.where or "",
        grouped=group_seeds or bool(keys),
        seed_keys=keys,
        alpha=alpha,
        most=most,
    )
    if context.as_json:
        _json(context, "best", made.best_record(found, most=most), found, found.notes)
    else:
        age = _age(context, found.read_at, found.problem)
        output.emit(texts.best_text(found, style(context), most=most, notes=(age,)))
    return _code(found.problem)


@command("report-run")
@click.argument("references", metavar="RUN...", nargs=-1, required=True)
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="File to write.")
@click.option("--metric", "metrics", multiple=True, metavar="K", help="Draw this metric.")
def report_run(
    context: Context, references: tuple[str, ...], target: Path | None, metrics: tuple[str, ...]
) -> int:
    material = reports.report(context.site, references, metrics)
    found = material.compared
    if context.as_json:
        payload = made.comparison_record(found.comparison, every=True)
        data = _envelope(context, "report_run", payload, found, material.notes)
    else:
        data = report_text(
            found.comparison,
            material.curves,
            server=found.server,
            made_at=found.read_at,
            notes=material.notes,
            ascii_only=context.ascii_only,
        ).encode("utf-8", "replace")
    if target is None:
        output.emit(data)
    else:
        write_atomically(target, data)
        output.narrate(f"wrote {target}: {len(found.comparison.sides)} runs, {len(data)} bytes")
    return 0


@command("note")
@click.argument("reference", metavar="RUN")
@click.argument("text", required=False)
def note(context: Context, reference: str, text: str | None) -> int:
    if text == "-":
        given = sys.stdin.buffer.read(MOST_NOTE_BYTES) if sys.stdin else b""
        text = given.decode("utf-8", "replace")
    written = notes.note(context.site, reference, text)
    _changes(context, "note", (written,))
    if not context.as_json and text is None:
        if not written.after:
            output.narrate(f"{written.run.run_id} has no note")
        else:
            output.emit(_whole(written.after))
    return 0


@command("tag")
@click.argument("reference", metavar="RUN")
@click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True)
def tag(context: Context, reference: str, pairs: tuple[str, ...]) -> int:
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise WrongUse(f"{pair!r} is no tag: write KEY=VALUE")
        given[key] = value
    _changes(context, "tags", notes.tag(context.site, reference, given))
    return 0


def _changes(context: Context, noun: str, written: tuple[notes.Noted, ...]) -> None:
    """Say what was changed on a record, with the former text, or print it as JSON."""
    if context.as_json:
        payload = [
            {
                "run_id": one.run.run_id,
                "key": one.key,
                "before": one.before,
                "after": one.after,
                "changed": one.changed,
            }
            for one in written
        ]
        now = context.site.clock()
        sources = (source_of(context.site, now),)
        output.emit(records.envelope(noun, payload, sources=sources, now=now))
        return
    for one in written:
        if one.changed and one.before is None:
            output.narrate(f"{one.run.run_id}: {one.key} is written; there was none")
        elif one.changed:
            output.narrate(f"{one.run.run_id}: {one.key} is written; the former text:")
            output.block(_whole(one.before or ""))


def _whole(text: str) -> str:
    """A text of several lines, safe and uncut."""
    return "\n".join(safe(line, max_cells=8 * len(line) + 8) for line in text.split("\n"))


def _told(complete: bool, words: str) -> tuple[str, ...]:
    """What a reader should know of a list that is not whole."""
    return (words,) if words and not complete else ()


def _code(problem: str | None) -> int:
    """0, or that of a missing source where the server was silent and a copy is shown."""
    return 0 if problem is None else SourceMissing.code


def _age(context: Context, read_at: datetime | None, problem: str | None) -> str:
    """Where a list comes from and how old it is."""
    source = source_of(context.site, read_at, problem)
    return source_words(source, context.site.clock())


def _json(
    context: Context,
    noun: str,
    payload: object,
    found: overview.Overview | find.Listing | ranking.Best | compare.Compared,
    told: tuple[str, ...],
) -> None:
    output.emit(_envelope(context, noun, payload, found, told))
    problem = None if isinstance(found, compare.Compared) else found.problem
    _narrate((*([problem] if problem else []), *told))


def _envelope(
    context: Context,
    noun: str,
    payload: object,
    found: overview.Overview | find.Listing | ranking.Best | compare.Compared,
    told: tuple[str, ...],
) -> bytes:
    problem = None if isinstance(found, compare.Compared) else found.problem
    source = source_of(context.site, found.read_at, problem)
    return records.envelope(
        noun, payload, sources=(source,), now=context.site.clock(), partial=told
    )


def _narrate(told: tuple[str, ...]) -> None:
    for words in told:
        output.narrate(words)
