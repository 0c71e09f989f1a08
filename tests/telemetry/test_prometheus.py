"""A real Prometheus server: what our source reads there is what was measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.source import SourceState
from foundry_tui.telemetry.demo.page import DemoNode
from foundry_tui.telemetry.exposition.normalise import readings
from foundry_tui.telemetry.exposition.text import Cache, parse
from foundry_tui.telemetry.prometheus import server as promserver
from foundry_tui.telemetry.prometheus.source import PrometheusSource
from tests.agent.certificates import Authority
from tests.agent.conftest import authority
from tests.agent.service import serving
from tests.agent.service import until as eventually
from tests.lab import prometheus, victoria
from tests.lab.components import require
from tests.lab.nvml.stub import StubHost
from tests.lab.prometheus import PrometheusLab, page
from tests.lab.victoria import VictoriaLab
from tests.telemetry.loopback import listening, write

__all__ = ["authority"]

Start = Callable[..., PrometheusLab]
Source = Callable[..., PrometheusSource]
StartAny = Callable[..., PrometheusLab | VictoriaLab]
TEXT = "text/plain; version=0.0.4; charset=utf-8"


@pytest.fixture(params=["prometheus", "victoria-metrics"])
def start_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartAny]:
    """Starts a server of either kind; both are asked the same."""
    kind: type[PrometheusLab | VictoriaLab] = PrometheusLab
    absent = prometheus.missing()
    if request.param == "victoria-metrics":
        kind, absent = VictoriaLab, victoria.missing()
    require(request.param, absent)
    started: list[PrometheusLab | VictoriaLab] = []

    def start(past: str | None = None) -> PrometheusLab | VictoriaLab:
        started.append(kind.start(tmp_path, past=past))
        return started[-1]

    yield start
    for lab in started:
        lab.stop()


@pytest.fixture
def source() -> Iterator[Callable[..., PrometheusSource]]:
    """Makes sources of a server; they are closed afterwards."""
    made: list[PrometheusSource] = []

    def make(lab: PrometheusLab | VictoriaLab, **more: object) -> PrometheusSource:
        config = TelemetryConfig(name="prom", kind="prometheus", url=lab.url)
        made.append(PrometheusSource(replace(config, **more), env={}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


def minute(at: float | None = None) -> float:
    """The start of the minute of a unix time, or of now."""
    return math.floor((time.time() if at is None else at) / 60) * 60.0


def exported(
    first: float, last: float, step: float = 15, **more: str
) -> Iterator[tuple[str, Mapping[str, str], float, float]]:
    """Samples of two GPUs of n1: at second s of an hour GPU g has s / 60 % (minutes) + 10 g."""
    for gpu in range(2):
        labels = {
            **{"gpu": str(gpu), "Hostname": "n1", "UUID": f"GPU-{gpu}", "modelName": "H200"},
            **{"instance": "n1:9400", "job": "dcgm", **more},
        }
        values: dict[str, Callable[[float], float]] = {
            "DCGM_FI_DEV_GPU_UTIL": lambda at: at % 3600 / 60,
            "DCGM_FI_DEV_FB_USED": lambda at: 1000.0,
            "DCGM_FI_DEV_FB_FREE": lambda at: 79000.0,
            "DCGM_FI_DEV_POWER_USAGE": lambda at: 300.0 + at % 60,
        }
        for name, value in values.items():
            for at in range(int(first), int(last) + 1, int(step)):
                yield name, labels, value(at) + gpu * 10, at


def test_a_scraped_agent_reads_as_when_it_is_asked_itself(
    start_prometheus: Start, host: StubHost, source: Source
) -> None:
    host.says(
        "driver 580.95.05",
        "gpu uuid=GPU-0 minor=3 pci=00000000:18:00.0 util=37 total=85899345920 "
        "reserved=536870912 used=1073741824 power=123456 temp=44 sm_clock=1980 name=NVIDIA H100",
        "gpu uuid=GPU-1 minor=4 pci=00000000:19:00.0 util=0 name=NVIDIA H100",
    )
    lab = start_prometheus()
    with serving(host.folder, "--jobs", "--hostname", "n1") as agent:
        lab.scrape({f"127.0.0.1:{agent.port}": {"rack": "r1"}})
        prom = source(lab)
        found = eventually(lambda: prom.read(("n1",), 10).readings)
        told = agent.get().text.encode()
    direct = readings(parse(told, Cache()), node="n1", source="prom", now=datetime.now(UTC))
    assert len(found) == 2
    assert [alike(one) for one in found] == [alike(one) for one in direct]
    assert found[0].util_pct == 37.0
    assert found[0].how == "Prometheus, foundry agent"


def alike(one: Reading) -> Reading:
    """A reading without what two looks at a window that is still open cannot agree on."""
    now = datetime.fromtimestamp(0, UTC)
    return replace(one, how="", read_at=now, samples=None, window_s=None)


def test_the_window_of_an_agent_is_the_same_to_the_second(
    start_server: StartAny, source: Source
) -> None:
    nodes = [DemoNode(number, f"demo{number}") for number in range(3)]

    def answer_of(node: DemoNode) -> Callable[..., None]:
        return lambda handler: write(handler, node.page(time.time()), Content_Type=TEXT)

    def direct() -> list[Reading]:
        return [
            replace(one, how="")
            for node in nodes
            for one in readings(
                parse(node.page(time.time()), Cache()),
                node=node.name,
                source="prom",
                now=datetime.now(UTC),
            )
        ]

    lab = start_server()
    prom = source(lab)

    def agree() -> bool:
        """Asked again where a scrape or the end of a minute came in between."""
        sweep = prom.read([node.name for node in nodes], 10)
        found = [replace(one, how="") for one in sweep.readings]
        return len(found) == 24 and found == direct()

    with (
        listening(answer_of(nodes[0])) as a,
        listening(answer_of(nodes[1])) as b,
        listening(answer_of(nodes[2])) as c,
    ):
        lab.scrape({url.removeprefix("http://"): {} for url in (a, b, c)})
        eventually(agree)


def test_an_exporter_is_averaged_over_the_last_closed_minute(
    start_server: StartAny, source: Source
) -> None:
    begin = minute()
    lab = start_server(past=page([*exported(begin - 900, begin + 300)]))
    prom = source(lab)
    sweep = prom.read(("n1",), 10)
    (end,) = {one.read_at for one in sweep.readings}
    assert sweep.source.read_at == end
    assert end.timestamp() in (begin, begin + 60)
    times = [end.timestamp() - 45 + 15 * n for n in range(4)]
    for gpu, one in enumerate(sweep.readings):
        utils = [at % 3600 / 60 + 10 * gpu for at in times]
        assert one.util_pct == pytest.approx(sum(utils) / 4)
        assert one.util_max_pct == pytest.approx(max(utils))
        assert (one.samples, one.window_s, one.node, one.index) == (4, 60.0, "n1", gpu)
        assert one.mem_used_bytes == (1000 + 10 * gpu) << 20
        assert one.power_w == pytest.approx(300 + 22.5 + 10 * gpu)
        if not isinstance(lab, PrometheusLab):
            continue
        asked = f'avg_over_time(DCGM_FI_DEV_GPU_UTIL{{gpu="{gpu}"}}[59999ms])'
        (by_server,) = lab.query(asked, end.timestamp())
        assert one.util_pct == pytest.approx(float(by_server["value"][1]))  # type: ignore[index]


def test_a_slow_pace_of_scrapes_is_found_out(start_server: StartAny, source: Source) -> None:
    begin = minute()
    lab = start_server(past=page([*exported(begin - 1800, begin + 600, step=120)]))
    prom = source(lab)
    sweep = prom.read(("n1",), 10)
    assert [one.window_s for one in sweep.readings] == [120.0, 120.0]
    assert [one.samples for one in sweep.readings] == [1, 1]
    assert "scraped only every 120 s" in (sweep.source.reason or "")


def test_the_past_is_given_window_by_window(
    start_server: StartAny, monkeypatch: pytest.MonkeyPatch, source: Source
) -> None:
    begin = minute() - 7200
    piece = [*exported(begin - 60, begin + 1199), *exported(begin + 1800, begin + 3600)]
    lab = start_server(past=page(sorted(piece, key=lambda one: (one[0], *one[1].values()))))
    prom = source(lab)
    prom.read(("n1",), 10)

    def past(minutes: float) -> datetime:
        return datetime.fromtimestamp(begin, UTC) + timedelta(minutes=minutes)

    found = [*prom.history(past(0.5), past(60.5))]
    assert [end for end, _ in found] == [past(n) for n in (*range(1, 21), *range(30, 61))]
    for end, two in found:
        first, second = two
        times = [end.timestamp() - 45 + 15 * n for n in range(4)]
        times = [at for at in times if at <= begin + 1199 or at >= begin + 1800]
        utils = [at % 3600 / 60 for at in times]
        assert first.util_pct == pytest.approx(sum(utils) / len(utils))
        assert first.util_max_pct == pytest.approx(max(utils))
        assert second.util_pct == pytest.approx(sum(utils) / len(utils) + 10)
        assert (first.samples, first.window_s, first.read_at) == (len(times), 60.0, end)
        assert (first.uuid, first.mem_used_bytes) == ("GPU-0", 1000 << 20)
        assert first.mem_total_bytes == 80000 << 20
    monkeypatch.setattr(promserver, "MAX_BYTES", 3000)
    assert [*prom.history(past(1), past(60))] == found, "asked for less at a time"
    monkeypatch.setattr(promserver, "MAX_BYTES", 64 << 20)
    quarters = [*prom.history(past(0), past(60), 900)]
    assert {int(end.timestamp()) % 900 for end, _ in quarters} == {0}
    assert {two[0].window_s for _, two in quarters} == {900.0}
    assert [*prom.history(past(60), past(0))] == []
    with pytest.raises(ValueError, match="step_s"):
        [*prom.history(past(0), past(60), 90)]


def test_the_past_of_an_agent_is_of_the_minute_before_its_scrape(
    start_server: StartAny, source: Source
) -> None:
    begin = minute() - 7200
    own = {"instance": "n1:9470", "job": "foundry"}
    gpu = {"gpu": "0", "Hostname": "n1", "UUID": "GPU-0", **own}
    samples: list[tuple[str, Mapping[str, str], float, float]] = []
    for name, labels, value in (
        ("foundry_agent_up", own, lambda window: 1.0),
        ("DCGM_FI_DEV_GPU_UTIL", gpu, lambda window: window / 60 % 60),
        ("foundry_gpu_util_max_pct", gpu, lambda window: 99.0),
        ("foundry_gpu_window_samples", gpu, lambda window: 60.0),
    ):
        for at in range(int(begin), int(begin) + 1200, 15):
            samples.append((name, labels, value(at // 60 * 60), at + 1.5))
    lab = start_server(past=page([*samples, *exported(begin, begin + 1200, Hostname="n2")]))
    prom = source(lab)
    start, end = (datetime.fromtimestamp(begin + 60 * n, UTC) for n in (3, 12))
    windows = [*prom.history(start, end)]
    assert len(windows) == 10
    for end, found in windows:
        by_node = {(one.node, one.index): one for one in found}
        assert set(by_node) == {("n1", 0), ("n2", 0), ("n2", 1)}
        one = by_node["n1", 0]
        assert one.util_pct == end.timestamp() / 60 % 60
        assert (one.util_max_pct, one.samples) == (99.0, 60)


def test_a_server_that_hangs_stops_and_comes_back(start_prometheus: Start, source: Source) -> None:
    begin = minute()
    lab = start_prometheus(past=page([*exported(begin - 900, begin + 600)]))
    prom = source(lab, timeout_s=1.0)
    assert len(prom.read(("n1",), 5).readings) == 2
    lab.hang()
    before = time.monotonic()
    sweep = prom.read(("n1",), 0.3)
    assert time.monotonic() - before < 2
    assert (sweep.readings, sweep.source.state) == ((), SourceState.DOWN)
    lab.resume()
    eventually(lambda: len(prom.read(("n1",), 5).readings) == 2)
    lab.stop()
    sweep = prom.read(("n1",), 5)
    assert sweep.source.state is SourceState.DOWN
    assert "no connection" in (sweep.source.reason or "")
    lab.daemon.start()
    eventually(lambda: len(prom.read(("n1",), 5).readings) == 2)


def test_what_the_doctor_says(start_server: StartAny, source: Source) -> None:
    begin = minute()
    lab = start_server(past=page([*exported(begin - 900, begin + 300)]))
    prom = source(lab)
    reached, known = prom.probe(("n1",))
    assert reached.state == "ok"
    assert ("version 2." in reached.found) is isinstance(lab, PrometheusLab)
    assert known.state == "ok"
    assert known.found.startswith("2 GPUs on 1 nodes, 4 metrics: DCGM_FI_DEV_FB_FREE, ")
    assert known.mend is None
    _, known = prom.probe(("other",))
    assert "no scheduler has the nodes n1" in (known.mend or "")
    wrong = source(lab, match=("cluster=x",))
    assert wrong.read(("n1",), 5).source.state is SourceState.OFF
    assert wrong.probe(("n1",))[1].state == "off"


def test_labels_choose_among_the_series(start_server: StartAny, source: Source) -> None:
    begin = minute()
    a = exported(begin - 300, begin + 300, cluster='x"} or vector(1)#')
    b = exported(begin - 300, begin + 300, cluster="y", Hostname="n2", instance="n2:1")
    samples = sorted([*a, *b], key=lambda one: (one[0], one[1]["Hostname"], one[1]["gpu"]))
    lab = start_server(past=page(samples))
    prom = source(lab, match=('cluster=x"} or vector(1)#',))
    assert {one.node for one in prom.read(("n1", "n2"), 10).readings} == {"n1"}


def test_both_sides_show_a_certificate(
    start_prometheus: Start, authority: Authority, source: Source
) -> None:
    cert, key = authority.sign("server")
    own_cert, own_key = authority.sign("client")
    lab = start_prometheus(
        web_config=f"""\
tls_server_config:
  cert_file: {cert}
  key_file: {key}
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {authority.ca}
"""
    )
    own_key.chmod(0o600)
    known = source(lab, ca_file=authority.ca, client_cert=own_cert, client_key=own_key)
    eventually(lambda: known.read((), 5).source.state is SourceState.OFF)  # it has no GPUs
    stranger = source(lab, ca_file=authority.ca)
    assert stranger.read((), 5).source.state is SourceState.DOWN
