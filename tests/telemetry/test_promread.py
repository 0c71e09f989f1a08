"""Series become readings: one per GPU, averaged over the minute, never added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import fmean

import msgspec
import pytest

from foundry_tui.estate.reading import Reading
from foundry_tui.telemetry.prometheus.promql import Place, Series
from foundry_tui.telemetry.prometheus.read import (
    AGENT_INFOS,
    AGENT_TIME,
    RUNAI_NAMES,
    UTIL,
    Naming,
    Window,
    place_of,
    target_of,
)
from foundry_tui.telemetry.prometheus.sweep import ways

T = 1_760_000_040 // 60 * 60 + 60.0
USED, FREE = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
GPU = {"gpu": "0", "Hostname": "n1", "UUID": "GPU-0", "instance": "n1:9400", "job": "dcgm"}
AGENT = {"instance": "n1:9470", "job": "foundry"}


class Server:
    """A server with these series, which answers the queries of a sweep as Prometheus does."""

    def __init__(self, told: Sequence[Series]) -> None:
        self.told = told

    def sweep(self, nodes: Sequence[str], **more: object) -> Window:
        window = Window(naming=Naming(nodes), source="prom", end=T, **more)  # type: ignore[arg-type]
        now = [one for one in self.told if one.points[-1][0] >= T - 15]
        agents = {target_of(one) for one in now if one.name == AGENT_TIME}
        of_agents = [one for one in now if target_of(one) in agents]
        times = [(place_of(one.labels), one.points[-1][0]) for one in of_agents]
        window.agents(times)
        infos = [one for one in of_agents if one.name in AGENT_INFOS]
        numbers = [one for one in of_agents if one not in infos]
        window.agents_told([(named(one), one.points[-1][1]) for one in numbers])
        window.agents_infos(infos)
        others = [one for one in self.told if target_of(one) not in agents]
        window.exporters([one for one in others if one in now])
        for name in {one.name for one in others}:
            of_name = [one for one in others if one.name == name]
            name = RUNAI_NAMES.get(name, name)
            for known_as, grouped_by, over in ways(name):
                window.exported(known_as, grouped(of_name, grouped_by, over, window))
        return window


def named(one: Series) -> Place:
    return msgspec.structs.replace(place_of(one.labels), name=one.name)


def grouped(
    told: Sequence[Series], by: str, over: str, window: Window
) -> list[tuple[Place, float]]:
    """As `by_place(by, over_time(over, ...))`."""
    joined: dict[Place, list[float]] = {}
    for one in told:
        span_s = window.spans_s.get(one.labels.get("job", ""), 60.0)
        inside = [value for at, value in one.points if T - span_s < at <= T]
        if inside:
            joined.setdefault(place_of(one.labels), []).append(FUNCTIONS[over](inside))
    return [(place, FUNCTIONS[by](values)) for place, values in joined.items()]


FUNCTIONS: dict[str, Callable[[list[float]], float]] = {
    "avg": fmean,
    "sum": sum,
    "max": max,
    "count": len,
    "last": lambda values: values[-1],
}


def series(name: str, values: Sequence[tuple[float, float]], **labels: str) -> Series:
    """Values at seconds from `T`; a label of "" is none, as in Prometheus."""
    told = {key: value for key, value in {**GPU, **labels}.items() if value}
    return Series({"__name__": name, **told}, tuple((T + at, value) for at, value in values))


def read(*told: Series, nodes: Sequence[str] = ("n1",), **more: object) -> tuple[Reading, ...]:
    return Server(told).sweep(nodes, **more).readings()


def test_a_minute_is_its_mean_its_largest_and_its_number_of_samples() -> None:
    (one,) = read(
        series(UTIL, [(-60, 99), (-45, 10), (-30, 20), (-15, 90), (0, 40), (1, 99)]),
        series(USED, [(-30, 100), (0, 300)]),
        series(FREE, [(-30, 900), (0, 700)]),
    )
    assert (one.util_pct, one.util_max_pct, one.samples) == (40.0, 90.0, 4)
    assert (one.mem_used_bytes, one.mem_total_bytes) == (200 << 20, 1000 << 20)
    assert (one.window_s, one.read_at) == (60.0, datetime.fromtimestamp(T, UTC))
    assert (one.node, one.index, one.uuid, one.how) == ("n1", 0, "GPU-0", "Prometheus")


def test_what_was_not_told_is_none() -> None:
    (one,) = read(series(USED, [(0, 1)]))
    assert (one.util_pct, one.power_w, one.mem_total_bytes, one.holders) == (None,) * 4


def test_counters_and_codes_are_the_last_and_reasons_all_that_were_seen() -> None:
    (one,) = read(
        series(UTIL, [(-30, 1), (0, 1)]),
        series("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", [(-30, 10), (0, 30)]),
        series("DCGM_FI_DEV_XID_ERRORS", [(-30, 0), (0, 79)]),
        series("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", [(-30, 0x40), (0, 0)]),
    )
    assert one.energy_mj == 30
    assert {fault.kind.value for fault in one.faults} == {"xid", "throttled"}


def test_a_blank_value_is_none() -> None:
    (one,) = read(
        series(UTIL, [(-30, 2147483632.0), (0, 2147483632.0)]),
        series("DCGM_FI_DEV_POWER_USAGE", [(0, 9223372036854775794.0)]),
    )
    assert (one.util_pct, one.util_max_pct, one.power_w) == (None, None, None)


def test_two_scrapers_of_one_gpu_are_not_added() -> None:
    full = [(-45.0, 50.0), (-30.0, 50.0), (-15.0, 50.0), (0.0, 50.0)]
    told = (series(UTIL, full), series(UTIL, full[2:], job="other", instance="n1:9401"))
    for order in (told, told[::-1]):
        window = Server(order).sweep(("n1",))
        (one,) = window.readings()
        assert (one.util_pct, one.samples, window.doubled) == (50.0, 4, 1)
        assert "one of 2" in one.how


def test_of_two_alike_it_is_always_the_same_one() -> None:
    told = (
        series(UTIL, [(0, 10)], instance="a:1"),
        series(UTIL, [(0, 90)], instance="b:1"),
    )
    assert {read(*order)[0].util_pct for order in (told, told[::-1])} == {90.0}


def test_a_device_under_two_names_of_its_node_is_one() -> None:
    found = read(
        series(UTIL, [(0, 10)]), series(UTIL, [(0, 10)], Hostname="exporter-x7", instance="e:1")
    )
    assert len(found) == 1


def test_the_pieces_of_a_series_whose_pod_changed_are_one_minute() -> None:
    (one,) = read(
        series(UTIL, [(-45, 80), (-30, 80)], pod="a", namespace="t"),
        series(UTIL, [(-15, 20), (0, 20)], pod="b", namespace="t"),
    )
    assert (one.util_pct, one.samples) == (50.0, 4)
    assert [holder.job for holder in one.holders or ()] == ["t/b"], "a is gone"


def test_r16_replicas_of_one_server_tell_of_a_gpu_once() -> None:
    told = [
        series(name, [(-30, value), (0, value)], prometheus_replica=replica)
        for replica in ("a", "b")
        for name, value in ((UTIL, 60), (USED, 300), (FREE, 700))
    ]
    (one,) = read(*told)
    assert (one.util_pct, one.util_max_pct) == (60.0, 60.0)
    assert (one.mem_used_bytes, one.mem_total_bytes) == (300 << 20, 1000 << 20)


def test_time_slices_of_one_gpu_are_not_added() -> None:
    (one,) = read(
        series(UTIL, [(0, 70)], pod="a", namespace="t"),
        series(UTIL, [(0, 70)], pod="b", namespace="t"),
    )
    assert one.util_pct == 70.0
    assert [holder.job for holder in one.holders or ()] == ["t/a", "t/b"]


def test_the_exporters_own_pod_works_on_no_gpu() -> None:
    own = {"pod": "dcgm-exporter-x", "namespace": "gpu-operator"}
    held, free = read(
        series(UTIL, [(0, 70)], exported_pod="a", exported_namespace="t", **own),
        series(UTIL, [(0, 0)], gpu="1", UUID="GPU-1", **own),
    )
    assert [holder.job for holder in held.holders or ()] == ["t/a"]
    assert free.holders is None


def test_the_label_that_names_a_node_of_a_scheduler_counts() -> None:
    (one,) = read(
        series(UTIL, [(0, 1)], Hostname="exporter-x7", node="gpu07.example.org"), nodes=("gpu07",)
    )
    assert one.node == "gpu07"
    (one,) = read(series(UTIL, [(0, 1)], Hostname="GPU07"), nodes=("gpu07.example.org",))
    assert one.node == "gpu07.example.org"
    (one,) = read(series(UTIL, [(0, 1)], Hostname="", instance="strange:9400"), nodes=())
    assert one.node == "strange"


@pytest.mark.parametrize("index", ["", "0x1", "²", "-1", "99999"])
def test_a_series_without_a_device_is_no_reading(index: str) -> None:
    assert read(series(UTIL, [(0, 1)], gpu=index)) == ()


def test_an_instance_that_was_cut_anew_is_gone() -> None:
    cut = {"GPU_I_ID": "1", "GPU_I_PROFILE": "3g.40gb"}
    anew = {"GPU_I_ID": "7", "GPU_I_PROFILE": "1g.10gb"}
    (one,) = read(
        series("DCGM_FI_PROF_GR_ENGINE_ACTIVE", [(-45, 0.9), (-30, 0.9)], **cut),
        series("DCGM_FI_PROF_GR_ENGINE_ACTIVE", [(-15, 0.5), (0, 0.7)], **anew),
    )
    assert [(i.gi, i.profile, i.util_pct) for i in one.instances] == [(7, "1g.10gb", 60.0)]
    assert one.util_pct is None


def test_run_ais_own_names_are_read() -> None:
    bare = {"Hostname": "", "UUID": "", "node": "n1"}
    (one,) = read(
        series("runai_gpu_utilization_per_gpu", [(0, 33)], **bare),
        series("runai_gpu_memory_used_mebibytes_per_gpu", [(0, 512)], **bare),
    )
    assert (one.node, one.util_pct, one.mem_used_bytes) == ("n1", 33.0, 512 << 20)


def test_what_is_scraped_seldom_has_a_longer_window() -> None:
    (one,) = read(series(UTIL, [(-130, 30), (-10, 50)]), spans_s={"dcgm": 180.0})
    assert (one.util_pct, one.window_s, one.samples) == (40.0, 180.0, 2)
    assert one.how == "Prometheus, over 180 s"


def test_a_gpu_that_is_told_of_no_more_is_no_reading() -> None:
    assert read(series(UTIL, [(-45, 30), (-30, 50)])) == ()


def test_the_servers_times_become_ours() -> None:
    (one,) = read(series(UTIL, [(0, 1)]), shift_s=-600.0)
    assert one.read_at == datetime.fromtimestamp(T - 600, UTC)


def agent(at: float, util: float, end: float, **labels: str) -> tuple[Series, ...]:
    """What a scrape of an agent at `at` left in the server."""
    facts = {**dict.fromkeys(GPU, ""), **AGENT, **labels}
    own = {**AGENT, **labels}
    return (
        series("foundry_agent_window_end_timestamp_seconds", [(at, T + end)], **facts),
        series("foundry_agent_time_seconds", [(at, T + at)], **facts),
        series(UTIL, [(at, util)], **own),
        series("foundry_gpu_window_samples", [(at, 60)], **own),
        series("foundry_gpu_util_max_pct", [(at, 77)], **own),
        series("foundry_gpu_job_info", [(at, 1)], jobid="4711", how="cgroup", uid="1000", **own),
    )


def test_an_agents_page_is_put_together_from_its_newest_scrape() -> None:
    gone = series("foundry_gpu_job_info", [(-30, 1)], jobid="13", **AGENT)
    (one,) = read(*agent(3, 42.0, 0), gone)
    assert (one.util_pct, one.util_max_pct, one.samples) == (42.0, 77.0, 60)
    assert (one.read_at, one.window_s) == (datetime.fromtimestamp(T, UTC), 60)
    assert [(h.job, h.uid) for h in one.holders or ()] == [("4711", 1000)]
    assert one.how == "Prometheus, foundry agent"


def test_an_agent_without_a_driver_says_why() -> None:
    facts = {**dict.fromkeys(GPU, ""), **AGENT, "instance": "n9:9470"}
    window = Server(
        (
            series(AGENT_TIME, [(3, T + 3)], **facts),
            series("foundry_agent_problem_info", [(3, 1)], reason="no driver\x1b", **facts),
        )
    ).sweep(("n9",))
    assert window.readings() == ()
    assert window.silent == {"n9": "no driver␛"}


def test_an_agents_window_is_the_one_it_says() -> None:
    (one,) = read(*agent(-2, 42.0, -60))
    assert one.read_at == datetime.fromtimestamp(T - 60, UTC)


def test_an_agent_goes_before_an_exporter_of_the_same_gpu() -> None:
    (one,) = read(*agent(3, 42.0, 0), series(UTIL, [(0, 99)]))
    assert (one.util_pct, one.how) == (42.0, "Prometheus, foundry agent, one of 2 that tell of it")


def test_an_agent_with_old_values_does_not() -> None:
    (one,) = read(*agent(3, 42.0, -900), series(UTIL, [(0, 99)]))
    assert (one.util_pct, one.how) == (99.0, "Prometheus, one of 2 that tell of it")


def test_the_pod_of_an_agent_works_on_no_gpu() -> None:
    told = [
        one
        for one in agent(3, 42.0, 0, pod="agent-x", namespace="ops")
        if "job_info" not in one.name
    ]
    (one,) = read(*told)
    assert one.util_pct == 42.0
    assert one.holders is None
