"""Rules of triage as a site configures them, and how owners are told."""

from __future__ import annotations

from dataclasses import dataclass, field

from foundry_tui.config.sources import about


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageConfig:
    """One rule against waste. What a figure is not given has the default of its kind."""

    name: str
    kind: str = field(
        metadata=about(
            "What is looked for: docs/triage.md explains each kind.",
            choices=("idle", "low_use", "walltime", "cpus", "fragments", "half"),
            example="idle",
        ),
    )
    hours: float | None = field(
        default=None, metadata=about("idle: hours without any work.", example=2.0)
    )
    pct: float | None = field(
        default=None,
        metadata=about(
            "low_use: utilisation below which a run counts. walltime: part of the time limit below "
            "which. cpus: CPUs above this part of a GPU's share of the node. half: the share of a "
            "GPU that is enough. All in per cent.",
            example=10.0,
        ),
    )
    part: float | None = field(
        default=None,
        metadata=about(
            "low_use: the part of its time limit that a run has lasted at least.",
            most=1.0,
            example=0.33,
        ),
    )
    runs: float | None = field(
        default=None,
        metadata=about("walltime: so many runs of a user in a queue at least.", example=5),
    )
    seen_pct: float = field(
        default=50.0,
        metadata=about(
            "Per cent of the time that must have been measured; a run of which less is known is "
            "not judged.",
            most=100.0,
        ),
    )
    queues: tuple[str, ...] = field(
        default=(), metadata=about("Only in these partitions or projects.", example=("gpu",))
    )
    exempt: tuple[str, ...] = field(
        default=(), metadata=about("Users who are left out.", example=("ci",))
    )
    notify: bool = field(
        default=True, metadata=about("Tell the owners when --notify is given; false never does.")
    )
    act: str = field(
        default="none",
        metadata=about(
            "What a plan that is written with -o proposes for live runs: none, cancel, requeue, or "
            "shrink (of kind half: the run again, with the share that is enough).",
            choices=("none", "cancel", "requeue", "shrink"),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """How the owners of findings are told."""

    command: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Program that tells one owner, with the text on its standard input; {user} is the "
            "owner's name.",
            example=("mail", "-s", "GPUs that you hold", "{user}"),
        ),
    )
    every_days: float = field(
        default=7.0,
        metadata=about("Days after which an owner is told of the same finding again.", most=365.0),
    )
