"""What a batch script asks of the simulated Slurm: directives and options to a run."""

from __future__ import annotations

import re

from foundry_tui.estate.acts import Submit
from foundry_tui.estate.run import Request as Asked
from foundry_tui.schedulers.simulated.layout import GPUS_PER_NODE, USER
from foundry_tui.schedulers.slurm.directives import parse
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.requested import request_of
from scheduler_sim.cluster import WHOLE_MILLI, Request
from scheduler_sim.jobs import JobSpec, State

ACCOUNTS = ("ml",)
"""What the simulated user may charge; the first is the default."""

QOS = ("normal", "high", "low")
DEFAULT_QUEUE = "gpu"
DEFAULT_LIMIT_S = 4 * 3600
DEFAULT_MEMORY_MIB = 4096
SHARDS_PER_GPU = 4
MAX_TASKS = 1001
"""Slurm's default `MaxArraySize`."""

_SLEEP = re.compile(rb"^\s*sleep\s+(\d{1,7})\s*$", re.MULTILINE)
_EXIT = re.compile(rb"^\s*exit\s+(\d{1,3})\s*$", re.MULTILINE)
_TASKS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_SHARDS = re.compile(r"(?:^|,)(?:gres:)?shard(?::[^:,]*[^:,0-9][^:,]*)?(?::(\d{1,4}))?(?=,|$)")


def to_spec(act: Submit) -> JobSpec:
    """The run that a submission asks for. How long it works is read from its `sleep` lines.

    Raises:
        ValueError: in the words of sbatch, where the request cannot be understood.
    """
    words = parse(act.script, act.options)
    account = words.get("account") or ACCOUNTS[0]
    if account not in ACCOUNTS:
        raise ValueError("Invalid account or account/partition combination specified")
    qos = words.get("qos") or QOS[0]
    if qos not in QOS:
        raise ValueError("Invalid qos specification")
    asked = request_of(words)
    limit_s = asked.time_limit_s if "time" in words else DEFAULT_LIMIT_S
    nodes = asked.nodes
    if "nodes" not in words and "gpus" in words:
        nodes = max(nodes, -(-asked.gpu_count // GPUS_PER_NODE))
    tasks, throttle = _array(words.get("array", ""))
    slept_s = sum(int(n) for n in _SLEEP.findall(act.script))
    code = int((_EXIT.findall(act.script) or [b"0"])[-1])
    name = words.get("job-name") or act.script_name.rpartition("/")[2]
    return JobSpec(
        # The log is UTF-8: a byte that is not becomes a replacement character.
        name=name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        user=USER,
        account=account,
        queue=words.get("partition") or DEFAULT_QUEUE,
        request=_per_node(words, asked, nodes),
        nodes=nodes,
        duration_s=slept_s or max(60, (limit_s or DEFAULT_LIMIT_S) * 3 // 5),
        limit_s=limit_s,
        qos=qos,
        outcome=State.FAILED if code else State.COMPLETED,
        exit_code=code,
        tasks=tasks,
        throttle=throttle,
        held="hold" in words,
        after=_dependency(words.get("dependency", "")),
        nodelist=expand(words.get("nodelist", "")),
    )


def _per_node(words: dict[str, str], asked: Asked, nodes: int) -> Request:
    """The request on each node. A shard is a quarter of a GPU, and at most four lie on one."""
    shards = sum(int(n or 1) for n in _SHARDS.findall(words.get("gres", "")))
    if shards > SHARDS_PER_GPU or (shards and asked.gpu_count > nodes):
        raise ValueError("Requested node configuration is not available")
    models = tuple(filter(None, (words.get("constraint") or asked.gpu_model or "",)))
    memory_mib = (asked.memory_bytes or DEFAULT_MEMORY_MIB * nodes << 20) >> 20
    return Request(
        gpus=-(-asked.gpu_count // nodes),
        gpu_milli=shards * WHOLE_MILLI // SHARDS_PER_GPU if shards else WHOLE_MILLI,
        cpu_milli=-(-(asked.cpu_milli or 1000) // nodes),
        memory_mib=-(-memory_mib // nodes),
        models=models,
    )


def _array(text: str) -> tuple[tuple[int, ...], int]:
    """Task numbers and throttle of `--array`."""
    if not text:
        return (), 0
    listed, _, throttle = text.partition("%")
    tasks: list[int] = []
    for part in listed.split(","):
        found = _TASKS.fullmatch(part)
        if found is None or int(found[2] or found[1]) >= MAX_TASKS:
            raise ValueError("Invalid job array specification")
        tasks.extend(range(int(found[1]), int(found[2] or found[1]) + 1, int(found[3] or 1) or 1))
    if not tasks:
        raise ValueError("Invalid job array specification")
    most = int(throttle) if throttle.isdecimal() and throttle.isascii() else 0
    return tuple(sorted(set(tasks))), most


def _dependency(text: str) -> str | None:
    """The run that has to complete first; of several only the last is simulated."""
    numbers = re.findall(r"\d+(?:_\d+)?", text)
    return numbers[-1] if numbers else None


def array_text(tasks: tuple[int, ...], throttle: int) -> str:
    """Task numbers as Slurm writes a waiting range: `3-40%4`."""
    parts, start, last = [], tasks[0], tasks[0]
    for task in (*tasks[1:], -1):
        if task == last + 1:
            last = task
            continue
        parts.append(str(start) if start == last else f"{start}-{last}")
        start = last = task
    return ",".join(parts) + (f"%{throttle}" if throttle else "")
