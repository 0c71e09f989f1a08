"""From previews to the question that the panel asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foundry_tui.actions.act import Prepared
from foundry_tui.presenters.changes import preview_text
from foundry_tui.presenters.page import Style
from foundry_tui.presenters.toned import Line
from foundry_tui.tui.confirm import Question


def question_of(
    prepared: Sequence[Prepared],
    words: str,
    *,
    hold_s: float,
    width: int,
    ascii_only: bool,
    agreed: Callable[[], None],
) -> Question:
    """What would be sent, in full, and what has to be typed.

    One run of one's own is agreed to by `y`, anything else by its count and `y`: a digit alone
    also is the key of another screen, and 1 is the beginning of 12.
    """
    style = Style(width=max(20, width - 2), ascii=ascii_only)
    lines: list[Line] = []
    for one in prepared:
        lines += [toned(line) for line in preview_text(one.preview, style).splitlines()]
        for note in one.notes:
            lines.append([(f" {note}", "dim")])
    if all(len(p.preview.refused) == len(p.preview.items) for p in prepared):
        return Question(title=f"{words}: refused", lines=tuple(lines), answer="")
    count = sum(p.count for p in prepared)
    own = len(prepared) == 1 and prepared[0].one_own
    answer = "y" if own else f"{count}y"
    held = f" (held {hold_s:g} s, u takes it back)" if hold_s else ""
    what = "it" if own else f"this to {count} run{'' if count == 1 else 's'}"
    return Question(
        title=words,
        lines=tuple(lines),
        answer=answer,
        agreed=agreed,
        how=f"type {answer} to do {what}{held}",
    )


def toned(line: str) -> Line:
    """A line of a preview: what is refused, lost or final stands out."""
    bare = line.strip()
    if bare.startswith(("refused:", "Refused:", "Changed since", "Needs approval:")):
        return [(f" {line}", "bad")]
    if bare.startswith(("warning:", "This cannot", "Work thrown")):
        return [(f" {line}", "warn")]
    return [(f" {line}", "strong" if line and not line.startswith(" ") else "")]
