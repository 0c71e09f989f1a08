"""A portable job spec as a submit: read, its source chosen, rendered for the scheduler there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from foundry_tui.actions.beside import NOT_SENT, NOTHING, Beside
from foundry_tui.actions.errors import SourceMissing, WrongUse
from foundry_tui.actions.scripts import read_script
from foundry_tui.actions.site import Site
from foundry_tui.actions.sources import Scheduler
from foundry_tui.actions.tracker import backend
from foundry_tui.estate.acts import Submit
from foundry_tui.jobs import mlproject
from foundry_tui.jobs.document import Document, read
from foundry_tui.jobs.errors import SpecError
from foundry_tui.jobs.program import Program
from foundry_tui.jobs.reading import from_document
from foundry_tui.jobs.render import Rendered, render
from foundry_tui.jobs.resolve import overridden, substituted
from foundry_tui.jobs.spec import JobSpec
from foundry_tui.jobs.target import Target
from foundry_tui.schedulers.ports import Sharing
from foundry_tui.tracking.link import EXPERIMENT

WAITS_NOT = {"runai": "Run:ai", "kai": "KAI"}
"""Kinds of schedulers that start no run behind another."""

_ID = re.compile(r"(?:\S+/)?[0-9]+(?:_[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Read:
    """A spec with what was given beside it; `path` is its file, `folder` where the run starts."""

    spec: JobSpec
    path: str
    folder: Path
    notes: tuple[str, ...] = ()

    def program(self) -> Program:
        """What the scheduler is given to run, with the params filled in.

        Raises:
            SpecError: the script beside the spec cannot be read.
        """
        if self.spec.file is None:
            script = substituted(self.spec).script or ""
            return Program(self.path, script.encode(), inline=True)
        try:
            name, data = read_script(str(Path(self.path).parent / self.spec.file), "a script")
        except WrongUse as error:
            raise SpecError(Path(self.path).name, None, "file", str(error)) from None
        return Program(name, data, inline=False)

    def deepspeed(self) -> bytes | None:
        """What the configuration of DeepSpeed beside the spec holds; None where it has none.

        Raises:
            SpecError: it cannot be read.
        """
        if self.spec.deepspeed_config is None:
            return None
        try:
            place = str(Path(self.path).parent / self.spec.deepspeed_config)
            return read_script(place, "a configuration of DeepSpeed")[1]
        except WrongUse as error:
            name = Path(self.path).name
            raise SpecError(name, None, "deepspeed_config", str(error)) from None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a spec asks for on one source; `notes` tell what that scheduler cannot express.

    `spec` is as it was resolved, `${param}` still in its script; `origin` is its file.
    """

    submit: Submit
    experiment: str | None
    notes: tuple[str, ...]
    spec: JobSpec
    origin: str


def read_spec(path: str, data: bytes, beside: Beside = NOTHING) -> Read:
    """The spec in a file, or of a folder's MLproject, with what is given beside it.

    Raises:
        WrongUse: it cannot be used; names file, line and field.
    """
    place = Path(path)
    try:
        if place.name != mlproject.FILE:
            if beside.entry is not None or beside.params:
                given = "-e" if beside.entry is not None else "-P"
                raise WrongUse(
                    f"{given} is for a folder with an MLproject; of a spec it is "
                    "--set params.NAME=VALUE"
                )
            document = overridden(read(place.name, data), beside.sets)
            return Read(from_document(document, default_name=place.stem), path, Path.cwd())
        folder = place.parent
        made = mlproject.document(data, _resources(folder), beside.entry, beside.params)
        document = overridden(made.document, beside.sets)
        spec = from_document(document, default_name=folder.name or "project")
        return Read(spec, path, folder, made.notes)
    except SpecError as error:
        raise WrongUse(str(error)) from error


