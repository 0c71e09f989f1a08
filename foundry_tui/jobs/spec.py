"""The portable job spec: what a run needs, said once for every scheduler.

Amounts hold on each node (on each pod, in the other world), and the program runs once on each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Words:
    """One word for every source (`everywhere`), or one per source name or kind of scheduler."""

    everywhere: str | None = None
    by_source: tuple[tuple[str, str], ...] = ()

    def at(self, source: str, kind: str) -> str | None:
        """The word for a source; None where the spec has none for it."""
        named = dict(self.by_source)
        return named.get(source, named.get(kind, self.everywhere))


class Launcher(StrEnum):
    """What starts the processes of a program on its nodes."""

    NONE = "none"
    TORCHRUN = "torchrun"
    DEEPSPEED = "deepspeed"
    SRUN = "srun"
    MPI = "mpi"
    HOROVOD = "horovod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Tensor, pipeline and data parallelism: their product is the number of processes."""

    tp: int = 1
    pp: int = 1
    dp: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A variable whose value is never told: the secret `name` and the `key` in it.

    On Slurm a file of the user, `name` or `name/key`; in Kubernetes a Secret.
    """

    variable: str
    name: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder that the run sees at `target`: of the host (`source`), or a volume `claim`."""

    target: str
    source: str | None = None
    claim: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Data that is read. `version` None finds it out; `schema` is a file beside the spec."""

    name: str
    path: str
    version: str | None = None
    schema: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where checkpoints lie, and which signal tells the program `grace_s` before the end."""

    path: str | None = None
    signal: str = "USR1"
    grace_s: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Begin again after these ends (node_fail, preempted, timeout), at most `most` times."""

    on: tuple[str, ...] = ("node_fail", "preempted", "timeout")
    most: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A run as it is wanted; None is not said, and the scheduler's default holds.

    Either `script` is the text of the program or `file` names a script, as written in the spec.
    `gpus`, `cpu_milli`, `memory_bytes` and `processes` are those of one node. An elastic run takes
    from `nodes` to `nodes_most` nodes. `gpu_share_milli` (1..1000) or
    `gpu_memory_bytes` is what is wanted of each GPU; without either they are whole. `options` are
    native options per source name or kind of scheduler.
    """

    name: str
    script: str | None = None
    file: str | None = None
    image: str | None = None
    queue: Words = Words()
    gpus: int | None = None
    gpu_share_milli: int | None = None
    gpu_memory_bytes: int | None = None
    gpu_model: str | None = None
    nodes: int | None = None
    cpu_milli: int | None = None
    memory_bytes: int | None = None
    time_limit_s: int | None = None
    preemptible: bool | None = None
    priority: Words = Words()
    environment: tuple[tuple[str, str], ...] = ()
    experiment: str | None = None
    modules: tuple[str, ...] = ()
    workdir: str | None = None
    account: Words = Words()
    node_pool: Words = Words()
    nodes_most: int | None = None
    launcher: Launcher = Launcher.NONE
    processes: int | None = None
    restarts: int | None = None
    parallel: Parallel | None = None
    deepspeed_config: str | None = None
    params: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    secrets: tuple[Secret, ...] = ()
    mounts: tuple[Mount, ...] = ()
    data: tuple[Data, ...] = ()
    checkpoint: Checkpoint | None = None
    retry: Retry | None = None
    array: str | None = None
    needs: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    preflight: tuple[tuple[str, ...], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def processes_per_node(self) -> int:
        """How many processes the launcher starts on each node: one per GPU, at least one."""
        return self.processes or self.gpus or 1

    @property
    def world_size(self) -> int:
        """How many processes there are in all, with the fewest nodes."""
        return (self.nodes or 1) * self.processes_per_node

    def native(self, source: str, kind: str) -> tuple[str, ...]:
        """The native options for a source: those of its kind, then those of its name."""
        named = dict(self.options)
        return (*named.get(kind, ()), *(named.get(source, ()) if source != kind else ()))
