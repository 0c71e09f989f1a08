"""A collector that was away for some minutes, beside a real Prometheus that was not."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from foundry_tui.estate.gpu import Gpu
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.store.history import History
from tests.collector.test_processes import Host, host, until
from tests.lab.prometheus import PrometheusLab, page

__all__ = ["host"]

STEP_S = 60
AWAY_MINUTES = 12
"""So long nobody has collected."""


def exported(since: float, end: float) -> str:
    """What an exporter on h01 would have told every 15 s: GPU 0 at 30 %, GPU 1 at 70 %."""
    times = [since + 15 * n for n in range(int((end - since) // 15) + 1)]
    return page(
        [
            (name, {"Hostname": "h01", "gpu": str(gpu), "UUID": f"GPU-{gpu}"}, value, at)
            for name, values in (
                ("DCGM_FI_DEV_GPU_UTIL", (30.0, 70.0)),
                ("DCGM_FI_DEV_FB_USED", (1000.0, 2000.0)),
            )
            for gpu, value in enumerate(values)
            for at in times
        ]
    )


def test_what_was_missed_is_filled_in_and_nothing_twice(
    host: Host, start_prometheus: Callable[..., PrometheusLab]
) -> None:
    now = time.time() // STEP_S * STEP_S
    last = now - AWAY_MINUTES * STEP_S
    server = start_prometheus(past=exported(last - 300, now))
    with (host.place / "config.toml").open("a") as file:
        file.write(f'[telemetry.prom]\nkind = "prometheus"\nurl = "{server.url}"\n')
    history = host.cache / "history"
    host.cache.mkdir(mode=0o700)
    recorded(history, datetime.fromtimestamp(last, UTC))
    missed = {last + STEP_S * n for n in range(1, AWAY_MINUTES - 1)}
    for _ in range(2):
        collector = host.start("collect")
        until(partial(host.leads, collector))
        until(lambda: missed <= seen(history).keys(), within_s=60)
        collector.terminate()
        assert collector.wait(15) == 0
    told = seen(history)
    assert all(told[minute] == [300, 700] for minute in missed), told
    assert sum(len(values) for values in told.values()) == 2 * len(told)


def recorded(folder: Path, at: datetime) -> None:
    """A history whose last window ends at this time."""
    written = History.open(folder, clock=lambda: at)
    gpus = tuple(
        Gpu(node="h01", index=n, source="lab", util_pct=5.0, tenants=(), read_at=at) for n in (0, 1)
    )
    source = Source(name="lab", kind="slurm", state=SourceState.OK, read_at=at)
    written.record(Snapshot(generated_at=at, sources=(source,), gpus=gpus))
    written.close()


def seen(folder: Path) -> dict[float, list[int]]:
    """The minutes that are recorded with a utilisation, in thousandths of each GPU."""
    with sqlite3.connect(f"file:{folder}/history.sqlite?mode=ro", uri=True, timeout=5) as db:
        rows = db.execute("SELECT ts, util FROM raw WHERE util IS NOT NULL ORDER BY ts, gpu")
        found: dict[float, list[int]] = {}
        for ts, util in rows:
            found.setdefault(float(ts), []).append(util)
        return found