def _resources(folder: Path) -> Document | None:
    """What `foundry.yaml` beside an MLproject says of resources; None where there is none."""
    place = folder / mlproject.RESOURCES
    if not place.exists():
        return None
    _, data = read_script(str(place))
    return read(place.name, data)


def asked(
    site: Site,
    source: str | None,
    path: str,
    data: bytes,
    beside: Beside = NOTHING,
    *,
    recorded: bool = True,
) -> Asked:
    """The submit that a spec describes. Nothing is sent. `recorded` is that of `render`.

    Raises:
        WrongUse: the spec cannot be used, or it does not say to which of several sources.
    """
    found = read_spec(path, data, beside)
    spec = found.spec
    name = source or _source(site, spec)
    scheduler = site.scheduler(name)
    kind = backend(site, name)
    try:
        shards = None if spec.gpu_share_milli is None else _shards(scheduler)
        target = Target(source=name, kind=kind, shards_per_gpu=shards)
        ready, waits = waited_for(found, kind, beside)
        made = rendered(replace(found, spec=ready), target, recorded=recorded)
    except SpecError as error:
        raise WrongUse(str(error)) from error
    experiment = spec.experiment or dict(spec.environment).get(EXPERIMENT)
    origin = str(Path(path).absolute())
    return Asked(made.submit, experiment, (*found.notes, *waits, *made.notes), ready, origin)


def rendered(found: Read, target: Target, *, recorded: bool = True) -> Rendered:
    """What a target would be given for a spec.

    Raises:
        SpecError: a field that it cannot take, or a file beside the spec that cannot be read.
    """
    return render(
        found.spec,
        target,
        found.program(),
        work_dir=str(found.folder),
        deepspeed=found.deepspeed(),
        recorded=recorded,
    )


def waited_for(found: Read, kind: str, beside: Beside) -> tuple[JobSpec, tuple[str, ...]]:
    """The spec with the ids of the runs that it needs, and notes on those that have none yet.

    Raises:
        SpecError: a need is neither an id nor the name of a spec that is submitted with it, or runs
            do not wait for others there.
    """
    needs, file = found.spec.needs, Path(found.path).name
    if needs and kind in WAITS_NOT:
        problem = (
            f"{WAITS_NOT[kind]} starts no run behind another; take it out and submit this one "
            f"when {', '.join(needs)} has ended, or use a Slurm source"
        )
        raise SpecError(file, None, "needs", problem)
    ids, notes = [], []
    for need in needs:
        run_id = beside.sent.get(need, need if _ID.fullmatch(need) else NOT_SENT)
        if run_id != NOT_SENT:
            ids.append(run_id)
        elif need in beside.sent or beside.later:
            notes.append(f"needs: it will wait for {need}, whose id is not known yet")
        else:
            problem = (
                f"{need!r} is no id of a run, and no spec of that name is submitted with this one; "
                f"name its file too: foundry submit OTHER.yaml {file}"
            )
            raise SpecError(file, None, "needs", problem)
    return replace(found.spec, needs=tuple(ids)), tuple(notes)


def _source(site: Site, spec: JobSpec) -> str:
    """The only source that takes submits, else the only one that has the queue of the spec."""
    if site.saved is not None:
        raise WrongUse("a saved estate (--estate) takes no submits")
    if not site.schedulers:
        raise SourceMissing("submit: there is no scheduler here; `foundry doctor` says why")
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
    snapshot = site.snapshot(measured=False)
    silent = {s.name for s in snapshot.sources if not s.usable}
    known = {n: {q.name for q in snapshot.queues if q.source == n} for n in names}
    wanted = set(queue.split(","))
    fits = [n for n in names if n in silent or wanted <= known[n]]
    why = f"{queue} is a queue of several sources" if fits else f"no source has the queue {queue}"
    return fits, f"{why}, or a source is silent" if silent & set(names) else why


def _shards(scheduler: Scheduler) -> int | None:
    return scheduler.shards_per_gpu() if isinstance(scheduler, Sharing) else None
