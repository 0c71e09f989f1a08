"""Five steps, five keys: what a newcomer needs first, tried on the simulated estate.

A step is over when its ability is used, by whatever key it has; Escape ends the tour at any time.
"""

from __future__ import annotations

from foundry_tui.actions.onscreen import key_text
from foundry_tui.presenters.page import wrap
from foundry_tui.tui.bars import Part
from foundry_tui.tui.keys import Keys

STEPS: tuple[tuple[str, str], ...] = (
    ("runs", "shows every run of both schedulers in one list."),
    ("filter", "narrows the list as you type: try state=pending, and Enter keeps it."),
    ("why", "tells why the run under the cursor waits, and what would start it."),
    ("command", "finds anything: a few letters of a run, node, user or action, then Enter."),
    ("help", "lists what works on the screen you are on, with its keys."),
)
"""Id of the action that ends the step, and what its key does."""


class Tour:
    """Where the reader is."""

    def __init__(self) -> None:
        self.at = 0

    @property
    def over(self) -> bool:
        """Whether every step was taken."""
        return self.at >= len(STEPS)

    def did(self, action_id: str) -> None:
        """An ability was used; the right one takes the tour a step on."""
        if not self.over and action_id == STEPS[self.at][0]:
            self.at += 1

    def lines(self, keys: Keys, width: int) -> list[list[Part]]:
        """The strip: a rule with the step, the key to press, and what it does."""
        leave = key_text(keys.key_of("back"))
        if self.over:
            head, words = "tour: done", "That was the tour. The other keys are in the help."
        else:
            action_id, does = STEPS[self.at]
            head = f"tour {self.at + 1} of {len(STEPS)}"
            words = f"Press {key_text(keys.key_of(action_id))} : it {does}"
        rule = f"─ {head} · {leave} leaves ".ljust(width, "─")
        told = wrap(words, width, first=" ", rest=" ")
        return [[(rule, "accent")], *([(line, "strong")] for line in told[:2])]
