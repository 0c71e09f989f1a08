"""`foundry doctor` for Slurm: what is found, missing or broken, and what mends it."""

from __future__ import annotations

import re
from pathlib import Path

from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Probe, SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.commands import Commands, failure

DEFAULT_CONFS = ("/etc/slurm/slurm.conf", "/etc/slurm-llnl/slurm.conf")
CACHED_CONF = "/run/slurm/conf/slurm.conf"
"""Where slurmd or sackd keeps the configuration of a cluster without files."""

PROBE_TIMEOUT_S = 12.0

_NAME = re.compile(r"^ClusterName\s*=\s*(\S+)", re.MULTILINE)


def conf_file(commands: Commands) -> Path | None:
    """The configuration file that Slurm would read, if it is a file of this host."""
    given = commands.configured()
    for path in (given,) if given else (*DEFAULT_CONFS, CACHED_CONF):
        if path and Path(path).is_file():
            return Path(path)
    return None


def meant(commands: Commands) -> bool:
    """Whether this host is meant to have a Slurm: a program, and a configuration that is named.

    A SLURM_CONF that names a missing file is a broken cluster, not no cluster.
    """
    try:
        commands.program("squeue")
    except Unavailable:
        return False
    return conf_file(commands) is not None or bool(commands.configured())


def cluster_name(commands: Commands) -> str:
    """The cluster's name from its configuration file, else asked of the controller.

    Raises:
        Unavailable: there is no program, no configuration, or no answer.
    """
    commands.program("squeue")
    path = conf_file(commands)
    if path is not None:
        try:
            found = _NAME.search(path.read_text("utf-8", "replace"))
        except OSError:
            found = None
        if found:
            return clean_name(found[1])
    out = commands.read("scontrol", "show", "config").decode("utf-8", "replace")
    found = re.search(r"^ClusterName\s*=\s*(\S+)", out, re.MULTILINE)
    if not found:
        raise Unavailable("scontrol show config", "the answer names no cluster")
    return clean_name(found[1])


def clean_name(text: str) -> str:
    """A cluster's name as the name of a source: letters, digits, dot, dash, underscore."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text.strip("\"'"))[:64] or "slurm"


def probe(commands: Commands) -> tuple[Probe, ...]:
    """Programs, configuration, controller, accounting database and pyslurm, in that order."""
    found: list[Probe] = []
    try:
        path = commands.program("squeue")
    except Unavailable as error:
        mend = "apt-get install slurm-client (or set `bin` of this source)"
        return (Probe(what="squeue", state="missing", found=safe(error.answer), mend=mend),)
    found.append(Probe(what="squeue", state="found", found=safe(path)))
    given = commands.configured()
    if given and not Path(given).is_file():
        text = f"{given} does not exist"
        mend = "export SLURM_CONF=/path/to/slurm.conf"
        return (*found, Probe(what="slurm.conf", state="missing", found=safe(text), mend=mend))
    try:
        done = commands.run("scontrol", "ping", timeout_s=PROBE_TIMEOUT_S)
    except Unavailable as error:
        mend = "systemctl restart slurmctld (on the controller)"
        return (
            *found,
            Probe(what="slurmctld", state="broken", found=safe(error.answer), mend=mend),
        )
    words = done.out.decode("utf-8", "replace").strip()
    if "configuration source" in done.err.decode("utf-8", "replace"):
        text = "squeue is installed, but this host has no cluster configuration"
        mend = "export SLURM_CONF=/path/to/slurm.conf"
        return (*found, Probe(what="slurm.conf", state="missing", found=safe(text), mend=mend))
    place = conf_file(commands)
    found.append(
        Probe(what="slurm.conf", state="found", found=safe(str(place or "by the network")))
    )
    up = " is UP" in words
    found.append(_controller(words, up))
    if up:
        found.append(_answers(commands))
        found.append(_database(commands))
    found.append(_pyslurm())
    return tuple(found)


def _controller(words: str, up: bool) -> Probe:
    if up:
        return Probe(what="slurmctld", state="found", found=safe(words.replace("\n", ", ")))
    mend = "systemctl start slurmctld (on the controller)"
    return Probe(what="slurmctld", state="broken", found=safe(words or "no answer"), mend=mend)


def _answers(commands: Commands) -> Probe:
    try:
        done = commands.run("sinfo", "-h", "-o", "%D")
        if done.code:
            raise failure("sinfo", done)
    except SchedulerError as error:
        mend = error.hint or "scontrol ping"
        return Probe(what="sinfo", state="broken", found=safe(error.answer), mend=mend)
    total = sum(int(n) for n in done.out.split() if n.isdigit())
    return Probe(what="sinfo", state="found", found=safe(f"{total} nodes (counted per partition)"))


def _database(commands: Commands) -> Probe:
    try:
        done = commands.run("sacctmgr", "-nP", "show", "cluster", "format=cluster")
        if done.code:
            raise failure("sacctmgr", done)
    except SchedulerError as error:
        mend = "systemctl start slurmdbd (reports and rights need it; live data does not)"
        return Probe(what="slurmdbd", state="broken", found=safe(error.answer), mend=mend)
    names = ", ".join(done.out.decode("utf-8", "replace").split())
    return Probe(what="slurmdbd", state="found", found=safe(f"clusters: {names or 'none'}"))


def _pyslurm() -> Probe:
    from foundry_tui.schedulers.slurm import pyslurm_reader

    reason = pyslurm_reader.available()
    if reason is None:
        return Probe(what="pyslurm", state="found", found=safe("installed"))
    return Probe(
        what="pyslurm", state="optional", found=safe(f"{reason}; Slurm's own commands are used")
    )
