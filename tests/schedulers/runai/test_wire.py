"""The control plane's JSON: whatever comes is read, or left out and counted."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.runai import wire
from foundry_tui.schedulers.runai.paging import LIMIT
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.runai.plane import Plane, reply

WORDS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
ANY = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


NODE = {"id": "n", "name": "n0", "gpuInfo": {"gpuCount": 2}}


def fields(kind: type[wire.Tolerant]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of a record's fields, each of them anything."""
    names = [f.encode_name for f in msgspec.structs.fields(kind)]
    return st.dictionaries(st.sampled_from(names), ANY, max_size=8)


@pytest.mark.parametrize(
    ("word", "found"),
    [("85", 85.0), (7, 7.0), ("", None), (None, None), ("nan", None), ("inf", None), (True, None)],
)
def test_numbers_may_be_texts(word: object, found: float | None) -> None:
    assert wire.number(word) == found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("20G", 20 * 10**9),
        ("512Mi", 512 << 20),
        ("0B", 0),
        ("1500m", 1),
        (4096, 4096),
        ("-1G", None),
        ("20 apples", None),
        (None, None),
    ],
)
def test_amounts(word: object, found: int | None) -> None:
    assert wire.amount_bytes(word) == found


@pytest.mark.parametrize(
    "word", ["2026-11-20T12:00:00Z", "2026-11-20T12:00:00", "2026-11-20T14:00:00+02:00"]
)
def test_times_are_utc(word: str) -> None:
    assert wire.when(word) == datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize("word", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "x", 5, ""])
def test_times_that_are_none(word: object) -> None:
    assert wire.when(word) is None


@given(WORDS)
def test_no_word_breaks_a_reader(word: object) -> None:
    for read in (wire.number, wire.count, wire.milli, wire.amount_bytes, wire.when, wire.text):
        found = read(word)
        assert not isinstance(found, float) or math.isfinite(found)


@given(st.binary(max_size=60) | ANY.map(lambda v: json.dumps(v).encode()))
def test_a_page_is_read_or_refused_in_words(body: bytes) -> None:
    for key in ("workloads", None):
        try:
            raw, after = wire.page(body, key)
        except ValueError as error:
            assert str(error)
        else:
            wire.items(raw, wire.Workload)
            assert after is None or isinstance(after, int)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(fields(wire.Workload), max_size=3),
    st.lists(fields(wire.Pod), max_size=3),
    st.lists(fields(wire.Node), max_size=3),
    st.lists(fields(wire.OrgUnit), max_size=3),
)
def test_whatever_the_lists_hold_the_nouns_fit_together(
    tmp_path: Path, workloads: list[Any], pods: list[Any], nodes: list[Any], projects: list[Any]
) -> None:
    plane = Plane()
    plane.answers["GET /api/v1/workloads"] = reply({"workloads": _unique(workloads)})
    plane.answers["GET /api/v1/workloads/pods"] = reply({"pods": pods})
    plane.answers["GET /api/v1/nodes"] = reply({"nodes": [NODE, *nodes]})
    plane.answers["GET /api/v1/org-unit/projects"] = reply({"projects": projects})
    try:
        estate = plane.adapter(tmp_path).snapshot()
    except SchedulerError as error:  # a float such as 1e999 makes the whole page unreadable
        assert "no JSON" in str(error)
        return
    assert_consistent(estate, "r")
    for run in estate.runs:
        words = (run.name, *(run.native or {}).values(), run.queue or "", run.user or "")
        assert all(w == safe(w, max_cells=10_000) for w in words)


def _unique(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**item, "id": f"id-{n}"} for n, item in enumerate(items)]


def test_items_that_are_none_are_left_out_and_counted(tmp_path: Path) -> None:
    plane = Plane()
    items = [{"id": "a", "name": "good", "phase": "Dancing"}, 7, {"id": "b", "requestedPods": []}]
    plane.answers["GET /api/v1/workloads"] = reply({"workloads": items})
    estate = plane.adapter(tmp_path).snapshot()
    assert [(r.native_id, r.state) for r in estate.runs] == [("a", "unknown")]
    assert estate.partial == ("/api/v1/workloads: 2 of 3 items could not be read",)
    assert estate.sources[0].reason


def test_every_page_is_read(tmp_path: Path) -> None:
    plane, total = Plane(), 6 * LIMIT + 7

    def pages(request: Any) -> Any:
        offset = int(request.url.params["offset"])
        assert int(request.url.params["limit"]) == LIMIT
        end = min(total, offset + LIMIT)
        body: dict[str, Any] = {"workloads": [{"id": str(n)} for n in range(offset, end)]}
        return reply({**body, "next": end} if end < total else body)

    plane.answers["GET /api/v1/workloads"] = pages
    estate = plane.adapter(tmp_path).snapshot()
    assert {r.native_id for r in estate.runs} == {str(n) for n in range(total)}
    assert len(estate.runs) == total
    assert plane.count("GET", "/api/v1/workloads") <= 9


@pytest.mark.parametrize("after", [0, 1, "1", 10**9])
def test_pages_without_end_are_not_followed_for_ever(tmp_path: Path, after: object) -> None:
    plane = Plane()
    plane.answers["GET /api/v1/nodes"] = reply({"nodes": [{"name": "n1"}], "next": after})
    estate = plane.adapter(tmp_path).snapshot()
    assert [n.name for n in estate.nodes] == ["n1"]
    assert estate.partial
    assert plane.count("GET", "/api/v1/nodes") <= 10
