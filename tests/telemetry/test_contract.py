"""What every source of readings keeps to, each on the real thing that it reads.

Two GPUs: one that tells everything, one that tells its utilisation (0 %) and memory alone.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.source import SourceState
from foundry_tui.telemetry.nodes.source import NodesSource
from foundry_tui.telemetry.nvml.source import LIBRARY
from foundry_tui.telemetry.ports import KIND, Found, Sweep, TelemetrySource
from foundry_tui.telemetry.prometheus.source import PrometheusSource
from tests.agent.service import serving, until
from tests.lab.components import require
from tests.lab.nvml.stub import StubHost
from tests.lab.prometheus import PrometheusLab, missing
from tests.telemetry.loopback import listening, write

GIB = 1 << 30
TEXT = "text/plain; version=0.0.4"
SOURCES = ("nvml", "agents", "dcgm", "prometheus of agents", "prometheus of exporters")
HTTP = tuple(name for name in SOURCES if name != "nvml")
FULL, BARE = "GPU-aaaa", "GPU-bbbb"

STUB = (
    "driver 580.95.05",
    f"gpu uuid={FULL} minor=3 pci=00000000:18:00.0 util=37 total={80 * GIB} reserved={GIB} "
    f"used={8 * GIB} power=123000 temp=44 energy=5000 sm_clock=1980 name=NVIDIA H100",
    f"gpu uuid={BARE} minor=4 pci=00000000:19:00.0 util=0 total={80 * GIB} reserved={GIB} used=0 "
    "name=NVIDIA H100",
)

EXPORTED = {
    ("0", FULL): {
        "DCGM_FI_DEV_GPU_UTIL": 37.0,
        "DCGM_FI_DEV_FB_USED": 8 * 1024.0,
        "DCGM_FI_DEV_FB_FREE": 71 * 1024.0,
        "DCGM_FI_DEV_FB_RESERVED": 1024.0,
        "DCGM_FI_DEV_POWER_USAGE": 123.0,
        "DCGM_FI_DEV_GPU_TEMP": 44.0,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 5000.0,
        "DCGM_FI_DEV_SM_CLOCK": 1980.0,
    },
    ("1", BARE): {
        "DCGM_FI_DEV_GPU_UTIL": 0.0,
        "DCGM_FI_DEV_FB_USED": 0.0,
        "DCGM_FI_DEV_FB_FREE": 79 * 1024.0,
        "DCGM_FI_DEV_FB_RESERVED": 1024.0,
        "DCGM_FI_DEV_POWER_USAGE": 9223372036854775794.0,
    },
}
"""The same two GPUs as an exporter tells them; what it has no power for is DCGM's blank value."""


def exported(times: tuple[float, ...] = ()) -> str:
    """The exporter's page; with `times` the samples of a server that scraped it then."""
    lines = []
    for name in EXPORTED["0", FULL]:
        for (index, uuid), values in EXPORTED.items():
            if name in values:
                labels = f'gpu="{index}",UUID="{uuid}",Hostname="n1",modelName="NVIDIA H100"'
                if times:
                    labels += ',job="dcgm",instance="n1:9400"'
                for at in times or (None,):
                    stamp = "" if at is None else f" {at:.0f}"
                    lines.append(f"{name}{{{labels}}} {values[name]!r}{stamp}\n")
    return "".join(lines)


@dataclass(frozen=True, slots=True)
class Rig:
    """A source of one kind that works, and what it would be with another address."""

    source: TelemetrySource
    at: Callable[[str], TelemetrySource]


