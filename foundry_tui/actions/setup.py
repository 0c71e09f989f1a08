"""The configuration file: its template, where it is, and making it."""

from __future__ import annotations

import os
from pathlib import Path

from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import load
from foundry_tui.config.places import config_files
from foundry_tui.config.template import render


def template() -> str:
    """The commented configuration file."""
    return render()


def policy_template() -> str:
    """The commented policy file."""
    from foundry_tui.config.policy import template as explained

    return explained()


def used_file(given: Path | None) -> Path | None:
    """The configuration file that is read, None when there is none.

    Raises:
        WrongUse: there is one, and it cannot be read.
    """
    try:
        return load(given, os.environ).path
    except ConfigError as error:
        raise WrongUse(str(error)) from error


def init_config(given: Path | None) -> Path:
    """Write the template where it will be found; an existing file is never touched.

    Raises:
        ActionError: there is a file already, or the folder cannot be written.
    """
    target = given or config_files(os.environ)[0]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(render())
        target.chmod(0o600)
    except FileExistsError as error:
        raise ActionError(f"{target} is there already and was left as it is") from error
    except OSError as error:
        raise ActionError(f"{target} cannot be written: {error.strerror}") from error
    return target
