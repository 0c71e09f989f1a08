"""Whether a job shows what it was asked to change to. Exit codes of `scontrol` prove nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from foundry_tui.schedulers.slurm.fields import BEGINS, UNLIMITED
from foundry_tui.schedulers.slurm.gres import GPU_FIELDS, gpus_proven
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.present import Present
from foundry_tui.schedulers.slurm.tres import size_bytes

BEGIN_SLACK_S = 90
"""`now+1hour` is counted from when Slurm reads it, and it keeps whole seconds."""

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


def reached(name: str, asked: str, record: Present, before: str | None) -> bool:
    """Whether one record shows the value that was asked for; `before` is what it showed then."""
    if name in GPU_FIELDS:
        return gpus_proven(record.words, name, asked)
    seen = record.words.get(name)
    if seen is None:
        return False
    if name == "priority" and not asked:
        return seen not in ("0", before)
    if name in _SAME:
        with suppress(ValueError):
            return _SAME[name](asked, seen, record)
        return False
    return seen == asked


def _time(asked: str, seen: str, record: Present) -> bool:
    return seen == (asked if asked == UNLIMITED else str(-(-int(asked) // 60) * 60))


def _hosts(asked: str, seen: str, record: Present) -> bool:
    return set(expand(asked)) == set(expand(seen))


def _queue(asked: str, seen: str, record: Present) -> bool:
    """A job that has started stands in the one partition where it runs."""
    wanted, found = set(asked.split(",")), set(seen.split(","))
    return wanted == found if record.state == "PENDING" else found <= wanted


def _nodes(asked: str, seen: str, record: Present) -> bool:
    """One number sets the least and leaves the most, which is shown only where there is one."""
    if "-" in asked:
        least, _, most = asked.partition("-")
        return seen in (asked, least if least == most else asked) or record.state != "PENDING"
    return seen.partition("-")[0] == asked


def _memory(asked: str, seen: str, record: Present) -> bool:
    return size_bytes(asked) == size_bytes(seen or "0")


def _dependency(asked: str, seen: str, record: Present) -> bool:
    """Slurm takes a dependency away as soon as it is met."""
    wanted, found = _conditions(asked), _conditions(seen)
    return found == wanted if not wanted else bool(found) and found <= wanted


def _conditions(text: str) -> set[str]:
    """`afterok:1:2,singleton` as one condition per job."""
    found = set()
    for part in re.split(r"[,?]", text):
        kind, *jobs = part.split(":")
        found |= {f"{kind}:{job}" for job in jobs} or ({kind} if kind else set())
    return found


def _begin(asked: str, seen: str, record: Present) -> bool:
    """`seen` is empty for a time that is past."""
    now = datetime.now(UTC)
    match = BEGINS.fullmatch(asked or "now")
    if match is None:
        wanted = datetime.fromisoformat(asked).replace(tzinfo=UTC)
    else:
        unit = _SECONDS[(match[2] or "second").rstrip("s")]
        wanted = now + timedelta(seconds=unit * int(match[1] or 0))
    if not seen:
        return wanted <= now
    shown = datetime.fromisoformat(seen).replace(tzinfo=UTC)
    return abs((shown - wanted).total_seconds()) <= (BEGIN_SLACK_S if match and match[1] else 1)


def _licenses(asked: str, seen: str, record: Present) -> bool:
    def each(text: str) -> set[str]:
        return {w if ":" in w else f"{w}:1" for w in re.split(r"[,;]", text) if w}

    return each(asked) == each(seen)


def _nice(asked: str, seen: str, record: Present) -> bool:
    return int(asked or 0) == int(seen or 0)


_SAME: dict[str, Callable[[str, str, Present], bool]] = {
    "time_limit_s": _time,
    "nodelist": _hosts,
    "exclude": _hosts,
    "queue": _queue,
    "nodes": _nodes,
    "memory_per_cpu": _memory,
    "memory_per_node": _memory,
    "dependency": _dependency,
    "begin": _begin,
    "licenses": _licenses,
    "nice": _nice,
}
"""Fields whose value can be written in more than one way."""