@dataclass(slots=True)
class Bench:
    """Makes a rig of every kind, once, and ends what it has started."""

    new_folder: Callable[[], Path]
    stub: Path
    stack: ExitStack
    made: dict[str, Rig] = field(default_factory=dict)

    def rig(self, kind: str) -> Rig:
        if kind not in self.made:
            self.made[kind] = self._rig(kind)
        return self.made[kind]

    def host(self, *directives: str) -> StubHost:
        """A host of its own with the two GPUs."""
        folder = self.new_folder()
        shutil.copy(self.stub, folder / LIBRARY)
        host = StubHost(folder)
        host.says(*STUB, *directives)
        return host

    def _rig(self, kind: str) -> Rig:
        if kind == "nvml":
            host = self.host()
            return self._kept(host.nvml(), lambda url: host.nvml())
        if kind == "prometheus of agents":
            agent = self._agent()
            lab = self._server()
            lab.scrape({agent: {}})
            rig = self._prometheus(lab.url)
            until(lambda: len(rig.source.read(("n1",), 10).readings) == 2)
            return rig
        if kind == "prometheus of exporters":
            minute = math.floor(time.time() / 60) * 60
            times = tuple(minute + 15.0 * n for n in range(-40, 40))
            return self._prometheus(self._server(exported(times)).url)
        if kind == "agents":
            return self._nodes("agents", f"http://{self._agent()}")
        page = exported().encode()
        answer = listening(lambda handler: write(handler, page, Content_Type=TEXT))
        return self._nodes("dcgm", self.stack.enter_context(answer))

    def _server(self, past: str | None = None) -> PrometheusLab:
        require("prometheus", missing())
        lab = PrometheusLab.start(self.new_folder(), past=past)
        self.stack.callback(lab.stop)
        return lab

    def _agent(self) -> str:
        agent = self.stack.enter_context(serving(self.host().folder, "--jobs", "--hostname", "n1"))
        agent.page_with("DCGM_FI_DEV_GPU_UTIL", 37.0)
        return f"127.0.0.1:{agent.port}"

    def _nodes(self, kind: str, url: str) -> Rig:
        def at(url: str) -> TelemetrySource:
            scheme, _, address = url.partition("://")
            labels = {"node": "n1", "__scheme__": scheme}
            targets = self.new_folder() / "targets.json"
            targets.write_text(json.dumps([{"targets": [address], "labels": labels}]))
            config = TelemetryConfig(name="t", kind=kind, targets_file=targets, timeout_s=5.0)
            return NodesSource(config, env={})

        return self._kept(at(url), at)

    def _prometheus(self, url: str) -> Rig:
        config = TelemetryConfig(name="t", kind="prometheus", url=url)

        def at(url: str) -> TelemetrySource:
            return PrometheusSource(replace(config, url=url), env={})

        return self._kept(at(url), at)

    def _kept(self, source: TelemetrySource, at: Callable[[str], TelemetrySource]) -> Rig:
        def closed_later(url: str) -> TelemetrySource:
            made = at(url)
            self.stack.callback(made.close)
            return made

        self.stack.callback(source.close)
        return Rig(source, closed_later)


@pytest.fixture(scope="module")
def bench(
    tmp_path_factory: pytest.TempPathFactory, stub_builds: dict[str, Path]
) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(lambda: tmp_path_factory.mktemp("rig"), stub_builds["today"], stack)


def sound(sweep: Sweep) -> None:
    """What holds of every sweep, whatever has happened."""
    assert sweep.source.kind == KIND
    assert sweep.source.reason is None or sweep.source.reason.isprintable()
    assert all(words.isprintable() and words for words in sweep.silent.values())
    assert len({(one.node, one.index) for one in sweep.readings}) == len(sweep.readings)
    for one in sweep.readings:
        assert one.source == sweep.source.name
        assert one.read_at.utcoffset() is not None
        for text in (one.how, one.reason, one.uuid, one.model):
            assert text is None or text.isprintable()


@pytest.mark.parametrize("kind", SOURCES)
def test_the_same_gpus_in_the_same_units(bench: Bench, kind: str) -> None:
    sweep = bench.rig(kind).source.read(("n1",), 20)
    sound(sweep)
    assert (sweep.source.state, dict(sweep.silent), sweep.asked) == (SourceState.OK, {}, 1)
    assert sweep.source.read_at is not None
    full, bare = sweep.readings
    assert (full.node, full.index, full.uuid, full.model) == ("n1", 0, FULL, "NVIDIA H100")
    assert (full.util_pct, full.power_w, full.temp_c) == (37.0, 123.0, 44.0)
    assert (full.mem_used_bytes, full.mem_total_bytes) == (8 * GIB, 80 * GIB)
    assert (full.energy_mj, full.sm_clock_mhz) == (5000, 1980)
    assert full.reason is None or "37" not in full.reason
    assert (bare.node, bare.index, bare.uuid) == ("n1", 1, BARE)
    now = datetime.now(UTC)
    for one in sweep.readings:
        assert 0 <= (now - one.read_at).total_seconds() <= 150


