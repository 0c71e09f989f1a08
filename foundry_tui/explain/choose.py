"""Which candidate to advise, from the starts that the scheduler's own what-if gave for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundry_tui.explain import say
from foundry_tui.explain.verdict import Candidate, Deed, Diagnosis

NOW = timedelta(seconds=60)
"""A start this near counts as now: the scheduler plans in steps of this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A diagnosis with the change to advise.

    `starts_at` (UTC) is when the run would start with it, None when nobody can tell; `how` says
    where that time comes from. `sentence` is the advice in words, with who must act.
    """

    diagnosis: Diagnosis
    chosen: Candidate | None
    starts_at: datetime | None
    how: str
    sentence: str


def choose(
    diagnosis: Diagnosis,
    estimates: Sequence[datetime | None],
    *,
    refused: Collection[int] = (),
    how: str = "the scheduler's what-if",
) -> Explanation:
    """The first candidate that would start the run now, else the one that starts it earliest.

    `estimates` stand parallel to the candidates: the start that the what-if gave, None where it
    gave none; `refused` are the places of those that it refused, taken only when there
    is nothing else. What
    others must do stands behind waiting, and is chosen only when nothing before it has a known
    start. A change that gains less than a minute over waiting is not worth making.

    Raises:
        ValueError: `estimates` has another length than the candidates.
    """
    candidates = diagnosis.candidates
    if len(estimates) != len(candidates):
        raise ValueError(
            f"estimates: one per candidate ({len(candidates)}) is needed, not {len(estimates)}"
        )
    starts = [_start(diagnosis, c, e) for c, e in zip(candidates, estimates, strict=True)]
    index = _index(diagnosis, starts, refused)
    if index is None:
        return Explanation(diagnosis=diagnosis, chosen=None, starts_at=None, how="", sentence="")
    chosen, start = candidates[index], starts[index]
    source = how if chosen.what_if else chosen.known_by
    return Explanation(
        diagnosis=diagnosis,
        chosen=chosen,
        starts_at=start,
        how=source if start is not None else "",
        sentence=_advice(diagnosis, chosen, start, refused=index in refused),
    )


def _start(
    diagnosis: Diagnosis, candidate: Candidate, estimate: datetime | None
) -> datetime | None:
    """The start in the candidate's own terms: without the copy's place behind the run itself."""
    if not candidate.what_if:
        return candidate.not_before
    if estimate is None:
        return None
    start = max(diagnosis.at, estimate - timedelta(seconds=candidate.behind_s))
    return start if candidate.not_before is None else max(start, candidate.not_before)


def _index(
    diagnosis: Diagnosis, starts: Sequence[datetime | None], refused: Collection[int]
) -> int | None:
    candidates = diagnosis.candidates
    waits = [i for i, c in enumerate(candidates) if c.act is Deed.WAIT]
    reach = waits[-1] + 1 if waits else len(candidates)
    soon = diagnosis.at + NOW
    known = [(s, i) for i, s in enumerate(starts[:reach]) if s is not None and i not in refused]
    wait = next((s for s, i in known if i in waits), None)
    if wait is not None and wait <= soon:
        return waits[0]
    for start, i in known:
        if start <= soon:
            return i
    if wait is not None:
        known = [(s, i) for s, i in known if i in waits or s + NOW < wait]
    if known:
        return min(known)[1]
    unknown = [i for i in range(len(candidates)) if i not in waits and i not in refused]
    return next(iter([*unknown, *waits, *range(len(candidates))]), None)


def _advice(
    diagnosis: Diagnosis, chosen: Candidate, start: datetime | None, *, refused: bool
) -> str:
    words = chosen.sentence[:1].upper() + chosen.sentence[1:]
    if refused and chosen.act is not Deed.WAIT:
        return f"{words}, which is not enough: the scheduler could not start it even then"
    if start is None:
        return words
    if start <= diagnosis.at + NOW:
        return f"{words}: it would start now"
    return f"{words}: it would start at {say.clock(start, diagnosis.at)}"
