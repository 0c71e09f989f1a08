"""What can go wrong with an ability, in the classes that the exit codes name."""

from __future__ import annotations


class ActionError(Exception):
    """The thing asked for failed or was refused: exit code 1."""

    code = 1


class Declined(ActionError):
    """The person was asked and did not agree: exit code 1."""


class WrongUse(ActionError):
    """The question makes no sense: exit code 2."""

    code = 2


class SourceMissing(ActionError):
    """A source that is needed is not available: exit code 3."""

    code = 3


class NothingMatched(ActionError):
    """Nothing fits the selection: exit code 4."""

    code = 4


def code_of(error: Exception) -> int | None:
    """The exit code of an error that is an answer; None for one that is a fault of ours."""
    from foundry_tui.schedulers.ports import SchedulerError, Unavailable
    from foundry_tui.store.journal import JournalError

    if isinstance(error, ActionError):
        return error.code
    if isinstance(error, Unavailable):
        return SourceMissing.code
    return 1 if isinstance(error, SchedulerError | JournalError) else None


PARTLY = 5
"""Exit code of an answer or a change that is not whole."""
