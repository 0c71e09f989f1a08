"""Why a run waits, as text: the reason, the evidence, the next step with its exact command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.run import Run, RunState
from foundry_tui.estate.text import safe
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.records.why import Explanation

NO_STEP = "nothing that is known would start it sooner"


def why_page(
    run: Run, why: Explanation, command: Sequence[str] | None, *, now: datetime, style: Style
) -> str:
    """The explanation of one run as a short page."""
    state = run.state.value
    if run.state is RunState.PENDING:
        state = f"{'held' if run.held else state}, for {units.duration(run.wait_s(now))}"
    return why_text(
        title=f"{run.id} {run.name}: {state}",
        reason=why.diagnosis.reason,
        sentence=why.diagnosis.sentence,
        evidence=why.diagnosis.evidence,
        next_step=why.sentence or ("" if run.state is RunState.PENDING else "nothing to do"),
        command=command or (),
        estimate=f"{units.when(why.starts_at)}, by {why.how}" if why.starts_at else "",
        owner=(why.chosen.owner or "") if why.chosen else "",
        style=style,
    )


def why_text(
    *,
    title: str,
    reason: str,
    sentence: str,
    evidence: Sequence[str] = (),
    next_step: str = "",
    command: Sequence[str] = (),
    estimate: str = "",
    owner: str = "",
    style: Style,
) -> str:
    """One explanation as a short page.

    `title` names the run, `reason` is the scheduler's own word. `next_step` is the advice,
    `command` the argument list that carries it out, `owner` who must do it (empty: the reader),
    and `estimate` when the run would start and who says so. The command stands on one line of its
    own, whatever the width, so that it can be copied.
    """
    width = style.width
    lines = wrap(title, width)
    lines += wrap(f"{sentence[:1].upper()}{sentence[1:]}.", width, first="  ", rest="  ")
    if reason and reason != "None":
        lines += wrap(f"(the scheduler says: {reason})", width, first="  ", rest="  ")
    if evidence:
        lines += ["", "Evidence"]
        for fact in evidence:
            lines += wrap(fact, width, first="  - ", rest="    ")
    lines += ["", "Next step"]
    lines += wrap(next_step or NO_STEP, width, first="  ", rest="  ")
    if owner:
        lines += wrap(f"who: {owner}", width, first="  ", rest="  ")
    if command:
        shown = shlex.join(command)
        lines.append(f"  $ {safe(shown, max_cells=8 * len(shown))}")
    if estimate:
        lines += wrap(f"start: {estimate}", width, first="  ", rest="  ")
    return finish(lines, style)
