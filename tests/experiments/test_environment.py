"""Names and versions out of what a job wrote about its environment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.estate.text import safe
from foundry_tui.experiments.environment import versions

TOLD = """# host
h01
Linux 5.14.0 x86_64
"Rocky Linux 9.4 (Blue Onyx)"
# modules
cuda/12.4
gcc
# gpus
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1234)
# python
/opt/env/bin/python
Python 3.11.2
conda: /opt/env
# pip freeze
numpy==2.1.0
Torch_Vision @ file:///build/x
# ended with 124
six==1.0
"""


def test_what_a_job_of_ours_writes() -> None:
    assert versions(map(safe, TOLD.splitlines())) == {
        "kernel": "Linux 5.14.0 x86_64",
        "system": "Rocky Linux 9.4 (Blue Onyx)",
        "module cuda": "12.4",
        "module gcc": "present",
        "GPU 0": "NVIDIA H100 80GB HBM3",
        "python path": "/opt/env/bin/python",
        "python": "3.11.2",
        "conda": "/opt/env",
        "numpy": "2.1.0",
        "torch-vision": "file:///build/x",
        "six": "1.0",
    }


def test_packages_of_odd_forms() -> None:
    lines = ["a==1", "B_c.D 2.0", "e=1=py_0", "-e git+ssh://x#egg=f", "", "# g==1", "h @ /x"]
    assert versions(map(safe, lines)) == {
        "a": "1",
        "b-c-d": "2.0",
        "e": "1=py_0",
        "-e git+ssh://x#egg=f": "present",
        "h": "/x",
    }


@given(st.lists(st.text(max_size=20) | st.sampled_from(["# gpus", "# python", "# host"])))
def test_no_line_is_too_odd(lines: list[str]) -> None:
    assert all(versions(map(safe, lines)).values())
