"""List and watch: what is in memory equals what the server has, whatever happens to the stream."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai import follow, kinds
from foundry_tui.schedulers.kai.connect import Cluster, Forbidden, Overloaded
from foundry_tui.schedulers.kai.follow import Follower
from foundry_tui.schedulers.kai.kinds import Table
from foundry_tui.schedulers.ports import SchedulerError
from tests.lab.daemons import until
from tests.schedulers.kai.things import PODS, pod
from tests.schedulers.kai.tiny import TinyApi, Trouble

Query = dict[str, str]


@pytest.fixture
def follower(config: KubernetesConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Follower]:
    """A follower of the pods; after the test it stops."""
    monkeypatch.setattr(follow, "RETRY_S", (0.05,))
    monkeypatch.setattr(follow, "QUICK_S", 0.05)
    stopped = threading.Event()
    yield Follower(Cluster(config), Table(kinds.PODS, PODS), stopped)
    stopped.set()


def names(follower: Follower) -> set[str]:
    return {row.metadata.name for row in follower.table.rows.values()}


def start(follower: Follower) -> None:
    """List, then follow in the background until the watch stands."""
    follower.read()
    threading.Thread(target=follower.follow, daemon=True).start()


def until_names(follower: Follower, *wanted: str) -> None:
    until(lambda: names(follower) == set(wanted), 30, f"the names to be {wanted}", 0.01)


def until_watched(api: TinyApi) -> None:
    until(lambda: api.served == 1, 30, "a watch to stand", 0.01)


def first_only(
    answer: Trouble, times: int, watches: bool
) -> Callable[[str, str, Query], Trouble | None]:
    """Trouble for the first so many lists or watches."""
    left = [times]

    def trouble(_method: str, _path: str, query: Query) -> Trouble | None:
        if ("watch" in query) is not watches or not left[0]:
            return None
        left[0] -= 1
        return answer

    return trouble


def test_a_list_is_read_page_by_page(
    api: TinyApi, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PAGE", 3)
    for number in range(10):
        api.put(PODS, pod(f"p{number}"))
    follower.read()
    assert names(follower) == {f"p{number}" for number in range(10)}
    assert [q.get("continue") for _, _, q in api.asked] == [None, "3", "6", "9"]
    assert follower.table.version == str(api.version)


def test_a_list_whose_version_is_forgotten_midway_begins_again(
    api: TinyApi, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PAGE", 2)
    for number in range(5):
        api.put(PODS, pod(f"p{number}"))
    told: list[Trouble] = [(410, "the provided continue parameter is too old", {})]
    api.trouble = lambda _m, _p, q: told.pop() if told and q.get("continue") == "2" else None
    follower.read()
    assert len(names(follower)) == 5
    api.trouble = lambda _m, _p, q: (410, "too old", {}) if "continue" in q else None
    with pytest.raises(SchedulerError, match="410"):
        follower.read()


def test_changes_arrive_without_another_list(api: TinyApi, follower: Follower) -> None:
    api.put(PODS, pod("first"))
    start(follower)
    api.put(PODS, pod("second"))
    until_names(follower, "first", "second")
    api.put(PODS, pod("first", "gpu00"))
    until(lambda: follower.table.rows["uid-first"].spec.node_name == "gpu00", 30, "the change")
    api.remove(PODS, "uid-second")
    until_names(follower, "first")
    assert api.lists(PODS) == 1


def test_a_broken_stream_is_taken_up_where_it_broke(api: TinyApi, follower: Follower) -> None:
    api.put(PODS, pod("a"))
    start(follower)
    until_watched(api)
    api.put(PODS, pod("b"))
    until_names(follower, "a", "b")
    at = follower.table.version
    api.cut()
    api.put(PODS, pod("c"))
    until_names(follower, "a", "b", "c")
    assert api.lists(PODS) == 1
    assert api.watches(PODS)[1] == at


def test_a_bookmark_moves_the_version_on(api: TinyApi, follower: Follower) -> None:
    api.put(PODS, pod("a"))
    start(follower)
    until_watched(api)
    api.bookmark(PODS)
    until(lambda: follower.table.version == str(api.version), 30, "the bookmark to be seen")
    # What was before the bookmark may be forgotten now: the watch goes on from it all the same.
    api.oldest = api.version
    api.cut()
    api.put(PODS, pod("b"))
    until_names(follower, "a", "b")
    assert api.lists(PODS) == 1


def test_a_forgotten_version_is_listed_anew(api: TinyApi, follower: Follower) -> None:
    api.put(PODS, pod("goes"))
    api.put(PODS, pod("stays"))
    start(follower)
    until_watched(api)
    api.trouble = lambda _m, _p, query: (503, "starting", {}) if "watch" in query else None
    api.cut()
    api.remove(PODS, "uid-goes")
    api.forget()
    api.trouble = lambda *_: None
    until_names(follower, "stays")
    assert api.lists(PODS) == 2


def test_a_forgotten_version_told_in_the_stream_is_listed_anew(
    api: TinyApi, follower: Follower
) -> None:
    api.put(PODS, pod("a"))
    start(follower)
    until_watched(api)
    api.send(PODS, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "old"}})
    until(lambda: api.lists(PODS) == 2, 30, "the second list")
    until(lambda: len(api.watches(PODS)) == 2, 30, "a watch from the new version")
    api.put(PODS, pod("b"))
    until_names(follower, "a", "b")
    assert follower.table.error is None


def test_a_storm_of_errors_passes(api: TinyApi, follower: Follower) -> None:
    api.put(PODS, pod("a"))
    start(follower)
    until_watched(api)
    api.trouble = first_only((500, "etcdserver: leader changed", {}), 8, watches=True)
    api.cut()
    until(lambda: isinstance(follower.table.error, Overloaded), 30, "the error to be known", 0.001)
    api.put(PODS, pod("b"))
    until_names(follower, "a", "b")
    assert (follower.table.error, follower.table.lost_at) == (None, None)
    assert api.lists(PODS) == 1


def test_a_wish_to_be_left_alone_is_kept(
    api: TinyApi, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    follower.read()
    api.trouble = lambda *_: (429, "too many requests", {"Retry-After": "17"})

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        follower.stopped.set()
        return True

    monkeypatch.setattr(follower.stopped, "wait", wait)
    follower.follow()
    assert waited == [17.0]


def test_a_kind_that_goes_away_is_empty_after_a_while(
    api: TinyApi, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "LOST_S", 0.3)
    monkeypatch.setattr(follow, "ABSENT_S", 0.05)
    api.put(PODS, pod("a"))
    start(follower)
    until_watched(api)
    kept = api.things.pop(PODS)
    api.cut()
    until(lambda: follower.table.error is not None, 30, "the loss to be seen", 0.001)
    # An API server that was just started does not know every kind yet.
    assert names(follower) == {"a"}
    until(lambda: follower.table.absent, 30, "the kind to be gone")
    assert names(follower) == set()
    assert follower.table.error is None
    api.things[PODS] = kept
    until_names(follower, "a")


def test_what_may_not_be_read_any_more_is_not_shown(
    api: TinyApi, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "LOST_S", 0.2)
    api.put(PODS, pod("a"))
    start(follower)
    until_watched(api)
    api.trouble = lambda *_: (403, "pods is forbidden", {})
    api.cut()
    until_names(follower)
    assert isinstance(follower.table.error, Forbidden)
    api.trouble = lambda *_: None
    until_names(follower, "a")
    assert follower.table.error is None


def test_a_server_that_ends_every_watch_is_not_asked_without_end(
    api: TinyApi, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "QUICK_S", 60.0)
    api.bodies[PODS] = b'{"metadata": {"resourceVersion": "1"}, "items": []}'
    start(follower)
    until(lambda: len(api.watches(PODS)) == 1, 30, "the watch")
    api.bodies[PODS] = b""
    assert not follower.stopped.wait(0.3)
    assert len(api.watches(PODS)) == 1


def test_one_object_that_cannot_be_read_hides_no_other(api: TinyApi, follower: Follower) -> None:
    strange = {**pod("strange"), "spec": {"containers": "none"}}
    for thing in (pod("a"), strange, pod("b")):
        api.put(PODS, thing)
    start(follower)
    assert names(follower) == {"a", "b"}
    assert follower.table.unread == {"uid-strange"}
    api.put(PODS, pod("strange"))
    until_names(follower, "a", "b", "strange")
    assert follower.table.unread == set()
    api.put(PODS, {**pod("a"), "status": 5})
    until_names(follower, "b", "strange")
    api.remove(PODS, "uid-a")
    until(lambda: follower.table.unread == set(), 30, "the strange one to be forgotten")


@pytest.mark.parametrize("line", [b"no json", b"[]", b'{"type": "ADDED"}', b'{"object": {}}'])
def test_a_line_that_is_no_event_is_no_crash(follower: Follower, line: bytes) -> None:
    with pytest.raises(SchedulerError):
        follower._take(line)


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"items": {}}', b"<html>"])
def test_an_answer_that_is_no_list_is_an_error(
    api: TinyApi, follower: Follower, body: bytes
) -> None:
    api.bodies[PODS] = body
    with pytest.raises(SchedulerError, match="no list"):
        follower.read()


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "bookmark"]), st.integers(0, 4)), max_size=30
)


@given(STEPS)
def test_any_order_of_events_ends_in_the_final_list(steps: list[tuple[str, int]]) -> None:
    follower = Follower(
        Cluster(KubernetesConfig(name="x")), Table(kinds.PODS, PODS), threading.Event()
    )
    there: dict[str, str] = {}
    for version, (what, number) in enumerate(steps, 1):
        name = f"p{number}"
        thing = pod(name, f"gpu{version}", resourceVersion=str(version))
        kind = "MODIFIED" if name in there else "ADDED"
        if what == "remove":
            if name not in there:
                continue
            kind = "DELETED"
            del there[name]
        elif what == "put":
            there[name] = f"gpu{version}"
        else:
            kind, thing = "BOOKMARK", {"metadata": {"resourceVersion": str(version)}}
        follower._take(json.dumps({"type": kind, "object": thing}).encode())
        assert follower.table.version == str(version)
    seen = {row.metadata.name: row.spec.node_name for row in follower.table.rows.values()}
    assert seen == there
