"""Params in the text of a shell program: whatever they hold, they stay one word."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.jobs.shelltext import filled, is_shell

NASTY = 'a\'b "c" $(echo x) `echo y` \\ $HOME * ; # & é'
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=20)


def ran(script: str, *shell: str) -> list[str]:
    done = subprocess.run(
        [*(shell or ("/bin/sh",)), "-c", script], capture_output=True, check=True, timeout=10
    )
    return done.stdout.decode().split("\0")


@settings(max_examples=25, deadline=None)
@given(VALUES | st.just(NASTY))
def test_a_value_is_one_word_in_every_kind_of_quotes(value: str) -> None:
    script = (
        "f() { printf '%s\\0' \"$@\"; }\n"
        "# it's a ${v} comment \"\n"
        'f ${v} \'${v}\' "${v}" x${v}y "$(printf %s "${v}")" "$(printf %s ${v})" \'a\'"${v}"\n'
        "cat <<END\n\"${v}'\nEND\n"
        "printf '\\0'\n"
        "cat <<'END'\n${v}\nEND\n"
        "f '\\0' \"${v}\" \\${v}\n"
    )
    got = ran(filled(script, {"v": value}))
    word = value
    assert got[:7] == [word, word, word, f"x{word}y", word, word, f"a{word}"]
    assert got[7] == f"\"{word}'\n"
    assert got[8] == f"{word}\n\\0"
    assert got[9:] == [word, "${v}", ""]


def test_only_declared_params_are_filled_in() -> None:
    script = "echo ${lr} ${HOME} $lr ${lr:-1} \\${lr} ${other}"
    assert filled(script, {"lr": "3e-4"}) == "echo 3e-4 ${HOME} $lr ${lr:-1} \\${lr} ${other}"


@pytest.mark.parametrize(
    ("first", "shell"),
    [
        ("", True),
        ("#!/bin/bash -l", True),
        ("#!/usr/bin/env zsh", True),
        ("#!/usr/bin/env python3", False),
        ("#!/usr/bin/perl", False),
        ("#!", False),
    ],
)
def test_which_program_is_for_a_shell(first: str, shell: bool) -> None:
    assert is_shell(f"{first}\ndate\n") is shell
