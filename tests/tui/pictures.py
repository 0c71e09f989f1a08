"""The pictures of the documentation: every screen at both sizes, from the simulated estate.

`make pictures` writes them; `test_pictures.py` holds the program to them, so a picture in the
documentation is never of yesterday's screen. The clock of the estate stands still.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from foundry_tui.actions import advise, apply, permitted
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.usage import Accounting, Window
from foundry_tui.schedulers.simulated import build
from tests.tui.quiet import quiet

FOLDER = Path(__file__).parents[2] / "docs" / "screens" / "pictures"
NOW = datetime(2026, 11, 20, 14, 3, 27, tzinfo=UTC)
SMALL, LARGE = (80, 24), (200, 50)
SINCE = timedelta(minutes=10)
"""By the clock on the wall: two hours of the simulated estate."""

RETRY_S = 28.0
"""Seconds until a source is asked again; told in steps of ten, so that a slow drawing is alike."""

_IDS = re.compile(r"terminal-\d+-")
_FONTS = re.compile(r"\s*@font-face \{.*?\}\n", re.DOTALL)
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)

Change = Callable[[Snapshot], Snapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: `keys` are pressed one after the other; `change` bends what is read.

    `applied` says that the advice was carried out a while ago.
    """

    name: str
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = SMALL
    change: Change | None = None
    theme: str = ""
    ascii_only: bool = False
    unread: bool = False
    applied: bool = False


def _both(name: str, *keys: str) -> Iterator[Picture]:
    for size in (SMALL, LARGE):
        yield Picture(name=f"{name}-{size[0]}x{size[1]}", keys=keys, size=size)


def _state(state: SourceState, reason: str, read: bool = True) -> Change:
    def change(seen: Snapshot) -> Snapshot:
        old = NOW - timedelta(minutes=7) if read else None
        first, *others = seen.sources
        ill = replace(first, state=state, reason=reason, read_at=old)
        kept = {ill.name} if read else set()
        names = kept | {s.name for s in others}
        return replace(
            seen,
            sources=(ill, *others),
            nodes=tuple(n for n in seen.nodes if n.source in names),
            gpus=tuple(g for g in seen.gpus if g.source in names),
            queues=tuple(q for q in seen.queues if q.source in names),
            runs=tuple(r for r in seen.runs if r.source in names),
            partial=(f"{ill.name}: shown as last read",) if read else (),
        )

    return change


def _empty(seen: Snapshot) -> Snapshot:
    return replace(seen, runs=())


DOWN = _state(SourceState.DOWN, "squeue: no answer within 12 s; is slurmctld up?")
DENIED = _state(SourceState.DENIED, "squeue: access denied; ask the admin", read=False)
STALE = _state(SourceState.STALE, "no answer before the deadline")

PICTURES: tuple[Picture, ...] = (
    *_both("overview"),
    *_both("runs", "2"),
    *_both("run", "2", "down", "enter"),
    *_both("nodes", "3"),
    *_both("node", "3", "enter"),
    *_both("gpu", "3", "enter", "down", "enter"),
    *_both("advice", "4"),
    *_both("tradeoffs", "4", "t"),
    *_both("fractions", "F"),
    *_both("reports", "5"),
    *_both("experiments", "6"),
    *_both("tracked", "6", "slash", *"llama-ft-16", "enter", "enter"),
    *_both("compare", "6", "slash", *"llama-ft-1", "enter", *["space"] * 4, "equals_sign", "P"),
    Picture(name="usage-80x24", keys=("5", *"RRRR")),
    Picture(name="ask-80x24", keys=("5", "a")),
    Picture(name="why-80x24", keys=("2", "slash", *"state=pending", "enter", "w")),
    Picture(name="log-80x24", keys=("2", "l")),
    Picture(name="filter-80x24", keys=("2", "slash", *"gpu>=4 sta=x")),
    Picture(name="nothing-80x24", keys=("2", "slash", *"gpu>=64", "enter")),
    Picture(name="marked-80x24", keys=("2", "space", "space", "space")),
    Picture(name="cancel-80x24", keys=("2", "slash", *"user=me state=running", "enter", "c")),
    Picture(name="submit-80x24", keys=("n",)),
    Picture(name="command-80x24", keys=("2", "colon", *"ca")),
    Picture(name="help-80x24", keys=("2", "question_mark")),
    Picture(name="doctor-80x24", keys=("D",)),
    Picture(name="tour-80x24", keys=("0",)),
    Picture(name="journal-80x24", keys=("J",)),
    Picture(name="advice-apply-80x24", keys=("4", "A")),
    Picture(name="advice-ascii-80x24", keys=("4",), ascii_only=True),
    Picture(name="dryrun-80x24", keys=("4", "d")),
    Picture(name="verdicts-80x24", keys=("I",), applied=True),
    Picture(name="verdicts-200x50", keys=("I",), size=LARGE, applied=True),
    Picture(name="board-80x24", keys=("Z",)),
    Picture(name="board-200x50", keys=("Z",), size=LARGE),
    Picture(name="down-80x24", change=DOWN),
    Picture(name="stale-80x24", change=STALE),
    Picture(name="denied-80x24", keys=("2",), change=DENIED),
    Picture(name="past-80x24", keys=("left_curly_bracket", "left_square_bracket")),
    Picture(name="empty-80x24", keys=("2",), change=_empty),
    Picture(name="reading-80x24", unread=True),
    Picture(name="ascii-80x24", ascii_only=True),
    Picture(name="dark-80x24", theme="foundry-dark"),
    Picture(name="light-80x24", theme="foundry-light"),
    Picture(name="mono-80x24", theme="mono"),
    Picture(name="tiny-40x10", size=(40, 10)),
)