@pytest.mark.parametrize("kind", SOURCES)
def test_what_was_not_measured_is_none_and_nothing_is_zero_for_it(bench: Bench, kind: str) -> None:
    _, bare = bench.rig(kind).source.read(("n1",), 20).readings
    assert (bare.util_pct, bare.mem_used_bytes) == (0.0, 0)
    unknown = (bare.power_w, bare.temp_c, bare.energy_mj, bare.sm_clock_mhz, bare.mem_clock_mhz)
    assert unknown == (None,) * 5
    assert (bare.sm_active_pct, bare.tensor_active_pct) == (None, None)
    assert (bare.faults, bare.instances) == ((), ())


@pytest.mark.parametrize("kind", SOURCES)
def test_closing_twice_is_closing_and_a_read_opens_again(bench: Bench, kind: str) -> None:
    source = bench.rig(kind).source
    assert len(source.read(("n1",), 20).readings) == 2
    source.close()
    source.close()
    assert len(source.read(("n1",), 20).readings) == 2


@pytest.mark.parametrize("kind", SOURCES)
def test_the_doctor_is_told_what_there_is(bench: Bench, kind: str) -> None:
    told = bench.rig(kind).source.probe(("n1",))
    assert told
    assert {found.state for found in told} == {"ok"}
    assert all(readable(found) for found in told)


@pytest.mark.parametrize("kind", ["agents", "dcgm", "prometheus of exporters"])
def test_nobody_there_is_a_reason_and_no_reading(bench: Bench, kind: str) -> None:
    with listening(lambda handler: None) as url:
        pass
    source = bench.rig(kind).at(url)
    sweep = source.read(("n1",), 5)
    sound(sweep)
    assert sweep.readings == ()
    assert sweep.source.state is SourceState.DOWN
    assert sweep.source.reason
    assert kind.startswith("prometheus") or set(sweep.silent) == {"n1"}
    told = source.probe(("n1",))
    assert "ok" not in {found.state for found in told}
    assert all(readable(found) for found in told)
    assert any(found.mend for found in told)


def silent_for_ever(handler: BaseHTTPRequestHandler) -> None:
    """Takes the request and answers when the other side has gone."""
    while handler.connection.recv(1):
        pass


@pytest.mark.parametrize("kind", ["nvml", "agents", "dcgm", "prometheus of exporters"])
def test_the_deadline_is_kept(bench: Bench, kind: str) -> None:
    with ExitStack() as stack:
        if kind == "nvml":
            source: TelemetrySource = bench.host("hang nvmlDeviceGetCount_v2").nvml()
        else:
            source = bench.rig(kind).at(stack.enter_context(listening(silent_for_ever)))
        kept(source)


def kept(source: TelemetrySource) -> None:
    before = time.monotonic()
    sweep = source.read(("n1",), 1.0)
    assert time.monotonic() - before < 3
    sound(sweep)
    assert sweep.readings == ()
    assert sweep.source.state is SourceState.DOWN
    assert sweep.source.reason
    source.close()


@pytest.mark.parametrize("kind", HTTP)
def test_rubbish_is_no_reading(bench: Bench, kind: str) -> None:
    rubbish = b"\xff\xfe<html>\x1b[31m" * 1000
    with listening(lambda handler: write(handler, rubbish)) as url:
        source = bench.rig(kind).at(url)
        sweep = source.read(("n1",), 5)
        source.close()
    sound(sweep)
    assert sweep.readings == ()
    assert sweep.source.state is not SourceState.OK


def readable(found: Found) -> bool:
    """Whether a line of the doctor is whole, and safe to be shown."""
    states = {state.value for state in SourceState}
    texts = (found.what, found.found, *([found.mend] if found.mend is not None else []))
    return found.state in states and all(text and text.isprintable() for text in texts)
