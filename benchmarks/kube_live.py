"""The large cluster on a real API server: KWOK runs the pods, KAI and its webhooks are stopped.

The reader is a process of its own, so that its CPU is its own; making and changing pods is done
here. Without KAI there are no pod groups and no bind requests: the recorded answers have them.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import kube_estate
from benchmarks.kube import FIRST_S, LINE, STEADY_PERCENT, budget, rss_mib
from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.kinds import KINDS
from foundry_tui.schedulers.ports import SchedulerError
from tests.lab.daemons import Daemon, LabError, free_ports, until
from tests.lab.kube import build
from tests.lab.kube.cluster import QUEUES, KubeLab
from tests.lab.plugin import new_lab_folder

MAKERS = 6
CHANGES_S = 20
"""Changes of pods per second: a quarter deleted, a quarter made in their place, half annotated."""

PERIODS = ((10.0, 30.0), (30.0, 60.0))
"""Seconds between readings, and how long the reader is measured with it."""

RUNNING_S = 240.0
LISTED_S = 60.0
AGAIN_S = 100.0
"""A custom kind that was empty is looked for again a minute after a start of the API server."""

CALM_S = 5.0


class Counted(Cluster):
    """A cluster that counts what is asked: lists, watches and events by collection."""

    def __init__(self, config: KubernetesConfig) -> None:
        super().__init__(config)
        self.lists: Counter[str] = Counter()
        self.watches: Counter[str] = Counter()
        self.events = 0

    def request(self, method: str, path: str, **more: Any) -> bytes:
        """A page of a list; the last one counts the list."""
        data = super().request(method, path, **more)
        # A list of the API server begins with its metadata, one of a custom kind ends with it.
        if not re.search(rb'"continue":"[^"]', data[:300] + data[-1000:]):
            self.lists[path.rpartition("/")[2]] += 1
        return data

    def stream(
        self, path: str, query: Mapping[str, str], opened: Callable[[], None] = lambda: None
    ) -> Iterator[bytes]:
        """A watch that stands, and its events."""

        def stands() -> None:
            self.watches[path.rpartition("/")[2]] += 1
            opened()

        for line in super().stream(path, query, stands):
            self.events += 1
            yield line


# -- the reader


def reader(kubeconfig: Path) -> None:
    """Read, as told by lines on stdin; each is answered with a line of JSON."""
    config = KubernetesConfig(name="large", kubeconfig=kubeconfig, timeout_s=LISTED_S)
    adapter, cluster = KaiAdapter(config), Counted(config)
    adapter.cluster = cluster

    def steady(every_s: float, seconds: float) -> dict[str, Any]:
        began, events = time.monotonic(), cluster.events
        used = time.process_time()
        readings = 0
        while time.monotonic() - began < seconds:
            readings += 1
            time.sleep(max(0.0, began + readings * every_s - time.monotonic()))
            adapter.snapshot()
        wall_s = time.monotonic() - began
        percent = 100 * (time.process_time() - used) / wall_s
        return {"percent": percent, "events_s": (cluster.events - events) / wall_s}

    def first() -> dict[str, Any]:
        began, used = time.monotonic(), time.process_time()
        seen = adapter.snapshot()
        answer = {"cpu_s": time.process_time() - used, "wall_s": time.monotonic() - began}
        return {**answer, "nodes": len(seen.nodes), "gpus": len(seen.gpus), "runs": len(seen.runs)}

    def again() -> dict[str, Any]:
        """Wait until every kind was listed once more, and a moment longer; then read."""
        began = time.monotonic()
        while min(cluster.lists.values()) < 2 and time.monotonic() - began < AGAIN_S:
            time.sleep(0.2)
        took_s = time.monotonic() - began
        time.sleep(CALM_S)
        try:
            adapter.snapshot()
        except SchedulerError as error:
            return {"took_s": took_s, "failed": str(error)}
        return {"took_s": took_s}

    acts: dict[str, Callable[..., dict[str, Any]]] = {
        "first": first,
        "follow": lambda: {"runs": len(adapter.snapshot().runs)},
        "steady": steady,
        "again": again,
    }
    for line in sys.stdin:
        name, *given = json.loads(line)
        told = {"lists": cluster.lists, "watches": cluster.watches, "rss_mib": rss_mib()}
        print(json.dumps({**acts[name](*given), **told}), flush=True)


class Reader:
    """The reader's process."""

    def __init__(self, kubeconfig: Path) -> None:
        argv = [sys.executable, "-m", "benchmarks.kube_live", "--reader", str(kubeconfig)]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, *order: object) -> dict[str, Any]:
        """Let it do something. Raises `LabError` when it ended."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise LabError(f"the reader ended at {order}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


# -- the cluster


class Bare(KubeLab):
    """The lab's API server without KAI, its webhooks and the fake kubelet; KWOK instead."""

    def _add_webhooks(self) -> None:
        """None: KAI's server of them is stopped."""

    def _add_nodes_and_queues(self) -> None:
        """None: `fill` makes them."""

    def _bring_up(self) -> None:
        super()._bring_up()
        for daemon in (*self.kai.values(), self.admission, self.simulator, self.manager):
            daemon.kill()
        self.kill_api()  # ends the streams of the hands
        for hand in self._hands:
            hand.stop()
        self._hands = []
        self.start_api()
        until(self._kinds_served, 30, "KAI's kinds to be served")

    def fill(self) -> None:
        """Make the namespaces, queues, nodes and pods."""
        spaces = {kube_estate.namespace(i) for i in range(kube_estate.NAMESPACES)}
        for name in sorted(spaces):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.api.ensure("/api/v1/namespaces", body)
        for body in kube_estate.queues():
            self.api.ensure(QUEUES, body)
        self.make(("/api/v1/nodes", kube_estate.node(i)) for i in range(kube_estate.NODES))
        self.make((pods_of(i), kube_estate.pod(i)) for i in range(kube_estate.PODS))

    def make(self, things: Iterable[tuple[str, Any]]) -> None:
        """Create objects by several threads, each with a connection of its own."""
        left, lock = iter(things), threading.Lock()
        failed: list[Exception] = []

        def work() -> None:
            api = self._new_api()
            try:
                while True:
                    with lock:
                        path, body = next(left, ("", None))
                    if body is None:
                        return
                    api.create(path, body)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=work) for _ in range(MAKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise LabError(f"not everything could be made: {failed[0]}")

    def all_run(self) -> bool:
        """Whether no pod with a node is still pending."""
        left = {"fieldSelector": "status.phase=Pending,spec.nodeName!=", "limit": "1"}
        return not self.api.get("/api/v1/pods", **left)["items"]

    def churn(self, stop: threading.Event) -> None:
        """Change placed pods, `CHANGES_S` a second, until told to stop."""
        rng, api = random.Random(7), self._new_api()
        generation: Counter[int] = Counter()
        began, done = time.monotonic(), 0
        while not stop.wait(max(0.0, began + done / CHANGES_S - time.monotonic())):
            number = rng.randrange(kube_estate.PLACED)
            path = f"{pods_of(number)}/pod-{number}-{generation[number]}"
            if done % 4 < 2:
                api.patch(path, {"metadata": {"annotations": {"changed": str(done)}}})
                done += 1
            else:
                api.delete(path, gracePeriodSeconds="0")
                generation[number] += 1
                api.create(pods_of(number), kube_estate.pod(number, generation[number]))
                done += 2


def pods_of(number: int) -> str:
    """The collection in which a pod is made."""
    return f"/api/v1/namespaces/{kube_estate.namespace(number)}/pods"


def lines() -> Iterator[str]:
    """Bring everything up, measure, end it; yields the lines as they are known."""
    program = build.build_kwok()
    lab = Bare.start(new_lab_folder())
    try:
        yield from _measured(lab, program)
    finally:
        lab.stop()


def _measured(lab: Bare, program: Path) -> Iterator[str]:
    argv = [
        str(program),
        f"--kubeconfig={lab.kubeconfig()}",
        "--manage-all-nodes",
        "--node-lease-duration-seconds=600",  # leases are not read, and cost the API server much
        f"--server-address=127.0.0.1:{free_ports(1)[0]}",
    ]
    kwok = Daemon("kwok", argv, lab.env, lab.root / "log/kwok.log")
    kwok.start()
    try:
        began = time.monotonic()
        lab.fill()
        until(lab.all_run, RUNNING_S, "KWOK to let all placed pods run", 2.0)
        yield f"live: made and run by KWOK in {time.monotonic() - began:.0f} s, without pod groups"
        yield from _read(lab)
    finally:
        kwok.kill()


def _read(lab: Bare) -> Iterator[str]:
    process = Reader(lab.kubeconfig())
    try:
        first = process.ask("first")
        wanted = kube_estate.NODES, kube_estate.NODES * kube_estate.GPUS_PER_NODE, kube_estate.PODS
        if (first["nodes"], first["gpus"], first["runs"]) != wanted:
            raise LabError(f"the first list has {first}")
        yield LINE.format(
            "first list", f"{first['cpu_s']:.2f} s", budget(first["cpu_s"], FIRST_S, "s CPU")
        )
        yield LINE.format("  of wall clock, all kinds side by side", f"{first['wall_s']:.1f} s", "")
        process.ask("follow")
        stop = threading.Event()
        changing = threading.Thread(target=lab.churn, args=(stop,))
        changing.start()
        try:
            for every_s, seconds in PERIODS:
                seen = process.ask("steady", every_s, seconds)
                yield LINE.format(
                    f"{CHANGES_S} pods changed a second, read every {every_s:g} s",
                    f"{seen['percent']:.2f} %",
                    budget(seen["percent"], STEADY_PERCENT, "% of a core")
                    + f"; {seen['events_s']:.0f} events/s in {seconds:g} s",
                )
            if not changing.is_alive():
                raise LabError("the changes of pods ended early")
        finally:
            stop.set()
            changing.join()
        yield _asked("lists and watches by kind until then", seen, 1)
        yield LINE.format("RSS", f"{seen['rss_mib']:.0f} MiB", "")
        # A collection whose last version is the newest of all would not be too old.
        later = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}
        lab.api.ensure("/api/v1/namespaces", later)
        lab.compact()
        after = process.ask("again")
        yield _asked("the same after a compaction (410) and a restart", after, 2)
        yield LINE.format("  seconds until all were listed", f"{after['took_s']:.1f} s", "")
        if "failed" in after:
            yield f"  the reading after it failed: {after['failed']}"
        yield "not measured: an hour (watches are begun anew every 25 minutes, by one request each)"
    finally:
        process.end()


def _asked(what: str, seen: dict[str, Any], lists: int) -> str:
    """How often every kind was listed and watched; `!` where it is not `lists` times."""
    listed, watched = Counter(seen["lists"]), Counter(seen["watches"])
    right = len(listed) == len(KINDS) and set(listed.values()) == {lists}
    told = f"wanted {lists} each" + " !" * (not right)
    each = ", ".join(f"{name} {listed[name]}/{watched[name]}" for name in sorted(listed))
    return LINE.format(what, f"{sum(listed.values())}", told) + f"\n  lists/watches: {each}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", type=Path, required=True, metavar="KUBECONFIG")
    reader(parser.parse_args().reader)
