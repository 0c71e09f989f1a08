"""What is new since the user last looked, on one line: the user's own runs first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.estate.glance import Glance, node_key, run_key
from foundry_tui.estate.node import PLACEABLE, Node, NodeState
from foundry_tui.estate.run import HOLDING, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.presenters import units
from foundry_tui.presenters.toned import Line

MOST_NAMES = 3
"""Nodes that are named; of more the number is told."""

_ENDED = {
    RunState.FAILED: "failed",
    RunState.TIMEOUT: "timed out",
    RunState.OUT_OF_MEMORY: "out of memory",
    RunState.NODE_FAIL: "lost with their node",
    RunState.PREEMPTED: "preempted",
    RunState.CANCELLED: "cancelled",
    RunState.COMPLETED: "completed",
}
_ORDER = ("started", *_ENDED.values(), "gone", "requeued", "submitted")
_BAD = frozenset({"failed", "timed out", "out of memory", "lost with their node"})
_WARN = frozenset({"preempted", "gone", "requeued"})
_NODE_BAD = frozenset({NodeState.DOWN, NodeState.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What has changed: counts of tasks by word, the user's own apart, and nodes by word."""

    since: datetime
    mine: Counter[str]
    others: Counter[str]
    nodes: dict[str, tuple[str, ...]]
    advice: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing has changed."""
        return not (self.mine or self.others or self.nodes or self.advice)


def news(
    before: Glance,
    snapshot: Snapshot,
    runs: Sequence[Run],
    *,
    me: frozenset[str],
    advice: int | None = None,
) -> News:
    """What has changed between a glance and a reading.

    `runs` are the live runs and those that ended lately, as far as known. A run of a source that
    does not answer now is not called gone, and one that is not in a glance that was not whole is
    not called new.
    """
    usable = {s.name for s in snapshot.sources if s.usable}
    mine: Counter[str] = Counter()
    others: Counter[str] = Counter()
    now_there: set[str] = set()
    for run in runs:
        key = run_key(run)
        now_there |= {key, run.id}
        if word := _word(run, before.runs.get(key), before):
            (mine if run.user in me else others)[word] += run.count
    for key in before.runs:
        if key not in now_there and key.partition("/")[0] in usable and not _is_range(key):
            (mine if key in before.mine else others)["gone"] += 1
    more = 0 if advice is None or before.advice is None else max(0, advice - before.advice)
    return News(
        since=before.at,
        mine=mine,
        others=others,
        nodes=_nodes(before, snapshot.nodes, usable),
        advice=more,
    )


def _word(run: Run, was: str | None, before: Glance) -> str:
    """What happened to a run; empty for nothing that is new."""
    if was is None:
        if run.state in HOLDING:
            return "started" if _after(run.started_at, before.at, unknown=before.whole) else ""
        if run.state is RunState.PENDING:
            return "submitted" if _after(run.submitted_at, before.at, unknown=before.whole) else ""
        return _ENDED.get(run.state, "") if _after(run.ended_at, before.at, unknown=False) else ""
    if run.state.value == was:
        return ""
    if run.state in HOLDING:
        return "started" if was == RunState.PENDING else ""
    if run.state is RunState.PENDING:
        return "requeued"
    return _ENDED.get(run.state, "")


def _after(moment: datetime | None, before: datetime, *, unknown: bool) -> bool:
    return unknown if moment is None else moment > before


def _is_range(key: str) -> bool:
    """The waiting part of an array is used up as its tasks start, and these are counted."""
    return key.endswith("_[]")


def _nodes(before: Glance, nodes: Sequence[Node], usable: set[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    there = set()
    for node in nodes:
        there.add(node_key(node))
        was = before.nodes.get(node_key(node))
        if was is None or was == node.state.value:
            continue
        if node.state in PLACEABLE:
            if was not in PLACEABLE:
                found.setdefault("back", []).append(node.name)
        elif node.state is NodeState.UNKNOWN:
            found.setdefault("silent", []).append(node.name)
        elif not (was in (NodeState.DRAINING, NodeState.DRAINED) and _draining(node)):
            found.setdefault(node.state.value, []).append(node.name)
    for key in before.nodes:
        source, _, name = key.partition("/")
        if key not in there and source in usable:
            found.setdefault("gone", []).append(name)
    return {word: tuple(names) for word, names in found.items()}


def _draining(node: Node) -> bool:
    return node.state in (NodeState.DRAINING, NodeState.DRAINED)


def news_line(found: News, now: datetime) -> Line:
    """`Since 13:41Z (you looked): yours: 1 failed · 5 started · b03 silent · 3 new advice`."""
    day = found.since.date() == now.date()
    clock = f"{found.since:%H:%M}Z" if day else units.when(found.since)
    line: Line = [(f"Since {clock} (you looked): ", "dim")]
    parts: list[list[tuple[str, str]]] = []
    if own := _counts(found.mine):
        parts.append([("yours: ", "strong"), *own])
    if rest := _counts(found.others):
        parts.append([("others: ", ""), *rest] if own else rest)
    for word, names in found.nodes.items():
        parts.append([(_named(names, word), _node_tone(word))])
    if found.advice:
        parts.append([(f"{found.advice} new advice", "accent")])
    if not parts:
        return [*line, ("nothing new", "dim")]
    for n, part in enumerate(parts):
        line += [(" · ", "dim")] * (n > 0) + part
    return line


def _counts(counter: Counter[str]) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    for word in _ORDER:
        if counter[word]:
            parts += [(", ", "")] * bool(parts)
            tone = "bad" if word in _BAD else "warn" if word in _WARN else ""
            parts.append((f"{counter[word]} {word}", tone))
    return parts


def _named(names: Sequence[str], word: str) -> str:
    shown = ", ".join(safe(name, max_cells=24) for name in names[:MOST_NAMES])
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{shown}{more} {word}"


def _node_tone(word: str) -> str:
    return "good" if word == "back" else "bad" if word in (*_NODE_BAD, "silent") else "warn"
