"""The fields of a job that can be changed while it waits, in our words and in Slurm's.

One table serves `scontrol update`, `sbatch --test-only` and the reading back, so that a what-if,
the change itself and its proof mean the same thing. What a job asks for now is read by
`present.py`; `gres.py` knows which GPU requests Slurm can change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from foundry_tui.schedulers.slurm.tres import UNITS, size_bytes


@dataclass(frozen=True, slots=True)
class Field:
    """One changeable field: key of `scontrol update`, option of `sbatch`.

    `option` None means that a what-if cannot express it. `clears` says that an empty value takes
    the request back; `empty` is what `scontrol` has to be sent then.
    """

    update: str
    option: str | None
    convert: Callable[[str], str] = str
    clears: bool = False
    empty: str = ""


def _minutes(seconds: str) -> str:
    """Whole minutes, upwards. What is below a second would arrive as `TimeLimit=0` (22.05)."""
    if seconds == UNLIMITED:
        return "UNLIMITED"
    if int(seconds) < 1:
        raise ValueError("no time at all")
    return str(-(-int(seconds) // 60))


def _mebibytes(text: str) -> str:
    """`MinMemoryNode=2G` is "Invalid value" (22.05): only whole MiB are taken."""
    size = size_bytes(text)
    if size is None:
        raise ValueError(f"memory: a size such as 2000M or 16G, not {text!r}")
    return str(-(-size // UNITS["M"]))


def _moment(text: str) -> str:
    """Only what can be proved afterwards: no `midnight`, no `teatime`."""
    if not BEGINS.fullmatch(text):
        datetime.fromisoformat(text)
    return text


UNLIMITED = "unlimited"
BEGINS = re.compile(r"now(?:\+(\d{1,7})(seconds?|minutes?|hours?|days?|weeks?)?)?")
"""A begin that counts from now; any other is a time in UTC such as 2030-01-02T03:04:05."""

FIELDS = {
    "queue": Field("Partition", "--partition"),
    "time_limit_s": Field("TimeLimit", "--time", _minutes),
    "nodelist": Field("ReqNodeList", "--nodelist", clears=True),
    "exclude": Field("ExcNodeList", "--exclude", clears=True),
    "features": Field("Features", "--constraint", clears=True),
    "qos": Field("QOS", "--qos"),
    "account": Field("Account", "--account"),
    "nodes": Field("NumNodes", "--nodes"),
    "tasks": Field("NumTasks", "--ntasks"),
    "cpus": Field("NumCPUs", None),
    "gpus_per_node": Field("Gres", "--gres", lambda n: f"gpu:{n}"),
    "gpus": Field("TresPerJob", "--gpus", lambda n: f"gres:gpu:{n}"),
    "memory_per_cpu": Field("MinMemoryCPU", "--mem-per-cpu", _mebibytes),
    "memory_per_node": Field("MinMemoryNode", "--mem", _mebibytes),
    "dependency": Field("Dependency", "--dependency", clears=True),
    "begin": Field("StartTime", "--begin", _moment, clears=True, empty="now"),
    "reservation": Field("ReservationName", "--reservation", clears=True),
    "licenses": Field("Licenses", "--licenses", clears=True),
    "nice": Field("Nice", "--nice", clears=True, empty="0"),
    "priority": Field("Priority", None, clears=True),
    "array_limit": Field("ArrayTaskThrottle", None),
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

ALONE = (
    "priority: is changed alone: Slurm drops `nice` beside it, and a held job refuses it after it "
    "has taken the other fields"
)


def update_words(
    fields: tuple[tuple[str, str], ...], spelling: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """`Key=value` words for `scontrol update`.

    `spelling` holds fields whose value is spelled otherwise on this cluster, ready to send.

    Raises:
        ValueError: a field that cannot be changed, naming those that can; a value that it cannot
            have; fields that cannot be changed together.
    """
    names = [name for name, _ in fields]
    for name, value in fields:
        check_value(name, value)
    if "priority" in names and len(names) > 1:
        raise ValueError(ALONE)
    told = spelling or {}
    return tuple(f"{_field(n).update}={told.get(n) or _value(n, v)}" for n, v in fields)


def check_value(name: str, value: str) -> None:
    """Nothing, for a value that Slurm could be sent.

    Raises:
        ValueError: names the field and says what is wrong.
    """
    field = _field(name)
    if not value and not field.clears:
        raise ValueError(f"{name}: a value is needed; it cannot be left empty")
    if not value.isprintable():
        raise ValueError(f"{name}: {value!r} holds characters that no value has")
    if name == "priority" and value and not (value.isascii() and value.isdecimal() and int(value)):
        raise ValueError(f"priority: a whole number above 0, not {value!r}; 0 would be a hold")
    _value(name, value)


def check_option(name: str, value: str) -> str | None:
    """The `sbatch` option for a what-if, None when the field cannot be expressed there."""
    field = _field(name)
    if field.option is None or value == "":
        return None
    # sbatch takes `--gpus=2`, while `scontrol update` wants the prefix (`gres:gpu:2`, 22.05).
    return f"{field.option}={value if name == 'gpus' else _value(name, value)}"


def _value(name: str, value: str) -> str:
    field = _field(name)
    try:
        return field.convert(value) if value else field.empty
    except ValueError as error:
        if str(error).startswith("memory"):
            raise
        raise ValueError(f"{name}: {value!r} is no value for it") from error


def _field(name: str) -> Field:
    if name not in FIELDS:
        raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(FIELDS)}")
    return FIELDS[name]
