"""The page: dcgm-exporter's names and units, what is unknown absent, nothing forged by a label."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.agent.serving.names import METRICS
from foundry_tui.agent.serving.page import Known, render
from foundry_tui.agent.serving.windows import Windows
from foundry_tui.agent.shapes import Device, GpuRound, Instance, ProcessUse, Round
from tests.agent.service import Page
from tests.lab.components import require
from tests.lab.prometheus import missing, promtool

AT = 1_700_000_041.0
FORGED = '1"} 99\nDCGM_FI_DEV_GPU_UTIL{gpu="0"} 100\n\\'
DEVICE = Device(0, "GPU-0", 3, "00000000:18:00.0", "NVIDIA H100", False, 80 << 30)
VALUES = {
    "gpu_util": 37.0,
    "mem_copy_util": 5.0,
    "fb_used": float(3 << 30),
    "fb_free": float(76 << 30),
    "fb_reserved": float(1 << 29),
    "power": 512.345,
    "energy": 123456789012.0,
    "gpu_temp": 61.0,
    "mem_temp": 70.0,
    "sm_clock": 1980.0,
    "mem_clock": 2619.0,
    "throttle": 4.0,
    "xid": 79.0,
    "ecc_sbe": 3.0,
    "ecc_dbe": 0.0,
    "rows_correctable": 1.0,
    "rows_uncorrectable": 2.0,
    "row_pending": 1.0,
    "row_failure": 0.0,
    "gr_engine": 0.97,
    "sm_active": 0.85,
    "sm_occupancy": 0.3,
    "tensor": 0.41,
    "dram": 0.22,
}


def shown(
    *gpus: GpuRound,
    jobs: bool = True,
    uses: list[ProcessUse] | None = None,
    later_s: float = 1.0,
    names: frozenset[str] | None = None,
) -> Page:
    """The page `later_s` after one round of these GPUs."""
    round_ = Round(AT, 0.001, "580.95.05", list(gpus), uses or [])
    windows = Windows()
    windows.add(round_)
    now = AT + later_s
    known = Known(latest=round_, window=windows.served(now), age_s=later_s)
    text = render(known, host="gpu01", jobs=jobs, now=now, names=names).decode()
    return Page(200, text)


def test_every_value_has_the_name_and_unit_of_dcgm_exporter() -> None:
    page = shown(GpuRound(DEVICE, VALUES))
    told = {m.name: page.values(m.name + "_total" * (m.type == "counter")) for m in METRICS}
    assert told == {
        "DCGM_FI_DEV_GPU_UTIL": [37.0],
        "DCGM_FI_DEV_MEM_COPY_UTIL": [5.0],
        "DCGM_FI_DEV_FB_USED": [3072.0],
        "DCGM_FI_DEV_FB_TOTAL": [81920.0],
        "DCGM_FI_DEV_FB_FREE": [77824.0],
        "DCGM_FI_DEV_FB_RESERVED": [512.0],
        "DCGM_FI_DEV_POWER_USAGE": [512.345],
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": [123456789012.0],
        "DCGM_FI_DEV_GPU_TEMP": [61.0],
        "DCGM_FI_DEV_MEMORY_TEMP": [70.0],
        "DCGM_FI_DEV_SM_CLOCK": [1980.0],
        "DCGM_FI_DEV_MEM_CLOCK": [2619.0],
        "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": [4.0],
        "DCGM_FI_DEV_XID_ERRORS": [79.0],
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": [3.0],
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": [0.0],
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": [1.0],
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": [2.0],
        "DCGM_FI_DEV_ROW_REMAP_PENDING": [1.0],
        "DCGM_FI_DEV_ROW_REMAP_FAILURE": [0.0],
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE": [0.97],
        "DCGM_FI_PROF_SM_ACTIVE": [0.85],
        "DCGM_FI_PROF_SM_OCCUPANCY": [0.3],
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": [0.41],
        "DCGM_FI_PROF_DRAM_ACTIVE": [0.22],
    }
    assert page.labels("DCGM_FI_DEV_GPU_UTIL") == [
        {
            "gpu": "0",
            "UUID": "GPU-0",
            "pci_bus_id": "00000000:18:00.0",
            "device": "nvidia0",
            "modelName": "NVIDIA H100",
            "Hostname": "gpu01",
            "DCGM_FI_DRIVER_VERSION": "580.95.05",
        }
    ]


def test_a_page_of_some_names_has_their_metrics_alone() -> None:
    names = {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "unknown"}
    whole = shown(GpuRound(DEVICE, VALUES)).text.splitlines()
    some = shown(GpuRound(DEVICE, VALUES), names=frozenset(names)).text.splitlines()
    assert len(some) == 2 * 3
    assert some == [line for line in whole if names & set(re.split("[ {]", line))]
    assert shown(GpuRound(DEVICE, VALUES), names=frozenset({"unknown"})).text == ""


def test_counters_keep_their_exact_names() -> None:
    """prometheus_client's parser adds `_total` when it reads; the text itself has none."""
    text = shown(GpuRound(DEVICE, VALUES)).text
    assert "# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n" in text
    assert "\nDCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{" in text
    assert "CONSUMPTION_total" not in text


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_what_could_not_be_read_is_absent(metric: object) -> None:
    key, name = metric.key, metric.name  # type: ignore[attr-defined]
    rest = {k: v for k, v in VALUES.items() if k != key}
    device = replace(DEVICE, mem_total_bytes=None)
    page = shown(GpuRound(device, rest))
    assert name not in {line.split("{")[0] for line in page.text.splitlines()}
    assert page.value("foundry_gpu_up") == 1


