"""Why a run waits, as text: the reason, the evidence, the next step with its exact command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from foundry_tui.estate.text import safe
from foundry_tui.presenters.page import Style, finish, wrap

NO_STEP = "nothing that is known would start it sooner"


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
