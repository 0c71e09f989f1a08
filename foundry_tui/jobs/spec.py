"""The portable job spec: what a run needs, said once for every scheduler.

Amounts hold on each node (on each pod, in the other world), and the program runs once on each.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """One word for every source (`everywhere`), or one per source name or kind of scheduler."""

    everywhere: str | None = None
    by_source: tuple[tuple[str, str], ...] = ()

    def at(self, source: str, kind: str) -> str | None:
        """The word for a source; None where the spec has none for it."""
        named = dict(self.by_source)
        return named.get(source, named.get(kind, self.everywhere))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A run as it is wanted; None is not said, and the scheduler's default holds.

    Either `script` is the text of the program or `file` names a script, as written in the spec.
    `gpus`, `cpu_milli` and `memory_bytes` are those of one node. `gpu_share_milli` (1..1000) or
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
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def native(self, source: str, kind: str) -> tuple[str, ...]:
        """The native options for a source: those of its kind, then those of its name."""
        named = dict(self.options)
        return (*named.get(kind, ()), *(named.get(source, ()) if source != kind else ()))
