"""What a short command must not import: start-up stays short only when a test looks."""

from __future__ import annotations

import os
import re
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


def test_neither_screens_nor_commands_import_mlflow(tmp_path: Path) -> None:
    """It takes 2 to 3 seconds and 165 MB. One lies on the path, so that a try would succeed."""
    (tmp_path / "mlflow.py").touch()
    code = (
        "import sys, pkgutil, importlib, foundry_tui as ours\n"
        "for module in pkgutil.walk_packages(ours.__path__, 'foundry_tui.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "print(*sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env)
    modules = done.stdout.decode().split()
    assert {"foundry_tui.tui.app", "foundry_tui.cli.act"} <= set(modules)
    assert not {name.partition(".")[0] for name in modules} & {"mlflow", "pandas", "requests"}


def test_no_line_of_ours_imports_mlflow_later() -> None:
    inside = re.compile(
        r"^\s*(?:import|from)\s+mlflow\b|(?:import_module|__import__)\(.mlflow", re.M
    )
    root = Path(__file__).parents[1] / "foundry_tui"
    files = list(root.rglob("*.py"))
    assert len(files) > 100
    assert [str(file) for file in files if inside.search(file.read_text())] == []
