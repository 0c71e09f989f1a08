"""docs/scheduler-sim.md says what the program prints, and names every command and option."""

from __future__ import annotations

import pytest

from tests.scheduler_sim.cli import examples

AGAIN = "python -m tests.scheduler_sim.cli.examples"


@pytest.mark.parametrize("number", range(len(examples.blocks(examples.PAGE.read_text("utf-8")))))
def test_an_example_prints_what_the_page_says(number: int) -> None:
    block = examples.blocks(examples.PAGE.read_text("utf-8"))[number]
    with examples.ready_folder():
        now = examples.run_block(block)
    assert examples.timeless(now) == examples.timeless(block), AGAIN


def test_every_option_is_on_the_page() -> None:
    page = examples.PAGE.read_text("utf-8")
    assert page.endswith(examples.OPTIONS + examples.options()), AGAIN
