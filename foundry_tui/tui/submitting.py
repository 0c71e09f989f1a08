"""Sending what the form says: asked, looked for as a broken-off try, held, sent, followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundry_tui.actions import act
from foundry_tui.actions import draft as drafts
from foundry_tui.actions.act import Prepared
from foundry_tui.actions.draft import Draft
from foundry_tui.actions.errors import ActionError, SourceMissing
from foundry_tui.actions.link import Unlinkable
from foundry_tui.estate.acts import Change, ReceiptStatus
from foundry_tui.estate.run import Run, run_id
from foundry_tui.presenters.draft import sending_lines
from foundry_tui.presenters.toned import paragraph
from foundry_tui.tui.confirm import Question
from foundry_tui.tui.feed import Seen

if TYPE_CHECKING:
    from foundry_tui.tui.place import Place

_SENT = (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)


class Submitting:
    """One submit of the form `place` at a time. What comes later is told wherever the user is."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._awaited: tuple[str, str] | None = None

    # -- before it is sent

    def begin(self, draft: Draft) -> None:
        """Spell it out and ask."""
        place, app = self._place, self._place.foundry
        place.say("the submit is being prepared …")

        def ask(prepared: Prepared) -> None:
            if app.place is not place:
                return
            place.say("")
            place.confirm(self._question(draft, prepared))

        site = app.site
        app.work_on("prepare", lambda: drafts.prepare(site, draft), ask)

    def _question(self, draft: Draft, prepared: Prepared) -> Question:
        """The whole command, broken into lines: nothing of it may be out of sight."""
        refused = bool(prepared.preview.refused)
        lines = sending_lines(prepared.preview, prepared.notes, self._width())
        hold_s = self._place.foundry.site.config.screens.hold_s
        held = f" (held {hold_s:g} s, u takes it back)" if hold_s else ""
        return Question(
            title=f"submit {_name(draft)}" + (": refused" if refused else ""),
            lines=(*lines, [], [(" A cancel ends it again.", "dim")]) if not refused else (*lines,),
            answer="" if refused else "y",
            agreed=lambda: self._agreed(draft, prepared),
            how="" if refused else f"type y to submit it{held}",
        )

    def _agreed(self, draft: Draft, prepared: Prepared) -> None:
        """Look for an earlier try of the same submit that did arrive, then hold it."""
        app, site = self._place.foundry, self._place.foundry.site
        self._say("looking for an earlier try, and at what it needs …")

        def look() -> tuple[str, str, str] | SourceMissing | None:
            drafts.keep(site, draft)
            try:
                found = act.first_try(site, prepared)
            except SourceMissing as error:
                return error
            if found is None and prepared.spec is not None:
                from foundry_tui.actions import preflight

                verdict = preflight.of_submit(
                    site, prepared, commands=True, told=lambda words: None
                )
                if verdict is not None:
                    preflight.require(verdict)
            return None if found is None else (found[0].change.id, found[0].source, found[1].target)

        def then(found: tuple[str, str, str] | SourceMissing | None) -> None:
            self._say("")
            if found is None:
                self._hold(draft, prepared)
            elif isinstance(found, SourceMissing):
                self._unclear(draft, prepared, found)
            else:
                change, source, native = found
                words = f"the first try ({change}) had reached {source} as {native}"
                self._say(f"{words}: not submitted again", "warn")
                self._follow(source, native)

        app.work_on("first-try", look, then)

    def _unclear(self, draft: Draft, prepared: Prepared, error: SourceMissing) -> None:
        """An earlier try may still arrive: only who knows that it did not sends another."""
        self._ask(
            Question(
                title="An earlier try may have arrived",
                lines=tuple(paragraph(str(error), self._width())),
                answer="new",
                agreed=lambda: self._hold(draft, prepared),
                how="type new to submit it all the same",
            ),
            str(error),
        )

    # -- sent

    def _hold(self, draft: Draft, prepared: Prepared) -> None:
        self._place.foundry.sender.hold(
            (prepared,),
            f"submit {_name(draft)}",
            then=lambda changes: self._sent(prepared, changes),
            failed=lambda error: self._failed(draft, error),
        )

    def _sent(self, prepared: Prepared, changes: tuple[Change, ...]) -> None:
        receipt = changes[0].receipts[0]
        if receipt.status not in _SENT:
            return
        words = f"submitted {run_id(prepared.source, receipt.target)}"
        self._say(f"{words}: {receipt.message}" if receipt.message else words, "good")
        self._follow(prepared.source, receipt.target)

    def _failed(self, draft: Draft, error: ActionError) -> None:
        """Without a tracking server it can be sent unlinked, but only if the user says so."""
        if not isinstance(error, Unlinkable):
            return
        self._ask(
            Question(
                title="Submit without an MLflow record?",
                lines=tuple(paragraph(str(error), self._width())),
                answer="unlinked",
                agreed=lambda: self._unlinked(draft),
                how="type unlinked to submit it so",
            ),
            f"not submitted: {error}",
        )

    def _unlinked(self, draft: Draft) -> None:
        app, site = self._place.foundry, self._place.foundry.site

        def hold(prepared: Prepared) -> None:
            self._hold(draft, prepared)

        app.work_on("prepare-unlinked", lambda: drafts.prepare(site, draft, unlinked=True), hold)

    # -- afterwards

    def _follow(self, source: str, native: str) -> None:
        """Open the run when it is seen, if the user still waits for it on the form."""
        app = self._place.foundry
        if app.place is self._place:
            self._awaited = (source, native)
            app.feed.hurry()
            if app.seen is not None:
                self.look(app.seen)

    def look(self, seen: Seen) -> None:
        """Whether the run that is waited for is in this reading."""
        if self._awaited is None or self._place.foundry.place is not self._place:
            return
        source, native = self._awaited
        found = (r for r in seen.runs if r.source == source and _is(r, native))
        if (run := next(found, None)) is None:
            return
        self._awaited = None
        app, words = self._place.foundry, self._place.prompt.said.strip()
        app.pop_screen()
        app.open_run(run.id)
        app.call_after_refresh(lambda: self._say(words, "good"))

    def _ask(self, question: Question, otherwise: str) -> None:
        """Ask on the form; where the user is elsewhere nothing may come between the keys."""
        if self._place.foundry.place is self._place:
            self._place.confirm(question)
        else:
            self._say(otherwise, "bad")

    def _say(self, words: str, tone: str = "") -> None:
        shown = self._place.foundry.place
        if shown is not None:
            shown.say(words.replace("\n", " "), tone)

    def _width(self) -> int:
        return max(20, self._place.size.width - 2)


def _is(run: Run, native: str) -> bool:
    return run.native_id == native or (run.array is not None and run.array.job_id == native)


def _name(draft: Draft) -> str:
    return draft.script.strip().rpartition("/")[2]
