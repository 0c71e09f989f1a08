"""A sweep as a Slurm job array, through submitit: the cells are dealt out to the tasks.

This process waits, collects and writes the results file, so that it is the same file with one
writer. Ctrl-C cancels the array; what had come back is in the file.
"""

from __future__ import annotations

import importlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler_sim.cli.cells import Cell, Measured
from scheduler_sim.cli.errors import SimError
from scheduler_sim.cli.experiment import measure
from scheduler_sim.cli.pool import Failure, attempt

_POLL_S = 2.0


def check() -> None:
    """Whether this host can submit.

    Raises:
        SimError: submitit is not installed, or there is no sbatch.
    """
    _submitit()
    if shutil.which("sbatch") is None:
        raise SimError(
            "--slurm: there is no sbatch on this host; run it on a login node, or leave --slurm "
            "out to work here"
        )


def work(cells: Sequence[Cell]) -> list[Measured | Failure]:
    """What one task does: its cells, one after the other."""
    return [attempt(measure, cell) for cell in cells]


@dataclass(frozen=True, slots=True)
class Array:
    """How the array is submitted; `folder` takes its scripts and logs and must be shared.

    `cluster` is submitit's name of what runs it: `slurm`, or `local` for processes on this host.
    """

    folder: Path
    partition: str | None
    tasks: int
    minutes: int
    cluster: str = "slurm"
    poll_s: float = _POLL_S

    def run_all(
        self, cells: Sequence[Cell], done: Callable[[Cell, Measured | Failure], None]
    ) -> None:
        """Tell `done` of each cell as its task ends.

        Raises:
            SimError: the array could not be submitted.
        """
        if not cells:
            return
        shares = [cells[start :: self.tasks] for start in range(min(self.tasks, len(cells)))]
        executor = self._executor()
        try:
            jobs = executor.map_array(work, shares)
        except (OSError, RuntimeError) as error:
            raise SimError(f"--slurm: the array was refused: {_last_line(error)}") from None
        waiting = list(zip(jobs, shares, strict=True))
        try:
            while waiting:
                ended = [one for one in waiting if one[0].done()]
                waiting = [one for one in waiting if one not in ended]
                for job, share in ended:
                    for cell, result in zip(share, _results(job, len(share)), strict=True):
                        done(cell, result)
                if waiting:
                    time.sleep(self.poll_s)
        except BaseException:
            for job, _ in waiting:
                job.cancel()
            raise

    def _executor(self) -> Any:
        try:
            executor = _submitit().AutoExecutor(folder=self.folder, cluster=self.cluster)
        except (OSError, RuntimeError) as error:
            raise SimError(f"--slurm: {self.folder}: {error}") from None
        executor.update_parameters(
            name="scheduler-sim", timeout_min=self.minutes, cpus_per_task=1, mem_gb=4
        )
        if self.cluster == "slurm":
            executor.update_parameters(slurm_array_parallelism=self.tasks)
            if self.partition is not None:
                executor.update_parameters(slurm_partition=self.partition)
        return executor


def _submitit() -> Any:
    try:
        return importlib.import_module("submitit")
    except ImportError:
        raise SimError(
            "--slurm needs the extra `sweeps`: pip install 'foundry-tui[sweeps]', or leave --slurm "
            "out to work on this machine"
        ) from None


def _results(job: Any, count: int) -> list[Measured | Failure]:
    try:
        results: list[Measured | Failure] = job.result()
    except Exception as error:  # submitit raises what the task raised, and its own
        why = f"Slurm task {job.job_id}: {_last_line(error)}; its log is {job.paths.stderr}"
        return [Failure(why)] * count
    return results


def _last_line(error: Exception) -> str:
    """What an error of submitit ends with: the rest is the command and the log."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