def site_of(picture: Picture) -> Site:
    """The simulated estate with a clock that stands still."""
    site = Site(options=Options(demo=True), config=Config(), mode="demo", tell=lambda words: None)
    moment = NOW
    sources = build(None, lambda: moment)
    site.schedulers = {source.name: source for source in sources}
    site.clock = sources[0].now
    site.waits_s = lambda: dict.fromkeys(site.schedulers, RETRY_S)  # type: ignore[method-assign]
    if picture.applied:
        # By another site, as another process would: what the screen's keeps is its own.
        before = Site(options=site.options, config=site.config, mode="demo", tell=site.tell)
        before.schedulers, before.clock = site.schedulers, site.clock
        _apply(before)
        moment = NOW + SINCE
    # One reading, and the feed's thread ends.
    site.wait_s = lambda: float("inf")  # type: ignore[method-assign]
    if picture.unread:
        site.snapshot = _never  # type: ignore[method-assign]
    elif (change := picture.change) is not None:
        seen = change(site.snapshot())
        if not seen.runs:
            for source in sources:
                source.accounting = _none_ended  # type: ignore[method-assign]
        site.snapshot = lambda patience_s=None, *, measured=True: seen  # type: ignore[method-assign]
    else:
        # However slow a host is, no source is left out of the one reading.
        read = site.snapshot
        site.snapshot = lambda patience_s=None, *, measured=True: read()  # type: ignore[method-assign]
    return site


def _apply(site: Site) -> None:
    """Carry the advice out, as far as the user of the simulated estate may."""
    seen = site.snapshot()
    plan = advise.advice(
        site,
        seen,
        policy="best",
        limit=None,
        check=True,
        progress=lambda words: None,
        time_limit_s=0.0,
    )
    mine = tuple(
        move.id
        for move in plan.moves
        if move.steps and not any(permitted.refusal(site, step, seen) for step in move.steps)
    )
    came = apply.carry_out(site, apply.prepare(site, plan, None, seen, only=mine))
    assert came.stopped is None


def _none_ended(window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
    return Accounting(window=window, records=(), rejects=())


def _never(patience_s: float | None = None, *, measured: bool = True) -> Snapshot:
    threading.Event().wait()
    raise AssertionError("waited for ever")


@contextmanager
def unhurried() -> Iterator[None]:
    """Advice without the exact search: how far that comes depends on how fast a host is."""
    from foundry_tui.actions.advise import advice

    def alike(*args: Any, **given: Any) -> Plan:
        return replace(advice(*args, **{**given, "time_limit_s": 0.0}), solve_s=0.04)

    with patch("foundry_tui.tui.screens.advice.advice", alike):
        yield


async def draw(picture: Picture) -> str:
    """The picture as SVG, without what differs from one drawing to the next."""
    with unhurried():
        return await _drawn(picture)


async def _drawn(picture: Picture) -> str:
    from foundry_tui.tui.app import Foundry

    app = Foundry(site_of(picture), ascii_only=picture.ascii_only)
    # What is shown of ages and waits is that of the first moment, however slow the host is.
    began = app.started_at
    app.monotonic = lambda: began
    kept = set(threading.enumerate())
    if picture.unread:
        kept.add(app.feed._thread)
    async with app.run_test(size=picture.size) as pilot:
        if picture.theme:
            app.theme = picture.theme
        await quiet(app, pilot, kept)
        for key in picture.keys:
            await pilot.press(key)
            await quiet(app, pilot, kept)
        assert picture.unread or (app.seen is not None and app.seen.fresh), "no reading came"
        shown = cleaned(app.export_screenshot(title="foundry"))
        await quiet(app, pilot, kept)
        again = cleaned(app.export_screenshot(title="foundry"))
        assert shown == again, "the screen goes on changing"
        return shown


def cleaned(svg: str) -> str:
    """The picture without ids that are drawn by lot, and without fonts from elsewhere."""
    return _TRAILING.sub("", _FONTS.sub("", _IDS.sub("foundry-", svg))).rstrip() + "\n"


@contextmanager
def away_from_home() -> Iterator[None]:
    """No picture depends on, or changes, what this user has done before."""
    names = ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")
    before = {name: os.environ.get(name) for name in (*names, "TZ", "MLFLOW_TRACKING_URI")}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in names:
            os.environ[name] = folder
        os.environ["TZ"] = "UTC"
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def main(names: Sequence[str]) -> None:
    """Write the pictures (all, or those named)."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        if not names or picture.name in names:
            with away_from_home():
                svg = asyncio.run(draw(picture))
            (FOLDER / f"{picture.name}.svg").write_text(svg)
            print(picture.name)


if __name__ == "__main__":
    main(sys.argv[1:])
