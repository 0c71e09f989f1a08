"""The rank guard: of all processes of a run, the first alone knows its MLflow record.

Two processes that start the same record overwrite each other's params, and the first that ends
closes it for all. So every process but global rank 0 forgets `MLFLOW_RUN_ID` before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence

RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")
"""Variables with the global rank of a process, the closest to it first.

torchrun sets `RANK` for each of its processes, which all share one task of Slurm; an MPI sets its
own; `SLURM_PROCID` numbers the tasks of a step.
"""


def _rank() -> str:
    text = "0"
    for name in reversed(RANKS):
        text = f"${{{name}:-{text}}}"
    return text


GUARD = f'[ "{_rank()}" = 0 ] || unset MLFLOW_RUN_ID'
"""The guard as one command of a shell."""


def guarded(words: Sequence[str], *, before: str = "") -> tuple[str, ...]:
    """The words of a program behind the guard; `before` are commands of a shell, run first.

    The shell replaces itself with the program, so that signals reach it.
    """
    lines = f"{before}; {GUARD}" if before else GUARD
    return ("/bin/sh", "-c", f'{lines}; exec "$@"', "foundry-rank", *words)
