"""A shell inside a running job: the command that the user's own terminal runs."""

from __future__ import annotations

from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import Commands


def shell_command(commands: Commands, job: str) -> tuple[str, ...]:
    """`srun` with a terminal in the allocation of a job, beside what runs there.

    Without `--overlap` the step would wait until the job's own steps end. The variables of the
    configuration stand before it as `env` takes them.

    Raises:
        SchedulerError: `srun` is not installed, or Slurm does not tell the job's number.
    """
    program, number, conf = commands.program("srun"), _number(commands, job), commands.conf
    return (
        *(("env", f"SLURM_CONF={conf}") if conf is not None else ()),
        *(program, f"--jobid={number}", "--overlap", "--pty", "bash", "-l"),
    )


def _number(commands: Commands, job: str) -> str:
    """The number that a job has of its own: `srun` takes no `18_3` (22.05.8)."""
    if job.isdecimal():
        return job
    rows, _ = commands.table("squeue", (("jobid", 12),), f"--jobs={job}")
    if len(rows) != 1:
        raise SchedulerError(f"squeue {job}", "it is no single job any more")
    return rows[0][0]
