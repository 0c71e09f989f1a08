"""What tracked runs cost at scale: a real MLflow server on SQLite with 1,000 to 50,000 runs.

python -m benchmarks.tracking                        # 1k, 10k and 50k runs
python -m benchmarks.tracking --sizes 1000 --peer-s 10

The server is that of the tests' lab; runs of 10 params, 5 metrics and 5 tags, always the same, are
put into its database directly. What Foundry does is measured in a process of its own: wall seconds,
CPU seconds of that process, and its memory. The peer is what the server needs for the same question
when it is asked itself; it is given up after `--peer-s` seconds, and the server is started anew.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.lab.mlflow import MlflowLab, missing

SIZES = (1_000, 10_000, 50_000)
EXPERIMENTS = 12
BEGUN_MS = 1_767_225_600_000
POINTS = 100_000
LONG_RUN = "f" * 32
BLOCK = 2000
LINE = "{:50} {:>9} {:>9}   {}"
BUDGET_FIRST_S = 0.5
BUDGET_LOCAL_S = 0.5
WHERE = "metric.m1<0.3 param.p9=adamw|sgd state=finished"


def populate(database: Path, first: int, last: int) -> float:
    """Put the runs of these numbers into the server's database; seconds that it took."""
    begun = time.monotonic()
    with sqlite3.connect(database, timeout=60) as db:
        db.execute("PRAGMA synchronous = OFF")
        for number in range(1, EXPERIMENTS + 1):
            db.execute(
                "INSERT OR IGNORE INTO experiments (experiment_id, name, artifact_location, "
                "lifecycle_stage, creation_time, last_update_time) VALUES (?, ?, ?, ?, ?, ?)",
                (number, f"exp-{number}", f"mlflow-artifacts:/{number}", "active", BEGUN_MS,
                 BEGUN_MS),
            )  # fmt: skip
        for start in range(first, last, BLOCK):
            tables: dict[str, list[tuple[object, ...]]] = {}
            for number in range(start, min(last, start + BLOCK)):
                for table, row in _rows(number):
                    tables.setdefault(table, []).append(row)
            for table, rows in tables.items():
                _insert(db, table, rows)
    return time.monotonic() - begun


def _rows(number: int) -> Iterable[tuple[str, tuple[object, ...]]]:
    dice = random.Random(number)
    run, began = f"{dice.getrandbits(128):032x}", BEGUN_MS + 60_000 * number
    experiment = number % EXPERIMENTS + 1
    place = f"mlflow-artifacts:/{experiment}/{run}/artifacts"
    yield "runs", (run, f"run-{number}", "JOB", "", "", "", "FINISHED", began, began + 3_600_000,
                   "", "active", place, experiment, None)  # fmt: skip
    for key in range(10):
        text = dice.choice(("adamw", "sgd", "lion")) if key == 9 else f"{dice.random():.6g}"
        yield "params", (f"p{key}", text, run)
    for key in range(5):
        value, at = dice.random(), began + 3_500_000
        yield "metrics", (f"m{key}", value, at, run, 1000, 0)
        yield "latest_metrics", (f"m{key}", value, at, 1000, 0, run)
    for tag, text in (("mlflow.runName", f"run-{number}"), ("mlflow.user", f"user{number % 40}"),
                      ("team", dice.choice(("nlp", "cv", "bio"))), ("foundry.cluster", "lab"),
                      ("foundry.slurm.job_id", str(number))):  # fmt: skip
        yield "tags", (tag, text, run)


def long_metric(database: Path) -> None:
    """A metric of 100,000 points, in a run of its own."""
    with sqlite3.connect(database, timeout=60) as db:
        run = (LONG_RUN, "long", "JOB", "", "", "", "FINISHED", BEGUN_MS, BEGUN_MS, "", "active",
               "mlflow-artifacts:/1/long", 1, None)  # fmt: skip
        _insert(db, "runs", [run])
        at = BEGUN_MS
        points = [("loss", 1 / (step + 1), at + step, LONG_RUN, step, 0) for step in range(POINTS)]
        _insert(db, "metrics", points)
        last = ("loss", 1 / POINTS, at + POINTS - 1, POINTS - 1, 0, LONG_RUN)
        _insert(db, "latest_metrics", [last])


