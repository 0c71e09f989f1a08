"""The keys of the screens: those of the action table, changed by the configuration's `[keys]`.

Every key here is in the words of the terminal library (`slash`, `question_mark`), as in the table;
the file may also say what is printed on the key (`/`, `?`).
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.onscreen import EVERY
from foundry_tui.actions.table import Action
from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import load
from foundry_tui.config.model import Config

IN_TABLES = frozenset(
    "up down left right home end pageup pagedown j k g G".split()  # noqa: SIM905
)
"""Keys that move the cursor in every list; no action can have one."""

_NAMED = frozenset("enter escape space tab backspace insert delete".split()) | {  # noqa: SIM905
    f"f{number}" for number in range(1, 13)
}
_WRITTEN = {"esc": "escape", "return": "enter", "del": "delete", "ins": "insert"}
_RENAMED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
"""Unicode's name of a character -> the terminal library's name of its key."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An action with the keys that it has here; `changed` by the configuration."""

    action: Action
    keys: tuple[str, ...]
    changed: bool = False


def key_map(config: Config, path: Path | None) -> tuple[Bound, ...]:
    """Every action of the screens and its keys, in the order of the table.

    Raises:
        ConfigError: `[keys]` names an action or key that there is not, gives two actions one key,
            or a changing action a key that is pressed by mistake. `path` is the file that it names.
    """
    where = path or Path("configuration")
    changed: dict[str, str] = {}
    for action_id, written in config.keys:
        changed[action_id] = _checked(where, action_id, written)
    bound = tuple(
        Bound(a, (changed[a.id],) if a.id in changed else a.keys, a.id in changed) for a in EVERY
    )
    holder: dict[str, str] = {}
    for one in sorted(bound, key=lambda b: b.changed):  # the changed one is the one to complain of
        for key in one.keys:
            if key in holder:
                problem = f"the key of {holder[key]} too"
                expected = f"a key that nothing else has, or another key for {holder[key]} as well"
                raise ConfigError(where, f"keys.{one.action.id}", problem, expected)
            holder[key] = one.action.id
    return bound


def changed_keys(config: Config) -> dict[str, str]:
    """Id of an action -> its key, for the keys that the configuration changes.

    Raises:
        ConfigError: as `key_map`.
    """
    return {b.action.id: b.keys[0] for b in key_map(config, None) if b.changed}


def configured(given: Path | None) -> tuple[Bound, ...]:
    """The key map of the configuration file that is in use; no source is looked for.

    Raises:
        WrongUse: the file cannot be read, or its `[keys]` cannot be used.
    """
    try:
        loaded = load(given, os.environ)
        return key_map(loaded.config, loaded.path)
    except ConfigError as error:
        raise WrongUse(str(error)) from error


def key_name(written: str) -> str | None:
    """A key as the terminal library calls it, from what is printed on it; None for no key."""
    prefix, plus, last = written.rpartition("+")
    if plus and prefix and last:
        rest = key_name(last)
        held = {part.lower() for part in prefix.split("+")}
        return f"{'+'.join(sorted(held))}+{rest}" if rest and held <= {"ctrl", "alt"} else None
    if len(written) == 1:
        if written.isalnum():
            return written
        name = unicodedata.name(written, "").lower().replace("-", "_").replace(" ", "_")
        return (_RENAMED.get(name, name) or None) if written.isprintable() else None
    name = _WRITTEN.get(written.lower(), written.lower())
    return name if name in _NAMED or name in IN_TABLES or _is_sign(name) else None


def _is_sign(name: str) -> bool:
    """Whether this is the library's name of a sign such as `slash` or `question_mark`."""
    if not re.fullmatch(r"[a-z_]+", name):
        return False
    signs = (chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum())
    return any(key_name(sign) == name for sign in signs)


def _checked(where: Path, action_id: str, written: str) -> str:
    by_id = {action.id: action for action in EVERY}
    key_path = f"keys.{action_id}"
    if action_id not in by_id:
        near = difflib.get_close_matches(action_id, by_id, n=1)
        hint = f'"{near[0]}", the nearest' if near else "an id that `foundry keys` lists"
        raise ConfigError(where, key_path, "an unknown action", hint)
    key = key_name(written)
    if key is None:
        expected = "a letter, digit or sign, f1 to f12, space, tab, enter, or ctrl+ with a letter"
        raise ConfigError(where, key_path, f'the key "{written}"', expected)
    if key in IN_TABLES:
        expected = "a key that does not move the cursor"
        raise ConfigError(where, key_path, f'the key "{written}"', expected)
    if by_id[action_id].risk == "change" and (key in ("enter", "space") or key.isdecimal()):
        expected = "a letter for an action that changes something: no digit, Enter or space"
        raise ConfigError(where, key_path, f'the key "{written}"', expected)
    return key
