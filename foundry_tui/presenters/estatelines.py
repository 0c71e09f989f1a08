"""Lines of the overview about what wants a look: GPUs that lie idle, and GPUs that are not well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from foundry_tui.estate.gpu import WHOLE_MILLI, Gpu
from foundry_tui.estate.waste import Idle
from foundry_tui.presenters import units
from foundry_tui.presenters.health import health
from foundry_tui.presenters.tables import short_id
from foundry_tui.presenters.toned import Line


def idle_words(one: Idle, now: datetime) -> str:
    """One run's waste in a few words: `bo 4362 2 GPUs 4h53m = 9.8 GPU-h`."""
    lost = units.gpu_hours(one.gpu_hours)
    held = f"{units.gpus(one.milli)} GPU{'s' * (one.milli != WHOLE_MILLI)}"
    since = units.duration(units.since_s(one.since, now))
    native = short_id(one.run.partition("/")[2])
    return f"{one.user or '?'} {native} {held} {since} = {lost} GPU-h"


def idle_line(found: Sequence[Idle], now: datetime, width: int) -> Line:
    """The runs that waste most, as many as fit on a line of `width` cells; empty without any."""
    if not found:
        return []
    head = "Idle but allocated: "
    told, left = "", width - len(head)
    for n, one in enumerate(found):
        words = f"{' · ' if told else ''}{idle_words(one, now)}"
        more = f" · +{len(found) - n - 1}" if n + 1 < len(found) else ""
        if told and len(told) + len(words) + len(more) > left:
            told += f" · +{len(found) - n}"
            break
        told += words
    return [(head, "strong"), (told, "warn")]


def health_line(gpus: Iterable[Gpu]) -> Line:
    """`health` on one line with tones; empty when nothing is known to be wrong."""
    line: Line = []
    for words, bad in health(gpus):
        line.append((" · " if line else "Health: ", "" if line else "strong"))
        line.append((words, "bad" if bad else "warn"))
    return line