def test_a_lost_gpu_has_a_reason_and_no_values() -> None:
    lost = GpuRound(replace(DEVICE, index=1, uuid="GPU-1"), failure="the GPU is lost")
    page = shown(GpuRound(DEVICE, VALUES), lost)
    assert page.value("foundry_gpu_up", UUID="GPU-1") == 0
    assert page.labels("foundry_gpu_failure_info")[0]["reason"] == "the GPU is lost"
    assert page.values("DCGM_FI_DEV_GPU_UTIL", UUID="GPU-1") == []
    assert page.value("DCGM_FI_DEV_GPU_UTIL", UUID="GPU-0") == 37.0


def test_a_mig_instance_has_labels_and_values_of_its_own() -> None:
    instance = Instance(9, "1g.10gb", "MIG-9", {"fb_used": float(1 << 30), "sm_active": 0.5})
    page = shown(GpuRound(DEVICE, {"power": 200.0}, [instance]))
    labels = {"GPU_I_ID": "9", "GPU_I_PROFILE": "1g.10gb", "UUID": "GPU-0"}
    assert page.value("DCGM_FI_DEV_FB_USED", **labels) == 1024.0
    assert page.value("DCGM_FI_PROF_SM_ACTIVE", **labels) == 0.5
    assert page.labels("foundry_gpu_instance_info")[0]["instance_uuid"] == "MIG-9"
    assert all("GPU_I_ID" not in found for found in page.labels("DCGM_FI_DEV_POWER_USAGE"))


def test_the_largest_and_the_count_of_the_window() -> None:
    page = shown(GpuRound(DEVICE, VALUES))
    assert page.value("foundry_gpu_fb_used_max_mib") == 3072.0
    assert page.value("foundry_gpu_window_samples") == 1


def test_which_window_it_is() -> None:
    filling = shown(GpuRound(DEVICE, VALUES))
    assert filling.value("foundry_agent_window_end_timestamp_seconds") == AT
    assert filling.value("foundry_agent_window_seconds") == 0.0
    full = shown(GpuRound(DEVICE, VALUES), later_s=70.0)
    assert full.value("foundry_agent_window_end_timestamp_seconds") == AT + 59
    assert full.value("foundry_agent_window_seconds") == 60.0


def test_processes_are_summed_by_run_and_never_told_by_pid() -> None:
    uses = [
        ProcessUse("GPU-0", 4242, 5, None, 1000, "4711", "cgroup", 60.0, 20),
        ProcessUse("GPU-0", 4243, 5, None, 1000, "4711", "cgroup", 31.0, 10),
        ProcessUse("GPU-0", 4244, 5, None, 1001, "4712", "environ"),
    ]
    page = shown(GpuRound(DEVICE, VALUES), uses=uses)
    assert page.value("foundry_gpu_process_sm_util", jobid="4711") == 91.0
    assert page.values("foundry_gpu_process_sm_util", jobid="4712") == []
    assert page.value("foundry_gpu_process_memory_bytes", jobid="4711") == 30
    assert {"jobid": "4712", "uid": "1001", "how": "environ"}.items() <= page.labels(
        "foundry_gpu_job_info"
    )[1].items()
    assert "424" not in page.text


def test_processes_of_no_run_are_not_laid_at_one_user_s_door() -> None:
    uses = [ProcessUse("GPU-0", pid, 5, None, uid) for pid, uid in ((1, 1000), (2, 1001))]
    (labels,) = shown(GpuRound(DEVICE, VALUES), uses=uses).labels("foundry_gpu_job_info")
    assert labels == {"gpu": "0", "UUID": "GPU-0", "Hostname": "gpu01"}


def test_runs_and_users_are_told_only_where_asked_for() -> None:
    use = ProcessUse("GPU-0", 4242, 5, None, 1000, "4711", "cgroup", 60.0, 20)
    page = shown(GpuRound(DEVICE, VALUES), uses=[use], jobs=False)
    assert not [line for line in page.text.splitlines() if "4711" in line or "1000" in line]
    assert page.labels("foundry_gpu_job_info") == []
    assert page.labels("foundry_gpu_processes") == []


