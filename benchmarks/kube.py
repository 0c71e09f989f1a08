"""What a large Kubernetes cluster costs: 2,000 nodes, 16,000 GPUs, 20,000 pods.

python -m benchmarks.kube          # recorded answers, beside the kubernetes package's own models
python -m benchmarks.kube --live   # and a real API server with KWOK: some minutes, 2 cores

CPU is that of the reading process, all its threads together; writing the answers is no part of it.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import kube_estate
from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai.adapter import KaiAdapter
from foundry_tui.schedulers.kai.connect import Cluster, Refused
from foundry_tui.schedulers.kai.follow import PAGE

FIRST_S = 3.0
"""Budget of the first list, CPU seconds."""

STEADY_PERCENT = 2.0
"""Budget of the steady state, percent of a core."""

CHANGED = kube_estate.PODS // 100
PEER_PAGES = 2
PATIENCE_S = 60.0
LINE = "{:52} {:>10}   {}"


class Recorded(Cluster):
    """An API server of files: a page is a file, an event is put into `events` by its path."""

    def __init__(self, config: KubernetesConfig, folder: Path) -> None:
        super().__init__(config)
        self.folder = folder
        self.pages = json.loads((folder / "pages.json").read_text())
        self.events: dict[str, queue.Queue[bytes | None]] = {p: queue.Queue() for p in self.pages}
        self.taken = threading.Event()

    def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, **_: Any
    ) -> bytes:
        """The page of a list."""
        if path not in self.pages:
            raise Refused(f"{method} {path}", "404 not found", 404)
        at = int((query or {}).get("continue", "0"))
        name: str = self.pages[path][at]
        return (self.folder / name).read_bytes()

    def stream(
        self, path: str, _query: Mapping[str, str], opened: Callable[[], None] = lambda: None
    ) -> Iterator[bytes]:
        """The events that are put; None marks their end, and `taken` tells that it was reached."""
        opened()
        while True:
            line = self.events[path].get()
            if line is None:
                self.taken.set()
            else:
                yield line


def record(folder: Path) -> None:
    """Write every page, and the events of a hundredth of the pods, into an empty folder."""
    pages: dict[str, list[str]] = {}
    for path, things in kube_estate.served():
        names = pages.setdefault(path, [])
        for at in range(0, max(1, len(things)), PAGE):
            names.append(f"{path.rpartition('/')[2]}-{at}.json")
            meta = {"resourceVersion": "99999"}
            if at + PAGE < len(things):
                meta["continue"] = str(at // PAGE + 1)
            told = {"kind": "List", "metadata": meta, "items": things[at : at + PAGE]}
            (folder / names[-1]).write_text(json.dumps(told))
    (folder / "pages.json").write_text(json.dumps(pages))
    events = []
    first = json.loads((folder / pages["/api/v1/pods"][0]).read_text())["items"]
    for number, thing in enumerate(first[:CHANGED]):
        kube_estate.with_status(thing, number, restarts=1)
        thing["metadata"]["resourceVersion"] = str(100_000 + number)
        events.append(json.dumps({"type": "MODIFIED", "object": thing}))
    (folder / "events").write_text("\n".join(events))


def rss_mib() -> float:
    """Resident memory of this process now, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of this process while `work` is done."""
    started = time.process_time()
    work()
    return time.process_time() - started


def ours(folder: Path) -> dict[str, float]:
    """The adapter on recorded answers."""
    config = KubernetesConfig(name="large", timeout_s=PATIENCE_S)
    adapter, cluster = KaiAdapter(config), Recorded(config, folder)
    adapter.cluster = cluster
    before_mib = rss_mib()
    first_s = cpu_s(adapter.snapshot)
    adapter.snapshot()  # starts the watches
    unchanged_s = cpu_s(lambda: [adapter.snapshot() for _ in range(20)]) / 20
    events = cluster.events["/api/v1/pods"]
    lines = (folder / "events").read_bytes().split(b"\n")

    def take() -> None:
        for line in lines:
            events.put(line)
        events.put(None)
        if not cluster.taken.wait(PATIENCE_S):
            raise SystemExit("the events were not taken in time")

    taken_s = cpu_s(take)
    changed_s = cpu_s(adapter.snapshot)
    seen = adapter.snapshot()
    counted = (len(seen.nodes), len(seen.gpus), len(seen.runs))
    wanted = kube_estate.NODES, kube_estate.NODES * kube_estate.GPUS_PER_NODE, kube_estate.PODS
    if counted != wanted:
        raise SystemExit(f"nodes, GPUs, runs: {counted} instead of {wanted}")
    return {
        "first_s": first_s,
        "taken_s": taken_s,
        "changed_s": changed_s,
        "unchanged_s": unchanged_s,
        "before_mib": before_mib,
        "rss_mib": rss_mib(),
    }


def peer(folder: Path) -> dict[str, float]:
    """The kubernetes package's models on the first pages of pods, and on the same events."""
    from kubernetes import client

    api = client.ApiClient()
    pages = json.loads((folder / "pages.json").read_text())["/api/v1/pods"][:PEER_PAGES]
    before_mib = rss_mib()
    kept: list[Any] = []

    def first() -> None:
        for name in pages:
            text = (folder / name).read_text()
            kept.append(api.deserialize(text, "V1PodList", "application/json"))

    def events() -> None:
        for line in (folder / "events").read_text().split("\n"):
            thing = json.dumps(json.loads(line)["object"])
            kept.append(api.deserialize(thing, "V1Pod", "application/json"))

    first_s = cpu_s(first)
    pods = sum(len(page.items) for page in kept)
    grown_mib = rss_mib() - before_mib
    return {
        "pods": pods,
        "first_s": first_s * kube_estate.PODS / pods,
        "changed_s": cpu_s(events),
        "grown_mib": grown_mib * kube_estate.PODS / pods,
    }


