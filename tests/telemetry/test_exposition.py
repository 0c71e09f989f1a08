"""The strict reader of the text format: beside prometheus_client's, and on what is no page."""

from __future__ import annotations

import gzip
import math
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from foundry_tui.agent.serving.page import Known, render
from foundry_tui.telemetry.demo.page import DemoNode
from foundry_tui.telemetry.exposition.text import (
    MAX_BODY,
    MAX_LABELS,
    MAX_LINE,
    Cache,
    ExpositionError,
    Page,
    Reject,
    parse,
    unfold,
)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

DCGM = """\
# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %) {with} "signs" 1
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",device="nvidia0",modelName="A100",Hostname="n1"} 97
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-2",device="nvidia1",modelName="A100",Hostname="n1"} 0
# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-1",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 0.512
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-1"} 9223372036854775794
"""


def flat(page: Page) -> Samples:
    return {
        (name, frozenset(labels.items())): value
        for labels, values in page.sets
        for name, value in values.items()
    }


def theirs(text: str) -> Samples:
    """As prometheus_client reads it; it would add `_total` to the names of counters."""
    text = text.replace(" counter\n", " gauge\n")
    return {
        (sample.name, frozenset(sample.labels.items())): float(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if math.isfinite(sample.value)
    }


def read(text: str | bytes, cache: Cache | None = None) -> Page:
    return parse(text.encode() if isinstance(text, str) else text, cache or Cache())


NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", fullmatch=True)
BOOLEANS = st.booleans()
LABELS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
# No spaces: prometheus_client refuses some labels whose value is nothing else.
TEXT = st.one_of(
    st.characters(codec="utf-8", exclude_categories=("Z", "Cc")), st.sampled_from('\n"\\,={}#')
)
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(["NaN", "+Inf", "-Inf", "0", "1e5", "+3", ".5", "5."]),
)


def escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@st.composite
def pages(draw: st.DrawFn) -> str:
    """A page as an exporter may write it, with the spaces that the format allows."""
    lines, seen = [], set()
    for _ in range(draw(st.integers(0, 12))):
        name = draw(NAMES)
        labels = draw(st.dictionaries(LABELS, st.text(TEXT, max_size=8), max_size=4))
        key = name, frozenset(labels.items())
        if key in seen:
            continue
        seen.add(key)
        gap = draw(st.sampled_from([" ", "  ", "\t"]))
        inner = ",".join(f'{k}="{escaped(v)}"' for k, v in labels.items())
        inner += draw(st.sampled_from(["", ","])) if labels else ""
        bare = not labels and draw(BOOLEANS)
        braces = "" if bare else f"{{{inner}}}"
        stamp = draw(st.sampled_from(["", " 1700000000000"]))
        lines.append(f"{name}{braces}{gap}{draw(VALUES)}{stamp}")
        if draw(BOOLEANS):
            lines.append(draw(st.sampled_from(["", "# a comment", f"# HELP {name} x {{y}} 1"])))
    return "\n".join(lines) + "\n"


@given(pages())
@settings(deadline=None, max_examples=60)
def test_a_page_reads_as_prometheus_client_reads_it(text: str) -> None:
    cache = Cache()
    first = read(text, cache)
    assert flat(first) == theirs(text)
    assert not first.rejected
    again = read(text, cache)
    assert (flat(again), again.unknown) == (flat(first), first.unknown)
    assert flat(read(text.replace("\n", "\r\n"), cache)) == flat(first)


def test_known_pages_read_as_prometheus_client_reads_them() -> None:
    demo = DemoNode(3, "n3").page(1_763_740_000.0).decode()
    agent = render(Known(), host="n1", jobs=True, now=1_763_740_000.0).decode()
    for text in (DCGM, demo, agent):
        assert flat(read(text)) == theirs(text)
        assert not read(text).rejected


@given(st.lists(st.sampled_from(DCGM.splitlines()), max_size=9), st.data())
@settings(deadline=None)
def test_a_page_that_was_damaged_never_raises_and_keeps_only_whole_lines(
    lines: list[str], data: st.DataObject
) -> None:
    body = bytearray(("\n".join(lines) + "\n").encode())
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    page = read(bytes(body))
    assert all(math.isfinite(value) for _, values in page.sets for value in values.values())
    assert page.samples == sum(len(values) for _, values in page.sets)


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_bytes_never_raise(body: bytes) -> None:
    read(body)


FORGED = 'm{job="1"} 99\nforged{job="1"} 7\n'


