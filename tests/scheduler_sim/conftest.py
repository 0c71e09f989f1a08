"""What tests of the simulator may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def traces() -> Path:
    """The folder of the public traces: FOUNDRY_TRACES, or beside the checkout. Skips without it."""
    beside = Path(__file__).parents[3] / "shared" / "traces"
    folder = Path(os.environ.get("FOUNDRY_TRACES") or beside)
    if not (folder / "fgd_published.csv").is_file():
        pytest.skip(f"the public traces are not in {folder}; set FOUNDRY_TRACES")
    return folder