PARTS = {"ours": ours, "peer": peer}


def part(name: str, folder: Path) -> dict[str, float]:
    """Do a part in a process of its own, so that its memory is its own."""
    argv = [sys.executable, "-m", "benchmarks.kube", "--part", name, str(folder)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def recorded() -> Iterator[str]:
    """The lines about recorded answers."""
    with tempfile.TemporaryDirectory(prefix="foundry-bench-") as name:
        folder = Path(name)
        record(folder)
        size = sum(file.stat().st_size for file in folder.glob("*.json"))
        us, them = part("ours", folder), part("peer", folder)
    yield f"recorded: 2,000 nodes, 16,000 GPUs, 20,000 pods and pod groups, {size / 1e6:.0f} MB"
    yield LINE.format(
        "first list: all kinds decoded, estate made",
        f"{us['first_s']:.2f} s",
        budget(us["first_s"], FIRST_S, "s CPU"),
    )
    yield LINE.format(
        "  peer: its models of the pods alone",
        f"{them['first_s']:.2f} s",
        f"{them['first_s'] / us['first_s']:.1f} x ours; {them['pods']:.0f} pods, scaled",
    )
    yield LINE.format(f"events of {CHANGED} changed pods", f"{us['taken_s']:.3f} s", "")
    yield LINE.format(
        "  peer: its models of these pods",
        f"{them['changed_s']:.3f} s",
        f"{them['changed_s'] / us['taken_s']:.1f} x ours",
    )
    yield LINE.format("refresh after these events", f"{us['changed_s']:.3f} s", "")
    yield LINE.format("refresh, nothing changed", f"{1000 * us['unchanged_s']:.2f} ms", "")
    yield LINE.format(
        "RSS after all this",
        f"{us['rss_mib']:.0f} MiB",
        f"{us['before_mib']:.0f} MiB before the first list",
    )
    yield LINE.format("  peer: growth by its pods alone", f"{them['grown_mib']:.0f} MiB", "scaled")


def budget(value: float, most: float, unit: str) -> str:
    """The budget; `!` marks a value over it."""
    return f"budget <= {most:g} {unit}" + " !" * (value > most)


def main() -> None:
    """Print the lines, each as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", action="store_true", help="on a real API server too")
    parser.add_argument("--only-live", action="store_true", help="on a real API server alone")
    parser.add_argument("--part", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(PARTS[given.part[0]](Path(given.part[1]))))
        return
    if not given.only_live:
        for line in recorded():
            print(line, flush=True)
    if given.live or given.only_live:
        from benchmarks import kube_live

        for line in kube_live.lines():
            print(line, flush=True)


if __name__ == "__main__":
    main()
