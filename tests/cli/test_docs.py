"""The page of commands says what is true now, and every action has its command."""

from __future__ import annotations

from foundry_tui.actions.table import ACTIONS
from foundry_tui.cli.app import COMMANDS
from foundry_tui.cli.docs import TARGET, page


def test_the_page_is_the_one_that_the_commands_make() -> None:
    assert TARGET.read_text("utf-8") == page(), "run `make docs`"


def test_every_action_is_a_command() -> None:
    assert {action.id for action in ACTIONS} <= set(COMMANDS)
