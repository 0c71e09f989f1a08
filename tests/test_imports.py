"""What a short command must not import: start-up stays short only when a test looks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "textual",
    "rich",
    "numpy",
    "scipy",
    "mlflow",
    "kubernetes",
    "httpx",
    "sqlite_utils",
    "yaml",
)


def imported(*args: str) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    code = (
        "import sys; from foundry_tui.cli import main; "
        f"assert main({list(args)!r}) == 0; sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.decode().split()}


def test_version_imports_next_to_nothing() -> None:
    assert not imported("--version") & {*HEAVY, "click", "msgspec", "platformdirs", "pynvml"}


@pytest.mark.parametrize("args", [("runs", "--json"), ("nodes",), ("queues", "--csv"), ("gpus",)])
def test_a_saved_estate_needs_nothing_heavy(args: tuple[str, ...]) -> None:
    estate = Path(__file__).parents[1] / "data" / "estate-12.json"
    assert not imported("--estate", str(estate), *args) & {*HEAVY, "pynvml", "pyslurm"}
