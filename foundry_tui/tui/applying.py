"""Plans from the screens: applied and taken back. Prepared, asked, held, then done step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from foundry_tui.actions import apply, undoing
from foundry_tui.actions.errors import ActionError, SourceMissing
from foundry_tui.actions.site import Site
from foundry_tui.changes.apply import Applied
from foundry_tui.estate.plan import Plan
from foundry_tui.estate.precondition import observed
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.presenters.applied import prepared_text, taking_text
from foundry_tui.presenters.page import Style, wrap
from foundry_tui.tui.asking import toned
from foundry_tui.tui.came import entries_of
from foundry_tui.tui.confirm import Question
from foundry_tui.tui.sender import Outcome, Progress, Work

if TYPE_CHECKING:
    from foundry_tui.tui.place import Place


def ask_apply(
    place: Place, plan: Plan, only: tuple[str, ...], then: Callable[[bool], None] = lambda _: None
) -> None:
    """Hold these moves of a plan against the estate as it is, show every step, and ask.

    `then` is told when something of them was carried out, and whether all of it was.
    """
    foundry, stay = place.foundry, place.stay
    if (seen := foundry.seen) is None:
        place.say("nothing was read yet", "warn")
        return
    site, words = foundry.site, f"apply plan {plan.id[:6]}"
    place.say(f"{words}: being prepared …")

    def ask(prepared: apply.Prepared) -> None:
        if not _still(place, stay, words):
            return
        place.say("")
        if prepared.applied is not None:
            place.say(f"plan {plan.id[:6]} was applied already; r makes a new one", "warn")
            return

        def send(told: Progress) -> Outcome:
            stop = foundry.sender.stopper()
            applied = apply.carry_out(site, prepared, progress=told, stop=stop)
            return _outcome(site, words, applied, undo=plan.id)

        def agreed() -> None:
            foundry.sender.hold_work(Work(send, came), words)

        def came(outcome: Outcome | None) -> None:
            if outcome is not None and outcome.undo is not None:
                then(outcome.tone == "good")

        count = prepared.count
        text = dry_run(prepared, seen.snapshot, style_of(place))
        moves = f"{len(prepared.moves)} move{'' if len(prepared.moves) == 1 else 's'}"
        place.confirm(
            _question(place, f"Apply {moves} of plan {plan.id[:6]}", text, count, agreed)
            if not prepared.obstacles
            else _refused(f"Apply plan {plan.id[:6]}: refused", text)
        )

    foundry.work_on(
        f"prepare {id(place)}",
        lambda: apply.prepare(site, plan, None, seen.snapshot, only=only),
        ask,
        lambda why: _tell(place, stay, words, why),
    )


def ask_undo(place: Place, wanted: str, words: str) -> None:
    """Show what takes a change or a plan back now, and ask.

    Where its runs have started since, what would still set them back is shown with what that loses.
    """
    foundry, stay = place.foundry, place.stay
    if (seen := foundry.seen) is None:
        place.say("nothing was read yet", "warn")
        return
    site, name = foundry.site, f"undo {words}"
    place.say(f"{name}: being prepared …")

    def ask(found: tuple[undoing.Prepared, str]) -> None:
        prepared, why = found
        if not _still(place, stay, name):
            return
        place.say("")

        def send(told: Progress) -> Outcome:
            stop = foundry.sender.stopper()
            applied = undoing.carry_out(site, prepared, progress=told, stop=stop)
            return _outcome(site, name, applied, undo=None)

        def agreed() -> None:
            foundry.sender.hold_work(Work(send), name)

        count = 0 if prepared.one_own else prepared.count
        text = taking_text(prepared.taking, count=prepared.count, style=style_of(place))
        if why:
            text = "\n".join([*wrap(f"Only a requeue does it: {why}", style_of(place).width), text])
        place.confirm(_question(place, name, text, count, agreed))

    def prepare() -> tuple[undoing.Prepared, str]:
        try:
            return undoing.prepare(site, wanted, seen.snapshot), ""
        except SourceMissing:
            raise
        except ActionError as error:
            why = error
        try:
            found = undoing.prepare(site, wanted, seen.snapshot, requeue=True)
            told = str(why).removeprefix(f"{wanted} is not taken back: ")
            return found, told.partition("; --requeue")[0]
        except ActionError:
            raise why from None

    foundry.work_on(f"prepare {id(place)}", prepare, ask, lambda why: _tell(place, stay, name, why))


def _tell(place: Place, stay: int, words: str, why: str) -> None:
    """Why nothing is asked, in full: a line may be too short for it."""
    if place is place.foundry.place and stay == place.stay:
        if len(told := f"{words}: {why}") < place.size.width:
            place.say(told, "bad")
            return
        place.say("")
        place.confirm(_refused(f"{words}: refused", "\n".join(wrap(why, style_of(place).width))))
    elif place.is_mounted:
        place.say(f"{words}: {why}", "bad")


def _still(place: Place, stay: int, words: str) -> bool:
    """Whether the user is still where it was asked for."""
    if place is place.foundry.place and stay == place.stay:
        return True
    if place.is_mounted:
        place.say(f"{words}: not asked, because you went on", "warn")
    return False


def _question(
    place: Place, title: str, text: str, count: int, agreed: Callable[[], None]
) -> Question:
    """`count` 0 is one run of one's own, which `y` agrees to."""
    hold_s = place.foundry.site.config.screens.hold_s
    answer = f"{count}y" if count else "y"
    held = f" (held {hold_s:g} s, u takes it back)" if hold_s else ""
    what = f"this to {count} target{'' if count == 1 else 's'}" if count else "it"
    return Question(
        title=title,
        lines=tuple(toned(line) for line in text.splitlines()),
        answer=answer,
        agreed=agreed,
        how=f"type {answer} to do {what}{held}",
    )


def _refused(title: str, text: str) -> Question:
    return Question(title=title, lines=tuple(toned(line) for line in text.splitlines()), answer="")


def dry_run(prepared: apply.Prepared, snapshot: Snapshot, style: Style) -> str:
    """Every step with its exact command, and what stands in the way."""
    seen = {move.id: observed(snapshot, move) for move in prepared.moves}
    return prepared_text(prepared, seen, now=snapshot.generated_at, style=style)


def style_of(place: Place) -> Style:
    """How text is laid out in the width of a place."""
    return Style(width=max(20, place.size.width - 2), ascii=place.foundry.ascii_only)


def _outcome(site: Site, words: str, applied: Applied, undo: str | None) -> Outcome:
    return Outcome(
        words=f"{words}: {_told(applied)}",
        tone="good" if applied.stopped is None else "bad",
        entries=tuple(entries_of(site, applied.changes)),
        undo=undo if applied.changes else None,
    )


def _told(applied: Applied) -> str:
    count = len(applied.changes)
    changes = f"{count} change{'' if count == 1 else 's'}"
    if applied.stopped is None:
        return f"done, {changes}"
    left = f"; left: {', '.join(applied.left)}" if applied.left else ""
    return f"stopped after {changes}: {applied.stopped}{left}"
