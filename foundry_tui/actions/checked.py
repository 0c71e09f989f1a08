"""What the doctor says of readings: their sources, who collects, the history, what contradicts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from foundry_tui.actions import sharing
from foundry_tui.actions.site import Site
from foundry_tui.config.places import fs_type
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Probe

Found = tuple[str, str, tuple[Probe, ...]]
"""The name of a source, its kind, and what was found of it."""

KIND = "telemetry"


def sharing_lines(site: Site) -> list[Found]:
    """The sources of readings, side by side, and what is done with what they give."""
    live = site.mode == "live"
    if live and site.schedulers and not site.sharing.stays:
        site.snapshot()  # what the screens read is matched already
    nodes = (site.collector.nodes() or ()) if live else ()
    with ThreadPoolExecutor(max_workers=max(1, len(site.telemetry))) as pool:
        probed = list(pool.map(lambda m: m.source.probe(nodes), site.telemetry))
    found = [
        (m.source.name, KIND, tuple(_probe(f.what, f.state, f.found, f.mend) for f in lines))
        for m, lines in zip(site.telemetry, probed, strict=True)
    ]
    if not live:
        return found
    lines = [_collector(site), _shared(site), _history(site)]
    lines += _attribution(site)
    return [*found, ("collector", "collector", tuple(lines))]


def _probe(what: str, state: str, found: str, mend: str | None = None) -> Probe:
    return Probe(what=what, state=state, found=safe(found, max_cells=400), mend=mend)


def _collector(site: Site) -> Probe:
    """Who of the user's processes collects."""
    from foundry_tui.collector.publish import Untrusted
    from foundry_tui.collector.sharing import HUNG_S

    lead, board = site.sharing.lead, site.sharing.board
    if lead is None or board is None:
        return _probe("collector", "missing", "no folder to share in; each process reads alone")
    if lead.problem is not None:
        mend = "set cache_dir to a folder on a local disk"
        return _probe("collector", "missing", f"{lead.problem}; no history is kept", mend)
    holder = lead.holder()
    if holder is None:
        words = "nobody collects now: the screens do, or `foundry collect`"
        return _probe("collector", "off", words)
    who = f"pid {holder.pid} since {holder.since:%Y-%m-%d %H:%M} UTC"
    try:
        told = board.standing()
    except Untrusted as error:
        return _probe("collector", "stale", f"{who}; {error}", f"kill {holder.pid}")
    if told is None:
        return _probe("collector", "stale", f"{who}; it has published nothing")
    age_s = board.age_s(told)
    words = f"{who}; its last sign of life was {age_s:.0f} s ago"
    if age_s >= HUNG_S:
        return _probe("collector", "stale", words, f"kill -CONT {holder.pid}, or kill it")
    if told.estate != site.sharing.estate:
        return _probe("collector", "found", f"{words}; with another configuration than this one")
    return _probe("collector", "found", words)


def _shared(site: Site) -> Probe:
    """The collector that serves the whole host."""
    from foundry_tui.collector.publish import Untrusted

    what = "shared collector"
    board, words = sharing.shared_board(site)
    if board is None:
        folder = sharing.shared_folder(site.config)
        there = folder.is_symlink() or folder.exists()
        return _probe(what, "denied" if there else "off", words)
    try:
        told = board.standing()
    except Untrusted as error:
        return _probe(what, "denied", str(error))
    if told is None:
        return _probe(what, "stale", f"{board.folder} is {words}'s; it has published nothing")
    shared = ", ".join(told.shared) or "no source: their runs are not for everybody"
    said = f"{board.folder} is {words}'s, {board.age_s(told):.0f} s old; it tells of {shared}"
    return _probe(what, "found", said)


def _history(site: Site) -> Probe:
    """The history that the screens show."""
    from foundry_tui.store.history import HistoryError

    if (place := sharing.past_place(site)) is None:
        return _probe("history", "missing", "there is no folder for one")
    folder = place[0]
    where = f"{folder} ({fs_type(folder) or 'unknown file system'})"
    try:
        past = site.past
        span = past.span() if past is not None else None
    except HistoryError as error:
        return _probe("history", "broken", str(error))
    if span is None:
        return _probe("history", "off", f"{where}: nothing was recorded yet")
    size = sum(_size(path) for path in folder.glob("*")) / (1 << 20)
    words = f"{where}: {size:.1f} MiB, {span.first:%Y-%m-%d %H:%M} to {span.last:%Y-%m-%d %H:%M}"
    return _probe("history", "found", f"{words} UTC")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _attribution(site: Site) -> Sequence[Probe]:
    """What does not fit between the readings and what the schedulers say."""
    told = site.collector.join.last
    if told is None:
        return ()
    lines = [_probe("attribution", "contradiction", words) for words in told.remarks]
    if not lines:
        left = f"; {told.unmatched} of GPUs that no scheduler lists" if told.unmatched else ""
        lines.append(_probe("attribution", "found", f"{len(told.by_gpu)} GPUs measured{left}"))
    return lines
