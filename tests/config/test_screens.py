"""The tables of the screens: [screens] by its bounds, [keys] by what the actions allow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.keys import _character_to_key

from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.keymap import changed_keys, configured, key_map, key_name
from foundry_tui.actions.onscreen import EVERY
from foundry_tui.actions.opening import open_site
from foundry_tui.actions.site import Options
from foundry_tui.config.errors import ConfigError
from foundry_tui.config.load import Loaded, load
from foundry_tui.config.model import Config, Screens

Read = Callable[[str], Loaded]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(text: str) -> Loaded:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return load(path, {"HOME": "/home/ann"})

    return from_text


def test_without_a_file_the_terminals_own_colours_and_a_hold_of_ten_seconds() -> None:
    assert Config().screens == Screens(theme="terminal", ascii=False, mouse=True, hold_s=10.0)
    assert Config().keys == ()
    assert changed_keys(Config()) == {}


def test_every_option_is_read(read: Read) -> None:
    loaded = read(
        '[screens]\ntheme = "mono"\nascii = true\nmouse = false\nhold_s = 0\n'
        '[keys]\nhelp = "f1"\ncancel = "X"\n'
    )
    assert loaded.config.screens == Screens(theme="mono", ascii=True, mouse=False, hold_s=0)
    assert loaded.config.keys == (("help", "f1"), ("cancel", "X"))
    assert loaded.warnings == ()


BAD = {
    "[screens]\ntheme = 'dracula'": ("screens.theme", '"dracula"', '"foundry-dark"'),
    "[screens]\nascii = 1": ("screens.ascii", "number 1", "true or false"),
    "[screens]\nmouse = 'no'": ("screens.mouse", '"no"', "true or false"),
    "[screens]\nhold_s = 61": ("screens.hold_s", "61", "at most 60"),
    "[screens]\nhold_s = -1": ("screens.hold_s", "-1", "at least 0"),
    "[screens]\ntheem = 'mono'": ("screens.theem", "unknown key", '"theme"'),
    "keys = 'q'": ("keys", '"q"', "[keys]"),
    "[keys]\nquit = 1": ("keys.quit", "number 1", "text"),
    "[keys]\nquit = ''": ("keys.quit", '""', "text"),
    '[keys]\nquit = "\\u0007"': ("keys.quit", "text", "text in quotes"),
    "[keys.quit]\nkey = 'q'": ("keys.quit", "a table", "text"),
    "[keys]\ncancle = 'x'": ("keys.cancle", "unknown action", '"cancel", the nearest'),
    "[keys]\nzzzzzz = 'x'": ("keys.zzzzzz", "unknown action", "`foundry keys`"),
    "[keys]\nhelp = 'meta'": ("keys.help", '"meta"', "f1 to f12"),
    "[keys]\nhelp = 'f13'": ("keys.help", '"f13"', "f1 to f12"),
    "[keys]\nhelp = 'ctrl+'": ("keys.help", '"ctrl+"', "ctrl+ with a letter"),
    "[keys]\nhelp = 'j'": ("keys.help", '"j"', "does not move the cursor"),
    "[keys]\nhelp = 'pageup'": ("keys.help", '"pageup"', "does not move the cursor"),
    "[keys]\nhelp = 'q'": ("keys.help", "the key of quit too", "another key for quit as well"),
    "[keys]\nhelp = 'f1'\nquit = 'F1'": ("keys.", "the key of", "that nothing else has"),
    "[keys]\nhelp = '/'": ("keys.help", "the key of filter too", "nothing else"),
    "[keys]\ncancel = '6'": ("keys.cancel", '"6"', "no digit, Enter or space"),
    "[keys]\ncancel = 'enter'": ("keys.cancel", '"enter"', "no digit, Enter or space"),
    "[keys]\nsubmit = 'return'": ("keys.submit", '"return"', "no digit, Enter or space"),
    "[keys]\nhold = 'space'": ("keys.hold", '"space"', "no digit, Enter or space"),
}


@pytest.mark.parametrize("text", BAD)
def test_an_error_names_file_key_found_and_expected(read: Read, tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded = read(text)
        key_map(loaded.config, loaded.path)
    message = str(caught.value)
    key, found, expected = BAD[text]
    assert message.startswith(f"{tmp_path}/config.toml: {key}")
    before, _, after = message.partition("; expected ")
    assert found in before.partition(": found ")[2]
    assert expected in after


def test_keys_may_be_exchanged(read: Read) -> None:
    config = read('[keys]\ncancel = "h"\nhold = "c"\n').config
    bound = {b.action.id: b for b in key_map(config, None)}
    assert (bound["cancel"].keys, bound["hold"].keys) == (("h",), ("c",))
    assert bound["cancel"].changed
    assert not bound["help"].changed
    assert [b.action for b in key_map(config, None)] == list(EVERY)


def test_as_delivered_no_key_has_two_actions_and_no_change_is_on_a_careless_key() -> None:
    seen: dict[str, str] = {}
    for bound in key_map(Config(), None):
        for key in bound.keys:
            assert key_name(key) == key
            assert seen.setdefault(key, bound.action.id) == bound.action.id
            if bound.action.risk == "change":
                assert len(key) == 1
                assert key.isalpha()


def test_a_sign_has_the_name_that_the_terminal_library_gives_it() -> None:
    for code in range(0x20, 0x7F):
        char = chr(code)
        known = None if char in "jkgG" else key_name(char)
        assert known == (None if char in "jkgG" else _character_to_key(char))
        assert key_name(_character_to_key(char)) == _character_to_key(char)
    assert key_name("é") == "é"
    assert key_name("ctrl+x") == "ctrl+x"
    assert key_name("\x1b") is None
    assert key_name("") is None


def test_a_bad_key_stops_the_program_before_anything_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[keys]\ncancel = "1"\n')
    path.chmod(0o600)
    with pytest.raises(WrongUse, match=r"keys\.cancel: found the key"):
        open_site(Options(config=path, demo=True), lambda words: None)
    with pytest.raises(WrongUse, match=r"keys\.cancel"):
        configured(path)
