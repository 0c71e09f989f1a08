"""Arithmetic of a distributed run, done before it waits in a queue to fail at its first step."""

from __future__ import annotations

import json

from foundry_tui.jobs.errors import SpecError, shown
from foundry_tui.jobs.launchers import torchrun
from foundry_tui.jobs.spec import JobSpec, Launcher

_TRAIN = "train_batch_size"
_MICRO = "train_micro_batch_size_per_gpu"
_STEPS = "gradient_accumulation_steps"
_FIELD = "deepspeed_config"
_AUTO = "auto"


def check(
    spec: JobSpec, deepspeed: bytes | None = None, *, name: str | None = None
) -> tuple[str, ...]:
    """What there is to know of the processes of a run; `deepspeed` is its `ds_config.json`.

    `name` is the file of the spec, for errors.

    Raises:
        SpecError: tp * pp * dp is not the number of processes, or DeepSpeed would refuse its batch
            sizes.
    """
    found: list[str] = []
    place = name or spec.name
    _launched(spec, found)
    _parallel(spec, place, found)
    if deepspeed is not None:
        _deepspeed(spec, deepspeed, place, found)
    return tuple(found)


def _launched(spec: JobSpec, found: list[str]) -> None:
    several = spec.launcher is not Launcher.NONE
    if spec.processes is not None and not several:
        found.append("processes: without a `launcher` one process starts on each node")
    if several and spec.processes and spec.gpus and spec.processes != spec.gpus:
        found.append(
            f"processes: {spec.processes} on each node share {spec.gpus} GPUs; most programs take "
            "one GPU for each process"
        )
    if spec.restarts is not None and spec.launcher not in torchrun.LAUNCHERS:
        found.append("restarts: only torchrun and deepspeed restart their processes")
    if spec.deepspeed_config is not None and spec.launcher is not Launcher.DEEPSPEED:
        found.append("deepspeed_config: checked, though `launcher` is not deepspeed")


def _parallel(spec: JobSpec, place: str, found: list[str]) -> None:
    if (parallel := spec.parallel) is None:
        return
    wanted = parallel.tp * parallel.pp * parallel.dp
    nodes, each = spec.nodes or 1, spec.processes_per_node
    if wanted != spec.world_size:
        raise SpecError(
            place,
            None,
            "parallel",
            f"tp {parallel.tp} * pp {parallel.pp} * dp {parallel.dp} = {wanted}, but {nodes} "
            f"node{'s' if nodes != 1 else ''} * {each} process{'es' if each != 1 else ''} = "
            f"{spec.world_size}; make both the same",
        )
    if parallel.tp > each:
        found.append(
            f"parallel.tp: {parallel.tp} is more than the {each} processes of a node; its traffic "
            "crosses the network at every layer"
        )
    if spec.nodes_most is not None:
        found.append(f"parallel: holds for {nodes} nodes; with more of them dp has to grow")


def _deepspeed(spec: JobSpec, data: bytes, place: str, found: list[str]) -> None:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        problem = f"{spec.deepspeed_config}: no JSON: {error}"
        raise SpecError(place, None, _FIELD, problem) from None
    if not isinstance(config, dict):
        problem = f"{spec.deepspeed_config}: expected a table, not {shown(config)}"
        raise SpecError(place, None, _FIELD, problem)
    _batches(spec, config, place, found)
    _zero(config, found)


def _batches(spec: JobSpec, config: dict[str, object], place: str, found: list[str]) -> None:
    """train_batch_size = micro batch * accumulation steps * data-parallel processes.

    DeepSpeed derives the one that is missing, and asserts it (`DeepSpeedConfig` of its runtime).
    """
    elastic = config.get("elasticity")
    if isinstance(elastic, dict) and elastic.get("enabled") is True:
        found.append("deepspeed: elasticity is enabled, so it chooses the batch sizes itself")
        return
    sizes = {key: _size(spec, config.get(key), key, place) for key in (_TRAIN, _MICRO, _STEPS)}
    autos = [key for key in sizes if config.get(key) == _AUTO]
    if autos:
        found.append(f"deepspeed: {', '.join(autos)} is `auto`: the program has to fill it in")
    train, micro, steps = sizes.values()
    world = spec.world_size if spec.parallel is None else spec.parallel.dp
    if spec.nodes_most is not None:
        found.append(f"deepspeed: batch sizes are checked for {spec.nodes} nodes only")
    if train is None:
        if micro is None and not autos:
            problem = f"{spec.deepspeed_config}: neither {_TRAIN} nor {_MICRO} is given; give one"
            raise SpecError(place, None, _FIELD, problem)
        return
    known = (micro or 1) * (steps or 1) * world
    text = f"{_TRAIN} is {train}, but "
    parts = [f"{_MICRO} {micro}"] if micro else []
    parts += [f"{_STEPS} {steps}"] if steps else []
    product = " * ".join([*parts, f"{world} {'processes' if spec.parallel is None else 'dp'}"])
    if micro and steps and known != train:
        problem = f"{spec.deepspeed_config}: {text}{product} = {known}"
        raise SpecError(place, None, _FIELD, problem)
    if train % known:
        problem = f"{spec.deepspeed_config}: {text}it is no multiple of {product} = {known}"
        raise SpecError(place, None, _FIELD, problem)


def _size(spec: JobSpec, value: object, key: str, place: str) -> int | None:
    if value is None or value == _AUTO:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(
            place,
            None,
            _FIELD,
            f"{spec.deepspeed_config}: {key}: expected a whole number above 0 or `auto`, not "
            f"{shown(value)}",
        )
    return value


def _zero(config: dict[str, object], found: list[str]) -> None:
    """The stage of ZeRO and what it moves off the GPU, in one note."""
    zero = config.get("zero_optimization")
    if not isinstance(zero, dict):
        return
    moved = []
    for key, word in (("offload_optimizer", "optimizer"), ("offload_param", "parameters")):
        part = zero.get(key)
        device = part.get("device", "cpu") if isinstance(part, dict) else None
        if device is not None and device != "none":
            moved.append(f"{word} offloaded to {shown(device)}")
    stage = shown(zero.get("stage", 0)).removeprefix("the number ")
    found.append(", ".join([f"deepspeed: ZeRO stage {stage}", *moved]))
