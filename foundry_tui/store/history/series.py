"""One GPU over time, in steps as wide as the reader can show."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.store.history.measured import Measured, Piece, Stay
from foundry_tui.store.history.schema import HOUR_S, QUARTER_S
from foundry_tui.store.history.shapes import Series
from foundry_tui.store.history.values import MIB, when


def of(found: Measured, here: Sequence[Stay], since: int, until: int, most: int) -> Series:
    """The series of a place's devices between two times, in at most `most` steps."""
    step = width(found, since, until, most)
    first = since // step
    count = -(-until // step) - first
    steps: list[list[Piece]] = [[] for _ in range(count)]
    base = next(p for p in (HOUR_S, QUARTER_S, found.step) if step % p == 0)
    for stay in here:
        for piece in found.by(base, stay, first * step, (first + count) * step):
            steps[(piece.until - 1) // step - first].append(piece)
    ends = [(first + i + 1) * step for i in range(count)]
    return Series(
        step_s=step,
        times=tuple(when(end) for end in ends),
        util_pct=tuple(_mean_util(s) for s in steps),
        util_max_pct=tuple(_most([p.util_max for p in s]) for s in steps),
        mem_used_bytes=tuple(_bytes(_most([p.mem_mib for p in s])) for s in steps),
        power_w=tuple(_mean_power(s) for s in steps),
        seen=tuple(min(1.0, sum(p.seen_s for p in s) / step) for s in steps),
    )


def width(found: Measured, since: int, until: int, most: int) -> int:
    """Seconds of a step: the finest that is kept for the whole time and not too many of it."""
    bases = [found.step, QUARTER_S, HOUR_S]
    if since < found.raw_from:
        bases = [b for b in bases if b >= QUARTER_S]
    if since < found.quarter_from:
        bases = [HOUR_S]
    for number, base in enumerate(bases):
        times = max(1, -(-(until - since) // (base * (most - 1))))
        if number + 1 == len(bases) or base * times <= bases[number + 1]:
            while base * times < QUARTER_S and QUARTER_S % (base * times):
                times += 1
            return base * times
    raise AssertionError("the last base is always taken")


def _mean_util(pieces: Sequence[Piece]) -> float | None:
    seen = sum(p.seen_s for p in pieces)
    return sum(p.busy_milli_s for p in pieces) / seen / 10 if seen else None


def _most(values: Sequence[int | None]) -> int | None:
    return max((v for v in values if v is not None), default=None)


def _bytes(mib: int | None) -> int | None:
    return None if mib is None else mib * MIB


def _mean_power(pieces: Sequence[Piece]) -> float | None:
    seen = sum(p.power_s for p in pieces)
    return sum(p.energy_j for p in pieces) / seen if seen else None
