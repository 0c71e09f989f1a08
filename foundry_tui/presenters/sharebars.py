"""Bars of what queues deserve, hold, borrow, lend and ask for: one line per queue, as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from foundry_tui.estate.queue import Queue, tree
from foundry_tui.estate.text import SafeText, cells, clip, pad, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.page import wrap
from foundry_tui.presenters.queueshare import Key, Part, balance, key_of, parts, sentence, shared
from foundry_tui.presenters.toned import Line, paragraph

MOST_BARS = 12
"""Bars of a panel; a large site has more queues."""

MOST_TOLD = 24
"""Queues with a bar and a sentence below a table."""

Bar = tuple[Queue, str]
"""A queue and its line."""

_GLYPHS = {"held": "█#", "over": "▓=", "free": "░.", "lent": "‹<", "asked": "·-"}
"""Part of a bar -> its glyph, and the one for ASCII."""

_ASKED, _FAIR, _LIMIT, _MORE = ">", "|", "]", "+"


def share_bar(queue: Queue, part: Part, width: int, *, ascii_only: bool) -> SafeText:
    """`width` cells that stand for all GPUs of the cluster.

    From the left: held and deserved, held over the quota, deserved and not held (what of it is
    lent last), asked for beyond that. On top of them stand `>` where what is asked for ends inside
    the deserved part, `|` at the fair share and `]` at the limit. No part is too small to be seen,
    and `+` at the end says that the bar is too short.
    """
    total = queue.total_gpu_milli
    if not shared(queue) or not total or width < 1:
        return SafeText("")
    held, asked = queue.allocated_gpu_milli or 0, queue.requested_gpu_milli or 0
    spare = max(0, -balance(queue))
    amounts = {
        "held": held - part.over,
        "over": part.over,
        "free": spare - part.lent,
        "lent": part.lent,
        "asked": max(0, asked - spare),
    }
    drawn, reached = "", 0
    for name, milli in amounts.items():
        reached += milli
        end = _cell(reached, total, width)
        cells_of = max(end - len(drawn), 1 if milli else 0)
        drawn += _GLYPHS[name][ascii_only] * min(cells_of, width + 1)
    marked = list(drawn[:width].ljust(width))
    marks = (
        (held + asked if 0 < asked < spare else None, _ASKED),
        (queue.fair_share_gpu_milli, _FAIR),
        (queue.limit_gpu_milli, _LIMIT),
    )
    for amount, mark in marks:
        if amount is not None:
            marked[min(width - 1, _cell(amount, total, width))] = mark
    if held > total or (len(drawn) > width and not amounts["asked"]):
        marked[-1] = _MORE
    return SafeText("".join(marked))


def _cell(milli: int, total: int, width: int) -> int:
    """Cells that an amount takes, rounded."""
    return (2 * width * milli + total) // (2 * total)


def legend(width: int, *, ascii_only: bool) -> list[str]:
    """What the glyphs of a bar mean, in lines that break between two of them."""
    told = {
        "held": "deserved and held",
        "over": "over the quota",
        "free": "deserved and free",
        "lent": "lent",
        "asked": "asked for",
    }
    marks = {_ASKED: "asked up to here", _FAIR: "fair share", _LIMIT: "limit"}
    entries = [f"{_GLYPHS[name][ascii_only]} {words}" for name, words in told.items()]
    lines: list[str] = []
    for entry in [*entries, *(f"{mark} {words}" for mark, words in marks.items())]:
        if lines and len(lines[-1]) + 2 + len(entry) <= width:
            lines[-1] += f"  {entry}"
        else:
            lines.append(entry)
    return lines


def bar_lines(
    chosen: Iterable[tuple[Queue, int]],
    found: Mapping[Key, Part],
    width: int,
    *,
    ascii_only: bool,
) -> list[Bar]:
    """A queue and its line: the name, `depth` levels in, its bar, what it holds of its quota."""
    rows = [(queue, safe("  " * depth + queue.name), _numbers(queue)) for queue, depth in chosen]
    if not rows:
        return []
    names = min(max(cells(name) for _, name, _ in rows), max(6, width // 3))
    numbers = max(cells(n) for _, _, n in rows)
    room = max(8, width - names - numbers - 2)
    return [
        (
            queue,
            f"{pad(clip(name, names), names)} "
            f"{share_bar(queue, found[key_of(queue)], room, ascii_only=ascii_only)} "
            f"{pad(number, numbers, 'right')}".rstrip(),
        )
        for queue, name, number in rows
    ]


def _numbers(queue: Queue) -> SafeText:
    quota = queue.quota_gpu_milli
    return SafeText(
        units.gpus(queue.allocated_gpu_milli) + ("" if quota is None else f"/{units.gpus(quota)}")
    )


def told(
    chosen: Sequence[tuple[Queue, int]],
    queues: Sequence[Queue],
    width: int,
    *,
    ascii_only: bool,
) -> list[str]:
    """Bars of the queues that share by quota, the legend, and a sentence for each of them."""
    rows = [(queue, depth) for queue, depth in chosen if shared(queue)]
    if not rows:
        return []
    found, shown = parts(queues), rows[:MOST_TOLD]
    lines = [line for _, line in bar_lines(shown, found, width, ascii_only=ascii_only)]
    lines += legend(width, ascii_only=ascii_only)
    for queue, _ in shown:
        lines += wrap(sentence(queue, found[key_of(queue)]), width, rest="  ")
    if len(rows) > len(shown):
        lines += wrap(f"{len(rows) - len(shown)} more share it: a filter picks them", width)
    return lines


def share_panel(
    queue: Queue, queues: Sequence[Queue], width: int, *, ascii_only: bool
) -> list[Line]:
    """The sentence of one queue, and the bars of the queues around it, its own one marked."""
    if not shared(queue):
        return []
    found = parts(queues)
    lines = [*paragraph(sentence(queue, found[key_of(queue)]), width), []]
    beside = tree([q for q in queues if q.source == queue.source and shared(q)])
    bars = bar_lines(beside, found, width - 2, ascii_only=ascii_only)
    shown = _around(bars, queue)
    for one, line in shown:
        here = key_of(one) == key_of(queue)
        lines.append([(">" if here else " ", "accent"), (f" {line}", "strong" if here else "")])
    if len(bars) > len(shown):
        lines.append([(f"  and {len(bars) - len(shown)} more queues", "dim")])
    words = legend(width - 1, ascii_only=ascii_only)
    return [*lines, *([(f" {line}", "dim")] for line in words)]


def _around(bars: Sequence[Bar], queue: Queue) -> Sequence[Bar]:
    """The lines next to the queue's own, where there are many."""
    here = next(i for i, (q, _) in enumerate(bars) if key_of(q) == key_of(queue))
    start = max(0, min(here - MOST_BARS // 2, len(bars) - MOST_BARS))
    return bars[start : start + MOST_BARS]
