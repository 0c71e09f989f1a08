"""Writing the note and the tags of a tracked run, from wherever one is shown."""

from __future__ import annotations

from collections.abc import Callable

from foundry_tui.actions.experiments import note as notes
from foundry_tui.estate.recorded import NOTE_TAG
from foundry_tui.estate.text import clip, safe
from foundry_tui.estate.tracked import TrackedRun
from foundry_tui.tui.place import Place

WAS_CELLS = 40
"""Room for the former text behind what was written."""


class Noting(Place):
    """A place with a tracked run in it, whose note and tags can be written."""

    def tracked_here(self) -> TrackedRun | None:
        """The tracked run that is meant; says so when there is none."""
        raise NotImplementedError

    def was_noted(self, run: TrackedRun) -> None:
        """Draw a run whose note or tags have been written."""
        raise NotImplementedError

    def do_note(self) -> None:
        run = self.tracked_here()
        if run is None:
            return
        before = run.tags.get(NOTE_TAG, "")
        if "\n" in before.strip():
            short = run.run_id[:12]
            words = f"its note has several lines: `foundry note {short} -` takes a new one"
            self.say(words, "warn")
            return

        def done(text: str) -> None:
            site = self.foundry.site
            self._write(lambda: (notes.note(site, run.run_id, text),))

        self.prompt.ask(" note, seen by all: ", safe(before, max_cells=4096), done=done)

    def do_tag(self) -> None:
        run = self.tracked_here()
        if run is None:
            return

        def done(text: str) -> None:
            key, sign, value = text.partition("=")
            if not text.strip():
                self.say("nothing was written")
            elif not sign:
                self.say(f"{text}: a tag is written as KEY=VALUE", "warn")
            else:
                site, tags = self.foundry.site, {key.strip(): value.strip()}
                self._write(lambda: notes.tag(site, run.run_id, tags))

        self.prompt.ask(" tag, seen by all (KEY=VALUE): ", done=done)

    def _write(self, call: Callable[[], tuple[notes.Noted, ...]]) -> None:
        def then(written: tuple[notes.Noted, ...]) -> None:
            for one in written:
                what = "note" if one.key == NOTE_TAG else f"tag {safe(one.key)}"
                was = clip(safe(one.before or ""), WAS_CELLS)
                told = f"it was {was!r}" if one.before else "there was none"
                if one.changed:
                    self.say(f"{what} of {one.run.name} written; {told}", "good")
                else:
                    self.say(f"{what} of {one.run.name} is so already")
            if written and self.is_mounted:
                self.was_noted(written[0].run)

        self.foundry.work_on(
            "note", call, then, lambda words: self.say(words.replace("\n", " "), "bad"),
            to_the_end=True,
        )  # fmt: skip
