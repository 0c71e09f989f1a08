"""torchrun: one on each node, which starts the processes there and restarts them together."""

from __future__ import annotations

from collections.abc import Sequence

from foundry_tui.jobs.launchers.guard import guarded
from foundry_tui.jobs.spec import JobSpec, Launcher

LAUNCHERS = frozenset({Launcher.TORCHRUN, Launcher.DEEPSPEED})
"""DeepSpeed takes its ranks from the variables of torchrun, so it needs no ssh and no hostfile."""


def words(
    spec: JobSpec, program: Sequence[str], *, nodes: str, rendezvous: Sequence[str]
) -> tuple[str, ...]:
    """torchrun and its program as words.

    `nodes` is a number, or `2:8` for an elastic run; `rendezvous` are the options that tell where
    its processes meet. `--no-python` because the program is any command, behind the rank guard.
    """
    return (*head(spec, nodes=nodes, rendezvous=rendezvous), *guarded(program))


def head(spec: JobSpec, *, nodes: str, rendezvous: Sequence[str]) -> tuple[str, ...]:
    """The words of `words` that stand before the program."""
    restarts = () if spec.restarts is None else (f"--max-restarts={spec.restarts}",)
    return (
        "torchrun",
        f"--nnodes={nodes}",
        f"--nproc-per-node={spec.processes_per_node}",
        *rendezvous,
        *restarts,
        "--no-python",
    )


def span(spec: JobSpec) -> str:
    """The nodes of a run as torchrun takes them: `4`, or `2:8` when it is elastic."""
    least = spec.nodes or 1
    return str(least) if spec.nodes_most is None else f"{least}:{spec.nodes_most}"
