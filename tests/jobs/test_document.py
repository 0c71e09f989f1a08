"""The file of a spec: what is read of YAML and TOML, and what is refused with its line."""

from __future__ import annotations

import time

import pytest

from foundry_tui.jobs.document import MAX_BYTES, read
from foundry_tui.jobs.errors import SpecError


def yaml(text: str) -> dict[str, object]:
    return read("a.yaml", text.encode()).values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: no", "no"),
        ("x: on", "on"),
        ("x: 12:00:00", "12:00:00"),
        ("x: 1e3", "1e3"),
        ("x: 0x10", "0x10"),
        ("x: 2026-03-02", "2026-03-02"),
        ("x: 010", 10),
        ("x: -3", -3),
        ("x: 0.5", 0.5),
        ("x: true", True),
        ("x: 'true'", "true"),
        ('x: "8"', "8"),
        ("x: ~", None),
        ("x:", None),
        ("x: [a, 1, {b: c}]", ["a", 1, {"b": "c"}]),
        ("x: |\n  a\n  b", "a\nb"),
        ("x: " + "9" * 5000, "9" * 5000),
        ("x: 训练", "训练"),
    ],
)
def test_plain_words_stay_text(text: str, value: object) -> None:
    assert yaml(text) == {"x": value}


def test_a_mark_at_the_beginning_and_dos_line_breaks_are_read() -> None:
    assert read("a.yaml", b"\xef\xbb\xbfgpus: 1\r\ncpus: 2\r\n").values == {"gpus": 1, "cpus": 2}
    assert read("a.toml", b'\xef\xbb\xbfname = "x"\r\n').values == {"name": "x"}


def test_the_line_of_every_key_and_item_is_known() -> None:
    document = read("a.yaml", b"# a\nname: x\noptions:\n  slurm:\n    - --a\n    - --b\n")
    assert document.lines[("name",)] == 2
    assert document.lines[("options", "slurm", "2")] == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("---\n", "empty"),
        ("{}", "empty"),
        ("just text", "a spec is a table"),
        ("- a\n- b", "a spec is a table"),
        ("gpus: 1\nname: x\ngpus: 2", "line 3: gpus: stands on line 1 already"),
        ("environment:\n  A: 1\n  A: 2", "line 3: environment.A: stands on line 2"),
        ("a: &x 1\nb: *x", "line 1: a: anchors and aliases"),
        ("a: [*x]", "line 1: a.1: anchors and aliases"),
        ("a: &x [b]\n", "anchors and aliases"),
        ("<<: *x\n", "anchors and aliases"),
        ("a: !!python/object/apply:os.system [echo]", "line 1: a: tags such as"),
        ("!!map {a: b}", "tags such as"),
        ("a: 1\n---\nb: 2", "line 2: a second document"),
        ("? [a]\n: b", "a key is a plain word"),
        ("? {a: b}\n: c", "a key is a plain word"),
        ("gpus: 1\n\tcpus: 2", "line 2: no YAML: a tab"),
        ("name: 'x", "no YAML"),
        ("name: [a", "no YAML"),
        ("a: b: c", "line 1: no YAML"),
        ("a: \x00", "no YAML"),
        ("a: \x1b[31m", "no YAML"),
        ("a: [[[[[1]]]]]", "too deep"),
        ("a: " + "[" * 60_000, "too deep"),
        ("a: " + "{b: " * 30_000, "too deep"),
    ],
)
def test_what_is_no_spec_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(SpecError) as raised:
        yaml(text)
    assert words in str(raised.value)
    assert str(raised.value).startswith("a.yaml")
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a = 1\na = 2\nb = 3", "line 2: no TOML"),
        ("a = \nb = 2", "line 1: no TOML"),
        ("a = " + "[" * 100_000, "no TOML"),
        ("a = " + "9" * 5000, "no TOML"),
    ],
)
def test_broken_toml_is_refused(text: str, words: str) -> None:
    with pytest.raises(SpecError) as raised:
        read("a.toml", text.encode())
    assert words in str(raised.value)


def test_other_bytes_and_large_files_are_refused() -> None:
    with pytest.raises(SpecError, match="line 2: not UTF-8"):
        read("a.yaml", b"name: x\ncommand: \xff\n")
    with pytest.raises(SpecError, match="not UTF-8"):
        read("a.yaml", "name: x".encode("utf-16"))
    with pytest.raises(SpecError, match="has 128 KiB"):
        read("a.yaml", b"#" * (MAX_BYTES + 1))


def test_the_largest_file_is_read_soon() -> None:
    text = "\n".join(f"k{i}: [1, 2, {{a: b}}]" for i in range(5000))[: MAX_BYTES - 100]
    started = time.process_time()
    assert yaml(text.rpartition("\n")[0])
    assert time.process_time() - started < 10
