"""What a few typed letters may mean: candidates found by their letters in order, best first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from foundry_tui.estate.run import RunState

Kind = Literal["action", "view", "node", "queue", "user", "run", "theme", "word"]
"""What a candidate is; in this order where candidates match equally well."""

ORDER: tuple[Kind, ...] = ("action", "view", "node", "queue", "user", "run", "theme", "word")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that can be meant.

    `word` is what is typed for it; `title` says what it is and is searched too, `more` is only
    shown. `key` identifies it (an action's id, a run's id, a node's key); `reason` is why it cannot
    be used now: it is found all the same.
    """

    kind: Kind
    word: str
    title: str = ""
    key: str = ""
    reason: str | None = None
    more: str = ""


class Candidates:
    """Candidates with their text made ready, so that ten thousand are searched at each key."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        # Stable, so what came first of one kind stays first.
        self.all = tuple(sorted(candidates, key=lambda c: ORDER.index(c.kind)))
        self._words = [c.word.casefold() for c in self.all]
        self._texts = [f"{c.word} {c.title}".casefold() for c in self.all]
        self._kinds: dict[Kind, Candidates] = {}

    def __len__(self) -> int:
        return len(self.all)

    def of_kind(self, kind: Kind) -> Candidates:
        """Only the candidates of one kind."""
        if kind not in self._kinds:
            self._kinds[kind] = Candidates(c for c in self.all if c.kind == kind)
        return self._kinds[kind]

    def ranked(self, typed: str, limit: int | None = None) -> list[Candidate]:
        """The candidates in which the typed letters occur in this order, best first.

        Case does not count, and neither do spaces in what is typed. Best are: the word itself, a
        word that begins so, one that holds it, a title that holds it, a word with the letters in
        order, and last a title with them. `limit` gives that many at most.
        """
        wanted = " ".join(typed.casefold().split())
        if not wanted:
            return list(self.all[:limit])
        search = _in_order(wanted)
        groups: list[list[Candidate]] = [[] for _ in range(6)]
        for at, text in enumerate(self._texts):
            if search(text) is None:
                continue
            word = self._words[at]
            if wanted in word:
                group = 0 if word == wanted else 1 if word.startswith(wanted) else 2
            elif wanted in text:
                group = 3
            else:
                group = 4 if search(word) is not None else 5
            found = groups[group]
            if limit is None or len(found) < limit:
                found.append(self.all[at])
        return [one for group in groups for one in group][:limit]

    def nearest(self, typed: str) -> Candidate | None:
        """The candidate that looks most like what was typed, for a word that means nothing.

        Runs are left out: a number that is nearly another one is another run.
        """
        words: dict[str, Candidate] = {}
        for word, one in zip(self._words, self.all, strict=True):
            if one.kind != "run":
                words.setdefault(word, one)
        near = difflib.get_close_matches(typed.casefold().strip(), words, n=1, cutoff=0.5)
        return words[near[0]] if near else None


def _in_order(wanted: str) -> Callable[[str], object]:
    """A test whether the letters occur in this order.

    Each step runs to the next occurrence of its letter and can match in one way only, so a text is
    read once, however it is made.
    """
    letters = [re.escape(c) for c in wanted if not c.isspace()]
    return re.compile("".join(f"[^{c}]*{c}" for c in letters), re.DOTALL).match


def chosen_by(words: str) -> str:
    """The filter that words after an act mean: `mine pending` is `user=me state=pending`.

    The name of a state, `mine`, and a run's number become terms; everything else is a filter
    already.
    """
    states = {state.value for state in RunState}
    terms = []
    for word in words.split():
        low = word.lower()
        if low == "mine":
            terms.append("user=me")
        elif low == "waiting":
            terms.append("state=pending")
        elif low in states:
            terms.append(f"state={low}")
        elif word.replace("_", "").isdecimal() and word.isascii():
            terms.append(f"id={word}")
        else:
            terms.append(word)
    return " ".join(terms)
