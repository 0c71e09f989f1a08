"""The `:` line: an action, a run, a node, a user, a queue or a view by a few of its letters.

Enter does what is chosen in the list above the line; a changing action opens its panel there, as
its key does, and never more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from foundry_tui.actions.onscreen import EVERY, key_text
from foundry_tui.actions.table import Action
from foundry_tui.estate.fields import RUN_FIELDS
from foundry_tui.estate.filter import FilterError, parse
from foundry_tui.estate.run import LIVE
from foundry_tui.presenters.complete import Candidate, Candidates, Kind, chosen_by
from foundry_tui.presenters.queries import quoted
from foundry_tui.tui.bars import Part
from foundry_tui.tui.overlay import OVERLAY_LINES, Overlay
from foundry_tui.tui.place import Place
from foundry_tui.tui.tones import NAMES

if TYPE_CHECKING:
    from foundry_tui.tui.app import Foundry

VERBS: dict[str, Kind] = {
    "run": "run",
    "node": "node",
    "user": "user",
    "queue": "queue",
    "view": "view",
    "theme": "theme",
}
"""Word before a space -> the only kind that is then looked for."""

SYNTAX = (
    (":run 88123", "a run, also by its bare id or name"),
    (":node a03", "a node"),
    (":user bob", "the runs of a user"),
    (":queue prod", "the runs of a queue"),
    (":view NAME", "a saved view"),
    (":save view NAME", "keep filter, order and columns under a name"),
    (":delete view NAME", "forget a saved view"),
    (":columns ID ID", "show these columns; alone: all"),
    (":theme NAME", ", ".join(NAMES)),
    (":cancel mine pending", "an act on the runs that match, by its panel"),
    (":q", "quit"),
)
"""What the line takes, for the help."""

FIRST_READING_S = 0.5
"""Before the first reading there are no runs to find; so often it is looked whether it came."""

BY_ID = {action.id: action for action in EVERY}


def candidates(foundry: Foundry, place: Place) -> Candidates:
    """Everything that the line knows from this place."""
    found: list[Candidate] = []
    for action in place.abilities():
        if action.id != "command":
            key = key_text(foundry.keys.key_of(action.id))
            found.append(
                Candidate(
                    "action",
                    action.id,
                    f"{f'[{key}] ' if key else ''}{action.title}",
                    action.id,
                    place.refusal(action),
                    action.help,
                )
            )
    found.append(Candidate("action", "q", "Quit", "quit"))
    found += [Candidate("theme", name, "theme", name) for name in NAMES]
    found += foundry.views.candidates()
    if foundry.seen is None:
        return Candidates(found)
    snapshot, runs = foundry.seen.snapshot, foundry.seen.runs
    for node in snapshot.nodes:
        title = f"node · {node.state.value} · {node.gpu_count} GPUs"
        found.append(Candidate("node", node.name, title, f"{node.source}/{node.name}"))
    for queue in snapshot.queues:
        title = f"{queue.kind} · {queue.source}"
        found.append(Candidate("queue", queue.name, title, queue.name))
    users = Counter(run.user for run in runs if run.user and run.state in LIVE)
    found += [
        Candidate("user", user, f"user · {count} live", user)
        for user, count in sorted(users.items())
    ]
    for run in runs:
        title = f"{run.name} · {run.user or ''} · {run.state.value} · {run.source}"
        found.append(Candidate("run", run.native_id, title, run.id))
    return Candidates(found)


class CommandLine:
    """One opening of the line: what is meant by what is typed, and which of it is chosen."""

    def __init__(self, foundry: Foundry, place: Place) -> None:
        self._foundry = foundry
        self._place = place
        self._overlay = place.query_one("#choices", Overlay)
        self._all: Candidates | None = None
        self._typed = ""
        self._found: list[Candidate] = []
        self._at = 0

    def open(self, value: str = "") -> None:
        """Ask for a line."""
        self._typed = value
        self._place.prompt.ask(
            ":", value, done=self._done, changed=self._changed, left=self._hide, keyed=self._keyed
        )
        # The line first: ten thousand runs take some 40 ms to be made ready.
        self._foundry.call_after_refresh(self._again)
        self._foundry.views.load(self._again)

    def _again(self) -> None:
        """Look again, after the line has come up or the saved views were read."""
        if self._place.prompt.asking and self._overlay.is_mounted:
            self._all = None
            chosen = self._found[self._at] if self._at else None
            self._changed(self._typed)
            if chosen in self._found:
                self._at = self._found.index(chosen)
                self._draw()
            if self._foundry.seen is None:
                self._foundry.set_timer(FIRST_READING_S, self._again)

    def _changed(self, text: str) -> None:
        self._typed = text
        if self._all is None:
            self._all = candidates(self._foundry, self._place)
        self._found = meant(text, self._all, self._foundry, self._place)
        self._at = 0
        self._draw()

    def _keyed(self, key: str) -> bool:
        step = {"tab": 1, "down": 1, "shift+tab": -1, "up": -1}.get(key)
        if step is None:
            return False
        if self._found:
            self._at = (self._at + step) % len(self._found)
            self._draw()
        return True

    def _draw(self) -> None:
        room = max(1, min(OVERLAY_LINES, self._place.size.height - 2) - 1)
        first = max(0, min(self._at - room + 1, len(self._found) - room))
        shown = self._found[first : first + room]
        count = len(self._found)
        told = (
            f"─ {count} match · tab next · enter runs it · esc leaves " if count else "─ no match "
        )
        rule: list[Part] = [(told.ljust(self._place.size.width, "─"), "dim")]
        self._overlay.put([rule, *(self._row(c, first + n) for n, c in enumerate(shown))])

    def _row(self, one: Candidate, at: int) -> list[Part]:
        tone = "cursor" if at == self._at else ""
        mark = ">" if at == self._at else " "
        line: list[Part] = [(f"{mark}{one.word}", f"strong {tone}"), (f"  {one.title}", tone)]
        if one.reason is not None:
            line.append((f"  not now: {one.reason}", f"warn {tone}"))
        elif one.more:
            line.append((f"  {one.more}", tone or "dim"))
        return line

    def _hide(self) -> None:
        self._overlay.put([])

    def _done(self, text: str) -> None:
        self._hide()
        if not text.strip():
            return
        if text != self._typed:
            self._changed(text)
            self._hide()
        if self._found:
            take(self._found[self._at], self._foundry, self._place)
        else:
            self._place.say(self._unknown(text.strip()), "bad")

    def _unknown(self, text: str) -> str:
        head, _, rest = text.partition(" ")
        if self._all is None:
            return f"{text}: nothing is known yet"
        if rest and head in VERBS:
            near = self._all.of_kind(VERBS[head]).nearest(rest)
            hint = f"; the nearest is {near.word}" if near else ""
            return f"no {head} is called {rest!r}{hint}"
        if head in BY_ID:
            return f"{head}: not on this screen"
        near = self._all.nearest(head)
        hint = f"the nearest is {near.word}" if near else "? shows what works here"
        return f"nothing here is called {text!r}; {hint}"


def meant(text: str, known: Candidates, foundry: Foundry, place: Place) -> list[Candidate]:
    """What a line may mean, best first."""
    head, space, rest = text.lstrip().partition(" ")
    rest = rest.strip()
    if not space:
        if head == "columns":
            return [_columns("")]
        return known.ranked(head)
    if head in VERBS:
        found = known.of_kind(VERBS[head]).ranked(rest)
        return found + _about_views(rest, known) if head == "view" and rest else found
    if head in ("save", "delete"):
        word, _, name = rest.partition(" ")
        if word == "view" and name.strip():
            return [_view_word(head, name.strip())]
        return []
    if head == "columns":
        return [_columns(rest)]
    action = BY_ID.get(head)
    if action is not None and action.risk == "change" and action.scope == "run" and rest:
        return [_act(action, rest, foundry, place)]
    return known.ranked(text)


def _about_views(name: str, known: Candidates) -> list[Candidate]:
    """Keeping or forgetting a view, below those that can be shown."""
    there = any(c.key == name for c in known.of_kind("view").all)
    return [_view_word("save", name), *([_view_word("delete", name)] if there else [])]


def _view_word(verb: str, name: str) -> Candidate:
    title = "keep what is shown under this name" if verb == "save" else "forget this view"
    return Candidate("word", f"{verb} view {name}", title, f"{verb} {name}")


def _columns(ids: str) -> Candidate:
    title = "show these columns" if ids else "show all columns"
    return Candidate("word", f"columns {ids}".strip(), title, f"columns {ids}".strip())


def _act(action: Action, rest: str, foundry: Foundry, place: Place) -> Candidate:
    """An act on the runs that words select; what they select is counted, and nothing is done."""
    where = chosen_by(rest)
    reason = foundry.refusal(action)
    try:
        parse(where, RUN_FIELDS, me=foundry.site.me)
    except FilterError as error:
        reason = error.message
    title = f"the runs of `{where}`, after its panel"
    return Candidate("word", f"{action.id} {rest}", title, f"{action.id} {where}", reason)


def take(one: Candidate, foundry: Foundry, place: Place) -> None:
    """Do what was chosen."""
    if one.kind == "action":
        place.run_ability(BY_ID[one.key])
    elif one.reason is not None:
        place.say(f"{one.word}: {one.reason}", "warn")
    elif one.kind == "run":
        foundry.open_run(one.key)
    elif one.kind == "node":
        foundry.open_node(one.key)
    elif one.kind in ("user", "queue"):
        foundry.open_runs(f"{one.kind}={quoted(one.key)}", f"{one.kind} {one.key}")
    elif one.kind == "view":
        foundry.views.apply(one.key)
    elif one.kind == "theme":
        foundry.set_theme(one.key)
    else:
        _do_words(one.key, foundry, place)


def _do_words(key: str, foundry: Foundry, place: Place) -> None:
    verb, _, rest = key.partition(" ")
    if verb == "save":
        foundry.views.save(rest, place)
    elif verb == "delete":
        foundry.views.delete(rest)
    elif verb == "columns":
        _choose_columns(rest.replace(",", " ").split(), place)
    else:
        _act_on(BY_ID[verb], rest, foundry)


def _choose_columns(ids: list[str], place: Place) -> None:
    before = place.view_state()
    if before is None:
        place.say("there is no table with columns here", "warn")
        return
    place.restore_view(replace(before, columns=tuple(ids)))
    after = place.view_state()
    unknown = [i for i in ids if after is not None and i not in after.columns]
    if unknown and after is not None and after.columns:
        place.say(f"there is no column {', '.join(unknown)} here", "warn")
    elif unknown:
        place.restore_view(before)
        place.say(f"there is no column {', '.join(unknown)} here; nothing was changed", "warn")


def _act_on(action: Action, where: str, foundry: Foundry) -> None:
    """Go to the runs that the filter selects and open the act's panel on all of them."""
    foundry.open_runs(where, f"{action.title.lower()} {where}")

    def then() -> None:
        place = foundry.place
        if place is None:
            return
        act_on = getattr(place, "act_on", None)
        if act_on is not None:
            act_on(action.id, where)
            return
        mark, key = foundry.keys.key_of("mark_all"), foundry.keys.key_of(action.id)
        place.say(f"{key_text(mark)} marks all that match, {key_text(key)} opens the panel")

    foundry.call_after_refresh(then)
