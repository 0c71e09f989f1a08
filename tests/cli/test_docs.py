"""The pages that are made say what is true now, and nothing of the program is left out of them."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from foundry_tui.actions.onscreen import EVERY, key_text
from foundry_tui.actions.table import ACTIONS
from foundry_tui.cli.app import COMMANDS
from foundry_tui.cli.docs import PAGES
from foundry_tui.config.model import Config

DOCS = Path("docs")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#]+)")


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_page_is_the_one_that_the_program_makes(path: Path) -> None:
    assert path.read_text("utf-8") == PAGES[path](), "run `make docs`"


def written() -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(DOCS.rglob("*.md")))


def test_every_action_and_its_key_are_in_the_docs() -> None:
    text = written()
    for action in EVERY:
        assert f"`{action.id}`" in text, action.id
        for key in action.keys:
            assert f"`{key_text(key)}`" in text, action.id


def test_every_key_of_the_configuration_is_in_the_docs() -> None:
    text = written()
    hints = get_type_hints(Config)
    for option in fields(Config):
        assert re.search(rf"\b{option.name}\b", text), option.name
        record = (get_args(hints[option.name]) or (hints[option.name],))[0]
        for inner in fields(record) if is_dataclass(record) else ():
            assert inner.name == "name" or re.search(rf"^#{inner.name} = ", text, re.MULTILINE)


def test_links_between_pages_lead_somewhere() -> None:
    for path in DOCS.rglob("*.md"):
        for target in LINK.findall(path.read_text("utf-8")):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path}: {target}"


def test_every_action_is_a_command() -> None:
    assert {action.id for action in ACTIONS} <= set(COMMANDS)
