"""What a command could not do, as a message for the person and an exit code."""

from __future__ import annotations

FAILED, WRONG_USE, PARTLY = 1, 2, 5


class SimError(Exception):
    """A message that says what was asked, what came back and what to do next.

    `code` is the exit code: 1 failed or refused, 2 wrong use, 5 done in part.
    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
