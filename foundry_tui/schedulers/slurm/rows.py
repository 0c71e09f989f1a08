"""Job rows: the form in which every way of reading Slurm hands over its jobs.

Text columns, `--json` in its three dialects and pyslurm all end in a `JobTable`; one function
(`jobs.to_runs`) then turns rows into runs. So a run looks the same however it was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One record of Slurm's job list, in Slurm's own words; an empty text means unset.

    Times are `YYYY-MM-DDTHH:MM:SS` in UTC. `name` and `comment` may hold anything, undecodable
    bytes as surrogates. `array_task` is one number or a waiting range (`2-99%2`). `tres` lists
    what is allocated to a running job and what a waiting one requests. `truncated` names the
    columns that were cut.
    """

    job_id: str
    array_job_id: str = ""
    array_task: str = ""
    state: str = ""
    reason: str = ""
    user: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    priority: str = ""
    tres: str = ""
    nodelist: str = ""
    sched_nodes: str = ""
    required_nodes: str = ""
    features: str = ""
    dependency: str = ""
    reservation: str = ""
    requeue: str = ""
    submit: str = ""
    eligible: str = ""
    start: str = ""
    end: str = ""
    time_limit: str = ""
    num_nodes: str = ""
    num_cpus: str = ""
    exit_code: str = ""
    comment: str = ""
    name: str = ""
    truncated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Held:
    """What one job holds of one gres on one node; `indices` None when Slurm did not tell."""

    node: str
    name: str
    model: str | None
    count: int
    indices: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class JobTable:
    """Rows, and per job id what it holds. A job that is missing in `held` was not told of."""

    rows: tuple[JobRow, ...]
    held: dict[str, tuple[Held, ...]] = field(default_factory=dict)
