"""The Prometheus text format, read strictly: a page of a node becomes numbers by set of labels.

A line that does not follow the format is counted and left out, never guessed at: an exporter that
does not escape its labels lets a job's name forge series, and a cut line ends in a wrong number.
The rules are those of the format's description (version 0.0.4), with two additions: a CRLF ends a
line too, and a last line without an end is left out, because nobody knows what is missing of it.

A node repeats most of its page in every sweep: what was never seen is taken apart, a set of labels
that was read before is looked up whole, and so is all of a page but its numbers (`layout.py`).
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.telemetry.exposition.layout import Labels, LabelSet, Layout, cut, learn

MAX_BODY = 8 << 20
"""Bytes of a page, unfolded. A node of 16 GPUs with every metric has 200 kB."""
MAX_LINES = 400_000
MAX_SAMPLES = 200_000
MAX_LINE = 8 << 10
"""Characters of a line."""
MAX_LABELS = 64
MAX_SETS = 20_000
"""Sets of labels of a page, and lines that are left out of it: both take time."""
_MAX_KEPT = 64 << 20
"""Characters that a cache holds before it starts anew; 10,000 GPUs have 8 million."""

_NAME = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*+)"[ \t]*')
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*)"(?:,|$)')
_VALUE = re.compile(r"[ \t]*([^ \t]+)(?:[ \t]+([+-]?[0-9]{1,18}))?[ \t]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NO_NUMBER = re.compile(r"(?i:[+-]?(?:inf(?:inity)?|nan))")
_PLAIN = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:e[+-]0?[0-9]{2})?")
"""A number as exporters write it, which always has a finite value."""
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


class ExpositionError(Exception):
    """A page is beyond what is read of any; the message says in which way."""

    def __init__(self, words: str) -> None:
        super().__init__(safe(words))

    @property
    def words(self) -> SafeText:
        return safe(str(self))


class Reject(StrEnum):
    """Why a line was left out."""

    MALFORMED = "malformed"
    LONG = "longer than 8 kB"
    LABELS = "more than 64 labels"
    ENCODING = "not UTF-8"
    DUPLICATE = "given twice"
    CONTRADICTION = "given twice with different values"
    CUT = "cut off at the end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page says.

    `sets` are in the page's order; every value is finite. `unknown` counts NaN and infinities,
    which stand for a value that its exporter does not have. `oldest_at` is the oldest time that a
    sample carries (unix seconds), None where no sample carries any.
    """

    sets: tuple[LabelSet, ...] = ()
    samples: int = 0
    unknown: int = 0
    rejected: Mapping[Reject, int] = field(default_factory=dict)
    oldest_at: float | None = None


@dataclass(slots=True)
class Cache:
    """What was read before, of all nodes: names, labels by the text between the braces, layouts."""

    names: set[str] = field(default_factory=set)
    labels: dict[str, Labels] = field(default_factory=dict)
    strings: dict[str, str] = field(default_factory=dict)
    layouts: dict[tuple[bytes, frozenset[str] | None], Layout] = field(default_factory=dict)
    size: int = 0

    def trim(self) -> None:
        """Start anew when it has grown beyond what an estate can have."""
        if self.size > _MAX_KEPT:
            self.names.clear()
            self.labels.clear()
            self.strings.clear()
            self.layouts.clear()
            self.size = 0


def unfold(body: bytes, most: int = MAX_BODY) -> bytes:
    """The content of a gzip-compressed body.

    Raises:
        ExpositionError: it unfolds to more than `most` bytes, is damaged, or is cut off.
    """
    unfolder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unfolder.decompress(body, most + 1)
    except zlib.error:
        raise ExpositionError("the compressed answer is damaged") from None
    if len(content) > most:
        raise ExpositionError(f"the answer unfolds to more than {most >> 20} MiB")
    if not unfolder.eof or unfolder.unused_data:
        raise ExpositionError("the compressed answer is damaged at its end")
    return content


def parse(body: bytes, cache: Cache, wanted: frozenset[str] | None = None) -> Page:
    """The samples of a page; with `wanted` those of these metrics, and others are not looked at.

    Raises:
        ExpositionError: the page is larger than `MAX_BODY`, or has more lines, samples or sets of
            labels than the caps above.
    """
    if len(body) > MAX_BODY:
        raise ExpositionError(f"the page is larger than {MAX_BODY >> 20} MiB")
    if len(body) > MAX_LINES and body.count(b"\n") > MAX_LINES:
        raise ExpositionError(f"the page has more than {MAX_LINES:,} lines")
    cache.trim()
    pieces = cut(body)
    if pieces is not None:
        layout = cache.layouts.get((pieces.digest, wanted))
        if layout is not None:
            sets = layout.sets(pieces.numbers)
            return Page(sets=sets, samples=layout.samples, unknown=layout.unknown)
    reading = _read(body, cache, wanted)
    page = reading.page()
    if pieces is not None and not page.rejected and page.oldest_at is None:
        layout = learn(pieces, page.sets, reading.held, page.unknown)
        if layout is not None:
            cache.layouts[pieces.digest, wanted] = layout
            cache.size += 16 * (page.samples + len(page.sets))
    return page


def _read(body: bytes, cache: Cache, wanted: frozenset[str] | None) -> _Reading:
    # A byte that is not UTF-8 becomes a surrogate, which is refused with its line.
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    lines = text.split("\n")
    reading = _Reading(cache, wanted)
    if lines.pop():
        reading.rejected[Reject.CUT] += 1
    held, names, plain = reading.held, cache.names, _PLAIN.fullmatch
    for line in lines:
        if line.startswith("#"):
            continue
        name, _, rest = line.partition("{")
        if wanted is not None and name not in wanted and name in names:
            continue
        block, _, number = rest.rpartition("} ")
        if name in names and plain(number):
            found = held.get(block)
            if found is None and block in cache.labels:
                found = reading.first(block)
            if found is not None and name not in found.values:
                found.values[name] = float(number)
                continue
        reading.take(line)
    return reading


