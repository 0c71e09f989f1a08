"""The manifests of a translated script: requests of Run:ai, or objects of Kubernetes for KAI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.podscript import TASKS
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.render import render
from foundry_tui.jobs.spec import JobSpec, Launcher
from foundry_tui.jobs.target import Target

MAX_WORKLOADS = 1000
"""Cap on the workloads of one array: more are for a sweep."""

_INDEXED = re.compile(r"0(?:-[0-9]+)?(?:%[0-9]+)?")


class ManifestError(ValueError):
    """What the target cannot take; in its words."""


def manifests(
    spec: JobSpec, target: str, labels: Mapping[str, str]
) -> tuple[tuple[Mapping[str, object], ...], tuple[str, ...]]:
    """The manifests of a spec for a kind of scheduler, and what there is to know of them.

    `labels` are what nodes must have. A run that waits for others is made without that.

    Raises:
        ManifestError: the target cannot take it.
    """
    made, notes = [], []
    for one in _each(replace(spec, needs=()), target):
        document, told = _made(one, target)
        made.append(_labelled(document, target, labels))
        notes += [note for note in told if note not in notes]
    return tuple(made), tuple(notes)


def _each(spec: JobSpec, target: str) -> Iterator[JobSpec]:
    """The spec, or one for each task of an array that the target cannot count itself."""
    several = spec.launcher is not Launcher.NONE or (spec.nodes or 1) > 1
    if spec.array is None or (target == "kai" and not several and _INDEXED.fullmatch(spec.array)):
        yield spec
        return
    tasks = indexes(spec.array)
    if len(tasks) > MAX_WORKLOADS:
        raise ManifestError(
            f"array: {len(tasks)} tasks would be as many workloads; at most {MAX_WORKLOADS}"
        )
    for task in tasks:
        environment = (*spec.environment, (TASKS[0], str(task)), (TASKS[1], str(task)))
        name = f"{spec.name[:30]}-{task}"
        yield replace(spec, array=None, name=name, environment=environment)


def indexes(array: str) -> tuple[int, ...]:
    """The indexes of `0-9:2,15%4`; at most one more than `MAX_WORKLOADS`."""
    found: list[int] = []
    for part in array.partition("%")[0].split(","):
        first, _, rest = part.partition("-")
        last, _, step = rest.partition(":")
        span = range(int(first), int(last or first) + 1, int(step or 1))
        found += span[: MAX_WORKLOADS + 1 - len(found)]
    return tuple(found)


def _made(spec: JobSpec, target: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    program = Program(f"{spec.name}.sh", (spec.script or "").encode(), inline=True)
    try:
        done = render(
            spec, Target(source=target, kind=target), program, work_dir=None, recorded=False
        )
        if target == "kai":
            from foundry_tui.schedulers.kai.manifest import document as manifest

            return dict(manifest(done.submit)), done.notes
        from foundry_tui.schedulers.runai.request import document as request

        return dict(request(done.submit)), done.notes
    except SpecError as error:
        raise ManifestError(str(error).partition(": ")[2] or str(error)) from None
    except ValueError as error:
        raise ManifestError(str(error)) from None


def _labelled(document: dict[str, Any], target: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The manifest with labels that its nodes must have."""
    if not labels:
        return document
    if target == "kai":
        for pod in _pods(document):
            pod["nodeSelector"] = {**pod.get("nodeSelector", {}), **labels}
        return document
    terms = [{"key": k, "operator": "In", "values": [v]} for k, v in labels.items()]
    required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
    document["spec"]["nodeAffinityRequired"] = required
    return document


def _pods(document: Any) -> Iterator[dict[str, Any]]:
    """The specs of all pods in an object: what has containers."""
    if isinstance(document, dict):
        if "containers" in document:
            yield document
        else:
            for value in document.values():
                yield from _pods(value)
