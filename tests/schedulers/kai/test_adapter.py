"""The adapter on a tiny API server: the whole way from answers to nouns, and its other readings."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.run import Placement, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import SourceState
from foundry_tui.estate.usage import Window
from foundry_tui.process import user_name
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.kai.assemble import STAMP_S
from foundry_tui.schedulers.kai.order import Order
from foundry_tui.schedulers.ports import Denied, Unavailable
from tests.lab.daemons import until
from tests.schedulers.consistency import assert_consistent
from tests.schedulers.kai.things import (
    ENDED,
    EVERY,
    GROUPS,
    JOBS,
    NODES,
    PODS,
    PRIORITIES,
    QUEUES,
    RESERVED,
    group,
    job,
    meta,
    node,
    pod,
    queue,
    reservation,
    shared,
)
from tests.schedulers.kai.tiny import TinyApi, Trouble

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def adapter(config: KubernetesConfig, clock: Clock) -> Iterator[KaiAdapter]:
    with closing(KaiAdapter(config, clock=clock)) as found:
        yield found


@pytest.fixture
def lab(api: TinyApi) -> TinyApi:
    """Two nodes, two queues, a shared GPU, a whole one, a Job that waits."""
    for thing in (node("gpu00", 8), node("gpu01", 4)):
        api.put(NODES, thing)
    for thing in (queue("research", quota=12), queue("team-a", "research", quota=4)):
        api.put(QUEUES, thing)
    api.put(PRIORITIES, {"metadata": meta("train"), "value": 50})
    api.put(PODS, reservation("g", "gpu01", "GPU-1"))
    api.put(PODS, shared("half-a", "gpu01", "0.5", "g"))
    api.put(PODS, shared("half-b", "gpu01", "0.5", "g"))
    api.put(PODS, pod("whole", "gpu00", gpus=2, notes={"foundry/user": "ada"}))
    api.put(PODS, pod("daemon", "gpu00", queue=None, scheduler="default-scheduler"))
    api.put(JOBS, job("waits", 2))
    notes = {"pod-group-name": "pg-waits"}
    api.put(PODS, pod("waits-0", gpus=1, owner=("Job", "waits"), notes=notes))
    api.put(GROUPS, group("pg-waits", queue="team-a", minMember=1))
    return api


def named(estate: Snapshot, name: str) -> Run:
    return next(r for r in estate.runs if r.name == name)


def test_making_one_asks_nothing_and_imports_nothing() -> None:
    code = (
        "import sys; from foundry_tui.schedulers.kai.adapter import KaiAdapter;"
        "from foundry_tui.config.sources import KubernetesConfig;"
        "a = KaiAdapter(KubernetesConfig(name='k')); a.user(); a.supports(type(a));"
        "print([m for m in ('kubernetes', 'urllib3', 'httpx', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_snapshot_is_whole_and_fits_together(lab: TinyApi, adapter: KaiAdapter) -> None:
    estate = adapter.snapshot()
    assert_consistent(estate, "tiny")
    assert [(s.name, s.kind, s.state) for s in estate.sources] == [("tiny", "kai", SourceState.OK)]
    assert {r.name for r in estate.runs} == {"half-a", "half-b", "whole", "waits"}
    assert named(estate, "half-a").placement == (Placement("gpu01", (3,)),)
    assert named(estate, "whole").placement == (Placement("gpu00", (0, 1)),)
    assert named(estate, "waits").state is RunState.PENDING
    held = {n.name: n.gpu_milli_allocated for n in estate.nodes}
    assert held == {"gpu00": 2000, "gpu01": 1000}
    cpus = {n.name: n.cpu_milli_allocated for n in estate.nodes}
    assert cpus == {"gpu00": 1000, "gpu01": 1500}
    team = next(q for q in estate.queues if q.name == "team-a")
    assert (team.allocated_gpu_milli, team.requested_gpu_milli) == (3000, 2000)
    assert (team.running, team.waiting) == (3, 1)
    assert estate.partial == ()


def test_reading_again_asks_nothing_and_gives_the_same(
    lab: TinyApi, adapter: KaiAdapter, clock: Clock
) -> None:
    first = adapter.snapshot()
    adapter.snapshot()
    until(lambda: lab.served == len(EVERY), 30, "every watch to stand")
    asked = len(lab.asked)
    for _ in range(20):
        clock.now += timedelta(seconds=1)
        again = adapter.snapshot()
    assert [a for a in lab.asked[asked:] if "pytorchjobs" not in a[1]] == []
    assert again.generated_at == clock.now
    assert again.sources[0].read_at == clock.now
    assert (again.runs, again.gpus) == (first.runs, first.gpus)


def test_a_change_is_seen_and_only_that_is_made_anew(lab: TinyApi, adapter: KaiAdapter) -> None:
    adapter.snapshot()
    before = adapter.snapshot()
    lab.put(PODS, pod("whole", "gpu00", phase="Succeeded", gpus=2))
    until(lambda: named(adapter.snapshot(), "whole").state is RunState.COMPLETED, 30, "the end")
    after = adapter.snapshot()
    assert_consistent(after, "tiny")
    assert named(after, "half-a") is named(before, "half-a")
    on_other = [g for g in before.gpus if g.node == "gpu01"]
    assert all(a is b for a, b in zip(on_other, after.gpus[8:], strict=True))
    assert [n.gpu_milli_allocated for n in after.nodes] == [0, 1000]


def test_what_changed_between_the_first_two_readings_is_in_the_second(
    lab: TinyApi, adapter: KaiAdapter
) -> None:
    adapter.snapshot()
    lab.put(PODS, pod("new", "gpu00", gpus=1))
    lab.remove(PODS, "uid-whole")
    estate = adapter.snapshot()
    assert {r.name for r in estate.runs} == {"half-a", "half-b", "new", "waits"}
    assert lab.lists(PODS) == 1


def test_what_stays_is_stamped_anew_now_and_then(
    lab: TinyApi, adapter: KaiAdapter, clock: Clock
) -> None:
    adapter.snapshot()
    first = clock.now
    clock.now += timedelta(seconds=STAMP_S - 1)
    assert {n.read_at for n in adapter.snapshot().nodes} == {first}
    clock.now += timedelta(seconds=2)
    estate = adapter.snapshot()
    assert {n.read_at for n in estate.nodes} == {clock.now}
    assert {g.read_at for g in estate.gpus} == {clock.now}
    team = next(q for q in estate.queues if q.name == "team-a")
    assert team.oldest_wait_s == (clock.now - datetime(2026, 11, 1, 8, tzinfo=UTC)).total_seconds()


def test_another_schedulers_pod_holds_its_gpu_and_is_no_run(
    lab: TinyApi, adapter: KaiAdapter
) -> None:
    lab.put(PODS, pod("foreign", "gpu01", gpus=2, queue=None, scheduler="default-scheduler"))
    estate = adapter.snapshot()
    assert "foreign" not in {r.name for r in estate.runs}
    held = {g.index: g.milli_allocated for g in estate.gpus if g.node == "gpu01"}
    assert held == {0: 1000, 1: 1000, 2: 0, 3: 1000}


def test_a_server_that_is_gone_is_unavailable(
    lab: TinyApi, adapter: KaiAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foundry_tui.schedulers.kai.kinds.LOST_S", 0.2)
    adapter.snapshot()
    adapter.snapshot()
    lab.trouble = lambda *_: (503, "apiserver is shutting down", {})
    lab.cut()

    def gone() -> bool:
        try:
            adapter.snapshot()
        except Unavailable as error:
            return "503" in str(error)
        return False

    until(gone, 30, "the source to be unavailable")
    lab.trouble = lambda *_: None
    until(lambda: not gone(), 30, "the source to be back")


def test_a_first_reading_that_fails_can_be_repeated(lab: TinyApi, adapter: KaiAdapter) -> None:
    lab.trouble = lambda *_: (403, "pods is forbidden", {})
    with pytest.raises(Denied):
        adapter.snapshot()
    lab.trouble = lambda *_: None
    assert len(adapter.snapshot().runs) == 4


def test_nodes_that_may_not_be_read_are_named_and_the_rest_is_shown(
    lab: TinyApi, adapter: KaiAdapter
) -> None:
    lab.trouble = lambda _m, path, _q: (403, "forbidden", {}) if path == NODES else None
    estate = adapter.snapshot()
    assert len(estate.runs) == 4
    assert (estate.nodes, estate.gpus) == ((), ())
    assert NODES in estate.partial[0]


# -- accounting, details, logs


def test_accounting_says_that_kubernetes_forgets(
    lab: TinyApi, adapter: KaiAdapter, clock: Clock
) -> None:
    lab.put(PODS, pod("done", "gpu00", phase="Succeeded", gpus=1, status=_end()))
    window = Window(clock.now - timedelta(hours=6), clock.now)
    found = adapter.accounting(window)
    assert {r.name for r in found.records} == {"half-a", "half-b", "whole", "done"}
    done = next(r for r in found.records if r.name == "done")
    assert (done.ended_at, done.exit_code) == (datetime.fromisoformat(ENDED), 0)
    assert any("no history" in note for note in found.notes)
    assert [r.name for r in adapter.accounting(window, users=("ada",)).records] == ["whole"]
    late = Window(clock.now - timedelta(hours=1), clock.now)
    assert "done" not in {r.name for r in adapter.accounting(late).records}


def _end() -> dict[str, object]:
    told = {"exitCode": 0, "reason": "Completed", "finishedAt": ENDED}
    return {"containerStatuses": [{"state": {"terminated": told}}]}


def events(api: TinyApi, *texts: str) -> None:
    items = [
        {"reason": "Seen", "message": text, "lastTimestamp": f"2026-11-01T09:00:0{n}Z"}
        for n, text in enumerate(texts)
    ]
    api.bodies["/api/v1/namespaces/team-a/events"] = json.dumps({"items": items}).encode()


def of_team(api: TinyApi, *names: str) -> None:
    """Let the pods be found in their namespace too."""
    every = {p["metadata"]["name"]: p for p in api.things[PODS].values()}
    for name in names:
        api.put("/api/v1/namespaces/team-a/pods", every[name])


def test_details_are_the_clusters_own_words(lab: TinyApi, adapter: KaiAdapter) -> None:
    run = named(adapter.snapshot(), "whole")
    of_team(lab, "whole")
    events(lab, "first", "second\x1b[2J")
    told = adapter.details(run)
    assert told["uid"] == "uid-whole"
    assert told["namespace"] == "team-a"
    assert told["event_1"] == "2026-11-01T09:00:00Z Seen: first"
    assert "\x1b" not in told["event_2"]


def test_details_without_events_say_why(lab: TinyApi, adapter: KaiAdapter) -> None:
    run = named(adapter.snapshot(), "whole")
    lab.trouble = lambda _m, path, _q: (
        (403, "events is forbidden", {}) if "events" in path else None
    )
    of_team(lab, "whole")
    assert "events is forbidden" in adapter.details(run)["events"]


def test_a_log_is_that_of_the_pod_that_runs(lab: TinyApi, adapter: KaiAdapter) -> None:
    lab.put(PODS, pod("waits-1", "gpu00", gpus=1, owner=("Job", "waits")))
    run = named(adapter.snapshot(), "waits")
    of_team(lab, "waits-0", "waits-1")
    lab.bodies["/api/v1/namespaces/team-a/pods/waits-1/log"] = b"one\ntwo\x1b[31m\n\xff\nlast\n"
    log = adapter.logs(run, tail_lines=3)
    assert log.lines == ("two␛[31m", "‹xff›", "last")
    assert log.truncated
    assert log.path is not None
    assert "waits-1" in log.path
    query = lab.asked[-1][2]
    assert (query["tailLines"], query["container"]) == ("3", "main")
    assert "controller-uid=uid-waits" in str(lab.asked[-2])


def test_a_log_that_is_not_there_has_a_reason(lab: TinyApi, adapter: KaiAdapter) -> None:
    run = named(adapter.snapshot(), "whole")
    lab.collection("/api/v1/namespaces/team-a/pods")
    assert "no pod" in (adapter.logs(run, tail_lines=3).reason or "")
    of_team(lab, "whole")
    assert "404" in (adapter.logs(run, tail_lines=3).reason or "")
    lab.bodies["/api/v1/namespaces/team-a/pods/whole/log"] = b""
    assert "nothing yet" in (adapter.logs(run, tail_lines=3).reason or "")
    lab.trouble = lambda *_: (500, "dial tcp: kubelet is gone", {})
    assert "kubelet is gone" in (adapter.logs(run, tail_lines=3).reason or "")


# -- probe and rights


def test_a_probe_names_what_is_there(lab: TinyApi, adapter: KaiAdapter) -> None:
    lab.bodies["/version"] = b'{"gitVersion": "v1.34.4"}'
    lab.bodies[REVIEWS] = b'{"status": {"allowed": true}}'
    found = {p.what: p for p in adapter.probe()}
    assert "v1.34.4" in found["api"].found
    assert {p.state for p in found.values()} == {"found"}
    assert found["pods"].found == "can be listed and watched"


def test_a_probe_names_what_is_missing_denied_or_broken(lab: TinyApi, adapter: KaiAdapter) -> None:
    lab.bodies["/version"] = b'{"gitVersion": "v1.34.4"}'
    lab.bodies[REVIEWS] = b'{"status": {"allowed": false}}'
    del lab.things[QUEUES]
    answers: dict[str, Trouble] = {
        NODES: (403, "nodes is forbidden", {}),
        GROUPS: (500, "oops", {}),
    }
    lab.trouble = lambda _m, path, _q: answers.get(path)
    found = {p.what: p for p in adapter.probe()}
    assert found["queues"].state == "missing"
    assert "is KAI installed" in found["queues"].found
    assert found["queues"].mend is not None
    assert found["nodes"].state == "denied"
    assert "no GPU can be shown" in found["nodes"].found
    assert found["podgroups"].state == "broken"
    assert "not watched" in found["pods"].found


@pytest.mark.parametrize("status", [401, 503])
def test_a_probe_of_a_broken_server_never_raises(
    lab: TinyApi, adapter: KaiAdapter, status: int
) -> None:
    lab.trouble = lambda *_: (status, "no", {})
    (line,) = adapter.probe()
    assert (line.what, line.state) == ("api", "denied" if status == 401 else "broken")


def test_a_probe_of_something_else_says_so(lab: TinyApi, adapter: KaiAdapter) -> None:
    lab.bodies["/version"] = b"<html>welcome</html>"
    (line,) = adapter.probe()
    assert line.state == "broken"


def test_who_may_delete_everything_is_an_administrator(lab: TinyApi, adapter: KaiAdapter) -> None:
    lab.bodies[REVIEWS] = b'{"status": {"allowed": true}}'
    rights = adapter.rights()
    assert (rights.user, rights.admin) == (user_name(), True)
    assert (rights.may_nodes, rights.may_queues) == (True, True)


def test_who_may_not_has_namespaces(lab: TinyApi, config: KubernetesConfig) -> None:
    lab.bodies[REVIEWS] = b'{"status": {"allowed": false}}'
    adapter = KaiAdapter(replace(config, namespaces=("team-a",)))
    rights = adapter.rights()
    assert (rights.admin, rights.associations) == (False, ())


def test_rights_that_cannot_be_asked_have_a_reason(lab: TinyApi, adapter: KaiAdapter) -> None:
    lab.trouble = lambda *_: (500, "oops", {})
    rights = adapter.rights()
    assert (rights.admin, rights.associations) == (False, None)
    assert (rights.may_nodes, rights.may_queues) == (None, None)
    assert "oops" in (rights.reason or "")
    assert "another user" in (adapter.rights("somebody-else").reason or "")


# -- the order of the queue


class Page:
    """The scheduler's read-only page with an answer of the test's choice."""

    def __init__(self, answer: bytes, status: int = 200) -> None:
        page = self
        self.asked = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.asked += 1
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer if self.path == "/get-job-order" else b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Page:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_the_place_in_the_queue_is_told(lab: TinyApi, config: KubernetesConfig) -> None:
    answer = b'{"global_order": [{"id": "team-b/other"}, {"id": "pg-waits"}], "queue_order": {}}'
    with Page(answer) as page:
        adapter = KaiAdapter(replace(config, scheduler_url=page.url))
        run = named(adapter.snapshot(), "waits")
        assert (run.native or {})["queue_position"] == "2"
        adapter.accounting(Window(datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC)))
        assert page.asked == 1
        adapter.close()


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"no json", 200), (b"[]", 200), (b'{"global_order": 5}', 200), (b"{}", 200), (b"{}", 500)],
)
def test_a_page_that_makes_no_sense_is_an_order_that_is_not_known(
    answer: bytes, status: int
) -> None:
    with Page(answer, status) as page:
        assert Order(KubernetesConfig(name="x", scheduler_url=page.url)).positions() == {}


def test_a_page_that_is_not_there_is_no_error() -> None:
    config = KubernetesConfig(name="x", scheduler_url="http://127.0.0.1:1")
    assert Order(config).positions() == {}
    assert Order(KubernetesConfig(name="x")).positions() == {}


def test_namespaces_of_the_configuration_are_all_that_is_read(
    lab: TinyApi, config: KubernetesConfig
) -> None:
    for space in ("team-a", RESERVED):
        for path in EVERY:
            if path not in (NODES, QUEUES, PRIORITIES):
                head, _, plural = path.rpartition("/")
                lab.collection(f"{head}/namespaces/{space}/{plural}")
    of_team(lab, "half-a", "whole")
    with closing(KaiAdapter(replace(config, namespaces=("team-a",)))) as adapter:
        assert {r.name for r in adapter.snapshot().runs} == {"half-a", "whole"}
    assert lab.lists(PODS) == 0
