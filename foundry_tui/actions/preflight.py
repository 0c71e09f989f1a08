"""Looking at what a submit of a spec needs before it is sent: one verdict over all checks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions.act import Prepared, prepare_submit
from foundry_tui.actions.beside import NOTHING, Beside
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.tracker import backend, on_loopback
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.jobs import mlproject
from foundry_tui.jobs.preflight import commands as own
from foundry_tui.jobs.preflight import data, estate, image, mlflow, places, quota
from foundry_tui.jobs.preflight.patience import within
from foundry_tui.jobs.preflight.places import SLURM, Ground
from foundry_tui.jobs.preflight.verdict import Check, State, Verdict, skipped
from foundry_tui.jobs.spec import Data, JobSpec
from foundry_tui.tracking.link import EXPERIMENT

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site

CONTAINER_OPTION = "--container-image"
"""Of sbatch, by the plug-in Pyxis."""

PLACES_S = 15.0
DATA_S = 120.0
"""Seconds after which a file system is taken as dead: for looking, and for reading one file."""


class Unfit(ActionError):
    """A check failed: nothing was sent."""

    def __init__(self, verdict: Verdict) -> None:
        count = len(verdict.failed)
        first = verdict.failed[0]
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(f"nothing was sent: {first.name}: {first.words}{more}")
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Looked:
    """A spec with where it would be sent, and what a preflight of it found."""

    source: str
    spec: JobSpec
    verdict: Verdict


def run(
    site: Site,
    prepared_spec: JobSpec,
    origin: Path,
    source: str,
    *,
    experiment: str | None,
    snapshot: Snapshot | None,
    commands: bool,
    told: Callable[[str], None],
    registry: bool = False,
) -> Verdict:
    """All checks of a spec that would be sent to a source. Nothing is sent.

    `origin` is the file of the spec, `experiment` that of its record. With `commands` the spec's
    own are run, unless something has failed before; `told` says which. With `registry` the image's
    registry is asked for the digest of its tag. What was not looked at is skipped, with the reason.
    """
    started = time.monotonic()
    spec, ground = prepared_spec, _ground(site, prepared_spec, origin, source)
    checks = [
        *within(PLACES_S, "paths", lambda: places.check(spec, ground)),
        *within(PLACES_S, "checkpoint", lambda: _checkpoint(spec, ground)),
        *estate.check(spec, snapshot, source, ground.kind),
        *_image(spec, ground, ask=registry),
        *_data(spec, ground),
        *_mlflow(site, spec, ground, experiment),
    ]
    checks += _commands(spec, ground, checks, told, run_them=commands)
    return Verdict(tuple(checks), time.monotonic() - started)


def require(verdict: Verdict) -> None:
    """Stop a submit for which a check failed.

    Raises:
        Unfit: one did.
    """
    if verdict.failed:
        raise Unfit(verdict)


def of_submit(
    site: Site,
    prepared: Prepared,
    *,
    commands: bool,
    told: Callable[[str], None],
    registry: bool = False,
    noted: bool = True,
) -> Verdict | None:
    """The preflight of a submit that is prepared; None of a batch script, which says no needs.

    Where the notes of the submit are shown too (`noted`), what they say is not said again.
    """
    if prepared.spec is None or prepared.origin is None:
        return None
    found = run(
        site,
        prepared.spec,
        Path(prepared.origin),
        prepared.source,
        experiment=prepared.experiment,
        snapshot=site.snapshot(measured=False),
        commands=commands,
        told=told,
        registry=registry,
    )
    if not noted:
        return found
    return replace(found, checks=tuple(c for c in found.checks if c.name not in mlflow.NOTED))


def look(
    site: Site,
    path: str,
    source: str | None,
    *,
    commands: bool,
    registry: bool,
    told: Callable[[str], None],
    beside: Beside = NOTHING,
) -> Looked:
    """The preflight of the spec in a file, or of a folder's MLproject, with what is given beside.

    Raises:
        WrongUse: it is no spec, cannot be used, or its source is not clear.
        ActionError: as `Site.scheduler`.
    """
    prepared = prepare_submit(site, source, (), path, (), sends=False, beside=beside)
    verdict = of_submit(
        site, prepared, commands=commands, told=told, registry=registry, noted=False
    )
    if verdict is None or prepared.spec is None:
        raise WrongUse(f"preflight: {path} is a batch script; a job spec says what it needs")
    return Looked(prepared.source, prepared.spec, verdict)


def _ground(site: Site, spec: JobSpec, origin: Path, source: str) -> Ground:
    beside = origin.absolute().parent
    start = beside if origin.name == mlproject.FILE else Path.cwd()
    kind = backend(site, source)
    return Ground(
        kind=kind,
        start=start,
        beside=beside,
        simulated=site.mode == "demo",
        contained=any(w.startswith(CONTAINER_OPTION) for w in spec.native(source, kind)),
    )


def _checkpoint(spec: JobSpec, ground: Ground) -> tuple[Check, ...]:
    checks, folder = places.checkpoint(spec, ground)
    return checks if folder is None else (*checks, quota.check(folder))


def _image(spec: JobSpec, ground: Ground, *, ask: bool) -> tuple[Check, ...]:
    if spec.image is not None and not ground.inside:
        words = "Slurm starts the program on the node itself; `options` may name a container"
        return (skipped(image.NAME, words),)
    if spec.image is None or not ask:
        return image.check(spec.image)
    found, why = image.asked(spec.image)
    return image.check(spec.image, found=found, why=why)


def _data(spec: JobSpec, ground: Ground) -> Iterable[Check]:
    for entry in spec.data:
        look = partial(_entry, entry, spec, ground)
        yield from within(DATA_S, f"data {entry.name}", look)


def _entry(entry: Data, spec: JobSpec, ground: Ground) -> tuple[Check, ...]:
    name, found = f"data {entry.name}", places.seen(entry.path, spec, ground)
    if found.path is None:
        return (skipped(name, f"{entry.path} is {found.why}"),)
    if ground.simulated and not os.path.lexists(found.path):
        why = f"{found.path} is not on this host, and the estate is simulated"
        return (skipped(name, why),)
    return data.check(entry, found.path, ground.beside)


def _mlflow(site: Site, spec: JobSpec, ground: Ground, experiment: str | None) -> tuple[Check, ...]:
    tracker = site.tracker
    return mlflow.check(
        spec,
        mlflow.programs(spec, ground),
        ground,
        experiment=experiment or spec.experiment or dict(spec.environment).get(EXPERIMENT),
        server=None if tracker is None else tracker.url,
        on_loopback=tracker is not None and on_loopback(tracker),
        inherited=mlflow.turned_on(os.environ.get(mlflow.SYSTEM_METRICS)),
    )


def _commands(
    spec: JobSpec,
    ground: Ground,
    before: Iterable[Check],
    told: Callable[[str], None],
    *,
    run_them: bool,
) -> tuple[Check, ...]:
    """They run where the program does if that is a folder of this host, else beside the spec."""
    if not run_them:
        return own.planned(spec.preflight)
    if any(check.state is State.FAIL for check in before):
        words = "not run, because a check before it failed"
        return (skipped(own.NAME, words),) if spec.preflight else ()
    folder = ground.beside
    if ground.kind == SLURM and spec.workdir is not None:
        folder = places.workdir(spec, ground)
    return own.run(spec.preflight, folder if folder.is_dir() else ground.beside, told)