@pytest.mark.parametrize(("jobs", "known"), [(True, 1), (False, 0)])
def test_whether_no_run_means_that_none_runs(jobs: bool, known: float) -> None:
    page = shown(GpuRound(DEVICE, VALUES), jobs=jobs)
    assert page.value("foundry_agent_processes_known") == known
    assert page.labels("foundry_gpu_job_info") == []


def test_a_label_forges_no_series() -> None:
    device = replace(DEVICE, model=FORGED, pci_bus_id=FORGED)
    use = ProcessUse("GPU-0", 1, 1, None, 1000, FORGED, FORGED, 1.0)
    page = shown(GpuRound(device, VALUES), uses=[use])
    assert page.values("DCGM_FI_DEV_GPU_UTIL") == [37.0]
    assert page.labels("DCGM_FI_DEV_GPU_UTIL")[0]["modelName"] == FORGED
    assert page.labels("foundry_gpu_job_info")[0]["jobid"] == FORGED


@given(st.text(st.characters(), min_size=1, max_size=300))
def test_any_text_comes_back_from_a_label(text: str) -> None:
    page = shown(GpuRound(replace(DEVICE, model=text), VALUES))
    visible = text.encode("utf-8", "backslashreplace").decode()[:256]
    assert page.labels("DCGM_FI_DEV_GPU_UTIL")[0]["modelName"] == visible
    assert page.values("DCGM_FI_DEV_GPU_UTIL") == [37.0]


@given(st.floats(0, 1e15, allow_nan=False), st.floats(0, 1e15, allow_nan=False))
def test_values_come_back_as_they_were(power: float, energy: float) -> None:
    page = shown(GpuRound(DEVICE, {"power": power, "energy": energy}))
    assert math.isclose(page.value("DCGM_FI_DEV_POWER_USAGE"), power, abs_tol=5.1e-4)
    told = page.value("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total")
    assert math.isclose(told, energy, abs_tol=5.1e-4)


def test_before_the_first_round_the_page_says_why_it_is_empty() -> None:
    known = Known(problem="starting", reason="the driver was not read yet")
    page = Page(200, render(known, host="gpu01", jobs=True, now=AT).decode())
    assert page.value("foundry_agent_up") == 0
    assert page.labels("foundry_agent_problem_info")[0]["problem"] == "starting"
    assert "DCGM" not in page.text


def test_values_that_are_too_old_are_gone_and_the_age_says_why() -> None:
    latest = Round(AT, gpus=[GpuRound(DEVICE, VALUES)], processes=[])
    known = Known(latest, None, 121.0, "unresponsive", "the driver gave no answer")
    page = Page(200, render(known, host="gpu01", jobs=True, now=AT).decode())
    assert page.value("foundry_agent_scrape_age_seconds") == 121.0
    assert page.values("foundry_gpu_up") == []
    assert "DCGM_FI_DEV" not in page.text


def test_errors_are_counted_by_call_and_code() -> None:
    known = Known(errors=Counter({("nvmlInit", 9): 3}))
    page = Page(200, render(known, host="gpu01", jobs=True, now=AT).decode())
    assert page.value("foundry_agent_collect_errors_total", call="nvmlInit", code="9") == 3


def test_promtool_reads_the_page() -> None:
    """Its remarks on style (names of dcgm-exporter's) may stand: they are exit code 3."""
    require("prometheus", missing())
    instance = Instance(9, "1g.10gb", "MIG-9", {"fb_used": 1.0})
    use = ProcessUse("GPU-0", 1, 1, None, 1000, FORGED, FORGED, 1.0)
    device = replace(DEVICE, model=FORGED)
    page = shown(GpuRound(device, VALUES, [instance], xids={"79": AT}), uses=[use])
    code, said = promtool("check", "metrics", given=page.text.encode())
    assert code in (0, 3), said
    style = ("_total", "camelCase")
    assert not [line for line in said.splitlines() if not any(one in line for one in style)]


def test_every_name_is_in_the_docs() -> None:
    use = ProcessUse("GPU-0", 1, 1, None, 1000, "1", "cgroup", 1.0, 1)
    lost = GpuRound(Device(1), failure="lost")
    gpu = GpuRound(DEVICE, VALUES, [Instance(1, "1g.10gb", "MIG-1")], xids={"79": AT})
    round_ = Round(AT, gpus=[gpu, lost], processes=[use])
    windows = Windows()
    windows.add(round_)
    problem = Known(problem="nvml", reason="x", errors=Counter({("a", 1): 1}))
    fine = Known(round_, windows.served(AT), 1.0)
    names = {
        line.split()[2]
        for known in (problem, fine)
        for line in render(known, host="a", jobs=True, now=AT).decode().splitlines()
        if line.startswith("# TYPE")
    }
    docs = Path("docs/agent.md").read_text("utf-8")
    assert {name for name in names if f"`{name}`" not in docs} == set()
    assert len(names) > 40
