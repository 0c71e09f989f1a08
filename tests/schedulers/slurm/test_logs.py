"""Where the output of a run of Slurm lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.estate.run import ArrayPart
from foundry_tui.estate.snapshot import decode
from foundry_tui.schedulers.slurm.logs import log_path

ESTATE = Path(__file__).parents[3] / "data" / "estate-12.json"


@pytest.mark.parametrize("there", [True, False])
def test_the_default_file_of_a_task_is_not_the_one_that_squeue_names(
    tmp_path: Path, there: bool
) -> None:
    if there:
        (tmp_path / "slurm-45_1.out").touch()
    run = replace(
        decode(ESTATE.read_bytes()).runs[0],
        native_id="45_1",
        array=ArrayPart(job_id="45", tasks="1", count=1),
    )
    words = {"job_id": "47", "work_dir": "/", "stdout": str(tmp_path / "slurm-47.out")}
    name = "slurm-45_1.out" if there else "slurm-47.out"
    assert log_path(run, words, errors=False) == tmp_path / name
    words["stdout"] = str(tmp_path / "own-47.out")
    assert log_path(run, words, errors=False) == tmp_path / "own-47.out"
