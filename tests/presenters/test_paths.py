"""Completion of a path as it is typed."""

from __future__ import annotations

import pytest

from foundry_tui.presenters.paths import Listed, complete, parted

HERE = (
    Listed("train.sh", False),
    Listed("trial.sh", False),
    Listed("data", True),
    Listed(".git", True),
    Listed("bad\nname", False),
    Listed("Ünï-θ.sh", False),
)


@pytest.mark.parametrize(
    ("typed", "text", "choices"),
    [
        ("tr", "tr", ("train.sh", "trial.sh")),
        ("tra", "train.sh", ("train.sh",)),
        ("~/x/t", "~/x/tr", ("train.sh", "trial.sh")),
        ("d", "data/", ("data/",)),
        (".", ".git/", (".git/",)),
        ("zzz", "zzz", ()),
        ("b", "b", ()),
        ("Ü", "Ünï-θ.sh", ("Ünï-θ.sh",)),
        ("", "", ("train.sh", "trial.sh", "Ünï-θ.sh", "data/")),
    ],
)
def test_a_path_is_completed(typed: str, text: str, choices: tuple[str, ...]) -> None:
    found = complete(typed, HERE)
    assert (found.text, found.choices) == (text, choices)


def test_a_whole_name_is_known_as_such() -> None:
    assert complete("train.sh", HERE).whole
    assert not complete("tr", HERE).whole
    assert not complete("zzz", HERE).whole


def test_a_name_that_begins_another_is_no_end_of_the_choice() -> None:
    found = complete("run", (Listed("run", False), Listed("run.sh", False)))
    assert (found.text, found.choices, found.whole) == ("run", ("run", "run.sh"), False)


def test_the_folder_keeps_its_slash() -> None:
    assert parted("a/b/c") == ("a/b/", "c")
    assert parted("/c") == ("/", "c")
    assert parted("c") == ("", "c")
