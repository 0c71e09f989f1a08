"""One run in full, and what of each source was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.run import Attribution, Run, RunState
from foundry_tui.estate.text import SafeText, cells, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.nodepanel import PORTION
from foundry_tui.presenters.page import Style, coloured, finish, wrap
from foundry_tui.presenters.tables import gpus_each, placement_text, spent_s, text
from foundry_tui.presenters.tracked import TrackedSide, tracked_lines

ATTRIBUTION = {
    Attribution.PROCESS: "its own, by its processes",
    Attribution.JOINT: "joint: its share of what a shared GPU does",
}
"""How a run's use was told from that of others on the same GPUs, where it shares them."""

_PORTIONED = frozenset({"runai", "kai"})
"""Schedulers whose parts of a GPU are portions of its memory."""


class Finding(Protocol):
    """One thing that was looked for: `state` is found, missing, broken or the like.

    `mend` is the one command or sentence that mends it.
    """

    @property
    def what(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def found(self) -> SafeText: ...
    @property
    def mend(self) -> str | None: ...


def doctor_text(sources: Sequence[tuple[str, str, Sequence[Finding]]], style: Style) -> str:
    """What was found of each source (name, kind, findings), and what mends the rest.

    A mending command stands on its own line and is never cut.
    """
    lines: list[str] = []
    for name, kind, findings in sources:
        lines += ["", *wrap(name if name == kind else f"{name} ({kind})", style.width)]
        wide = max((cells(safe(f.what)) for f in findings), default=0)
        states = max((len(safe(f.state)) for f in findings), default=0)
        for finding in findings:
            what = f"  {safe(finding.what):<{wide}}  "
            state = f"{safe(finding.state):<{states}}"
            rest = " " * (wide + states + 6)
            told = wrap(finding.found, style.width, first=f"{what}{state}  ", rest=rest)
            if style.colour:
                after = told[0][len(what) + len(state) :]
                told[0] = what + coloured(finding.state, state) + after
            lines += told
            if finding.mend:
                lines.append(f"{' ' * (wide + 4)}mend: {safe(finding.mend, max_cells=4096)}")
    return finish(lines[1:], style)


def run_details(
    run: Run,
    *,
    now: datetime,
    style: Style,
    details: Mapping[str, SafeText] | None = None,
    missing: Sequence[str] = (),
    tracked: TrackedSide | None = None,
) -> str:
    """Everything about one run: the scheduler's own words, its record, what could not be had."""
    lines = wrap(f"{run.id}  {run.name}", style.width)
    lines += _pairs(facts(run, now), style)
    if details:
        lines += ["", f"In {run.scheduler}'s words"]
        lines += _pairs(list(details.items()), style)
    if tracked is not None:
        lines += ["", *tracked_lines(tracked, style)]
    for what in missing:
        lines += ["", *wrap(f"not known: {what}", style.width, rest="  ")]
    return finish(lines, style)


def facts(run: Run, now: datetime) -> list[tuple[str, str]]:
    """What is known of a run, each with its name; what says nothing is left out."""
    request = run.request
    spent = units.duration(spent_s(run, now))
    verb = "waited" if run.state is RunState.PENDING else "ran"
    each = f" for each of {run.count} tasks" if run.count > 1 else ""
    asked = [f"{gpus_each(request)} GPUs{each}", request.gpu_model or ""]
    asked += [request.mig_profile or ""]
    if request.gpu_memory_bytes is not None:
        asked += [f"{units.size(request.gpu_memory_bytes)} of GPU memory on each"]
    asked += [f"{units.gpus(request.cpu_milli)} CPUs", f"{units.size(request.memory_bytes)} memory"]
    asked += [f"{request.nodes} nodes"] * (request.nodes > 1)
    limit = units.duration(request.time_limit_s) if request.time_limit_s is not None else "none"
    fields = [
        ("state", f"{run.state.value}{', held' if run.held else ''}, {verb} {spent}"),
        ("reason", run.reason or ""),
        ("user", text(run.user)),
        ("account", text(run.account)),
        ("queue", text(run.queue)),
        ("qos", run.qos or ""),
        ("priority", units.number(run.priority)),
        ("asks for", ", ".join(part for part in asked if part)),
        ("portion", _portion(run)),
        ("time limit", limit),
        ("placement", placement_text(run.placement)),
        ("utilisation", _util(run)),
        ("submitted", units.when(run.submitted_at)),
        ("eligible", _time(run.eligible_at)),
        ("started", _time(run.started_at)),
        ("may start", _time(run.estimated_start_at)),
        ("ends by", _time(run.ends_by)),
        ("ended", _time(run.ended_at)),
        ("exit code", "" if run.exit_code is None else str(run.exit_code)),
        ("array", f"{run.array.job_id}, tasks {run.array.tasks}" if run.array else ""),
        ("mlflow run", run.mlflow_run_id or ""),
        ("token", run.submit_token or ""),
    ]
    return [(key, value) for key, value in fields if value]


def _portion(run: Run) -> str:
    """What a part of a GPU gives in the schedulers that know portions."""
    each, request = run.request.milli_per_gpu, run.request
    part = request.gpu_memory_bytes is not None or (each is not None and each < WHOLE_MILLI)
    return PORTION if part and run.scheduler in _PORTIONED else ""


def _util(run: Run) -> str:
    if run.placement and run.request.gpu_count:
        how = None if run.gpu_util_how is None else ATTRIBUTION.get(run.gpu_util_how)
        told = f" ({how})" if how else ""
        return f"{units.percent(run.gpu_util_pct)} of its GPUs{told}"
    return ""


def _time(moment: datetime | None) -> str:
    return units.when(moment) if moment else ""


def _pairs(pairs: Sequence[tuple[str, str]], style: Style) -> list[str]:
    wide = max((len(safe(key)) for key, _ in pairs), default=0)
    lines: list[str] = []
    for key, value in pairs:
        head = f"  {safe(key):<{wide}}  "
        lines += wrap(value, style.width, first=head, rest=" " * len(head))
    return lines
