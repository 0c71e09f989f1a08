"""What a sweep over 10,000 GPUs costs: 1,250 simulated nodes on loopback, 8 GPUs each.

python -m benchmarks.telemetry                # fetch, parse, normalise, join, store
python -m benchmarks.telemetry --clients      # and the fetch alone with other HTTP clients

CPU seconds are those of the reading process, all its threads; the nodes run in another process.
prometheus_client.parser reads a part of the same pages in the same run. Medians of the sweeps. A
CPU second is worth less on a host that is busy: the time of a fixed loop, which is told too, says
by how much, when it is compared with that of another run.
"""

from __future__ import annotations

import argparse
import http.client
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.merge import merge
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.telemetry.attribution.match import match
from foundry_tui.telemetry.exposition.metrics import NAMES
from foundry_tui.telemetry.exposition.normalise import readings
from foundry_tui.telemetry.exposition.text import Cache, parse
from foundry_tui.telemetry.nodes.fetch import Answer, Fetcher
from foundry_tui.telemetry.nodes.silence import Silence
from foundry_tui.telemetry.nodes.source import QUERY, NodesSource
from foundry_tui.telemetry.nodes.targets import Target, Targets

NODES = 1250
BUDGET_S = 1.0
"""CPU seconds of one sweep: fetch, parse and normalise."""
PEER_PAGES = 60
PATIENCE_S = 60.0
LINE = "{:44} {:>9}   {}"


@contextmanager
def nodes(count: int, folder: Path) -> Iterator[TelemetryConfig]:
    """The configuration of a source that reads `count` simulated nodes."""
    path = folder / "targets.json"
    program = str(Path(sys.executable).with_name("foundry"))
    argv = [program, "demo-agents", str(count), "-o", str(path)]
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert child.stderr is not None
        said = child.stderr.readline().decode()
        if child.poll() is not None or not path.exists():
            sys.exit(f"the nodes did not start: {said}")
        yield TelemetryConfig(name="bench", kind="agents", targets_file=path)
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(10)


