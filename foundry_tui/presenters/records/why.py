"""Why a run waits, as a JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol


class Candidate(Protocol):
    """One way to get the run started; `changes` are pairs of a field and its new value."""

    @property
    def sentence(self) -> str: ...
    @property
    def act(self) -> str: ...
    @property
    def changes(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def owner(self) -> str | None: ...


class Diagnosis(Protocol):
    """The dominant reason: our word for it, the scheduler's, a sentence, and the facts."""

    @property
    def kind(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def sentence(self) -> str: ...
    @property
    def evidence(self) -> tuple[str, ...]: ...
    @property
    def candidates(self) -> Sequence[Candidate]: ...


class Explanation(Protocol):
    """A diagnosis with the candidate to advise and when the run would start with it."""

    @property
    def diagnosis(self) -> Diagnosis: ...
    @property
    def chosen(self) -> Candidate | None: ...
    @property
    def starts_at(self) -> datetime | None: ...
    @property
    def how(self) -> str: ...
    @property
    def sentence(self) -> str: ...


def why_record(run: str, why: Explanation, command: Sequence[str] | None) -> dict[str, Any]:
    """The explanation; `advice` is null where nothing is known to help."""
    found, chosen = why.diagnosis, why.chosen
    advice = chosen and {
        **_candidate(chosen),
        "starts_at": why.starts_at,
        "how": why.how or None,
        "advice": why.sentence,
        "command": command,
    }
    return {
        "run": run,
        "kind": found.kind,
        "reason": found.reason,
        "sentence": found.sentence,
        "evidence": found.evidence,
        "advice": advice,
        "candidates": [_candidate(one) for one in found.candidates],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "sentence": one.sentence,
        "act": one.act,
        "changes": dict(one.changes),
        "owner": one.owner,
    }
