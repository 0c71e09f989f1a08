"""Sites for the screens: the simulated estate on a clock that stands still, stubs that fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from textual.pilot import Pilot
from textual.widget import Widget

from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.gpu import Gpu, Tenant
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.queue import Queue, with_use
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Accounting, Window
from foundry_tui.process import user_name
from foundry_tui.schedulers.ports import Log
from foundry_tui.schedulers.simulated import build
from foundry_tui.tui.app import Foundry

NOW = datetime(2026, 11, 20, 14, 3, 27, tzinfo=UTC)
HOUR = timedelta(hours=1)

Test = Callable[[Foundry, Pilot[int]], Awaitable[None]]


def still() -> Site:
    """The simulated estate; its clock stands still."""
    site = Site(options=Options(demo=True), config=Config(), mode="demo", tell=lambda words: None)
    site.schedulers = {source.name: source for source in build(None, lambda: NOW)}
    site.clock = next(iter(site.schedulers.values())).now  # type: ignore[attr-defined]
    return site


def saved(snapshot: Snapshot) -> Site:
    """A saved estate."""
    return Site(
        options=Options(),
        config=Config(),
        mode="saved",
        tell=lambda words: None,
        saved=snapshot,
        clock=lambda: snapshot.generated_at,
    )


@dataclass
class Stub:
    """A scheduler that answers, fails, refuses or hangs as told."""

    seen: Snapshot
    name: str = "lab"
    kind: str = "slurm"
    error: Exception | None = None
    hang: threading.Event | None = None
    log: Log = field(default_factory=lambda: Log(path=safe("/home/zoe/out"), lines=(safe("one"),)))
    words: dict[str, SafeText] = field(default_factory=dict)

    def _answer(self) -> None:
        if self.hang is not None:
            self.hang.wait(30)
        if self.error is not None:
            raise self.error

    def user(self) -> str | None:
        return None

    def probe(self) -> tuple[Any, ...]:
        return ()

    def snapshot(self) -> Snapshot:
        self._answer()
        return self.seen

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        self._answer()
        return Accounting(window=window, records=())

    def logs(self, run: Run, *, tail_lines: int, errors: bool = False) -> Log:
        self._answer()
        return replace(self.log, path=safe("/home/zoe/err")) if errors else self.log

    def details(self, run: Run) -> dict[str, SafeText]:
        self._answer()
        return self.words

    def estimate(self, run: Run, *, changes: tuple[tuple[str, str], ...] = ()) -> Any:
        raise ValueError("no estimate here")

    def estimate_submit(self, act: object) -> Any:
        raise ValueError("no estimate here")

    def rights(self, user: str | None = None) -> Rights:
        return Rights(user=user or user_name(), admin=False)

    def supports(self, act: type[object]) -> str | None:
        return "a stub changes nothing"


def live(*stubs: Stub) -> Site:
    """A live site of these schedulers."""
    site = Site(options=Options(), config=Config(), mode="live", tell=lambda words: None)
    site.schedulers = {stub.name: stub for stub in stubs}  # type: ignore[misc]
    site.clock = lambda: NOW
    site.telemetry = ()
    return site


def a_run(number: int, **given: Any) -> Run:
    """A running run of one GPU on h01, changed as given."""
    plain: dict[str, Any] = {
        "id": f"lab/{number}",
        "native_id": str(number),
        "source": "lab",
        "scheduler": "slurm",
        "name": safe(f"train-{number}"),
        "state": RunState.RUNNING,
        "user": "zoe",
        "queue": "gpu",
        "request": Request(gpu_count=1, gpu_milli=1000),
        "submitted_at": NOW - 2 * HOUR,
        "started_at": NOW - HOUR,
        "placement": (Placement("h01", (number % 8,)),),
        "read_at": NOW,
    }
    return Run(**{**plain, **given})


def waiting(number: int, **given: Any) -> Run:
    """A run that waits for its turn."""
    return a_run(
        number,
        **{
            "state": RunState.PENDING,
            "started_at": None,
            "placement": (),
            "reason": safe("Priority"),
            **given,
        },
    )


def an_estate(runs: Iterable[Run], *, nodes: int = 2, source: str = "lab") -> Snapshot:
    """An estate of `nodes` nodes with eight GPUs each, on which these runs are."""
    every = tuple(runs)
    tenants: dict[tuple[str, int], list[Tenant]] = {}
    for run in every:
        for part in run.placement:
            for index in part.gpus or ():
                tenants.setdefault((part.node, index), []).append(Tenant(run.id, 1000))
    names = [f"h{n:02}" for n in range(1, nodes + 1)]
    gpus = tuple(
        Gpu(
            node=name,
            index=index,
            source=source,
            model="h100",
            uuid=f"GPU-{name}-{index}",
            tenants=tuple(tenants.get((name, index), ())[:1]),
            util_pct=10.0 * index + 5 if (name, index) in tenants else 0.0,
            mem_used_bytes=1 << 34,
            mem_total_bytes=80 << 30,
            read_at=NOW,
        )
        for name in names
        for index in range(8)
    )
    queue = Queue(name="gpu", source=source, kind="partition", total_gpu_milli=8000 * nodes)
    return Snapshot(
        generated_at=NOW,
        sources=(Source(name=source, kind="slurm", state=SourceState.OK, read_at=NOW),),
        nodes=tuple(
            Node(
                name=name,
                source=source,
                state=NodeState.MIXED,
                gpu_model="h100",
                gpu_count=8,
                gpu_milli_allocated=sum(g.milli_allocated or 0 for g in gpus if g.node == name),
                queues=("gpu",),
                read_at=NOW,
            )
            for name in names
        ),
        gpus=gpus,
        queues=with_use((queue,), every, NOW),
        runs=every,
    )


def on(
    site: Site, test: Test, *, size: tuple[int, int] = (80, 24), read: bool = True, **app: Any
) -> None:
    """Run a test on the open app; with `read` once its whole first reading is shown."""

    async def go() -> None:
        foundry = Foundry(site, **app)
        async with foundry.run_test(size=size) as pilot:
            if read:
                await until(pilot, lambda: foundry.seen is not None)
                await pilot.pause()
            await test(foundry, pilot)

    asyncio.run(go())


async def until(pilot: Pilot[int], holds: Callable[[], bool], patience_s: float = 10.0) -> None:
    """Wait until something holds; fails after some seconds, with what is shown."""
    end = asyncio.get_running_loop().time() + patience_s
    while not holds():
        if asyncio.get_running_loop().time() > end:
            raise AssertionError("waited in vain; shown is:\n" + screen(pilot.app))
        await pilot.pause(0.02)


def screen(app: Any) -> str:
    """What is shown, as the lines of a terminal."""
    width, height = app.size
    shown = app.screen
    strips = shown._compositor.render_strips()
    return "\n".join(strip.crop(0, width).text.rstrip() for strip in strips[:height])


def lines_of(widget: Widget) -> str:
    """What a widget draws, line by line."""
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))
