"""What the tool of Prometheus says of the agent's page."""

from __future__ import annotations

from tests.agent.service import serving
from tests.lab.components import require
from tests.lab.nvml.stub import StubHost
from tests.lab.prometheus import missing, promtool

LINT = 3
"""Exit code of `promtool check metrics` for a page that is sound, with remarks on its style."""

KEPT = (
    "label names should be written in 'snake_case' not 'camelCase'",
    'counter metrics should have "_total" suffix',
)
"""Remarks on names that are dcgm-exporter's, which we keep for its readers."""

GPUS = (
    "driver 580.95.05",
    "gpu uuid=GPU-0 minor=0 pci=00000000:18:00.0 util=37 total=85899345920 used=1073741824 "
    "power=123456 energy=987654321 temp=44 sm_clock=1980 ecc_sbe=0 name=NVIDIA H100",
    'gpu uuid=GPU-1 minor=1 pci=00000000:19:00.0 util=0 name=A "quoted\\ name',
)


def test_the_agents_page_is_sound(host: StubHost) -> None:
    require("prometheus", missing())
    host.says(*GPUS)
    with serving(host.folder, "--jobs") as service:
        page = service.page_with("DCGM_FI_DEV_GPU_UTIL", 37.0)
    code, words = promtool("check", "metrics", given=page.text.encode())
    assert code in (0, LINT), words
    remarks = [line for line in words.splitlines() if line]
    assert [line for line in remarks if not any(kept in line for kept in KEPT)] == []
    assert all(line.startswith(("DCGM_", "foundry_gpu_")) for line in remarks)


def test_a_page_that_is_not_sound_is_found_out() -> None:
    require("prometheus", missing())
    code, words = promtool("check", "metrics", given=b'a{b="1"} 99\na{b="x"y"} 1\n')
    assert code == 1, words
