"""All collections together: what may be missing, what makes the source fail, what costs nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai import follow, kinds
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.watch import State
from foundry_tui.schedulers.ports import Denied, Unavailable
from tests.lab.daemons import until
from tests.schedulers.kai.things import BINDS, EVERY, NODES, PODS, RESERVED, node, pod
from tests.schedulers.kai.tiny import TinyApi, Trouble


@pytest.fixture
def state(config: KubernetesConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """All collections of the tiny API server, with short patience."""
    monkeypatch.setattr(follow, "RETRY_S", (0.05,))
    monkeypatch.setattr(follow, "QUICK_S", 0.05)
    monkeypatch.setattr(kinds, "LOST_S", 0.3)
    found = State(Cluster(config))
    yield found
    found.stop()


def only(path: str, status: int) -> Callable[[str, str, dict[str, str]], Trouble | None]:
    def trouble(_method: str, asked: str, _query: dict[str, str]) -> Trouble | None:
        return (status, "told no", {}) if asked.startswith(path) else None

    return trouble


def spaced(api: TinyApi, config: KubernetesConfig, *spaces: str) -> State:
    """The state of somebody who may look into these namespaces."""
    for space in (*spaces, RESERVED):
        for kind in kinds.KINDS:
            for path in kind.paths((space,)):
                api.collection(path)
    return State(Cluster(replace(config, namespaces=spaces)))


def test_in_steady_state_nothing_is_asked(api: TinyApi, state: State) -> None:
    api.put(PODS, pod("a"))
    state.read()
    state.follow()
    until(lambda: api.served == len(EVERY), 30, "every watch to stand")
    asked = len(api.asked)
    for _ in range(50):
        state.check()
        assert [p.metadata.name for p in state.rows(kinds.PODS)] == ["a"]
    # The one kind that this server lacks is looked for now and then.
    assert len([a for a in api.asked[asked:] if "pytorchjobs" not in a[1]]) == 0
    assert {api.lists(path) for path in EVERY} == {1}
    changes = state.changes
    api.put(PODS, pod("b"))
    until(lambda: state.changes > changes, 30, "the change to be counted")


def test_a_reading_starts_no_watch(api: TinyApi, state: State) -> None:
    state.read()
    assert not state.followed
    assert not any("watch" in query for _, _, query in api.asked)
    assert not state.reading


def test_the_watches_are_daemon_threads(api: TinyApi, state: State) -> None:
    state.read()
    state.follow()
    until(lambda: api.served == len(EVERY), 30, "every watch to stand")
    watching = [t for t in threading.enumerate() if t.name.startswith("watch-")]
    assert len(watching) >= len(EVERY)
    assert all(t.daemon for t in watching)


def test_nothing_readable_is_denied(api: TinyApi, state: State) -> None:
    api.trouble = only("/", 403)
    with pytest.raises(Denied, match="told no"):
        state.read()
    assert not state.listed


def test_a_kind_that_is_denied_is_named(api: TinyApi, state: State) -> None:
    api.put(PODS, pod("a"))
    api.trouble = only(NODES, 403)
    state.read()
    (told,) = state.missing()
    assert told.startswith(f"{NODES} may not be read by this user: 403 told no")


def test_a_kind_that_fails_is_named_and_comes_back(api: TinyApi, state: State) -> None:
    api.put(NODES, node("gpu00"))
    api.trouble = only(NODES, 500)
    state.read()
    assert state.missing() == (f"{NODES} is not known: 500 told no",)
    api.trouble = lambda *_: None
    state.follow()
    until(lambda: len(state.rows(kinds.NODES)) == 1, 30, "the nodes to be read")
    assert state.missing() == ()
    state.check()


def test_kai_that_is_not_installed_is_no_error(api: TinyApi, state: State) -> None:
    del api.things[BINDS]
    api.put(PODS, pod("a"))
    state.read()
    assert state.missing() == ()
    assert len(state.rows(kinds.PODS)) == 1


def test_a_server_that_went_away_makes_the_data_old(api: TinyApi, state: State) -> None:
    api.put(PODS, pod("a"))
    state.read()
    state.follow()
    until(lambda: api.served == len(EVERY), 30, "every watch to stand")
    api.trouble = only("/", 503)
    api.cut()
    state.check()  # a short break is nobody's business

    def old() -> bool:
        try:
            state.check()
        except Unavailable:
            return True
        return False

    until(old, 30, "the data to be old")
    api.trouble = lambda *_: None
    until(lambda: not old(), 30, "the data to be good again")
    assert {api.lists(path) for path in EVERY} == {1}


def test_a_login_that_ends_mid_session_is_told(api: TinyApi, state: State) -> None:
    api.put(PODS, pod("a"))
    state.read()
    state.follow()
    until(lambda: api.served == len(EVERY), 30, "every watch to stand")
    api.trouble = only("/", 401)
    api.cut()

    def told() -> str:
        try:
            state.check()
        except Denied as error:
            return error.hint
        return ""

    until(lambda: "log in again" in told(), 30, "the user to be told")


def test_namespaces_are_read_one_by_one(api: TinyApi, config: KubernetesConfig) -> None:
    state = spaced(api, config, "team-a", "team-b")
    for space in ("team-a", "team-b", RESERVED):
        api.put(f"/api/v1/namespaces/{space}/pods", pod(f"in-{space}", namespace=space))
    state.read()
    assert {p.metadata.namespace for p in state.rows(kinds.PODS)} == {"team-a", "team-b", RESERVED}
    assert api.lists(PODS) == 0


def test_one_namespace_that_is_denied_hides_no_other(
    api: TinyApi, config: KubernetesConfig
) -> None:
    state = spaced(api, config, "team-a", "team-b")
    api.put("/api/v1/namespaces/team-a/pods", pod("a"))
    api.trouble = only("/api/v1/namespaces/team-b", 403)
    state.read()
    assert [p.metadata.name for p in state.rows(kinds.PODS)] == ["a"]
    assert any("namespaces/team-b/pods may not be read" in told for told in state.missing())


def test_the_reservations_alone_are_not_enough(api: TinyApi, config: KubernetesConfig) -> None:
    state = spaced(api, config, "team-a")
    api.trouble = only("/api/v1/namespaces/team-a", 403)
    with pytest.raises(Denied):
        state.read()


def test_lists_that_take_too_long_are_not_begun_anew(
    api: TinyApi, config: KubernetesConfig
) -> None:
    go_on = threading.Event()

    def slow(_method: str, path: str, _query: dict[str, str]) -> Trouble | None:
        if path == NODES:
            go_on.wait(10)
        return None

    api.trouble = slow
    # A reader has less time than a request, so that the request outlives the reading.
    state = State(Cluster(config))
    state.patience_s = 0.3
    started = time.monotonic()
    with pytest.raises(Unavailable, match="go on"):
        state.read()
    assert time.monotonic() - started < 3.0
    go_on.set()
    until(lambda: not state.reading, 30, "the lists to end")
    state.read()
    assert state.listed
    assert {api.lists(path) for path in EVERY} == {1}
