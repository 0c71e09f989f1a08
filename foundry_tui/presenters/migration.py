"""Translated scripts and proposed tables: as text, as records, as rows of a CSV file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from foundry_tui.estate import csvtext
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.jobs.writing import values
from foundry_tui.migration.nouns import ORDER, Class, Finding, Proposal, Translation
from foundry_tui.presenters.page import Style, coloured, finish, wrap
from foundry_tui.presenters.records.nouns import Record
from foundry_tui.presenters.table import Column, draw

TARGETS = {"runai": "Run:ai", "kai": "KAI"}
COLUMNS = ("path", "target", "line", "kind", "name", "words", "became", "class", "blocks", "why")
PROPOSED = ("table", "key", "value", "confidence", "why")

_STATE = {
    Class.OK: "ok",
    Class.TABLE: "ok",
    Class.EMULATED: "stale",
    Class.APPROXIMATED: "stale",
    Class.MANUAL: "pending",
    Class.LOST: "failed",
}
"""Class -> the state of other nouns that has its colour."""

_CLASS_CELLS = max(len(klass.value) for klass in Class)
_LINE_CELLS = 5


def migration_text(made: Sequence[Translation], style: Style, *, notes: Iterable[str] = ()) -> str:
    """One block per script: the counts, then what does not carry over as it is, worst first."""
    lines: list[str] = []
    for one in made:
        lines += [*_script(one, style), ""]
    for note in notes:
        lines += wrap(f"note: {note}", style.width, rest="  ")
    return finish(lines, style)


def _script(one: Translation, style: Style) -> list[str]:
    width = style.width
    head = f"{safe(one.path)} -> {TARGETS[one.target]}: "
    if one.problem is not None:
        return wrap(f"{head}not translated: {one.problem}", width, rest="  ")
    counts = ", ".join(f"{count} {klass}" for klass, count in one.counts.items() if count)
    lines = wrap(head + (counts or "nothing to translate"), width, rest="  ")
    if style.wide:
        lines += _table(one, style)
    else:
        ordered = sorted(one.findings, key=lambda f: -ORDER.index(f.klass))
        plain = [f for f in ordered if f.klass is Class.OK]
        for finding in (f for f in ordered if f.klass is not Class.OK):
            lines += _finding(finding, style)
        if plain:
            names = ", ".join(dict.fromkeys(f.name for f in plain))
            first = f"{'':>{_LINE_CELLS}}  {'ok':<{_CLASS_CELLS}}  "
            lines += wrap(names, width, first=first, rest=" " * len(first))
    if one.withheld is not None:
        lines += wrap(f"no manifest: {one.withheld}", width, rest="  ")
    return lines


def _finding(finding: Finding, style: Style) -> list[str]:
    line = "" if finding.line is None else str(finding.line)
    word = finding.klass.value.ljust(_CLASS_CELLS)
    first = f"{line:>{_LINE_CELLS}}  {word}  "
    became = f" -> {finding.became}" if finding.became else ""
    words = f"{finding.words or finding.name}{became}: {finding.why}"
    lines = wrap(words, style.width, first=first, rest=" " * len(first))
    if style.colour:
        shown = coloured(_STATE[finding.klass], word)
        lines[0] = lines[0].replace(word, shown, 1)
    return lines


def _table(one: Translation, style: Style) -> list[str]:
    columns = (
        Column("LINE", "right"),
        Column("CLASS", state=True),
        Column("AS IT STANDS", stretch=True),
        Column("BECAME", stretch=True),
        Column("WHY", stretch=True),
    )
    rows = [
        (
            SafeText("" if f.line is None else str(f.line)),
            SafeText(f.klass.value),
            f.words or f.name,
            f.became,
            f.why,
        )
        for f in one.findings
    ]
    return draw(columns, rows, style).lines


def migration_record(one: Translation) -> Record:
    """A translation as an object: its findings, its spec, its manifests."""
    return {
        "path": safe(one.path, max_cells=1000),
        "target": one.target,
        "worst": one.worst.value,
        "counts": {klass.value: count for klass, count in one.counts.items()},
        "problem": one.problem,
        "withheld": one.withheld,
        "findings": [finding_record(finding) for finding in one.findings],
        "spec": None if one.spec is None else values(one.spec),
        "manifests": list(one.manifests),
    }


def finding_record(finding: Finding) -> Record:
    return {
        "line": finding.line,
        "kind": finding.kind.value,
        "name": finding.name,
        "words": finding.words,
        "became": finding.became,
        "class": finding.klass.value,
        "blocks": finding.blocks,
        "why": finding.why,
    }


def migration_csv(made: Sequence[Translation]) -> bytes:
    """One row per finding; a script that was not translated has one row with its problem."""
    rows: list[Record] = []
    for one in made:
        path = {"path": safe(one.path, max_cells=1000), "target": one.target}
        rows += [{**path, **finding_record(finding)} for finding in one.findings]
        if one.problem is not None:
            rows.append({**path, "class": Class.LOST.value, "why": one.problem})
    return csvtext.write(rows, COLUMNS)


def proposal_record(one: Proposal) -> Record:
    return {
        "table": one.table,
        "key": one.key,
        "value": one.value,
        "confidence": None if one.confidence is None else one.confidence.value,
        "why": one.why,
    }


def proposals_csv(found: Sequence[Proposal]) -> bytes:
    """One row per proposal."""
    return csvtext.write(map(proposal_record, found), PROPOSED)


def proposals_text(found: Sequence[Proposal], style: Style) -> str:
    """The proposals as a table; what is open has no value."""
    columns = (
        Column("TABLE"),
        Column("SLURM", stretch=True),
        Column("BECOMES", stretch=True),
        Column("HOW SURE"),
        Column("WHY", stretch=True),
    )
    rows = [
        (
            SafeText(one.table),
            safe(one.key),
            safe(one.value) if one.value is not None else SafeText("—"),
            SafeText(one.confidence.value if one.confidence is not None else "open"),
            one.why,
        )
        for one in found
    ]
    return finish(draw(columns, rows, style).lines, style)
