"""The words of the two top lines: who looks at what, how old it is, and which sources answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundry_tui.estate.run import LIVE
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.text import safe
from foundry_tui.presenters import units
from foundry_tui.tui.bars import Part

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry

LEADER_CELLS = 28
"""Room for the words about who collects, where this process does not."""

TABS = (("overview", "Overview"), ("runs", "Runs"), ("nodes", "Nodes"), ("advise", "Advice"))
TABS_ALL = (*TABS, ("report", "Reports"), ("experiments", "Experiments"))
"""Mode -> title, in the order of the digits."""

SHORT = {"experiments": "Exp"}
"""Titles where the words about the sources would have no room beside the whole ones."""

ROOMY = 100
"""From so many cells on, every title is whole."""

_TONES = {
    SourceState.OK: "dim",
    SourceState.SLOW: "warn",
    SourceState.STALE: "warn",
    SourceState.DOWN: "bad",
    SourceState.DENIED: "bad",
    SourceState.OFF: "dim",
}


def status_parts(foundry: Foundry, *, small: bool) -> tuple[list[Part], list[Part]]:
    """The first line: the estate on the left; age, link and who on the right."""
    site = foundry.site
    what = {"demo": "simulated estate (x12)", "saved": "saved estate"}.get(
        site.mode, ", ".join(site.schedulers) or "no scheduler"
    )
    left: list[Part] = [(" foundry", "title"), (f" · {what}", "dim")]
    if small:
        # First, as there may be no room for more.
        left = [(f" {foundry.size.width}x{foundry.size.height}: 80x24 shows all", "warn"), *left]
    if held := foundry.sender.told:
        left = [(" foundry", "title"), (f" · {held} · {foundry.sender.how}", "warn")]
    right: list[Part] = []
    if foundry.paused:
        right.append(("paused  ", "warn"))
    if (age := foundry.data_age()) is not None:
        words, tone = age
        right.append((f"{words}  ", tone))
    if not small and foundry.seen is not None and (leader := site.leader) is not None:
        # Without the age behind the comma: a word that changes every second is bytes.
        who = safe(leader.partition(",")[0], max_cells=LEADER_CELLS)
        right.append((f"{who}  ", "dim"))
    if (link_s := foundry.pacer.link_s) is not None:
        right.append((f"link {_link(link_s)}  ", "warn" if link_s > 1 else "dim"))
    mode = " read-only" if foundry.read_only else ""
    right.append((f"{site.user_shown}{mode} ", "warn" if mode else "dim"))
    return left, right


def _link(seconds: float) -> str:
    """How long the terminal takes, in coarse steps: each change of this word is bytes."""
    if seconds >= 0.95:
        return f"{seconds:.0f} s"
    return f"{max(10, round(seconds * 100) * 10)} ms"


def tab_parts(foundry: Foundry) -> list[Part]:
    """The six places with their counts; the one that is shown is reversed."""
    counts: dict[str, int] = {}
    if (seen := foundry.seen) is not None:
        counts["runs"] = sum(r.count for r in seen.runs if r.state in LIVE)
        counts["nodes"] = len(seen.snapshot.nodes)
    if foundry.advice_count is not None:
        counts["advise"] = foundry.advice_count
    parts: list[Part] = [(" ", "")]
    for digit, (mode, title) in enumerate(TABS_ALL, 1):
        count = f" {counts[mode]}" if mode in counts else ""
        if foundry.size.width < ROOMY:
            title = SHORT.get(mode, title)
        tone = "cursor" if mode == foundry.current_mode else ""
        parts += [(f"{digit} {title}{count}", tone), ("  ", "")]
    return parts


def sources_parts(foundry: Foundry) -> list[Part]:
    """Each source with its state when it is not well; a mark comes before the colour.

    Those that are not well stand first, because the end is cut where there is no room.
    """
    if foundry.travel.moment is not None:
        return []
    if (seen := foundry.seen) is None:
        return [("reading … ", "warn")]
    parts: list[Part] = []
    for source in sorted(seen.snapshot.sources, key=lambda s: s.state is SourceState.OK):
        tone = _TONES[source.state]
        if source.state is SourceState.OK:
            parts.append((f"{source.name} ", tone))
        else:
            aged = source.age_s(seen.now)
            old = "" if aged is None else f" {units.age(aged)}"
            mark = "" if source.state is SourceState.OFF else "!"
            parts.append((f"{mark}{source.name} {source.state.value}{old} ", tone))
    return parts
