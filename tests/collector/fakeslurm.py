"""A Slurm of scripts that print what they are told, and note every call as a controller would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NODES = (
    "NodeName=h01 Arch=x86_64 CoresPerSocket=8 CPUAlloc=0 CPUEfctv=16 CPUTot=16 CPULoad=0.10 "
    "Gres=gpu:2 GresUsed=gpu:0(IDX:N/A) NodeAddr=h01 NodeHostName=h01 RealMemory=64000 "
    "AllocMem=0 FreeMem=60000 Sockets=2 State=IDLE ThreadsPerCore=1 Partitions=gpu "
    "CfgTRES=cpu=16,mem=64000M,gres/gpu=2 AllocTRES=\n"
)
PARTITIONS = (
    "PartitionName=gpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL Default=YES QoS=N/A "
    "MaxTime=UNLIMITED Nodes=h01 State=UP TotalCPUs=16 TotalNodes=1 TRES=cpu=16,gres/gpu=2\n"
)

SCRIPT = """#!/bin/sh
echo "$$ ${{0##*/}} $*" >> '{log}'
if [ -e '{down}' ]; then echo "slurm_load_jobs error: Unable to contact" >&2; exit 1; fi
case "$*" in
  *"show nodes"*) cat '{folder}/nodes' ;;
  *"show partitions"*) cat '{folder}/partitions' ;;
  *"show config"*) cat '{folder}/config' ;;
  *ping*) echo "Slurmctld(primary) at ctl is UP" ;;
esac
"""


@dataclass
class FakeSlurm:
    """Scripts in `folder`; the configuration that names them is in `config`."""

    folder: Path
    source: str = "lab"

    @classmethod
    def made(cls, folder: Path, *, private: str = "none") -> FakeSlurm:
        """The scripts, with what `scontrol show config` says of PrivateData."""
        folder.mkdir(mode=0o755, parents=True)
        one = cls(folder)
        (folder / "nodes").write_text(NODES)
        (folder / "partitions").write_text(PARTITIONS)
        one.hide(private)
        (folder / "bin").mkdir(mode=0o755)
        text = SCRIPT.format(log=one.log, down=one.down, folder=folder)
        for name in ("squeue", "scontrol", "sinfo", "sacct", "sacctmgr", "scancel", "sbatch"):
            script = folder / "bin" / name
            script.write_text(text)
            script.chmod(0o755)
        (folder / "slurm.conf").write_text("ClusterName=lab\n")
        one.log.touch()
        one.log.chmod(0o666)
        return one

    @property
    def log(self) -> Path:
        return self.folder / "calls"

    @property
    def down(self) -> Path:
        """The controller is silent while this file is there."""
        return self.folder / "down"

    def hide(self, words: str) -> None:
        """Set PrivateData."""
        (self.folder / "config").write_text(
            f"PluginDir = /usr/lib\nPrivateData             = {words}\n"
        )

    def table(self) -> str:
        """The table of this cluster in a configuration file."""
        return (
            f'[slurm.{self.source}]\nbin = "{self.folder}/bin"\nconf = "{self.folder}/slurm.conf"\n'
        )

    def calls(self, name: str = "") -> list[str]:
        """Every call so far of a program, as `PID PROGRAM ARGUMENTS`."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if not name or line.split()[1] == name]
