"""The lab as a test sees it: submit as a unix user, wait for a state, start each test afresh."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.cluster import Cluster
from tests.lab.daemons import LabError, call, until

_SCRIPT = b"#!/bin/sh\nexec sleep 600\n"
_WRAPPER = """\
#!/bin/sh
exec setpriv --reuid={user} --regid={user} --clear-groups -- {program} "$@"
"""
_COMMANDS = (
    "sacct",
    "sacctmgr",
    "sbatch",
    "scancel",
    "scontrol",
    "sdiag",
    "sinfo",
    "sprio",
    "squeue",
    "sshare",
)


class SlurmLab(Cluster):
    """A real Slurm of 8 nodes and 40 GPUs, and the hands of its users."""

    def home(self, user: str | None) -> Path:
        """The folder of a unix user (None: root) in which its commands and jobs run."""
        return self.root / "home" / (user or "root")

    def output(self, job: str) -> Path:
        """Where the stdout and stderr of a job of `submit` go; array tasks are `<job>_<task>`."""
        return self.root / "output" / f"{job}.out"

    def run(
        self,
        argv: Sequence[str],
        user: str | None = None,
        check: bool = True,
        timeout_s: float = 20,
        input: bytes | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command as a unix user (None: root) in the lab's environment.

        Raises `LabError` with its output when it fails (under `check`) or takes too long.
        """
        home = self.home(user)
        env = {**self.env, "HOME": str(home)}
        return call(argv, env, user=user, cwd=home, check=check, timeout_s=timeout_s, input=input)

    def submit(
        self, *sbatch_args: str, user: str | None = "lab_alice", script: bytes = _SCRIPT
    ) -> str:
        """Submit `script` with options of sbatch; return the job id. `LabError`: refused."""
        home = self.home(user)
        name = "%A_%a" if any(arg.startswith(("--array", "-a")) for arg in sbatch_args) else "%j"
        output = f"--output={self.output(name)}"
        argv = ["sbatch", "--parsable", f"--chdir={home}", output, *sbatch_args]
        return self.run(argv, user=user, input=script).stdout.decode().strip()

    def states(self, job: str) -> set[str]:
        """The states of a job and its array tasks in Slurm's words, such as `RUNNING`."""
        answer = self.run(["squeue", "--noheader", "--states=all", f"--jobs={job}", "-o", "%T"])
        return set(answer.stdout.decode().split())

    def wait(self, job: str, state: str, timeout_s: float = 20) -> None:
        """Wait until a job, or any task of an array, is in `state`; `LabError` says why not."""
        try:
            until(lambda: state in self.states(job), timeout_s, f"job {job} to be {state}", 0.1)
        except LabError as error:
            shown = self.run(["scontrol", "show", "job", job], check=False).stdout.decode()
            raise LabError(f"{error}\n{shown}") from None

    def commands_as(self, user: str) -> Path:
        """A folder with Slurm's commands that run as `user` whoever calls them.

        For a program under test that cannot itself change its user, because its Python lies where
        that user may not read.
        """
        folder = self.root / "commands" / user
        folder.mkdir(parents=True, exist_ok=True)
        for command in _COMMANDS:
            path = folder / command
            path.write_text(_WRAPPER.format(user=user, program=f"/usr/bin/{command}"))
            path.chmod(0o755)
        return folder

    def reset(self) -> None:
        """Make the cluster as it was at the start: no job, no reservation, every node idle.

        Undoes faults, drains, and closed partitions. Accounts, QOS and the history of finished jobs
        stay as they are: a test that changes limits puts them back.
        """
        self.mend()
        # Jobs first: a reservation that a waiting job names cannot be deleted.
        until(lambda: not self._cancel_all(), 40, "every job to end", 0.2)
        for line in self._lines(["scontrol", "--oneliner", "show", "reservations"]):
            if line.startswith("ReservationName="):
                name = line.split()[0].partition("=")[2]
                self.run(["scontrol", "delete", f"ReservationName={name}"])
        for line in self._lines(["sinfo", "--noheader", "-o", "%R %a"]):
            partition, availability = line.split()
            if availability != "up":
                self.run(["scontrol", "update", f"PartitionName={partition}", "State=UP"])
        until(self._is_fresh, 40, "no job and every node idle", 0.2)

    def _cancel_all(self) -> set[str]:
        """Cancel the jobs there are, and return their ids."""
        jobs = set(self._lines(["squeue", "--noheader", "-o", "%F"]))
        if jobs:
            self.run(["scancel", "--quiet", *sorted(jobs)], check=False)
        return jobs

    def _is_fresh(self) -> bool:
        """Cancel the jobs there are, return nodes to service; True when there was nothing to do."""
        jobs = self._cancel_all()
        states = self.node_states()
        for node, state in states.items():
            if state.startswith(("down", "drain", "fail")):
                self.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=False)
        return not jobs and set(states.values()) == {"idle"}

    def _lines(self, argv: Sequence[str]) -> list[str]:
        return self.run(argv).stdout.decode(errors="replace").splitlines()
