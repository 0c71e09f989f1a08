"""The daemons of the lab (munge, MariaDB, slurmdbd, slurmctld, eight slurmd) and how to break them.

All on loopback, without systemd and without cgroups.
"""

import atexit
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.lab import layout
from tests.lab.daemons import (
    Daemon,
    accepts_connections,
    call,
    claim,
    end_lab,
    end_stale_labs,
    until,
)

_QOS = Path(__file__).with_name("qos.sacctmgr")
_ACCOUNTS = Path(__file__).with_name("accounts.cfg")


class Cluster:
    """A running Slurm: its folder, its daemons, their faults. Made by `start`, ended by `stop`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {
            "SLURM_CONF": str(root / "etc/slurm.conf"),
            "PATH": layout.SEARCH_PATH,
            "LC_ALL": "C.UTF-8",
        }
        self._ports = layout.Ports.choose()
        self._munge_socket = root / "munge/munge.socket"
        self._database_socket = root / "db/mariadbd.socket"
        self._database_options = [
            "--no-defaults",
            f"--datadir={root}/db",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        self._munge = self._daemon(
            "munged",
            [
                "--foreground",
                f"--key-file={root}/etc/munge.key",
                f"--socket={self._munge_socket}",
                f"--pid-file={root}/munge/munged.pid",
                f"--seed-file={root}/munge/seed",
            ],
            user="munge",
        )
        self._database = self._daemon(
            "mariadbd",
            [
                *self._database_options,
                f"--socket={self._database_socket}",
                f"--pid-file={root}/db/mariadbd.pid",
                "--bind-address=127.0.0.1",
                f"--port={self._ports.database}",
                "--skip-log-bin",
                "--skip-name-resolve",
            ],
            user="mysql",
        )
        self._dbd = self._daemon("slurmdbd", ["-D"], user="slurm")
        self._controller = self._daemon("slurmctld", ["-D"], user="slurm")
        self._nodes = {
            node: self._daemon("slurmd", ["-D", "-N", node], log=f"slurmd-{node}")
            for node in layout.NODES
        }

    def _daemon(
        self, program: str, options: Sequence[str], user: str | None = None, log: str | None = None
    ) -> Daemon:
        name = log or program
        return Daemon(name, [program, *options], self.env, self.root / f"log/{name}.log", user)

    @staticmethod
    def missing() -> str | None:
        """Why the lab cannot run on this machine, in one line; None when it can."""
        return layout.missing()

    @classmethod
    def start(cls, root: Path, extra_down_nodes: int = 0) -> Self:
        """Start a cluster in the empty or new folder `root`; return when its nodes are idle.

        Labs beside `root` whose test run was killed are ended first. `extra_down_nodes` adds as
        many nodes g001.. of 8 GPUs in a partition `big`: they are DOWN and need no daemon.
        Raises `LabError` with the log of what failed; nothing is left running then.
        """
        end_stale_labs(root.parent)
        cluster = cls(root)
        atexit.register(cluster.stop)
        try:
            cluster._bring_up(extra_down_nodes)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def _bring_up(self, extra_down_nodes: int) -> None:
        layout.make_folders(self.root)
        claim(self.root)
        password = secrets.token_hex(16)
        layout.write_configuration(self.root, self._ports, password, extra_down_nodes)
        layout.make_users(self.root)
        self.start_munge()
        self._start_database(password)
        self.start_dbd()
        self._add_accounts()
        self.start_controller()
        for daemon in self._nodes.values():
            daemon.start()
        until(self._all_idle, 30, "all nodes to be idle")

    def _start_database(self, password: str) -> None:
        install = ["mariadb-install-db", *self._database_options, "--skip-test-db"]
        install.append("--auth-root-authentication-method=normal")
        call(install, self.env, user="mysql", timeout_s=60)
        self._database.start()
        self._database.until_ready(lambda: accepts_connections(self._ports.database))
        call(
            ["mariadb", "--no-defaults", "--user=root", f"--socket={self._database_socket}"],
            self.env,
            input=b"CREATE DATABASE slurm_acct_db;"
            b"GRANT ALL ON slurm_acct_db.* TO slurm@127.0.0.1 IDENTIFIED BY '%s';"
            % password.encode(),
        )

    def _add_accounts(self) -> None:
        """Two calls for all: each single `sacctmgr add` waits half a second between its messages.

        Not one call, because a sacctmgr does not see the QOS that it has added itself.
        """
        call(["sacctmgr", "--immediate"], self.env, input=_QOS.read_bytes())
        call(["sacctmgr", "--immediate", "load", f"file={_ACCOUNTS}"], self.env)

    def _all_idle(self) -> bool:
        return set(self.node_states().values()) == {"idle"}

    def node_states(self) -> dict[str, str]:
        """Slurm's word for the state of each node that has a daemon, such as `idle` or `down*`."""
        answer = call(
            ["sinfo", "--noheader", "--Node", f"--nodes={','.join(layout.NODES)}", "-o", "%N %T"],
            self.env,
        )
        return dict(line.split() for line in answer.stdout.decode().splitlines())

    def stop(self) -> None:
        """Kill everything and delete the folder. Nothing here is worth an orderly end."""
        atexit.unregister(self.stop)
        for daemon in (
            self._controller,
            *self._nodes.values(),
            self._dbd,
            self._database,
            self._munge,
        ):
            daemon.kill()
        end_lab(self.root)

    # Faults, each with its end

    def stop_controller(self) -> None:
        self._controller.stop()

    def start_controller(self) -> None:
        """Start slurmctld; it answers at once and knows its nodes some 4 s after a restart."""
        self._controller.start()
        self._controller.until_ready(self._controller_answers)

    def hang_controller(self) -> None:
        """Freeze slurmctld: every call to it then takes MessageTimeout (10 s)."""
        self._controller.hang()

    def resume_controller(self) -> None:
        self._controller.resume()
        self._controller.until_ready(self._controller_answers)

    def _controller_answers(self) -> bool:
        return (
            accepts_connections(self._ports.controller)
            and call(["scontrol", "ping"], self.env, check=False).returncode == 0
        )

    def stop_munge(self) -> None:
        self._munge.stop()

    def start_munge(self) -> None:
        self._munge.start()
        self._munge.until_ready(self._munge_socket.exists)

    def stop_dbd(self) -> None:
        self._dbd.stop()

    def start_dbd(self) -> None:
        self._dbd.start()
        self._dbd.until_ready(lambda: accepts_connections(self._ports.dbd))

    def kill_node(self, node: str) -> None:
        """Kill the slurmd of `node`; slurmctld calls the node DOWN some 28 s later.

        SlurmdTimeout is 10 s, but slurmctld first tries each ping again for as long.
        """
        self._nodes[node].kill()

    def start_node(self, node: str) -> None:
        """Start the slurmd of `node` again; it registers by itself."""
        self._nodes[node].start()
        self._nodes[node].until_ready(lambda: accepts_connections(self._ports.nodes[node]))

    @contextmanager
    def controller_down(self) -> Iterator[None]:
        self.stop_controller()
        try:
            yield
        finally:
            self.start_controller()

    @contextmanager
    def controller_hung(self) -> Iterator[None]:
        self.hang_controller()
        try:
            yield
        finally:
            self.resume_controller()

    @contextmanager
    def munge_down(self) -> Iterator[None]:
        self.stop_munge()
        try:
            yield
        finally:
            self.start_munge()

    @contextmanager
    def dbd_down(self) -> Iterator[None]:
        self.stop_dbd()
        try:
            yield
        finally:
            self.start_dbd()

    @contextmanager
    def dbd_hung(self) -> Iterator[None]:
        """Freeze slurmdbd: it takes connections and never answers."""
        self._dbd.hang()
        try:
            yield
        finally:
            self._dbd.resume()

    @contextmanager
    def node_down(self, node: str) -> Iterator[None]:
        self.kill_node(node)
        try:
            yield
        finally:
            self.start_node(node)

    def mend(self) -> None:
        """Bring back every daemon that a test left stopped or hung."""
        self.start_munge()
        self.start_dbd()
        self._controller.start()
        self.resume_controller()
        for node in self._nodes:
            self.start_node(node)
