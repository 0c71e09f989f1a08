"""Two screens of one user on a real cluster: one reads for both, and either may die."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

from tests.lab.agents import NodeAgents
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Foundry
from tests.stories.seated import Seat
from tests.stories.test_telemetry import agents, configured, not_yet

__all__ = ["agents", "not_yet"]

COUNTED = """\
#!/bin/sh
echo "$PPID" >> '{log}'
exec /usr/bin/{name} "$@"
"""


def callers(log: Path) -> list[int]:
    """The processes that asked the controller, call by call."""
    return [int(line) for line in log.read_text().splitlines()]


def test_one_reads_for_both_and_the_other_goes_on_when_it_is_killed(
    lab: SlurmLab, on_lab: Foundry, agents: NodeAgents, tmp_path: Path
) -> None:
    job = lab.submit("-p", "h100", "-w", "h02", "--gres=gpu:2", "-J", "trainer")
    lab.wait(job, "RUNNING")
    log, programs = tmp_path / "calls", tmp_path / "counted"
    programs.mkdir()
    for path in Path("/usr/bin").glob("s*"):
        if path.name in ("squeue", "scontrol"):
            (programs / path.name).write_text(COUNTED.format(name=path.name, log=log))
            (programs / path.name).chmod(0o755)
        elif path.name in ("sinfo", "sacct", "sacctmgr", "sprio", "sshare", "sdiag"):
            (programs / path.name).symlink_to(path)
    config = configured(on_lab, lab, agents)
    text = Path(config).read_text().replace("[slurm.lab]", f'[slurm.lab]\nbin = "{programs}"')
    Path(config).write_text(text)
    with Seat(on_lab.home, "--config", config, env=on_lab.env, size=(200, 50)) as first:
        first.wait_for("Overview", 40)
        first.do("2", "trainer", 40)
        asked = len(callers(log))
        with Seat(on_lab.home, "--config", config, env=on_lab.env, size=(200, 50)) as second:
            second.wait_for("Overview", 40)
            second.do("2", "trainer", 40)
            second.until(lambda: len(callers(log)) >= asked + 4, "two refreshes", 60)
            assert set(callers(log)) == {first.pid}
            os.kill(first.pid, signal.SIGKILL)
            second.until(lambda: callers(log)[-1] == second.pid, "the other to read", 10)
            assert second.key_s() < 1
            assert second.leave() == 0
    (history,) = on_lab.home.glob("**/history.sqlite")
    with sqlite3.connect(history) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute("SELECT count(*), count(DISTINCT ts || ' ' || gpu) FROM raw")
        count, different = rows.fetchone()
        assert count == different > 0
        again = "SELECT gpu, run FROM allocation GROUP BY gpu, run HAVING count(*) > 1"
        assert database.execute(again).fetchall() == [], "a GPU was given once"
