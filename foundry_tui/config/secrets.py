"""Secrets: from a file that only the user can read, the environment, or a command.

The value never stands in a repr, an error or a traceback: errors name where the secret was looked
for, and are raised without the exception that could carry its bytes.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from foundry_tui.config.owned import OTHERS_ANY, open_own
from foundry_tui.config.sources import RunaiConfig, TelemetryConfig
from foundry_tui.estate.text import safe
from foundry_tui.process import ProcessError, run

MAX_BYTES = 64 << 10
"""Cap on a secret's size."""

COMMAND_TIMEOUT_S = 10.0
"""Seconds that a credential command may take; it has no terminal to ask on."""


class SecretError(Exception):
    """A secret cannot be had; the message says where it was looked for, never what was read."""

    def __init__(self, where: str, problem: str, mend: str) -> None:
        super().__init__(safe(f"{where}: {problem}; {mend}", max_cells=1000))


class Secret:
    """A secret text that does not show itself. `reveal()` gives the value to the one who sends it.

    It can be neither pickled nor copied, so that it stays in this process.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written out")


def credential(config: RunaiConfig | TelemetryConfig, env: Mapping[str, str]) -> Secret | None:
    """The credential of a source: its file, else its variable, else its command; None without.

    Raises:
        SecretError: one is configured and cannot be had.
    """
    if config.credential_file is not None:
        return from_file(config.credential_file)
    if config.credential_env is not None:
        return from_env(config.credential_env, env)
    if config.credential_command:
        return from_command(config.credential_command)
    return None


def from_file(path: Path) -> Secret:
    """The text of a file that belongs to the user and that nobody else can read.

    Raises:
        SecretError: it is missing, not the user's own with mode 0600, empty, large or not text.
    """
    try:
        with os.fdopen(open_own(path, OTHERS_ANY, follow=True), "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        mend = "it must be a file of yours with mode 0600"
        raise SecretError(str(path), f"cannot be used: {reason}", mend) from None
    return _secret(data, str(path), "put the secret alone into the file")


def from_env(name: str, env: Mapping[str, str]) -> Secret:
    """The value of an environment variable.

    Raises:
        SecretError: the variable is not set, or its value is not a secret's.
    """
    value = env.get(name)
    if value is None:
        raise SecretError(f"${name}", "is not set", "export it before the start")
    return _secret(os.fsencode(value), f"${name}", "set it to the secret alone")


def from_command(argv: Sequence[str], *, timeout_s: float = COMMAND_TIMEOUT_S) -> Secret:
    """What a command prints on standard output.

    Raises:
        SecretError: it cannot be run, fails, takes too long, or prints no secret.
    """
    where = f"credential command {argv[0]}"
    mend = "run it by hand to see why"
    try:
        done = run(argv, timeout_s=timeout_s, max_bytes=MAX_BYTES)
    except ProcessError as error:
        raise SecretError(where, str(error), mend) from None
    if done.code != 0:
        raise SecretError(where, f"ended with exit code {done.code}", mend)
    return _secret(done.out, where, mend)


def _secret(data: bytes, where: str, mend: str) -> Secret:
    try:
        value = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(where, "is not UTF-8 text", mend) from None
    if not value or len(data) > MAX_BYTES:
        problem = f"is longer than {MAX_BYTES} bytes" if value else "is empty"
        raise SecretError(where, problem, mend)
    return Secret(value)
