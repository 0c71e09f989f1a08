"""Nothing that comes out of `safe` drives a terminal, forges a row or grows beyond its cells."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcwidth

from foundry_tui.estate.text import MARKS_PER_BASE, cells, clip, pad, safe

HOSTILE: dict[str, str | bytes] = {
    "csi colour": "\x1b[31mred",
    "csi clear": b"\x1b[2J\x1b[H",
    "osc 52 clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "osc 0 title": b"\x1b]0;owned\x1b\\",
    "forged row": "train\n1234 root RUNNING 8",
    "carriage return": "harmless\rroot",
    "markup end": "[/]",
    "markup click": "[@click=app.quit]go[/]",
    "bidi override": "exe\u202egnp.train",
    "bidi isolate": "\u2066a\u2069",
    "not utf-8": b"\xff\xfe",
    "half a character": b"tr\xc3",
    "1,024 bytes": b"n" * 1024,
    "64 kB": "train-" * 11_000,
    "64 kB of ESC": "\x1b" * 65_536,
    "64 kB of marks": "e" + "\u0301" * 65_536,
    "zalgo": "z" + "\u0335\u0321\u0300" * 40 + "a" + "\u0489" * 40,
    "zwj emoji": "👩\u200d👩\u200d👧\u200d👦",
    "flag and skin": "🇩🇪👍🏽❤\ufe0f",
    "nul": "a\x00b",
    "c1 csi": "\x9b31m",
    "c1 csi as utf-8": b"\xc2\x9b31m",
    "lone surrogate": "\ud800x",
    "private use": "\ue000\U0010fffd",
    "unassigned": "\U000e1234",
    "line separators": "a\u2028b\u2029c",
    "byte order mark": "\ufeffrun",
    "invisible letters": "\u115f\u1160\u3164\uffa0\u034f\U000e0101",
    "formula": "=cmd()",
    "combining first": "\u0301\u0301\u0301a",
    "wide": "訓練" * 200,
}
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

# all code points, with those that matter drawn often
character = st.one_of(
    st.characters(),
    st.characters(categories=["Cc", "Cf", "Cs", "Co", "Zl", "Zp"]),
    st.characters(categories=["Mn", "Me", "Mc"]),
    st.sampled_from("訓🚀\u202e\u200d\ufe0f\u0301\u1161\udcff…‹›␛◌"),
)
any_text = st.text(character, max_size=60)
any_raw = st.one_of(any_text, st.binary(max_size=60))


def assert_harmless(shown: str) -> None:
    assert not {unicodedata.category(char) for char in shown} & FORBIDDEN
    marks = 0
    for position, char in enumerate(shown):
        marks = marks + 1 if wcwidth(char) == 0 else 0
        assert marks <= MARKS_PER_BASE
        assert not (marks and position == 0), "a mark would join the text before"


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_shown_and_not_obeyed(raw: str | bytes) -> None:
    shown = safe(raw)
    assert_harmless(shown)
    assert shown
    assert cells(shown) <= 256
    shown.encode()  # a lone surrogate would raise here
    assert len(shown) <= 256 * (1 + MARKS_PER_BASE)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31m", "␛[31m"),
        ("\x1b]52;c;eA==\x07", "␛]52;c;eA==␇"),
        ("a\nb\tc\x00\x7f", "a␊b␉c␀␡"),
        ("\x9b\x85", "‹9b›‹85›"),
        ("\u202e\u200b", "‹202e›‹200b›"),
        (b"\xff\xfe", "‹xff›‹xfe›"),
        (b"caf\xc3\xa9", "café"),
        ("\ud800", "‹d800›"),
        ("❤\ufe0f", "❤‹fe0f›"),
        ("e\u0301\u0302\u0303", "e\u0301\u0302"),
        ("e\u0301" * 9, "e\u0301" * 9),
        ("\u0301", "◌\u0301"),
        ("[/]=cmd()", "[/]=cmd()"),
        ("train-løp 訓練 🚀", "train-løp 訓練 🚀"),
        ("", ""),
    ],
)
def test_each_kind_of_character_has_its_stand_in(raw: str | bytes, shown: str) -> None:
    assert safe(raw) == shown


def test_names_of_undecodable_bytes_stay_different() -> None:
    names = {safe(bytes([byte])) for byte in range(0x80, 0x100)}
    assert len(names) == 128
    assert safe(b"\x9b") != safe("\x9b")


@pytest.mark.parametrize(
    ("raw", "max_cells", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
        ("abcdef", -3, ""),
        ("訓練所", 6, "訓練所"),
        ("訓練所", 5, "訓練…"),
        ("訓練所", 4, "訓…"),
        ("a\x9bb", 4, "a…"),
        ("a\x9bb", 6, "a‹9b›b"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("\x1b", 0, ""),
    ],
)
def test_a_cut_ends_in_an_ellipsis_and_splits_nothing(raw: str, max_cells: int, shown: str) -> None:
    assert safe(raw, max_cells=max_cells) == shown


@settings(deadline=None)
@given(any_raw)
def test_every_input_becomes_harmless(raw: str | bytes) -> None:
    assert_harmless(safe(raw))


@settings(deadline=None)
@given(any_raw, st.integers(0, 40))
def test_safe_is_idempotent_and_keeps_to_its_cells(raw: str | bytes, max_cells: int) -> None:
    shown = safe(raw, max_cells=max_cells)
    assert cells(shown) <= max_cells
    assert cells(shown) == sum(wcwidth(char) for char in shown)
    assert safe(shown, max_cells=max_cells) == shown
    assert safe(shown) == shown


@settings(deadline=None)
@given(any_text, st.integers(0, 40))
def test_only_what_is_too_wide_is_cut(raw: str, width: int) -> None:
    whole = safe(raw, max_cells=1000)
    clipped = clip(whole, width)
    assert cells(clipped) <= width
    if cells(whole) <= width:
        assert clipped == whole
    elif width:
        assert clipped.endswith("…")
        assert whole.startswith(clipped.removesuffix("…"))
        assert cells(clipped) >= width - 1, "only a wide character may leave a cell empty"


@settings(deadline=None)
@given(any_text, st.integers(0, 40))
def test_pad_fills_exactly(raw: str, width: int) -> None:
    text = safe(raw)
    assert cells(pad(text, width)) == width
    assert cells(pad(text, width, "right")) == width


def test_pad_aligns() -> None:
    assert pad(safe("ab"), 4) == "ab  "
    assert pad(safe("ab"), 4, "right") == "  ab"
    assert pad(safe("訓練"), 3) == "訓…"
    assert pad(safe("訓練"), 2) == "… "


def test_characters_taken_as_narrow_are_narrow() -> None:
    for code in (*range(0x20, 0x300), *range(0x2000, 0x2600)):
        shown = safe(chr(code))
        assert cells(shown) == sum(wcwidth(char) for char in shown), f"U+{code:04x}"


def test_common_names_do_without_the_width_tables() -> None:
    code = (
        "import sys\n"
        "from foundry_tui.estate.text import cells, pad, safe\n"
        "name = 'train-llama-70b'\n"
        "assert safe(name) is name\n"
        "assert pad(safe(name), 7) == 'train-…'\n"
        "assert cells(safe(b'Gr\\xc3\\xb6\\xc3\\x9fe\\x1b\\xff')) == 11\n"
        "print('wcwidth' in sys.modules)\n"
        "assert cells(safe('訓')) == 2\n"
        "print('wcwidth' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue\n"