@pytest.mark.parametrize(
    ("line", "reject"),
    [
        ('m{job="1"} 99"} 5', Reject.MALFORMED),
        ('m{a="1",a="2"} 5', Reject.MALFORMED),
        ('m{a="1" b="2"} 5', Reject.MALFORMED),
        ('m{a="\\x"} 5', Reject.MALFORMED),
        ("m{a=1} 5", Reject.MALFORMED),
        ('m{a="1"', Reject.MALFORMED),
        ('m{a="1"} 5 # {b="c"} 1', Reject.MALFORMED),
        ('m{a="1"} 1_000', Reject.MALFORMED),
        ('m{a="1"} ٣', Reject.MALFORMED),
        ('m{a="1"} 0x10', Reject.MALFORMED),
        ('m{a="1"} 5 later', Reject.MALFORMED),
        ('m{a="1"}', Reject.MALFORMED),
        ("m", Reject.MALFORMED),
        ("1m 5", Reject.MALFORMED),
        ('{"utf8.name"} 5', Reject.MALFORMED),
        ("<html>", Reject.MALFORMED),
        (f'm{{a="{"x" * MAX_LINE}"}} 5', Reject.LONG),
        ("m{" + ",".join(f'l{n}="1"' for n in range(MAX_LABELS + 1)) + "} 5", Reject.LABELS),
    ],
)
def test_a_line_that_is_not_of_the_format_is_left_out_and_counted(
    line: str, reject: Reject
) -> None:
    page = read(f'good{{a="1"}} 1\n{line}\ngood{{a="2"}} 2\n')
    assert page.rejected == {reject: 1}
    assert sorted(flat(page).values()) == [1, 2]


def test_a_label_that_is_escaped_forges_nothing() -> None:
    page = read('m{job="1\\"} 99\\nforged 7"} 5\n')
    assert flat(page) == {("m", frozenset({("job", '1"} 99\nforged 7')})): 5}


def test_a_forged_series_that_contradicts_a_true_one_makes_it_unknown() -> None:
    """An exporter that does not escape makes whole lines of it: told twice, they are no value."""
    page = read(f'm{{job="1"}} 5\n{FORGED}"}} 5\n')
    assert page.rejected == {Reject.CONTRADICTION: 1, Reject.MALFORMED: 1}
    assert flat(page) == {("forged", frozenset({("job", "1")})): 7}


def test_the_same_labels_in_another_order_are_the_same_series() -> None:
    page = read('m{a="1",b="2"} 5\nm{b="2",a="1"} 5\nm{b="2", a="1",} 6\n')
    assert page.rejected == {Reject.DUPLICATE: 1, Reject.CONTRADICTION: 1}
    assert page.samples == 0


def test_no_number_is_a_value_that_is_not_known() -> None:
    page = read('m{a="1"} NaN\nm{a="2"} +Inf\nm{a="3"} -inf\nm{a="4"} 1e999\nm{a="5"} 5\n')
    assert (page.unknown, list(flat(page).values()), dict(page.rejected)) == (4, [5], {})


def test_a_line_without_its_end_is_left_out() -> None:
    page = read('m{a="1"} 5\nm{a="2"} 41')
    assert (list(flat(page).values()), page.rejected) == ([5], {Reject.CUT: 1})


def test_bytes_that_are_no_text_cost_their_line_alone() -> None:
    page = read(b'm{a="\xff"} 5\nm{a="\xc3\xa4"} 6\n')
    assert page.rejected == {Reject.ENCODING: 1}
    assert flat(page) == {("m", frozenset({("a", "ä")})): 6}


def test_times_of_samples_are_told() -> None:
    page = read('m{a="1"} 5 1700000060000\nm{a="2"} 6 1700000000000\nm{a="3"} 7\n')
    assert page.oldest_at == 1_700_000_000
    assert page.samples == 3


def test_only_what_is_wanted_is_taken() -> None:
    cache = Cache()
    for _ in range(2):
        page = parse(DCGM.encode(), cache, frozenset({"DCGM_FI_DEV_GPU_UTIL"}))
        assert {name for name, _ in flat(page)} == {"DCGM_FI_DEV_GPU_UTIL"}
        assert (page.samples, len(page.sets)) == (2, 2)
    assert len(flat(read(DCGM, cache))) == 4


@given(pages(), st.data())
@settings(deadline=None, max_examples=60)
def test_a_page_with_the_same_texts_and_other_numbers_reads_as_if_it_were_new(
    text: str, data: st.DataObject
) -> None:
    cache = Cache()
    read(text, cache)
    lines = []
    for line in text.splitlines():
        head, _, last = line.rpartition(" ")
        number = str(data.draw(st.integers(-(10**6), 10**6))) if last.isdigit() else last
        lines.append(f"{head} {number}" if head else line)
    other = "\n".join(lines) + "\n"
    known, fresh = read(other, cache), read(other)
    assert flat(known) == flat(fresh)
    assert (known.samples, known.unknown, known.oldest_at, known.rejected) == (
        fresh.samples,
        fresh.unknown,
        fresh.oldest_at,
        fresh.rejected,
    )


