"""From words on a command line to runs: by id or by filter, never by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from foundry_tui.actions.errors import NothingMatched, SourceMissing, WrongUse
from foundry_tui.estate.filter import Field, Filter, FilterError, parse
from foundry_tui.estate.run import LIVE, Run
from foundry_tui.estate.snapshot import Snapshot

_WIDE = re.compile(r"(?i)^(all|\*|.*[*?].*)$")
_SPAN = re.compile(r"^\d+\s*(-|\.\.|:|,)\s*\d+.*$")


SCHEDULERS = frozenset({"slurm", "runai", "kai", "simulated"})
"""Kinds of sources that have runs."""

SHORTEST_PREFIX = 6
"""Letters of a workload's uuid that must be given at least."""


def compiled(where: str | None, fields: Mapping[str, Field], me: frozenset[str]) -> Filter | None:
    """The filter of `--where`.

    Raises:
        WrongUse: it cannot be understood; the message points at the token.
    """
    if where is None:
        return None
    try:
        return parse(where, fields, me=me)
    except FilterError as error:
        raise WrongUse(f"--where\n{error}") from error


def resolve(runs: Sequence[Run], references: Iterable[str]) -> tuple[Run, ...]:
    """The runs that the references name, each once, in their order.

    A reference is an estate id (`lab/17`), a native id (`17`, `18_3`, a workload uuid) or the id of
    an array, which stands for its live tasks.

    Raises:
        WrongUse: `ALL`, a wildcard or a range; or an id that two sources have.
        NothingMatched: no run has this id.
    """
    found: dict[str, Run] = {}
    for reference in references:
        for run in _one(runs, reference.strip()):
            found[run.id] = run
    return tuple(found.values())


def resolve_in(snapshot: Snapshot, references: Iterable[str]) -> tuple[Run, ...]:
    """`resolve` among the runs of a snapshot.

    Raises:
        WrongUse, NothingMatched: as `resolve`.
        SourceMissing: no run has this id, but a source is silent that may know it.
    """
    try:
        return resolve(snapshot.runs, references)
    except NothingMatched as error:
        silent = [s.name for s in snapshot.sources if not s.usable and s.kind in SCHEDULERS]
        if silent:
            words = f"{error}; {', '.join(silent)} does not answer, so it may exist there"
            raise SourceMissing(words) from error
        raise


def _one(runs: Sequence[Run], reference: str) -> list[Run]:
    if not reference or _WIDE.match(reference) or reference.startswith("-"):
        raise WrongUse(
            f"{reference!r} names no run: give ids, or select with --where and confirm the count"
        )
    exact = [r for r in runs if r.id == reference]
    if exact:
        return exact
    source, slash, native = reference.rpartition("/")
    pool = [r for r in runs if r.source == source] if slash else list(runs)
    matched = [r for r in pool if r.native_id == native]
    if not matched:
        matched = [r for r in pool if r.array and r.array.job_id == native]
        matched = [r for r in matched if r.state in LIVE] or matched
    if len({r.source for r in matched}) > 1:
        names = ", ".join(sorted(r.id for r in matched))
        raise WrongUse(f"{reference} is an id of several sources: {names}; name the source too")
    if not matched and len(native) >= SHORTEST_PREFIX and not native.isdecimal():
        # A workload's uuid may be shortened; a job's number may not: 90 is not 9012.
        matched = [r for r in pool if "-" in r.native_id and r.native_id.startswith(native)]
        matched = matched if len(matched) == 1 else []
    if not matched:
        if _SPAN.match(native):
            raise WrongUse(f"{reference!r} is a range: name each run, or select with --where")
        raise NothingMatched(f"no run {reference} is known; `foundry runs` lists them")
    return matched
