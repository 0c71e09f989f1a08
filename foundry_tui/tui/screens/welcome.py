"""The first start: what was found on this host, shown once and never in the way."""

from __future__ import annotations

from foundry_tui.actions.onscreen import key_text
from foundry_tui.estate.text import safe
from foundry_tui.presenters.page import wrap
from foundry_tui.tui.bars import Part
from foundry_tui.tui.screens.doctor import Checked, Doctor


class Welcome(Doctor):
    """The checklist of sources with a few words before it."""

    crumb = "Welcome"
    hints = ("back", "tour", "doctor", "command")
    about = "What was found at the first start. The same list is always behind the doctor's key."

    def shown(self, checked: Checked) -> Checked:
        """Without the simulated sources where nobody asked for them: they are no find."""
        if self.foundry.site.unasked:
            return [source for source in checked if source[1] != "simulated"]
        return checked

    def introduction(self, width: int) -> list[list[Part]]:
        """What is behind this page, and the keys that go on."""
        site, keys = self.foundry.site, self.foundry.keys
        key = {name: key_text(keys.key_of(name)) for name in ("back", "tour", "help", "doctor")}
        if site.unasked:
            told = (
                "No scheduler was found on this host. Behind this page is a simulated estate, "
                "made up from end to end: nothing you do there touches a real machine."
            )
            go_on = f"{key['tour']} a tour in five keys   "
        elif not site.schedulers:
            what = "what its GPUs do"
            if site.tracker is not None:
                what += f", and the tracked runs of {safe(site.tracker.url)}"
            told = f"No scheduler was found on this host. Behind this page is {what}."
            go_on = ""
        else:
            told = f"Found: {', '.join(site.schedulers)}. Behind this page is what they tell."
            go_on = ""
        keys_told = (
            f"{key['back']} go on   {go_on}{key['help']} help   {key['doctor']} this list again"
        )
        return [
            [(" Welcome to Foundry", "title")],
            *([(line, "")] for line in wrap(told, width, first=" ", rest=" ")),
            [(f" {keys_told}", "key")],
        ]
