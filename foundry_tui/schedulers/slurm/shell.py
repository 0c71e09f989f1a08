"""A shell inside a running job: the command that the user's own terminal runs."""

from __future__ import annotations

from foundry_tui.schedulers.slurm.commands import Commands


def shell_command(commands: Commands, job: str) -> tuple[str, ...]:
    """`srun` with a terminal in the allocation of a job, beside what runs there.

    Without `--overlap` the step would wait until the job's own steps end. The variables of the
    configuration stand before it as `env` takes them.

    Raises:
        Unavailable: `srun` is not installed.
    """
    conf = commands.conf
    return (
        *(("env", f"SLURM_CONF={conf}") if conf is not None else ()),
        *(commands.program("srun"), f"--jobid={job}", "--overlap", "--pty", "bash", "-l"),
    )
