"""The fields of a waiting job that the simulated Slurm can change, in the words of the real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from foundry_tui.schedulers.simulated.sbatch import ACCOUNTS, QOS
from foundry_tui.schedulers.slurm.hostlist import expand
from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.jobs import JobSpec


def _whole(name: str, value: str) -> int:
    if not (value.isdecimal() and value.isascii()) or not int(value):
        raise ValueError(f"{name}: a whole number above 0 is needed, not {value!r}")
    return int(value)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{name}: Invalid {name} specification: {value!r}")
    return value


def _devices(spec: JobSpec, name: str, value: str, nodes: int) -> JobSpec:
    """GPUs over `nodes` nodes, `2` or `h100:2`."""
    if spec.request.gpu_milli != WHOLE_MILLI:
        raise ValueError(f"{name}: Invalid generic resource (gres) specification: it is a share")
    *models, count = value.split(":")
    each = -(-_whole(name, count) // nodes)
    need = replace(spec.request, gpus=each, gpu_milli=WHOLE_MILLI, models=tuple(models))
    return replace(spec, request=need)


def _features(spec: JobSpec, value: str) -> JobSpec:
    """GPU models are the only features of the simulated nodes."""
    models = tuple(filter(None, value.split("|")))
    return replace(spec, request=replace(spec.request, models=models))


FIELDS: Mapping[str, Callable[[JobSpec, str], JobSpec]] = {
    "queue": lambda s, v: replace(s, queue=v),
    "time_limit_s": lambda s, v: replace(s, limit_s=_whole("time_limit_s", v)),
    "nodelist": lambda s, v: replace(s, nodelist=expand(v)),
    "features": _features,
    "qos": lambda s, v: replace(s, qos=_one_of("qos", v, QOS)),
    "account": lambda s, v: replace(s, account=_one_of("account", v, ACCOUNTS)),
    "nodes": lambda s, v: replace(s, nodes=_whole("nodes", v)),
    "gpus_per_node": lambda s, v: _devices(s, "gpus_per_node", v, 1),
    "gpus": lambda s, v: _devices(s, "gpus", v, s.nodes),
    "begin": lambda s, v: _begin(s, v),
}
"""Field name -> the run with a new value of it."""


_VALUES: Mapping[str, Callable[[JobSpec], str | None]] = {
    "queue": lambda s: s.queue,
    "time_limit_s": lambda s: None if s.limit_s is None else str(s.limit_s),
    "nodelist": lambda s: ",".join(s.nodelist),
    "features": lambda s: "|".join(s.request.models),
    "qos": lambda s: s.qos,
    "account": lambda s: s.account,
    "nodes": lambda s: str(s.nodes),
    "gpus_per_node": lambda s: _gpus(s, 1),
    "gpus": lambda s: _gpus(s, s.nodes),
    "begin": lambda _: "",
}


def value(spec: JobSpec, name: str) -> str | None:
    """The present value of a field as `FIELDS` takes it; None for one that cannot be given back."""
    return _VALUES[name](spec) if name in _VALUES else None


def _gpus(spec: JobSpec, nodes: int) -> str | None:
    need = spec.request
    if need.gpu_milli != WHOLE_MILLI or len(need.models) > 1 or not need.gpus:
        return None
    return ":".join((*need.models, str(need.gpus * nodes)))


def _begin(spec: JobSpec, value: str) -> JobSpec:
    if value not in ("", "now"):
        raise ValueError(f"begin: the simulated Slurm knows only now, not {value!r}")
    return spec


class UnknownField(ValueError):
    """A field that the simulated Slurm cannot change."""


def changed(spec: JobSpec, fields: tuple[tuple[str, str], ...]) -> JobSpec:
    """The run with these fields changed.

    Raises:
        UnknownField: a field that is not in `FIELDS`.
        ValueError: a value that makes no sense; names the field.
    """
    for name, value in fields:
        if name not in FIELDS:
            raise UnknownField(f"field {name!r} cannot be changed; one of {', '.join(FIELDS)}")
        spec = FIELDS[name](spec, value)
    return spec
