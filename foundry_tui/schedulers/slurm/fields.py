"""The fields of a job that can be changed while it waits, in our words and in Slurm's.

One table serves `scontrol update`, `sbatch --test-only` and the reading back, so that a what-if,
the change itself and its proof mean the same thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foundry_tui.schedulers.slurm.directives import time_limit_s


@dataclass(frozen=True, slots=True)
class Field:
    """One changeable field: key of `scontrol update`, option of `sbatch`, our column to prove it.

    `option` None means that a what-if cannot express it; `column` None that it cannot be proved.
    """

    update: str
    option: str | None
    column: str | None
    convert: Callable[[str], str] = str


def _minutes(seconds: str) -> str:
    return str(-(-int(seconds) // 60))


FIELDS = {
    "queue": Field("Partition", "--partition", "partition"),
    "time_limit_s": Field("TimeLimit", "--time", "time_limit", _minutes),
    "nodelist": Field("ReqNodeList", "--nodelist", "required_nodes"),
    "exclude": Field("ExcNodeList", "--exclude", None),
    "features": Field("Features", "--constraint", "features"),
    "qos": Field("QOS", "--qos", "qos"),
    "account": Field("Account", "--account", "account"),
    "nodes": Field("NumNodes", "--nodes", "num_nodes"),
    "tasks": Field("NumTasks", "--ntasks", None),
    "cpus": Field("NumCPUs", None, "num_cpus"),
    "gpus_per_node": Field("Gres", "--gres", "tres", lambda n: f"gpu:{n}"),
    "gpus": Field("TresPerJob", "--gpus", "tres", lambda n: f"gres:gpu:{n}"),
    "memory_per_cpu": Field("MinMemoryCPU", "--mem-per-cpu", None),
    "memory_per_node": Field("MinMemoryNode", "--mem", None),
    "dependency": Field("Dependency", "--dependency", "dependency"),
    "begin": Field("StartTime", "--begin", None),
    "reservation": Field("ReservationName", "--reservation", "reservation"),
    "licenses": Field("Licenses", "--licenses", None),
    "nice": Field("Nice", "--nice", None),
    "priority": Field("Priority", None, "priority"),
    "array_limit": Field("ArrayTaskThrottle", None, None),
}

ORIGINS = {
    "queue": "partition",
    "nodelist": "required_nodes",
    "exclude": "excluded_nodes",
    "features": "features",
    "qos": "qos",
    "account": "account",
    "nodes": "nodes",
    "tasks": "tasks",
    "dependency": "dependency",
    "reservation": "reservation",
    "licenses": "licenses",
}
"""Field -> the word of `inspect.COLUMNS` that holds its present value."""


def update_words(fields: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """`Key=value` words for `scontrol update`.

    Raises:
        ValueError: a field that cannot be changed, naming those that can.
    """
    return tuple(f"{_field(n).update}={_value(n, v)}" for n, v in fields)


def check_option(name: str, value: str) -> str | None:
    """The `sbatch` option for a what-if, None when the field cannot be expressed there."""
    field = _field(name)
    if field.option is None or value == "":
        return None
    # sbatch takes `--gpus=2`, while `scontrol update` wants the prefix (`gres:gpu:2`, 22.05).
    return f"{field.option}={value if name == 'gpus' else _value(name, value)}"


def _value(name: str, value: str) -> str:
    return _field(name).convert(value) if value else value


def _field(name: str) -> Field:
    if name not in FIELDS:
        raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(FIELDS)}")
    return FIELDS[name]


def shown(name: str, value: str) -> str:
    """A field's value as the job list shows it, to compare after a change."""
    if name == "time_limit_s":
        return str(-(-int(value) // 60) * 60)
    return value


def observed(name: str, column: str) -> str:
    """A column of the job list in the form of `shown`."""
    if name == "time_limit_s":
        return str(time_limit_s(column))
    if name == "nodes":
        return column.partition("-")[0]
    return column
