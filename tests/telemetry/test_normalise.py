"""From samples to readings: names, units, blanks, instances, holders, faults and windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from foundry_tui.estate.reading import FaultKind, Holder, Reading
from foundry_tui.telemetry.demo.page import GPUS, DemoNode
from foundry_tui.telemetry.exposition.normalise import readings
from foundry_tui.telemetry.exposition.text import Cache, parse
from foundry_tui.telemetry.names import short
from tests.telemetry.pages import agent, gpu

AT = 1_763_740_030.0
NOW = datetime.fromtimestamp(AT, UTC)
END = datetime.fromtimestamp(AT // 60 * 60, UTC)
KEY = 'gpu="0",UUID="GPU-1",Hostname="n1"'


def read(
    page: str | bytes, *, node: str | None = "n1", now: datetime = NOW, took_s: float = 0.0
) -> tuple[Reading, ...]:
    body = page.encode() if isinstance(page, str) else page
    return readings(parse(body, Cache()), node=node, source="s", now=now, took_s=took_s)


def one(page: str | bytes, *, now: datetime = NOW) -> Reading:
    found = read(page, now=now)
    assert len(found) == 1
    return found[0]


def test_units_of_dcgm_exporter_become_ours() -> None:
    got = one(
        f"DCGM_FI_DEV_GPU_UTIL{{{KEY}}} 97\n"
        f"DCGM_FI_DEV_FB_USED{{{KEY}}} 1024\n"
        f"DCGM_FI_DEV_FB_FREE{{{KEY}}} 80000\n"
        f"DCGM_FI_DEV_FB_RESERVED{{{KEY}}} 896\n"
        f"DCGM_FI_DEV_POWER_USAGE{{{KEY}}} 412.5\n"
        f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{KEY}}} 123456789\n"
        f"DCGM_FI_DEV_GPU_TEMP{{{KEY}}} 61\n"
        f"DCGM_FI_DEV_SM_CLOCK{{{KEY}}} 1980\n"
        f"DCGM_FI_DEV_MEM_CLOCK{{{KEY}}} 2619\n"
        f"DCGM_FI_PROF_SM_ACTIVE{{{KEY}}} 0.5\n"
        f"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{KEY}}} 0.25\n"
    )
    assert (got.util_pct, got.mem_used_bytes, got.mem_total_bytes) == (
        97,
        1 << 30,
        (1024 + 80000 + 896) << 20,
    )
    assert (got.power_w, got.energy_mj, got.temp_c) == (412.5, 123456789, 61)
    assert (got.sm_clock_mhz, got.mem_clock_mhz) == (1980, 2619)
    assert (got.sm_active_pct, got.tensor_active_pct, got.dram_active_pct) == (50, 25, None)
    assert (got.node, got.index, got.uuid, got.source) == ("n1", 0, "GPU-1", "s")
    assert (got.mig, got.holders, got.faults, got.reason) == (False, None, (), None)
    assert (got.read_at, got.how, got.window_s) == (NOW, "dcgm-exporter", None)


@pytest.mark.parametrize(
    "blank",
    [
        "9223372036854775792",
        "9223372036854775794",
        "9.223372036854775794e+18",
        "2147483632",
        "2.147483635e+09",
        "140737488355328",
        "140737488355330.0",
        "NaN",
        "-1",
    ],
)
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("DCGM_FI_DEV_GPU_UTIL", "util_pct"),
        ("DCGM_FI_DEV_POWER_USAGE", "power_w"),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "energy_mj"),
        ("DCGM_FI_PROF_SM_ACTIVE", "sm_active_pct"),
    ],
)
def test_a_blank_value_is_none_and_never_zero(blank: str, name: str, field: str) -> None:
    got = one(f"DCGM_FI_DEV_GPU_TEMP{{{KEY}}} 40\n{name}{{{KEY}}} {blank}\n")
    assert getattr(got, field) is None
    assert got.temp_c == 40


def test_blank_bits_and_codes_are_no_faults() -> None:
    got = one(
        f"DCGM_FI_DEV_XID_ERRORS{{{KEY}}} 2147483632\n"
        f"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{{{KEY}}} 9223372036854775794\n"
    )
    assert got.faults == ()


def test_a_ratio_above_one_is_shown_as_all_and_said() -> None:
    got = one(f"DCGM_FI_PROF_SM_ACTIVE{{{KEY}}} 1.04\nDCGM_FI_PROF_DRAM_ACTIVE{{{KEY}}} 40\n")
    assert (got.sm_active_pct, got.dram_active_pct) == (100, None)
    assert "DCGM_FI_PROF_SM_ACTIVE of 1.04 is shown as 100 %" in got.how
    assert "DCGM_FI_PROF_DRAM_ACTIVE of 40 is not believed" in got.how


@pytest.mark.parametrize(
    ("labels", "node"),
    [
        ('Hostname="gpu01"', "gpu01"),
        ('hostname="gpu01.site.example"', "gpu01"),
        ('instance="gpu01.site.example:9400"', "gpu01"),
        ('instance="10.1.2.3:9400"', "10.1.2.3"),
        ('instance="[fd00::1]:9400"', "fd00::1"),
    ],
)
def test_the_labels_of_all_years_name_the_node(labels: str, node: str) -> None:
    got = read(f'dcgm_gpu_utilization{{gpu="0",uuid="GPU-1",{labels}}} 5\n', node=None)
    assert [(r.node, r.uuid, r.util_pct) for r in got] == [(node, "GPU-1", 5)]


def test_without_any_name_of_a_node_there_is_no_reading() -> None:
    assert read('DCGM_FI_DEV_GPU_UTIL{gpu="0"} 5\n', node=None) == ()
    assert short("") == ""


def test_the_node_that_was_asked_wins_and_another_name_is_said() -> None:
    got = one(gpu(host="old-name"))
    assert (got.node, got.how) == ("n1", "dcgm-exporter; the node calls itself old-name")
    assert "calls itself" not in one(gpu(host="N1.site.example")).how


def test_a_gpu_without_an_index_is_left_out() -> None:
    assert read('DCGM_FI_DEV_GPU_UTIL{UUID="GPU-1"} 5\nDCGM_FI_DEV_GPU_UTIL{gpu="x"} 5\n') == ()


def test_mig_instances_have_their_own_use_and_the_gpu_its_power() -> None:
    page = ""
    for gi, profile, ratio, used in ((7, "1g.10gb", 0.5, 100), (1, "3g.40gb", 1.02, 2000)):
        labels = f'{{{KEY},GPU_I_PROFILE="{profile}",GPU_I_ID="{gi}"}}'
        page += f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{labels} {ratio}\n"
        page += f"DCGM_FI_DEV_FB_USED{labels} {used}\nDCGM_FI_DEV_POWER_USAGE{labels} 300\n"
    got = one(page + f"DCGM_FI_DEV_GPU_UTIL{{{KEY}}} 9223372036854775794\n")
    assert (got.mig, got.util_pct, got.power_w, got.mem_used_bytes) == (True, None, 300, None)
    assert [(i.gi, i.profile, i.util_pct, i.mem_used_bytes) for i in got.instances] == [
        (1, "3g.40gb", 100, 2000 << 20),
        (7, "1g.10gb", 50, 100 << 20),
    ]
    assert got.reason is not None and "MIG" in got.reason


def test_values_that_are_told_once_for_each_job_count_once() -> None:
    page = "".join(f'DCGM_FI_DEV_GPU_UTIL{{{KEY},hpc_job="{job}"}} 40\n' for job in ("12", "11"))
    got = one(page)
    assert got.util_pct == 40
    assert got.holders == (Holder(job="11", how="prolog"), Holder(job="12", how="prolog"))


def test_values_that_contradict_each_other_are_none() -> None:
    page = "".join(
        f'DCGM_FI_DEV_GPU_UTIL{{{KEY},hpc_job="{job}"}} {job}\n'
        f'DCGM_FI_DEV_GPU_TEMP{{{KEY},hpc_job="{job}"}} 40\n'
        for job in (11, 12, 11.5)
    )
    got = one(page)
    assert (got.util_pct, got.temp_c) == (None, 40)
    assert "DCGM_FI_DEV_GPU_UTIL is told with different values" in got.how


@pytest.mark.parametrize(
    ("labels", "job"),
    [
        ('pod="p",namespace="team"', "team/p"),
        ('pod="exporter-1",namespace="mon",exported_pod="p",exported_namespace="team"', "team/p"),
        ('pod="p",namespace="team",pod_uid="3c9e"', "3c9e"),
    ],
)
def test_pods_of_the_labels_are_holders(labels: str, job: str) -> None:
    got = one(f"DCGM_FI_DEV_GPU_UTIL{{{KEY},{labels}}} 40\n")
    assert got.holders == (Holder(job=job, how="pod"),)


def test_empty_labels_of_holders_hold_nothing() -> None:
    labels = 'pod="",namespace="",hpc_job=""'
    assert one(f"DCGM_FI_DEV_GPU_UTIL{{{KEY},{labels}}} 40\n").holders is None


def test_text_of_labels_is_safe() -> None:
    evil = 'gpu="0",UUID="GPU\x1b[31m",modelName="a\\nb",hpc_job="1\\"} 99\\n"'
    got = one(f"DCGM_FI_DEV_GPU_UTIL{{{evil}}} 1\n")
    assert (got.uuid, got.model) == ("GPU␛[31m", "a␊b")
    assert got.holders == (Holder(job='1"} 99␊', how="prolog"),)


def test_faults_come_from_codes_counts_and_bits() -> None:
    got = one(
        f"DCGM_FI_DEV_XID_ERRORS{{{KEY}}} 79\nDCGM_FI_DEV_ECC_DBE_VOL_TOTAL{{{KEY}}} 2\n"
        f"DCGM_FI_DEV_ROW_REMAP_FAILURE{{{KEY}}} 1\n"
        f"DCGM_FI_DEV_CLOCKS_EVENT_REASONS{{{KEY}}} 64\n"
    )
    assert {fault.kind for fault in got.faults} == {
        FaultKind.XID,
        FaultKind.ECC,
        FaultKind.ROW_REMAP,
        FaultKind.THROTTLED,
    }


JOBS = (
    f'foundry_gpu_job_info{{{KEY},jobid="77",uid="1001",how="cgroup"}} 1\n'
    f'foundry_gpu_process_sm_util{{{KEY},jobid="77"}} 61.5\n'
    f'foundry_gpu_job_info{{{KEY},uid="0"}} 1\n'
)


def test_an_agent_tells_its_window_and_who_works_there() -> None:
    page = agent(
        gpu(host="n1", uuid="GPU-1"),
        gpu(1, host="n1"),
        f'foundry_gpu_info{{{KEY},minor="3",pci_bus_id="0:18:0",mig="0"}} 1\n',
        f"foundry_gpu_util_max_pct{{{KEY}}} 88\n",
        f"foundry_gpu_window_samples{{{KEY}}} 6\n",
        JOBS,
        at=AT,
    )
    first, second = read(page)
    assert (first.read_at, first.window_s, first.samples, first.how) == (
        END,
        60,
        6,
        "foundry agent",
    )
    assert (first.util_pct, first.util_max_pct) == (50, 88)
    assert (first.minor, first.pci_bus_id, first.mig) == (3, "0:18:0", False)
    assert first.holders == (Holder(job="77", how="cgroup", uid=1001, sm_util_pct=61.5),)
    assert second.holders == (), "the processes are known, and none is on this GPU"


def test_without_series_of_runs_nothing_is_known_of_processes() -> None:
    assert one(agent(gpu(), at=AT)).holders is None


def test_values_of_an_old_window_are_not_told() -> None:
    page = agent(gpu(host="n1", uuid="GPU-1"), JOBS, at=AT, end=AT - 600)
    got = one(page)
    assert (got.util_pct, got.mem_used_bytes, got.holders) == (None, None, None)
    assert (got.uuid, got.reason) == ("GPU-1", "the last values are 10 min old")


@pytest.mark.parametrize(("ahead_s", "side"), [(600.0, "ahead"), (-600.0, "behind")])
def test_a_clock_that_differs_is_said_and_its_window_is_put_on_ours(
    ahead_s: float, side: str
) -> None:
    got = one(agent(gpu(host="n1"), at=AT + ahead_s))
    assert got.how == f"foundry agent; the node's clock is 10 min {side}"
    assert (got.read_at, got.util_pct) == (END, 50)


def test_an_answer_that_took_long_is_no_difference_of_clocks() -> None:
    page = agent(gpu(host="n1"), at=AT - 8)
    assert "clock" in read(page)[0].how
    assert "clock" not in read(page, took_s=9)[0].how


def test_a_driver_that_does_not_answer_is_a_fault_without_values() -> None:
    problem = 'foundry_agent_problem_info{problem="unresponsive",reason="hung for 9 min"} 1\n'
    info = f'foundry_gpu_info{{{KEY},minor="3"}} 1\n'
    got = one(f"foundry_agent_time_seconds {AT}\n{problem}{info}")
    assert [fault.kind for fault in got.faults] == [FaultKind.UNRESPONSIVE]
    assert (got.util_pct, got.minor) == (None, 3)
    assert got.reason == "the agent has nothing fresh: hung for 9 min"


def test_a_gpu_that_fell_off_the_bus_is_lost() -> None:
    reason = 'reason="the GPU is lost: it has fallen off its bus"'
    got = one(
        f"foundry_agent_time_seconds {AT}\n"
        f"foundry_gpu_info{{{KEY}}} 1\nfoundry_gpu_failure_info{{{KEY},{reason}}} 1\n"
    )
    assert [fault.kind for fault in got.faults] == [FaultKind.LOST]
    assert got.reason == "the GPU is lost: it has fallen off its bus"


def test_times_of_samples_date_a_page() -> None:
    stamp = int((AT - 30) * 1000)
    assert one(f"DCGM_FI_DEV_GPU_UTIL{{{KEY}}} 5 {stamp}\n").read_at == NOW - timedelta(seconds=30)


def test_a_simulated_node_is_read_whole() -> None:
    got = read(DemoNode(5, "n1").page(AT))
    assert [reading.index for reading in got] == list(range(GPUS))
    for reading in got:
        assert reading.reason is None
        assert reading.util_pct is not None and reading.util_max_pct is not None
        assert reading.util_pct <= reading.util_max_pct <= 100
        assert reading.how == "foundry agent"
        assert reading.read_at == END


def test_a_grave_code_counts_though_the_driver_reported_others_after_it() -> None:
    labels = 'gpu="0",UUID="GPU-node1-0",Hostname="node1"'
    page = agent(
        gpu(),
        f"DCGM_FI_DEV_XID_ERRORS{{{labels}}} 45\n",
        f'foundry_gpu_xid_timestamp_seconds{{{labels},xid="45"}} {NOW.timestamp() - 10}\n',
        f'foundry_gpu_xid_timestamp_seconds{{{labels},xid="48"}} {NOW.timestamp() - 12}\n',
        at=NOW.timestamp(),
    )
    (fault,) = one(page).faults
    assert (fault.kind, fault.grave) == (FaultKind.XID, True)
    assert fault.words.startswith("XID 48")