class _Reading:
    """One page while it is read."""

    def __init__(self, cache: Cache, wanted: frozenset[str] | None) -> None:
        self.cache = cache
        self.wanted = wanted
        self.held: dict[str, LabelSet] = {}
        self.rejected: Counter[Reject] = Counter()
        self._sets: dict[int, LabelSet] = {}
        self._oldest_ms: int | None = None
        self._unknown = 0
        self._gaps = False

    def take(self, line: str) -> None:
        """One line, whatever it is."""
        line = line.strip(" \t")
        if not line or line[0] == "#":
            return
        reject = self._sample(line)
        if reject is not None:
            self.rejected[reject] += 1
            if self.rejected[reject] > MAX_SETS:
                raise ExpositionError(f"more than {MAX_SETS:,} lines are {reject}")

    def first(self, block: str) -> LabelSet:
        """The set of the labels of a block that is new on this page.

        Raises:
            ExpositionError: there are too many sets of labels.
        """
        labels = self.cache.labels.setdefault(block, _NONE)
        key = labels.key
        while key in self._sets and self._sets[key].labels != labels:
            key += 1
        if key not in self._sets:
            self._sets[key] = LabelSet(labels, {})
            if len(self._sets) > MAX_SETS:
                raise ExpositionError(f"the page has more than {MAX_SETS:,} sets of labels")
        found = self.held[block] = self._sets[key]
        return found

    def page(self) -> Page:
        """All of it, without the values that are none.

        Raises:
            ExpositionError: there are too many samples.
        """
        held = [found.values for found in self._sets.values()]
        if self._gaps:
            for values in held:
                for name in [name for name, value in values.items() if math.isnan(value)]:
                    del values[name]
        samples = sum(map(len, held))
        if samples > MAX_SAMPLES:
            raise ExpositionError(f"the page has more than {MAX_SAMPLES:,} samples")
        return Page(
            sets=tuple(self._sets.values()),
            samples=samples,
            unknown=self._unknown,
            rejected=dict(self.rejected),
            oldest_at=None if self._oldest_ms is None else self._oldest_ms / 1000,
        )

    def _sample(self, line: str) -> Reject | None:
        if len(line) > MAX_LINE:
            return Reject.LONG
        if not line.isascii() and any("\udc80" <= char <= "\udcff" for char in line):
            return Reject.ENCODING
        named = _NAME.match(line)
        if named is None:
            return Reject.MALFORMED
        name, at = named[1], named.end()
        block = ""
        if line[at : at + 1] == "{":
            end = self._labels(line, at + 1)
            if isinstance(end, Reject):
                return end
            block, at = line[at + 1 : end], end + 1
        elif at == named.end(1):
            return Reject.MALFORMED
        tail = _VALUE.fullmatch(line, at)
        if tail is None:
            return Reject.MALFORMED
        if _NUMBER.fullmatch(tail[1]):
            value = float(tail[1])
        elif _NO_NUMBER.fullmatch(tail[1]):
            value = math.nan
        else:
            return Reject.MALFORMED
        if tail[2] is not None:
            stamp = int(tail[2])
            self._oldest_ms = stamp if self._oldest_ms is None else min(self._oldest_ms, stamp)
        return self._keep(name, block, value if math.isfinite(value) else math.nan)

    def _labels(self, line: str, start: int) -> int | Reject:
        """Where the labels that begin at `start` end; they are in the cache then."""
        end = line.find('"}', start) + 1
        block = line[start:end]
        pairs = _PAIR.findall(block)
        labels = {self._one(name): self._one(value) for name, value in pairs}
        # Nothing between the pairs, nothing twice: the everyday way to write them.
        size = sum(len(name) + len(value) + 4 for name, value in pairs) - 1
        if len(block) == size and len(labels) == len(pairs) <= MAX_LABELS:
            return self._known(block, labels, end)
        labels = {}
        at = start
        while label := _LABEL.match(line, at):
            if label[1] in labels:
                return Reject.MALFORMED
            labels[self._one(label[1])] = self._one(_unescaped(label[2]))
            at = label.end()
            if line[at : at + 1] != ",":
                break
            at += 1
        if len(labels) > MAX_LABELS:
            return Reject.LABELS
        while line[at : at + 1] in (" ", "\t"):
            at += 1
        if line[at : at + 1] != "}":
            return Reject.MALFORMED
        return self._known(line[start:at], labels, at)

    def _known(self, block: str, labels: dict[str, str], end: int) -> int:
        self.cache.labels[block] = Labels(labels)
        self.cache.size += len(block)
        return end

    def _one(self, text: str) -> str:
        """The same string object for the same text: ten thousand GPUs have one model."""
        known = self.cache.strings.get(text)
        if known is None:
            known = self.cache.strings[text] = text
            self.cache.size += len(text)
        return known

    def _keep(self, name: str, block: str, value: float) -> Reject | None:
        self.cache.names.add(self._one(name))
        if self.wanted is not None and name not in self.wanted:
            return None
        values = (self.held.get(block) or self.first(block)).values
        if name not in values:
            values[name] = value
            if math.isnan(value):
                self._unknown += 1
                self._gaps = True
            return None
        if values[name] == value or (math.isnan(value) and math.isnan(values[name])):
            return Reject.DUPLICATE
        values[name] = math.nan
        self._gaps = True
        return Reject.CONTRADICTION


_NONE = Labels({})


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], text)
