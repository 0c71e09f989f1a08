"""What may be given on the command line, and what is said about what may not."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from scheduler_sim.cli.given import POLICY, Form, number, seeds, several_of


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("42-51", tuple(range(42, 52))),
        ("42,45", (42, 45)),
        ("7", (7,)),
        ("5, 1-3", (5, 1, 2, 3)),
        ("0-0", (0,)),
    ],
)
def test_seeds(text: str, wanted: tuple[int, ...]) -> None:
    assert seeds(text) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("51-42", "write 42-51"),
        ("", "write 42-51 or 42,45"),
        ("1,,2", "is no seed or range"),
        ("-3", "is no seed or range"),
        ("4.5", "is no seed or range"),
        ("a-b", "is no seed or range"),
        ("１", "is no seed or range"),
        ("1-3,2", "seed 2 is named twice"),
        ("1-10001", "more than 10,000"),
        ("1-5000,6000-11000", "more than 10,000"),
        ("1-999999999999999999", "more than 10,000"),
    ],
)
def test_wrong_seeds_are_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        seeds(text)


def test_policies_in_any_case_and_the_nearest_for_a_typing_error() -> None:
    assert POLICY("BestFit") == "bestfit"
    with pytest.raises(click.BadParameter, match="did you mean bestfit"):
        POLICY("bestfti")
    with pytest.raises(click.BadParameter, match="one of: random, dotprod"):
        POLICY("zzz")
    several = several_of("policy", ("fgd", "best"))
    assert several("FGD, best") == ("fgd", "best")
    with pytest.raises(click.BadParameter, match="fgd is named twice"):
        several("fgd,FGD")
    with pytest.raises(click.BadParameter, match="no policy ''"):
        several("fgd,")


@pytest.mark.parametrize("text", ["0", "-1.3", "nan", "inf", "-inf", "10.01", "130", "x", ""])
def test_a_factor_outside_its_range_is_refused(text: str) -> None:
    factor = number(0, 10, "1.3 is 130 %", above=True)
    with pytest.raises(click.BadParameter, match=r"1\.3 is 130 %"):
        factor(text)
    assert factor("1.3") == 1.3
    assert factor("10") == 10.0


def test_forms_that_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="--json and --csv"):
        Form(True, True, False, None, False).check()
    with pytest.raises(click.UsageError, match="--svg FILE"):
        Form(True, False, True, None, False).check()
    assert Form(False, False, False, tmp_path / "a.svg", False).draws
    assert not Form(True, False, False, None, False).draws
