"""From the samples of an exporter to readings of GPUs: one set of names, units and holders.

Understood are the names of dcgm-exporter (what `foundry agent` serves too) with the drift of its
labels over the years, and the older `dcgm_...` names. What an exporter has no value for is None:
DCGM writes such "blank" values as very large numbers, and a number that its unit cannot have is
not believed either.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from foundry_tui.estate.reading import Reading
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.exposition.gpu import Moment, OneGpu, told
from foundry_tui.telemetry.exposition.text import Page
from foundry_tui.telemetry.names import short

WINDOW_S = 60
STALE_S = 180.0
"""Age of a window after which its values say nothing about now."""
SKEW_S = 5.0
"""How far a node's clock may be from ours before it is said."""


def readings(
    page: Page,
    *,
    node: str | None,
    source: str,
    now: datetime,
    peer_at: float | None = None,
    took_s: float = 0.0,
    moment: Moment | None = None,
) -> tuple[Reading, ...]:
    """A reading of every GPU on a page, in the order of their indices.

    Args:
        page: what one node told, or a server about many.
        node: the node that was asked: its own name for itself does not count then. None takes it
            from the labels.
        source: name of the source.
        now: when the page was read.
        peer_at: what the node's clock said then (unix seconds), where it is known.
        took_s: how long the answer took: that much of a difference between the clocks may be ours.
        moment: when the values were measured, where the page itself does not say it.
    """
    when = moment or moment_of(page, now, peer_at, took_s)
    asked = None if node is None else short(node).lower()
    gpus: dict[tuple[str, int], OneGpu] = {}
    for labels, values in page.sets:
        said = told(labels)
        if said.index is None:
            continue
        name = node or said.host
        if not name:
            continue
        gpu = gpus.get((name, said.index))
        if gpu is None:
            gpu = gpus[name, said.index] = OneGpu(safe(name), said.index, said)
            if asked and said.host and said.host.lower() != asked:
                gpu.remarks.append(f"the node calls itself {safe(said.host, max_cells=64)}")
        gpu.take(said, values)
    return tuple(gpus[at].reading(source, when) for at in sorted(gpus))


def moment_of(
    page: Page, now: datetime, peer_at: float | None = None, took_s: float = 0.0
) -> Moment:
    """When the values of a node's page were measured, on our clock; the rest as of `readings`."""
    alone: dict[str, float] = {}
    problem, unresponsive, processes = None, False, False
    for labels, values in page.sets:
        if not labels:
            alone = values
        elif "foundry_gpu_job_info" in values:
            processes = True
        elif "foundry_agent_problem_info" in values:
            kind, words = labels.get("problem", ""), labels.get("reason", "")
            problem = f"the agent has nothing fresh: {safe(words or kind)}"
            unresponsive = kind == "unresponsive"
    end = alone.get("foundry_agent_window_end_timestamp_seconds")
    theirs = alone.get("foundry_agent_time_seconds")
    ahead_s = _ahead_s(peer_at if theirs is None else theirs, now.timestamp(), took_s)
    when = Moment(
        read_at=now,
        how="dcgm-exporter" if theirs is None else "foundry agent",
        window_s=alone.get("foundry_agent_window_seconds", None if end is None else WINDOW_S),
        remarks=() if ahead_s == 0 else (_clock_words(ahead_s),),
        problem=problem,
        unresponsive=unresponsive,
        processes=processes or bool(alone.get("foundry_agent_processes_known")),
    )
    return _dated(when, page.oldest_at if end is None else end, ahead_s)


def _dated(when: Moment, end: float | None, ahead_s: float) -> Moment:
    """The moment with the end of its window, or with the time that its samples carry."""
    ours = when.read_at.timestamp()
    if end is None or not 0 < end < 1e11:
        return when
    age_s = ours - (end - ahead_s)
    end -= ahead_s
    if ahead_s and when.window_s:  # windows end on whole minutes, whatever the node's clock says
        end = end // WINDOW_S * WINDOW_S
    stale = f"the last values are {_span(age_s)} old" if age_s > STALE_S else None
    return replace(when, read_at=datetime.fromtimestamp(min(end, ours), UTC), stale=stale)


def _ahead_s(theirs: float | None, ours: float, took_s: float) -> float:
    """By how much the other clock is ahead, 0 when that is no more than `SKEW_S`."""
    if theirs is None:
        return 0.0
    ahead_s = theirs - ours
    if ahead_s < 0:
        ahead_s = min(0.0, ahead_s + took_s)
    return ahead_s if abs(ahead_s) > SKEW_S else 0.0


def _clock_words(ahead_s: float) -> str:
    side = "ahead" if ahead_s > 0 else "behind"
    return f"the node's clock is {_span(abs(ahead_s))} {side}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
