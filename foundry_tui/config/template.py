"""The commented configuration file that `foundry config init` writes, made from the model."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, get_args, get_type_hints

from foundry_tui.config.model import Config

WIDTH = 96

_HEAD = (
    "Configuration of Foundry. Nothing here is needed: without a file the defaults hold and "
    "sources are looked for on this host. A line that starts with '# ' explains; a line that "
    "starts with '#' alone is a setting with its default or an example: take the '#' away to "
    "use it, together with the '#' of the [table] that it stands in."
)


def render(root: type[Any] = Config, head: str = _HEAD) -> str:
    """The text of a file in which every option of `root` is explained and commented out."""
    return "\n".join(_lines(root, head)) + "\n"


def _lines(root: type[Any], head: str) -> Iterator[str]:
    yield from _prose(head)
    yield ""
    hints = get_type_hints(root)
    tables = []
    for option in fields(root):
        rules = option.metadata
        if "named" in rules or "pairs" in rules or option.default_factory is not MISSING:
            tables.append(option)
        else:
            yield from _setting(option)
    for option in tables:
        yield ""
        yield from _prose(option.metadata["doc"])
        if "pairs" in option.metadata:
            yield f"#[{option.name}]"
            yield f"#{option.metadata['pairs']} = {_toml(option.metadata['example'])}"
            continue
        name = option.metadata.get("named")
        yield f"#[{option.name}.{name}]" if name else f"#[{option.name}]"
        record = get_args(hints[option.name])[0] if name else hints[option.name]
        for inner in fields(record):
            if inner.name != "name":
                yield from _setting(inner)


def _setting(option: Field[Any]) -> Iterator[str]:
    rules = option.metadata
    yield from _prose(rules["doc"] + _bounds(option))
    yield f"#{option.name} = {_toml(rules.get('example', option.default))}"


def _bounds(option: Field[Any]) -> str:
    rules = option.metadata
    words = [f"{word} {rules[word]:g}" for word in ("least", "most", "floor") if word in rules]
    words += ["required"] if option.default is MISSING else []
    words += ["an example"] if "example" in rules and option.default is not MISSING else []
    return f" ({', '.join(words)})" if words else ""


def _prose(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False):
        yield f"# {line}"


def _toml(value: object) -> str:
    """A TOML value; for booleans, numbers, plain text and lists of it TOML and JSON agree."""
    return json.dumps(value)