def spent(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median CPU and wall seconds of some rounds, after one that warms up."""
    cpu, wall = [], []
    for attempt in range(rounds + 1):
        begun, used = time.monotonic(), time.process_time()
        work()
        if attempt:
            cpu.append(time.process_time() - used)
            wall.append(time.monotonic() - begun)
    return statistics.median(cpu), statistics.median(wall)


def loop_s() -> float:
    """CPU seconds of a fixed loop."""
    begun, held = time.process_time(), {}
    for number in range(200_000):
        held[number & 1023] = 2 * number
    return time.process_time() - begun


def fresh_minute(within_s: float) -> None:
    """Wait for a minute with that much time left, so that the nodes write their pages once."""
    if 60 - time.time() % 60 < within_s:
        time.sleep(60 - time.time() % 60 + 0.5)


def sweep(config: TelemetryConfig, rounds: int) -> tuple[list[str], tuple[Reading, ...]]:
    """The whole sweep, and its parts one by one."""
    source = NodesSource(config)
    try:
        cold = time.process_time()
        first = source.read((), PATIENCE_S)
        cold = time.process_time() - cold
        if first.silent:
            sys.exit(f"{first.source.reason}: {next(iter(first.silent.values()))}")
        loops: list[float] = []

        def read() -> None:
            loops.append(loop_s())
            source.read((), PATIENCE_S)

        cpu, wall = spent(read, rounds)
        loop = statistics.median(loops[1:])
        cpu, wall = cpu - loop, wall - loop
        found = source.read((), PATIENCE_S).readings
    finally:
        source.close()
    verdict = "within" if cpu <= BUDGET_S else "OVER"
    lines = [
        LINE.format("first sweep (connects, fills the caches)", f"{cold:.2f} s", ""),
        LINE.format(
            "one sweep: fetch, parse, normalise",
            f"{cpu:.2f} s",
            f"{wall:.2f} s of wall; {verdict} the budget of {BUDGET_S:g} s",
        ),
    ]
    lines.append(
        LINE.format(
            "  a fixed loop", f"{loop * 1e3:.1f} ms", f"beside it; a sweep is {cpu / loop:.0f}"
        )
    )
    return lines, found


def parts(config: TelemetryConfig, rounds: int) -> list[str]:
    """Fetch, parse and normalise apart, and the parser of prometheus_client on the same bytes."""
    from prometheus_client.parser import text_string_to_metric_families

    targets, _ = Targets(config).of(())
    bodies: dict[str, bytes] = {}

    def keep(target: Target, outcome: Answer | Silence) -> None:
        if isinstance(outcome, Answer):
            bodies[target.node] = outcome.body

    fetcher = Fetcher(config.timeout_s, query=QUERY)
    try:
        fetch_s, _ = spent(lambda: fetcher.sweep(targets, keep, PATIENCE_S), rounds)
    finally:
        fetcher.close()
    cache, now = Cache(), datetime.now(UTC)
    new_s, _ = spent(lambda: [parse(body, Cache(), NAMES) for body in bodies.values()], 1)
    parse_s, _ = spent(lambda: [parse(body, cache, NAMES) for body in bodies.values()], rounds)
    pages = [(node, parse(body, cache, NAMES)) for node, body in bodies.items()]
    normal_s, _ = spent(
        lambda: [readings(page, node=node, source="s", now=now) for node, page in pages], rounds
    )
    few = [body.decode() for body in list(bodies.values())[:PEER_PAGES]]
    peer_s, _ = spent(lambda: [list(text_string_to_metric_families(text)) for text in few], 1)
    peer_s *= len(bodies) / len(few)
    samples = sum(page.samples for _, page in pages)
    size = sum(map(len, bodies.values()))

    def each(taken_s: float) -> str:
        return f"{taken_s / samples * 1e6:.1f} µs a sample, {peer_s / taken_s:.0f} x faster"

    return [
        f"{len(bodies):,} pages, {samples:,} samples, {size / 1e6:.0f} MB",
        LINE.format("  fetch", f"{fetch_s:.2f} s", ""),
        LINE.format("  parse", f"{parse_s:.2f} s", each(parse_s)),
        LINE.format("  parse of a page that is new", f"{new_s:.2f} s", each(new_s)),
        LINE.format("  normalise", f"{normal_s:.2f} s", ""),
        LINE.format(
            "  prometheus_client.parser, same bytes",
            f"{peer_s:.2f} s",
            f"{peer_s / samples * 1e6:.1f} µs a sample, from {len(few)} pages",
        ),
    ]


def estate(found: Sequence[Reading], now: datetime) -> Snapshot:
    """The estate that these GPUs stand in, as a scheduler tells it."""
    names = dict.fromkeys(reading.node for reading in found)
    source = Source(name="lab", kind="slurm", state=SourceState.OK, read_at=now)
    told = tuple(Node(name=name, source="lab", state=NodeState.IDLE, gpu_count=8) for name in names)
    gpus = tuple(Gpu(node=reading.node, index=reading.index, source="lab") for reading in found)
    return Snapshot(generated_at=now, sources=(source,), nodes=told, gpus=gpus)


def stored(found: Sequence[Reading], folder: Path, rounds: int) -> list[str]:
    """The readings joined to an estate and recorded, minute by minute."""
    from foundry_tui.store.history import History

    now = datetime.now(UTC).replace(second=0, microsecond=0)
    one = estate(found, now)
    joined = merge([one], now, matched=match(one.nodes, one.gpus, (), found))
    join_s, _ = spent(
        lambda: merge([one], now, matched=match(one.nodes, one.gpus, (), found)), rounds
    )
    minutes = [_later(joined, number) for number in range(rounds + 2)]
    left = iter(minutes)
    place, clock = folder / "history", minutes[-1].generated_at
    history = History.open(place, clock=lambda: clock)
    history.record(next(left))
    history.close()  # so that all of it is in one file
    before = _size(place)
    history = History.open(place, clock=lambda: clock)
    store_s, _ = spent(lambda: history.record(next(left)), rounds)
    history.close()
    per_row = (_size(place) - before) / len(joined.gpus) / (rounds + 1)
    return [
        LINE.format("  join to the estate (match, merge)", f"{join_s:.2f} s", ""),
        LINE.format(
            "  record in the history",
            f"{store_s:.2f} s",
            f"{per_row:.1f} bytes a row, indices and all",
        ),
    ]


def _later(one: Snapshot, minutes: int) -> Snapshot:
    """The same some minutes later, with other values."""
    at = one.generated_at + timedelta(minutes=minutes)
    gpus = tuple(
        replace(
            gpu, read_at=at, util_pct=None if gpu.util_pct is None else (gpu.util_pct + n) % 100
        )
        for n, gpu in enumerate(one.gpus, minutes)
    )
    return replace(one, generated_at=at, gpus=gpus)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def clients(config: TelemetryConfig, rounds: int) -> list[str]:
    """The fetch alone, as other clients do it: kept connections, 64 at once."""
    import httpx

    targets, _ = Targets(config).of(())
    kept: dict[Target, http.client.HTTPConnection] = {}

    def by_http_client(target: Target) -> None:
        if target not in kept:
            kept[target] = http.client.HTTPConnection(target.host, target.port, timeout=5)
        kept[target].request("GET", target.path)
        kept[target].getresponse().read()

    limits = httpx.Limits(max_connections=64, max_keepalive_connections=len(targets))
    lines = []
    with (
        httpx.Client(limits=limits, trust_env=False) as client,
        ThreadPoolExecutor(max_workers=64) as pool,
    ):
        for name, get in (
            ("http.client, 64 threads", by_http_client),
            ("httpx, 64 threads", lambda target: client.get(str(target)).read()),
        ):
            cpu, wall = spent(lambda get=get: list(pool.map(get, targets)), rounds)  # type: ignore[misc]
            lines.append(
                LINE.format(f"  fetch with {name}", f"{cpu:.2f} s", f"{wall:.2f} s of wall")
            )
    for connection in kept.values():
        connection.close()
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", action="store_true")
    given = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * given.nodes)), hard))
    with tempfile.TemporaryDirectory() as name, nodes(given.nodes, Path(name)) as config:
        fresh_minute(30)
        lines, found = sweep(config, given.rounds)
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines += stored(found, Path(name), given.rounds)
        lines.append(LINE.format("memory of the process after the sweeps", f"{rss:.0f} MB", "RSS"))
        fresh_minute(30)
        lines += parts(config, given.rounds)
        if given.clients:
            fresh_minute(30)
            lines += clients(config, given.rounds)
    load = os.getloadavg()[0]
    print(f"{given.nodes:,} nodes, {len(found):,} GPUs; load of this host {load:.1f}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
