"""Numbers and names as they stand in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.run import Run

_NAMED = 3


def gpus(milli: int) -> str:
    """Thousandths as `1 GPU`, `8 GPUs` or `0.25 GPU`."""
    whole, rest = divmod(milli, 1000)
    if rest:
        return f"{milli / 1000:.3f}".rstrip("0") + " GPU"
    return counted(whole, "GPU")


def counted(count: int, noun: str) -> str:
    """`1 node`, `5 nodes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def span(seconds: float) -> str:
    """A duration in at most two units: `45 s`, `20 min`, `1 h 30 min`, `7 days`."""
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    days, left = divmod(left, 86_400)
    hours, left = divmod(left, 3_600)
    minutes = left // 60
    parts = [
        counted(days, "day") if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes and not days else "",
    ]
    return " ".join(p for p in parts if p)


def clock(moment: datetime, now: datetime) -> str:
    """A UTC time, with the date when it is not today's."""
    form = "%H:%M UTC" if moment.date() == now.date() else "%Y-%m-%d %H:%M UTC"
    return moment.strftime(form)


def size(size_bytes: int) -> str:
    """A memory size in GiB, in MiB below one."""
    gib = size_bytes / (1 << 30)
    return f"{gib:.1f}".removesuffix(".0") + " GiB" if gib >= 1 else f"{size_bytes >> 20} MiB"


def listed(words: Sequence[str], joint: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


def runs(found: Sequence[Run]) -> str:
    """`run 17`, `runs 17 and 18`, `runs 17, 18, 19 and 4 more`."""
    names = [r.native_id for r in found[:_NAMED]]
    if len(found) > _NAMED:
        names.append(f"{len(found) - _NAMED} more")
    return f"{'run' if len(found) == 1 else 'runs'} {listed(names)}"


def nodes(names: Sequence[str]) -> str:
    """`node h01`, `nodes h01 and h02`, with the count behind more than three."""
    shown = list(names[:_NAMED])
    if len(names) > _NAMED:
        shown.append(f"{len(names) - _NAMED} more")
    return f"{'node' if len(names) == 1 else 'nodes'} {listed(shown)}"
