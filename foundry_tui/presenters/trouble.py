"""What is wrong with the sources, in words that a reader can act on; and what a wait is for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import cells, clip, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.toned import Line

_ILL = (SourceState.DOWN, SourceState.DENIED, SourceState.STALE)

_MEND = {
    SourceState.DOWN: "r: now",
    SourceState.DENIED: "D: the doctor",
    SourceState.STALE: "r: now",
}
"""State -> what to do about it."""

_NEXT_STEP_S = 10
"""The next try is told in steps of so many seconds: each change of the words is bytes."""


def troubles(
    sources: Iterable[Source],
    now: datetime,
    retry_in_s: Callable[[str], float | None],
    width: int,
) -> list[Line]:
    """One line for each source whose data is not from now: cause, age, next try, what to do.

    Where there is no room for all, the end of the cause goes.
    """
    lines: list[Line] = []
    for source in sources:
        if source.state not in _ILL:
            continue
        tone = "warn" if source.state is SourceState.STALE else "bad"
        cause = safe((source.reason or "no reason told").removeprefix(f"reading {source.name}: "))
        told = [_age(source, now), _retry(retry_in_s(source.name)), _MEND[source.state]]
        head = clip(safe(f" !{source.name} is {source.state.value}"), max(10, width // 2))
        tail = f" · {' · '.join(t for t in told if t)}"
        room = max(width // 4, width - cells(head) - len(tail) - 2)
        lines.append([(head, tone), (f": {clip(cause, room)}", ""), (tail, "dim")])
    return lines


def _age(source: Source, now: datetime) -> str:
    age_s = source.age_s(now)
    return "" if age_s is None else f"{units.age(age_s)} old"


def _retry(wait_s: float | None) -> str:
    if wait_s is None:
        return ""
    if wait_s < _NEXT_STEP_S:
        return "next try now"
    return f"next try in {units.duration(wait_s // _NEXT_STEP_S * _NEXT_STEP_S)}"


def unheard(names: Iterable[str], waited_s: float) -> list[Line]:
    """One line for each source that has never answered yet, so that nothing of it is shown."""
    step_s = waited_s // _NEXT_STEP_S * _NEXT_STEP_S
    since = f" for {units.duration(step_s)}" if step_s else ""
    return [[(f" !{name}", "warn"), (f" is being asked{since}", "")] for name in names]


def asking(names: Sequence[str], waited_s: float) -> tuple[str, ...]:
    """What stands where nothing is known yet: who is asked, and for how long."""
    who = ", ".join(names) or "the sources"
    told = f"Asking {who} … {units.duration(waited_s)}"
    if waited_s < 5:
        return (told,)
    return (
        told,
        "A source that does not answer is told here, with the reason; every key works meanwhile.",
    )
