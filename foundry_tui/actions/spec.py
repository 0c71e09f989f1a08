"""A portable job spec as a submit: read, its source chosen, rendered for the scheduler there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foundry_tui.actions.act import read_script
from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.site import Site
from foundry_tui.actions.sources import Scheduler
from foundry_tui.actions.tracker import backend
from foundry_tui.estate.acts import Submit
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.reading import load
from foundry_tui.jobs.render import render
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.target import Target
from foundry_tui.schedulers.ports import Sharing
from foundry_tui.tracking.link import EXPERIMENT


@dataclass(frozen=True, slots=True)
class Asked:
    """What a spec asks for on one source; `notes` tell what that scheduler cannot express."""

    submit: Submit
    experiment: str | None
    notes: tuple[str, ...]


def asked(site: Site, source: str | None, path: str, data: bytes) -> Asked:
    """The submit that a spec describes. Nothing is sent.

    Raises:
        WrongUse: the spec cannot be used, or it does not say to which of several sources.
    """
    try:
        spec = load(path, data)
        name = source or _source(site, spec)
        scheduler = site.scheduler(name)
        shards = None if spec.gpu_share_milli is None else _shards(scheduler)
        target = Target(source=name, kind=backend(site, name), shards_per_gpu=shards)
        made = render(spec, target, _program(spec, path), work_dir=str(Path.cwd()))
    except SpecError as error:
        raise WrongUse(str(error)) from error
    experiment = spec.experiment or dict(spec.environment).get(EXPERIMENT)
    return Asked(made.submit, experiment, made.notes)


def _program(spec: JobSpec, path: str) -> Program:
    if spec.file is None:
        return Program(path, (spec.script or "").encode(), inline=True)
    try:
        name, data = read_script(str(Path(path).parent / spec.file))
    except WrongUse as error:
        raise SpecError(Path(path).name, None, "file", str(error)) from None
    return Program(name, data, inline=False)


def _source(site: Site, spec: JobSpec) -> str:
    """The only source that takes submits, else the only one that has the queue of the spec."""
    if site.saved is not None:
        raise WrongUse("a saved estate (--estate) takes no submits")
    names = [name for name, s in site.schedulers.items() if s.supports(Submit) is None]
    if len(names) == 1:
        return names[0]
    fits, why = names, "several sources here"
    if spec.queue.by_source:
        fits = [n for n in names if spec.queue.at(n, backend(site, n)) is not None]
        why = "the spec names queues of several sources" if fits else "no queue is for a source"
    elif spec.queue.everywhere is not None:
        fits, why = _with_queue(site, names, spec.queue.everywhere)
    if len(fits) == 1:
        return fits[0]
    raise WrongUse(f"submit: {why}: name one with --source: {', '.join(fits or names)}")


def _with_queue(site: Site, names: list[str], queue: str) -> tuple[list[str], str]:
    """The sources that have all these queues. One that is silent may have them too."""
    snapshot = site.snapshot()
    silent = {s.name for s in snapshot.sources if not s.usable}
    known = {n: {q.name for q in snapshot.queues if q.source == n} for n in names}
    wanted = set(queue.split(","))
    fits = [n for n in names if n in silent or wanted <= known[n]]
    why = f"{queue} is a queue of several sources" if fits else f"no source has the queue {queue}"
    return fits, f"{why}, or a source is silent" if silent & set(names) else why


def _shards(scheduler: Scheduler) -> int | None:
    return scheduler.shards_per_gpu() if isinstance(scheduler, Sharing) else None
