"""Acts on runs, for every place that shows some: prepared, asked, held, sent."""

from __future__ import annotations

from collections.abc import Callable

from foundry_tui.actions import act
from foundry_tui.actions.table import Action
from foundry_tui.estate.run import HOLDING, LIVE, Run, RunState
from foundry_tui.tui.place import Place

_FITS: dict[str, tuple[Callable[[Run], bool], str]] = {
    "cancel": (lambda run: run.state in LIVE, "has ended already"),
    "hold": (
        lambda run: run.state is RunState.PENDING and not run.held,
        "does not wait, or is held already",
    ),
    "release": (lambda run: run.held, "is not held"),
    "requeue": (lambda run: run.state in HOLDING, "does not run"),
    "suspend": (lambda run: run.state is RunState.RUNNING, "does not run"),
    "resume": (lambda run: run.state is RunState.SUSPENDED, "is not suspended"),
}
"""Act -> which runs it is for, and what is said of others."""


def fitting(action_id: str, runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Those of the runs that an act is for, by their state."""
    fits, _ = _FITS[action_id]
    return tuple(run for run in runs if fits(run))


class RunActs(Place):
    """The acts that a place offers for the runs it shows."""

    def selected_runs(self) -> tuple[Run, ...]:
        """The runs that an act is for."""
        raise NotImplementedError

    def refusal(self, action: Action) -> str | None:
        if (why := super().refusal(action)) is not None or action.id not in _FITS:
            return why
        runs = self.selected_runs()
        if not runs:
            return "there is no run here"
        able = fitting(action.id, runs)
        if not able:
            otherwise = _FITS[action.id][1]
            return f"{runs[0].native_id} {otherwise}" if len(runs) == 1 else f"each {otherwise}"
        return self._not_possible(action.id, able) or self._not_allowed(able) or self._silent(able)

    def _not_possible(self, verb: str, runs: tuple[Run, ...]) -> str | None:
        """Why none of their schedulers knows such an act, in the words of the first."""
        site = self.foundry.site
        told = [act.unsupported(site, verb, source) for source in {r.source for r in runs}]
        return next(iter(told)) if all(told) else None

    def _not_allowed(self, runs: tuple[Run, ...]) -> str | None:
        """Why this user may change none of them; what is not known is for the scheduler to say."""
        rights = self.foundry.rights
        for run in runs:
            known = rights.get(run.source)
            if known is None or known.may_change(run.user):
                return None
        return f"needs the role operator: {runs[0].native_id} belongs to {runs[0].user}"

    def _silent(self, runs: tuple[Run, ...]) -> str | None:
        """Why nothing can be sent to any of their sources now."""
        seen = self.foundry.seen
        if seen is None:
            return "nothing was read yet"
        states = {s.name: s for s in seen.snapshot.sources}
        silent = [states[r.source] for r in runs if r.source in states]
        if silent and not any(source.usable for source in silent):
            return f"{silent[0].name} is {silent[0].state.value}: nothing can be sent"
        return None

    def do_cancel(self) -> None:
        self.act_on_runs("cancel", self.selected_runs())

    def do_hold(self) -> None:
        self.act_on_runs("hold", self.selected_runs())

    def do_release(self) -> None:
        self.act_on_runs("release", self.selected_runs())

    def do_requeue(self) -> None:
        self.act_on_runs("requeue", self.selected_runs())

    def do_suspend(self) -> None:
        self.act_on_runs("suspend", self.selected_runs())

    def do_resume(self) -> None:
        self.act_on_runs("resume", self.selected_runs())

    def act_on_runs(self, verb: str, runs: tuple[Run, ...], note: str = "") -> None:
        """Spell the act out, off the keys' thread, and ask; `note` stands in the title."""
        seen, site = self.foundry.seen, self.foundry.site
        if seen is None or not runs:
            self.say(f"{verb}: there is no run here", "warn")
            return
        name = runs[0].native_id if len(runs) == 1 else f"{len(runs)} rows"
        words, stay = f"{verb} {name}", self.stay
        title = f"{words} ({note})" if note else words
        self.say(f"{words}: being prepared …")

        def ask(prepared: tuple[act.Prepared, ...]) -> None:
            self.say("")

            def agreed() -> None:
                if not self._asked_anew(verb, runs):
                    self.foundry.sender.hold(prepared, words)

            self.foundry.sender.ask(self, prepared, title, stay=stay, agreed=agreed)

        # A label of its own: what another place prepares does not replace it.
        self.foundry.work_on(
            f"prepare {id(self)}", lambda: act.prepare(site, verb, seen.snapshot, runs), ask
        )

    def _asked_anew(self, verb: str, runs: tuple[Run, ...]) -> bool:
        """Ask again when the runs have become others than those that were agreed to.

        A panel may stand for hours. To cancel what waited may then throw work away, and to requeue
        what has ended well runs it twice.
        """
        seen = self.foundry.seen
        now = {run.id: run for run in seen.runs} if seen is not None else {}
        still = tuple(now[run.id] for run in runs if run.id in now)
        before = {run.id for run in fitting(verb, runs)}
        begun = {run.id for run in runs if run.state not in HOLDING}
        if before <= {run.id for run in fitting(verb, still)} and not any(
            run.id in begun and run.state in HOLDING for run in still
        ):
            return False
        if still:
            self.act_on_runs(verb, still, "asked anew: changed meanwhile")
        else:
            self.say(f"{verb}: gone meanwhile, and nothing was sent", "warn")
        return True
