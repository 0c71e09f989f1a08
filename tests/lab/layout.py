"""The lab's folder: who owns which part, the configuration files, the fake GPUs, the unix users."""

import os
import pwd
import secrets
import shutil
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.lab.daemons import call, free_ports

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# native GRES and features of each node
NODES = {
    **dict.fromkeys(("h01", "h02", "h03", "h04"), "Gres=gpu:h100:8,shard:32 Feature=h100,nvlink"),
    **dict.fromkeys(("a01", "a02"), "Gres=gpu:a100:4,mps:400 Feature=a100,pcie"),
    **dict.fromkeys(("c01", "c02"), "Feature=cpuonly"),
}
USERS = {"lab_alice": 20001, "lab_bob": 20002, "lab_carol": 20003, "lab_dave": 20004}

_PACKAGES = {
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "slurmdbd": "slurmdbd",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "useradd": "passwd",
}
# Debian's place, and the one of Slurm's own packages
_DATABASE_PLUGINS = (
    "lib/*/slurm*/accounting_storage_mysql.so",
    "lib*/slurm*/accounting_storage_mysql.so",
)
_GPUS_PER_NODE = 8


def missing() -> str | None:
    """Why the lab cannot run on this machine, in one line; None when it can."""
    if os.geteuid() != 0:
        return "the Slurm lab runs daemons and jobs as several unix users, which needs root"
    packages = {
        package
        for program, package in _PACKAGES.items()
        if shutil.which(program, path=SEARCH_PATH) is None
    }
    if not any(path for pattern in _DATABASE_PLUGINS for path in Path("/usr").glob(pattern)):
        packages.add("slurm-wlm-mysql-plugin")
    if packages:
        return f"not installed; apt-get install {' '.join(sorted(packages))}"
    return None


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on loopback. Nobody listens on `nowhere`, the port of nodes that are DOWN."""

    controller: int
    dbd: int
    database: int
    nowhere: int
    nodes: dict[str, int]

    @classmethod
    def choose(cls) -> "Ports":
        controller, dbd, database, nowhere, *nodes = free_ports(4 + len(NODES))
        return cls(controller, dbd, database, nowhere, dict(zip(NODES, nodes, strict=True)))


def make_folders(root: Path) -> None:
    """Make the folder tree; jobs of the lab's users may cross it, daemons own their parts."""
    root.mkdir(mode=0o755, exist_ok=True)
    root.chmod(0o755)
    for name in ("etc", "log", "dev", "spool", "home", "home/root"):
        (root / name).mkdir()
    for name, owner in {"run": "slurm", "state": "slurm", "munge": "munge", "db": "mysql"}.items():
        (root / name).mkdir()
        shutil.chown(root / name, owner, owner)
    (root / "output").mkdir()
    (root / "output").chmod(0o1777)
    for index in range(_GPUS_PER_NODE):
        _make_gpu(root / f"dev/gpu{index}")


def _make_gpu(path: Path) -> None:
    """Make a device file like /dev/null; a plain file where the machine forbids device files.

    Slurm schedules either, but only for a device does a job get CUDA_VISIBLE_DEVICES.
    """
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        path.touch()
    path.chmod(0o666)


def write_configuration(
    root: Path, ports: Ports, database_password: str, extra_down_nodes: int
) -> None:
    """Fill in the templates beside this file and make the munge key."""
    host = socket.gethostname().partition(".")[0]
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports.nodes[name]} {kind}"
        for name, kind in NODES.items()
    ]
    extra_partition = ""
    if extra_down_nodes:
        names = f"g[001-{extra_down_nodes:03d}]"
        nodes.append(
            f"NodeName={names} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports.nowhere}"
            " Gres=gpu:h100:8 State=DOWN"
        )
        extra_partition = f"PartitionName=big Nodes={names},h[01-04]"
    values = {
        "ROOT": str(root),
        "HOST": host,
        "CONTROLLER_PORT": str(ports.controller),
        "DBD_PORT": str(ports.dbd),
        "DATABASE_PORT": str(ports.database),
        "DATABASE_PASSWORD": database_password,
        "NODES": "\n".join(nodes),
        "EXTRA_PARTITION": extra_partition,
    }
    etc = root / "etc"
    (etc / "slurm.conf").write_text(_filled("slurm.conf.in", values))
    (etc / "gres.conf").write_text(_filled("gres.conf.in", values))
    (etc / "cgroup.conf").write_text(_cgroup_configuration())
    _write_private(etc / "slurmdbd.conf", _filled("slurmdbd.conf.in", values).encode(), "slurm")
    _write_private(etc / "munge.key", secrets.token_bytes(128), "munge")


def _filled(template: str, values: dict[str, str]) -> str:
    return Template(Path(__file__).with_name(template).read_text()).substitute(values)


def _cgroup_configuration() -> str:
    """Slurm reads cgroup.conf even where nothing uses cgroups; before 23 it knows no "disabled"."""
    version = call(["slurmctld", "-V"], {"PATH": SEARCH_PATH}).stdout.split()[-1]
    major = int(version.partition(b".")[0])
    return (
        "CgroupPlugin=disabled\n" if major >= 23 else "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"
    )


def _write_private(path: Path, content: bytes, owner: str) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
    shutil.chown(path, owner, owner)


def make_users(root: Path) -> None:
    """Add the unix users that are missing, and give each a home inside the lab."""
    for name, uid in USERS.items():
        try:
            pwd.getpwnam(name)
        except KeyError:
            call(
                ["useradd", "--uid", str(uid), "--user-group", "--no-create-home", name],
                {"PATH": SEARCH_PATH},
            )
        home = root / "home" / name
        home.mkdir(mode=0o700)
        shutil.chown(home, name, name)