def _insert(db: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def child(url: str, cache: Path, size: int) -> None:
    """Measure what Foundry does, in this process; one JSON object on stdout."""
    from foundry_tui.actions.experiments import find, mirrored
    from foundry_tui.actions.site import Options, Site
    from foundry_tui.config.model import Config
    from foundry_tui.tracking.credentials import Credentials
    from foundry_tui.tracking.mlflow import Mlflow

    told: dict[str, tuple[float, float]] = {}
    site = Site(options=Options(), config=Config(cache_dir=cache), mode="live",
                tell=lambda _: None)  # fmt: skip
    tracker = Mlflow("bench", url, credentials=Credentials, clock=site.clock, timeout_s=60)
    site._tracker = tracker

    def measured(name: str, work: Callable[[], Any]) -> Any:
        cpu, wall = time.process_time(), time.monotonic()
        result = work()
        told[name] = (time.monotonic() - wall, time.process_time() - cpu)
        return result

    measured("importing the client and the mirror", _imports)
    first = measured("first page, no mirror yet", lambda: find.listing(site))
    assert len(first.rows) == 200
    whole = measured("whole fill, then sorted by a metric", lambda: find.listing(site, sort="m1"))
    assert whole.complete and whole.total == size, (whole.total, size)
    mirror = mirrored.held(site).mirror
    for name, more in (
        ("newest page from the mirror", {}),
        ("sorted by a metric from the mirror", {"sort": "m1"}),
        ("filtered and sorted from the mirror", {"sort": "m2", "where": WHERE}),
        ("words searched in the mirror", {"where": "run-77"}),
    ):
        found = measured(name, lambda more=more: find.listing(site, **more))  # type: ignore[misc]
        assert found.rows, name
    work = mirrored.refreshing(site, mirror)

    def poll() -> None:
        with mirror.writer() as writer:
            assert writer is not None
            work.poll(writer)

    measured("refresh by four questions", poll)
    points = measured("curve of 100,000 points, sampled", lambda: tracker.history(LONG_RUN, "loss"))
    assert len(points) == 320, len(points)
    tracker.close()
    kept = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    rss = peak_rss_bytes()
    print(json.dumps({"told": told, "rss_bytes": rss, "mirror_bytes": kept}))


def _imports() -> None:
    import httpx  # noqa: F401

    from foundry_tui.collector import mirroring  # noqa: F401
    from foundry_tui.store.mirror import mirror  # noqa: F401


def peak_rss_bytes() -> int:
    """The most memory that this process had; getrusage(2) tells its parent's where that is more."""
    status = Path("/proc/self/status").read_text("ascii", "replace")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def peer(lab: MlflowLab, body: Mapping[str, Any], patience_s: float) -> float | None:
    """Seconds that the server takes for a search itself; None where it is given up."""
    ids = [str(number) for number in range(EXPERIMENTS + 1)]
    asked = json.dumps({"experiment_ids": ids, "max_results": 200, **body}).encode()
    address, kind = f"{lab.url}/api/2.0/mlflow/runs/search", {"Content-Type": "application/json"}
    return _timed(urllib.request.Request(address, asked, kind), patience_s)


def whole_history(lab: MlflowLab, patience_s: float) -> float | None:
    """Seconds for all points of the long metric."""
    ask = f"run_id={LONG_RUN}&metric_key=loss"
    return _timed(
        urllib.request.Request(f"{lab.url}/api/2.0/mlflow/metrics/get-history?{ask}"), patience_s
    )


def _timed(request: urllib.request.Request, patience_s: float) -> float | None:
    begun, ended = time.monotonic(), threading.Event()

    def work() -> None:
        try:
            with urllib.request.urlopen(request, timeout=patience_s) as answer:
                answer.read()
            ended.set()
        except (OSError, urllib.error.URLError):
            return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(patience_s)
    return time.monotonic() - begun if ended.is_set() else None


def loop_ms() -> float:
    """CPU milliseconds of a fixed loop: what a CPU second is worth just now."""
    begun, held = time.process_time(), {}
    for number in range(200_000):
        held[number & 1023] = 2 * number
    return 1000 * (time.process_time() - begun)


def report(lab: MlflowLab, folder: Path, size: int, patience_s: float) -> bool:
    """Print the table of one size; False when the server was left busy with the peer's question."""
    cache = folder / f"cache-{size}"
    cache.mkdir(mode=0o700)
    newest = {"order_by": ["attributes.start_time DESC"]}
    for _ in range(2):
        peer(lab, newest, patience_s)  # a server that has just started is slow
    argv = [sys.executable, "-m", "benchmarks.tracking", "--child", lab.url, str(cache), str(size)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    print(f"\n{size:,} runs; load {os.getloadavg()[0]:.1f}, a fixed loop takes {loop_ms():.0f} ms")
    print(LINE.format("", "wall", "CPU", ""))
    budgets = {
        "first page, no mirror yet": BUDGET_FIRST_S,
        "sorted by a metric from the mirror": BUDGET_LOCAL_S,
        "filtered and sorted from the mirror": BUDGET_LOCAL_S,
        "curve of 100,000 points, sampled": 1.0,
    }
    for name, (wall, cpu) in found["told"].items():
        budget = budgets.get(name)
        verdict = "" if budget is None else "within" if wall <= budget else "OVER"
        verdict += "" if budget is None else f" the budget of {budget:g} s"
        print(LINE.format(name, f"{wall:.3f} s", f"{cpu:.3f} s", verdict))
    memory = f"{found['rss_bytes'] / 2**20:.0f} MiB"
    print(LINE.format("memory of that process", memory, "", "RSS, at most"))
    print(LINE.format("mirror on disk", f"{found['mirror_bytes'] / 1e6:.0f} MB", "", ""))
    for name, taken in (
        ("peer: newest 200 by the server", peer(lab, newest, patience_s)),
        ("peer: whole history of 100,000 points", whole_history(lab, patience_s)),
        ("peer: sorted by a metric", peer(lab, {"order_by": ["metrics.m1 DESC"]}, patience_s)),
    ):
        shown = f"{taken:.3f} s" if taken is not None else f"> {patience_s:g} s"
        print(LINE.format(name, shown, "", "" if taken is not None else "given up"))
    sys.stdout.flush()
    return taken is not None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--peer-s", type=float, default=60.0)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        url, cache, size = given.child
        child(url, Path(cache), int(size))
        return
    if (why := missing()) is not None:
        sys.exit(f"there is no MLflow to measure: {why}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lab = MlflowLab.start(folder)
        try:
            long_metric(folder / "mlflow.db")
            there = 1
            for size in sorted(given.sizes):
                took = populate(folder / "mlflow.db", there, size)
                print(f"{size - there:,} runs put in, {took:.1f} s", file=sys.stderr)
                there = size
                if not report(lab, folder, size, given.peer_s):
                    lab.stop()
                    lab = MlflowLab.start(folder)
                shutil.rmtree(folder / f"cache-{size}")
            print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs")
        finally:
            lab.stop()


if __name__ == "__main__":
    main()
