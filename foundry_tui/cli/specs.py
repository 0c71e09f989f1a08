"""Options that every command has which takes a job spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--set", "sets", metavar="KEY=VALUE", multiple=True, help="Another value of a spec's field."
    ),
    click.option("--entry", metavar="NAME", help="Entry point of an MLproject (-e behind it)."),
    click.option(
        "-P", "--param", "params", metavar="NAME=VALUE", multiple=True, help="Its parameters."
    ),
)


def for_specs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options `sets`, `entry` and `params`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