@pytest.mark.parametrize(
    "number",
    ["1e999", "-1e999", "1e308", "1e5e", "-", ".", "+3", ".5", "5.", "1e5", "1e-5", "0" * 40 + "7"],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_number_of_any_form_reads_the_same_on_a_page_that_is_known(
    number: str, first: bool
) -> None:
    everyday = 'm{a="1"} 5\nm{a="2"} 6\nm{a="3"} 1e308\nalone 7\n'
    odd = f'm{{a="1"}} {number}\nm{{a="2"}} 6\nm{{a="3"}} 1e308\nalone 7\n'
    cache = Cache()
    for text in (odd, everyday) if first else (everyday, odd):
        known, fresh = read(text, cache), read(text)
        assert flat(known) == flat(fresh)
        assert (known.samples, known.unknown, known.rejected) == (
            fresh.samples,
            fresh.unknown,
            fresh.rejected,
        )


@given(pages())
@settings(deadline=None, max_examples=60)
def test_labels_in_everyday_form_are_read_as_all_others(text: str) -> None:
    """The quick way through a block of labels, and the one that takes spaces and escapes."""
    spaced = re.sub(r"(?m)^([a-zA-Z0-9_:]+)\{", r"\1{ ", text)
    assert flat(read(spaced)) == flat(read(text))


def test_a_comment_stands_for_no_number() -> None:
    cache = Cache()
    read(b'# c \xff\nm{a="1"} 5\nm{a="2"} 6\n', cache)
    assert list(flat(read('# c 1\nm{a="1"} 5\nm{a="2"} 6\n', cache)).values()) == [5, 6]


def test_a_page_that_is_none_has_no_set_of_labels() -> None:
    cache = Cache()
    assert len(read("alone 7\n", cache).sets) == 1
    assert read("<html>\n<p>Sign in</p>\n</html>\n", cache).sets == ()


def test_a_layout_of_another_page_is_never_taken() -> None:
    cache = Cache()
    good = 'm{a="1"} 5\nm{a="2"} 6\n'
    for _ in range(2):
        assert list(flat(read(good, cache)).values()) == [5, 6]
    assert len(cache.layouts) == 1
    assert read('m{a="1"} 5\nm{a="1"} 6\n', cache).rejected == {Reject.CONTRADICTION: 1}
    assert read('m{a="1"} 5\nm{a="2"} 6', cache).rejected == {Reject.CUT: 1}
    assert read('m{a="1"} 5\nm{a="2"} NaN\n', cache).unknown == 1
    assert read('m{a="1"} 5\nm{a="2"} NaN\n', cache).unknown == 1
    assert read('m{a="1"} 5\nm{a="2"}  7\n', cache).samples == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\n" * (MAX_BODY + 1), "larger than 8 MiB"),
        (b"\n" * 400_001, "lines"),
        (b"".join(b"m%d 1\n" % n for n in range(200_001)), "samples"),
        (b"".join(b'm{a="%d"} 1\n' % n for n in range(20_001)), "sets of labels"),
        (b"?\n" * 20_001, "malformed"),
    ],
    ids=["bytes", "lines", "samples", "sets", "rejects"],
)
def test_a_page_beyond_the_caps_is_refused_soon(body: bytes, words: str) -> None:
    begun = time.process_time()
    with pytest.raises(ExpositionError, match=words):
        read(body)
    assert time.process_time() - begun < 10


def test_a_line_of_the_worst_kind_takes_no_time() -> None:
    worst = [
        "m{" + 'a="\\\\' * 1500,
        "m{" + " " * 8000,
        "m" * 8000,
        'm{a="' + '\\"' * 3900,
        'm{a="1"} ' + "1" * 8000 + " x",
    ]
    begun = time.process_time()
    assert read("\n".join(worst * 20) + "\n").samples == 0
    assert time.process_time() - begun < 5


def test_a_bomb_does_not_go_off() -> None:
    bomb = gzip.compress(bytes(64 << 20), 1)
    with pytest.raises(ExpositionError, match="unfolds to more than 8 MiB"):
        unfold(bomb)


@given(st.binary(max_size=200), st.integers(0, 250))
@settings(deadline=None)
def test_what_was_folded_unfolds_or_is_refused(content: bytes, cut: int) -> None:
    folded = gzip.compress(content)
    assert unfold(folded) == content
    for damaged in (folded[: min(cut, len(folded) - 1)], folded + b"x", content):
        with pytest.raises(ExpositionError):
            unfold(damaged)


def test_the_cache_starts_anew_before_it_grows_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("foundry_tui.telemetry.exposition.text._MAX_KEPT", 1000)
    cache = Cache()
    for n in range(200):
        read(f'm{{job="{n}"}} 1\n', cache)
    assert len(cache.labels) < 200
