"""Fractions as text and as lines: what a share of a GPU costs, and what runs could ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from foundry_tui.estate.fractions import Fractions, ShareAdvice, ShareCost
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.presenters import units
from foundry_tui.presenters.page import Style, finish, wrap
from foundry_tui.presenters.table import Column, draw
from foundry_tui.presenters.toned import Line, heading, pairs, paragraph

LEAST_STRANDED_MILLI = 10
"""What strands less than this is called nothing."""

MOST_WHY = 20
"""Runs whose reason stands below the table."""

ASSUME = (
    "Advice needs a history of the run's use. What you know of it can stand for that: "
    "foundry fractions RUN --gpu-util PCT --memory GIB"
)
"""What to do where nothing is advised."""

COSTS = (
    Column("SHARE", "right"),
    Column("SOURCE", min_width=6, stretch=True),
    Column("ASKED", "right"),
    Column("COSTS", "right"),
    Column("STRANDS", "right"),
    Column("BESIDE IT", min_width=6, stretch=True, priority=2),
    Column("INSTEAD", "right"),
    Column("COSTS", "right", priority=1),
)
"""`ASKED` counts the live runs; `INSTEAD` is a smaller share that saves more than it gives up."""

ADVICE = (
    Column("RUN", min_width=8, stretch=True),
    Column("USER", min_width=4, stretch=True),
    Column("STATE", priority=2, state=True),
    Column("ASKS", "right"),
    Column("COSTS", "right"),
    Column("SAFE", "right"),
    Column("ADVISED", "right"),
    Column("BASIS", priority=1),
)


def share(milli: int | None) -> SafeText:
    """Thousandths of a GPU as a part of it: `0.81`, `0.125`."""
    if milli is None:
        return units.UNKNOWN
    return SafeText(f"{milli / WHOLE_MILLI:.3f}".removesuffix("0"))


def reckoned(milli: float | None) -> SafeText:
    """A cost in thousandths as a part of a GPU, in hundredths."""
    return units.UNKNOWN if milli is None else SafeText(f"{milli / WHOLE_MILLI:.2f}")


def stranded(cost: ShareCost) -> SafeText:
    """What is given to nobody, rounded; a few thousandths are none."""
    return reckoned(cost.stranded_milli if cost.stranded_milli >= LEAST_STRANDED_MILLI else 0)


def partners(cost: ShareCost) -> SafeText:
    """What fits beside it: `2 x 0.30 + 0.10`."""
    words = [
        str(share(milli)) if count == 1 else f"{count} x {share(milli)}"
        for milli, count in cost.partners
    ]
    return safe(" + ".join(words) or "nothing")


def cost_cells(cost: ShareCost) -> tuple[SafeText, ...]:
    """The cells of a cost, in the order of `COSTS`."""
    return (
        share(cost.milli),
        safe(cost.source),
        safe(str(cost.asked_by)),
        reckoned(cost.effective_milli),
        stranded(cost),
        partners(cost),
        share(cost.instead_milli),
        reckoned(cost.instead_effective_milli),
    )


def advice_cells(advice: ShareAdvice) -> tuple[SafeText, ...]:
    """The cells of a run's advice, in the order of `ADVICE`; `—` where nothing is advised."""
    return (
        safe(advice.run),
        safe(advice.user or ""),
        safe(advice.state),
        share(advice.asked_milli),
        reckoned(advice.effective_milli),
        share(advice.safe_milli),
        share(advice.advised_milli),
        safe(advice.basis),
    )


def fractions_text(found: Fractions, *, now: datetime, style: Style) -> str:
    """The whole page."""
    width = style.width
    aged = units.age(units.since_s(found.generated_at, now))
    lines = wrap(f"What a share of a GPU costs here, {aged} old", width)
    if found.costs:
        lines += ["", *draw(COSTS, [cost_cells(c) for c in found.costs], style).lines, ""]
        for cost in found.costs:
            lines += wrap(f"{cost.source}: {cost.why}", width, first="  ", rest="    ")
    if found.runs:
        drawn = draw(ADVICE, [advice_cells(a) for a in found.runs], style)
        lines += ["", *drawn.lines]
        if drawn.hidden:
            hidden = ", ".join(drawn.hidden).lower()
            lines += wrap(f"not shown at {width} columns: {hidden} (--wide shows all)", width)
        lines += _whys(found, width)
    for note in found.notes:
        lines += ["", *wrap(f"note: {note}", width, rest="  ")]
    return finish(lines, style)


def _whys(found: Fractions, width: int) -> list[str]:
    """Why each is advised what it is; runs that nothing is advised for together."""
    advised = [a for a in found.runs if a.advised_milli is not None]
    lines: list[str] = []
    for advice in advised[:MOST_WHY]:
        lines += ["", *wrap(f"Why {advice.run}: {advice.why}", width, rest="  ")]
        mig = (f"MIG: {advice.mig_profile} is the smallest that is safe",)
        for words in (*advice.evidence, *(mig if advice.mig_profile else ())):
            lines += wrap(words, width, first="  - ", rest="    ")
    if left := len(found.runs) - len(advised):
        noun = "run" if left == 1 else "runs"
        words = f"Nothing is advised for {left} {noun}: {unmeasured(found)}. {ASSUME}"
        lines += ["", *wrap(words, width)]
    return lines


def unmeasured(found: Fractions) -> str:
    """Why nothing is advised, in the words of the most frequent reason."""
    reasons = [
        advice.why.removeprefix("not advised: ").partition(",")[0]
        for advice in found.runs
        if advice.advised_milli is None
    ]
    if not reasons:
        return ""
    most = max(dict.fromkeys(reasons), key=reasons.count)
    others = len(reasons) - reasons.count(most)
    return f"{most}{f' ({others} for other reasons)' if others else ''}"


def cost_lines(cost: ShareCost, notes: Sequence[str], width: int) -> list[Line]:
    """What one share costs, who asks for it, and what that rests on."""
    asked = "run asks" if cost.asked_by == 1 else "runs ask"
    lines = paragraph(cost.why, width)
    lines += paragraph(f"{cost.asked_by} live {asked} for it on {cost.source}", width, tone="dim")
    for note in notes:
        lines += paragraph(note, width, tone="dim")
    return lines


def advice_lines(advice: ShareAdvice, width: int) -> list[Line]:
    """One run's advice with what it rests on."""
    rows = (
        ("asks", str(share(advice.asked_milli))),
        ("costs", str(reckoned(advice.effective_milli))),
        ("safe", str(share(advice.safe_milli))),
        ("advised", str(share(advice.advised_milli))),
        ("as MIG", advice.mig_profile or str(units.UNKNOWN)),
        ("basis", "no history" if advice.basis == "none" else advice.basis),
    )
    lines = paragraph(advice.why, width)
    lines += pairs(rows, width)
    if advice.evidence:
        lines.append(heading("Evidence"))
        for words in advice.evidence:
            lines += paragraph(f"- {words}", width, tone="dim")
    if advice.advised_milli is None:
        lines += paragraph(ASSUME, width, tone="dim")
    return lines
