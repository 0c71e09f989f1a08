"""What slurmdbd keeps, changed under its hands: for what no test can wait for or bring about."""

from __future__ import annotations

from tests.lab.slurm import SlurmLab


def sql(lab: SlurmLab, statement: str) -> None:
    """Run one statement in the lab's accounting database. `LabError`: it failed."""
    socket = f"--socket={lab.root}/db/mariadbd.socket"
    argv = ["mariadb", "--no-defaults", "--user=root", socket, "slurm_acct_db"]
    lab.run(argv, input=statement.encode())


def restart_slurmdbd(lab: SlurmLab) -> None:
    """End slurmdbd and start it again: it reads the resources that it tracks only then."""
    lab.stop_dbd()
    lab.start_dbd()
