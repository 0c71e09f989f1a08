"""Troubles that last, pass or come at once: what is shown meanwhile, and what is asked."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai import connect, follow, kinds
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.kai.connect import Cluster, Unreached
from foundry_tui.schedulers.kai.watch import State
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from tests.lab.daemons import until
from tests.schedulers.kai.things import EVERY, NODES, PODS, QUEUES, node, pod, queue
from tests.schedulers.kai.tiny import TinyApi, Trouble, kubeconfig

Query = dict[str, str]


@pytest.fixture
def state(config: KubernetesConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """All collections of the tiny API server, followed with short patience."""
    monkeypatch.setattr(follow, "RETRY_S", (0.05,))
    monkeypatch.setattr(follow, "QUICK_S", 0.05)
    monkeypatch.setattr(follow, "ABSENT_S", 0.1)
    monkeypatch.setattr(kinds, "LOST_S", 0.4)
    found = State(Cluster(config))
    yield found
    found.stop()


def all_watched(api: TinyApi) -> None:
    until(lambda: api.served == len(EVERY), 30, "every watch to stand", 0.01)


def status(code: int, path: str = "/") -> Callable[[str, str, Query], Trouble | None]:
    return lambda _method, asked, _query: (code, "no", {}) if asked.startswith(path) else None


def failure(state: State) -> SchedulerError | None:
    try:
        state.check()
    except SchedulerError as error:
        return error
    return None


def pods(state: State) -> set[str]:
    return {p.metadata.name for p in state.rows(kinds.PODS)}


def test_a_refusal_just_after_an_outage_throws_nothing_away(api: TinyApi, state: State) -> None:
    api.put(PODS, pod("a"))
    state.read()
    state.follow()
    all_watched(api)
    api.trouble = status(503)
    api.cut()
    until(lambda: isinstance(failure(state), Unavailable), 30, "the source to be down")
    # An API server that was just started refuses for a moment what it allows.
    asked = len(api.asked)
    api.trouble = status(403)
    until(lambda: len(api.asked) > asked + 2 * len(EVERY), 30, "every watch to be refused", 0.001)
    assert pods(state) == {"a"}
    api.trouble = lambda *_: None
    all_watched(api)
    assert failure(state) is None
    assert {api.lists(path) for path in EVERY} == {1}


def test_a_refusal_that_lasts_hides_what_was_known(api: TinyApi, state: State) -> None:
    api.put(PODS, pod("a"))
    state.read()
    state.follow()
    all_watched(api)
    api.trouble = status(403, PODS)
    api.cut()
    until(lambda: isinstance(failure(state), Denied), 30, "the user to be told")
    until(lambda: pods(state) == set(), 30, "the pods to be shown no more")


def test_what_was_denied_at_first_is_read_when_it_is_allowed(api: TinyApi, state: State) -> None:
    api.put(NODES, node("gpu00"))
    api.trouble = status(403, NODES)
    state.read()
    state.follow()
    assert state.rows(kinds.NODES) == []
    assert len(state.missing()) == 1
    api.trouble = lambda *_: None
    until(lambda: len(state.rows(kinds.NODES)) == 1, 30, "the nodes to be read")
    assert state.missing() == ()


def test_what_stays_denied_is_asked_seldom(
    api: TinyApi, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "ABSENT_S", 60.0)
    api.trouble = status(403, QUEUES)
    state.read()
    state.follow()
    until(lambda: api.lists(QUEUES) == 2, 30, "the queues to be asked for once more")
    until(lambda: api.served == len(EVERY) - 1, 30, "the other watches to stand")
    assert not threading.Event().wait(0.3)
    assert api.lists(QUEUES) == 2


def test_a_watch_that_is_silent_is_taken_up_again(
    api: TinyApi, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "SILENCE_S", 0.3)
    api.put(PODS, pod("a"))
    state.read()
    state.follow()
    until(lambda: len(api.watches(PODS)) >= 3, 30, "the watch to be opened anew")
    api.put(PODS, pod("b"))
    until(lambda: pods(state) == {"a", "b"}, 30, "the change to be seen")
    assert api.lists(PODS) == 1
    assert failure(state) is None


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_server_that_hangs_is_unavailable_within_the_deadline(tmp_path: Path) -> None:
    with silent() as url:
        config = KubernetesConfig(name="t", kubeconfig=kubeconfig(tmp_path, url), timeout_s=0.7)
        with closing(KaiAdapter(config)) as adapter:
            started = time.monotonic()
            with pytest.raises(Unavailable):
                adapter.snapshot()
            assert adapter.probe()[0].state == "broken"
            assert adapter.rights().reason
            assert time.monotonic() - started < 4.0


def test_many_who_ask_at_once_start_one_login(tmp_path: Path, api: TinyApi) -> None:
    program = tmp_path / "login"
    program.write_text(
        f"#!{sys.executable}\nimport sys, time\n"
        "open(sys.argv[0] + '.runs', 'a').write('x')\ntime.sleep(600)\n"
    )
    program.chmod(0o700)
    user: dict[str, Any] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
    }
    path = kubeconfig(tmp_path, api.url, user)
    cluster = Cluster(KubernetesConfig(name="t", kubeconfig=path, timeout_s=1.5))

    def ask(_: int) -> type[SchedulerError] | None:
        try:
            cluster.request("GET", PODS, timeout_s=0.8)
        except SchedulerError as error:
            return type(error)
        return None

    started = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(ask, range(12))) == {Unreached}
    assert time.monotonic() - started < 3.0
    assert (tmp_path / "login.runs").read_text() == "x"
    assert api.asked == []


def test_a_login_command_that_fails_is_not_run_by_everybody(
    tmp_path: Path, api: TinyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "login"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "open(sys.argv[0] + '.runs', 'a').write('x')\nsys.exit('the session has ended')\n"
    )
    program.chmod(0o700)
    user: dict[str, Any] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
    }
    cluster = Cluster(KubernetesConfig(name="t", kubeconfig=kubeconfig(tmp_path, api.url, user)))
    monkeypatch.setattr(connect, "COMMAND_AGAIN_S", 60.0)
    for _ in range(4):
        with pytest.raises(Unavailable, match="the session has ended"):
            cluster.request("GET", PODS)
    assert (tmp_path / "login.runs").read_text() == "x"
    monkeypatch.setattr(connect, "COMMAND_AGAIN_S", 0.0)
    with pytest.raises(Unavailable, match="the session has ended"):
        cluster.request("GET", PODS)
    assert (tmp_path / "login.runs").read_text() == "xx"


def test_a_storm_at_the_first_reading_is_unavailable_and_passes(
    api: TinyApi, config: KubernetesConfig
) -> None:
    for thing in (queue("research"), queue("team-a", "research")):
        api.put(QUEUES, thing)
    api.put(NODES, node("gpu00"))
    api.put(PODS, pod("a", "gpu00", gpus=1))
    api.trouble = status(500)
    with closing(KaiAdapter(config)) as adapter:
        for _ in range(3):
            with pytest.raises(Unavailable):
                adapter.snapshot()
        api.trouble = lambda *_: None
        assert [r.name for r in adapter.snapshot().runs] == ["a"]


def test_a_kubeconfig_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    cluster = Cluster(KubernetesConfig(name="t", kubeconfig=folder))
    with pytest.raises(Unavailable, match="kubeconfig of t") as caught:
        cluster.request("GET", PODS)
    assert str(folder) in str(caught.value)
