"""Acting: every change goes through preview, journal, perform and reading back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions import link
from foundry_tui.actions.beside import NOTHING, Beside
from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.permitted import by_policy
from foundry_tui.actions.scripts import is_spec, program_of, read_script
from foundry_tui.actions.site import Site
from foundry_tui.changes import carry
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    Change,
    Hold,
    Preview,
    Receipt,
    Release,
    Requeue,
    Resume,
    Submit,
    Suspend,
)
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.schedulers.ports import SchedulerError, Unavailable
from foundry_tui.schedulers.slurm.directives import DirectiveError
from foundry_tui.store.journal import OPEN, JournalError, Record

if TYPE_CHECKING:
    from foundry_tui.actions.spec import Asked
    from foundry_tui.jobs.spec import JobSpec

PlainAct = type[Cancel] | type[Hold] | type[Release] | type[Requeue] | type[Suspend] | type[Resume]

RUN_ACTS: dict[str, PlainAct] = {
    "cancel": Cancel,
    "hold": Hold,
    "release": Release,
    "requeue": Requeue,
    "suspend": Suspend,
    "resume": Resume,
}
"""The acts that need nothing but runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An act that is ready to be sent: its preview, its token, what it takes back.

    `count` is how many runs it touches, each task of an array for itself: the number that is
    typed to confirm. `user` is the one who sends it. A submit that will be linked has the
    `experiment` of its record; `notes` say how that came about, or why it is not linked. Of a job
    spec it has that `spec` as it was resolved, and the absolute path of its file (`origin`).
    `tags` are set on its record, beside those that every record has.
    """

    source: str
    preview: Preview
    token: str
    user: str
    count: int = 1
    undoes: str | None = None
    experiment: str | None = None
    notes: tuple[str, ...] = ()
    spec: JobSpec | None = None
    origin: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def one_own(self) -> bool:
        """Whether it touches a single run of the current user."""
        going = [item for item in self.preview.items if item.refusal is None]
        return self.count == 1 and len(going) == 1 and going[0].owner == self.user


def prepare(site: Site, verb: str, snapshot: Snapshot, runs: Iterable[Run]) -> tuple[Prepared, ...]:
    """The act on these runs of a snapshot, one preview per source. Nothing is sent.

    Raises:
        SourceMissing: a source did not answer just now, so nothing can be sent to it.
        ActionError: read-only, or the act is not possible there.
        NothingMatched: no run was selected.
    """
    may_change(site, verb)
    by_source: dict[str, list[Run]] = {}
    for run in runs:
        by_source.setdefault(run.source, []).append(run)
    if not by_source:
        raise NothingMatched(f"{verb}: no run was selected")
    prepared = []
    for source, chosen in by_source.items():
        _answers(snapshot, source)
        act = RUN_ACTS[verb](source=source, runs=tuple(r.id for r in chosen))
        if (words := by_policy(site, act, {r.id: r for r in chosen}, snapshot)) is not None:
            raise ActionError(f"{verb}: {words}")
        prepared.append(_prepared(site, source, act, tuple(chosen)))
    return tuple(prepared)


def unsupported(site: Site, verb: str, source: str) -> str | None:
    """Why a source cannot do an act at all, in its own words; None when it can, or is not here."""
    scheduler = site.schedulers.get(source)
    return None if scheduler is None else scheduler.supports(RUN_ACTS[verb])


def _answers(snapshot: Snapshot, source: str) -> None:
    for one in snapshot.sources:
        if one.name == source and not one.usable:
            raise SourceMissing(f"nothing was sent: {source} is {one.state}: {one.reason}")


def may_change(site: Site, verb: str) -> None:
    """Raises SourceMissing or ActionError where nothing can be changed here."""
    if site.unasked and not site.playing:
        raise SourceMissing(
            f"{verb}: no scheduler was found on this host, and nothing was sent; `foundry doctor` "
            "says why, --demo plays on the simulated estate"
        )
    if site.options.read_only or site.config.read_only:
        raise ActionError(
            f"{verb}: read-only, nothing is changed (--read-only or the configuration)"
        )


def _prepared(
    site: Site, source: str, act: Act, runs: tuple[Run, ...], undoes: str | None = None
) -> Prepared:
    token = carry.new_token()
    try:
        preview = carry.preview(site.scheduler(source), act, runs, token)
    except carry.ChangeError as error:
        raise ActionError(str(error)) from error
    except ValueError as error:
        raise WrongUse(str(error)) from error
    return Prepared(
        source=source,
        preview=preview,
        token=token,
        user=site.user(source),
        count=_touched(preview, runs),
        undoes=undoes,
    )


def _touched(preview: Preview, runs: tuple[Run, ...]) -> int:
    """How many runs the items that are not refused touch, each task of an array for itself."""
    tasks = {run.id: run.count for run in runs}
    return sum(tasks.get(i.target, 1) for i in preview.items if i.refusal is None)


def perform(site: Site, prepared: Prepared) -> Change:
    """Send what was previewed and read it back; a submit is linked first where it can be.

    Raises:
        link.Unlinkable: the tracking server made no record; nothing was sent.
        ActionError: the journal cannot be written; nothing was sent.
        SourceMissing: the source does not answer; nothing was sent.
    """
    try:
        if prepared.experiment is not None:
            return link.send(site, prepared, _carry_out)
        return _carry_out(site, prepared)
    except carry.NotRecorded as error:
        raise ActionError(str(error)) from error
    except JournalError as error:
        raise ActionError(f"nothing was sent, because the journal failed: {error}") from error
    except carry.Unsettled as error:
        raise SourceMissing(str(error)) from error
    except Unavailable as error:
        raise SourceMissing(f"nothing was sent: {error}") from error


def _carry_out(site: Site, prepared: Prepared) -> Change:
    return carry.carry_out(
        site.scheduler(prepared.source),
        site.journal,
        prepared.preview,
        prepared.token,
        clock=site.clock,
        undoes=prepared.undoes,
    )


def prepare_submit(
    site: Site,
    source: str | None,
    options: tuple[str, ...],
    script: str,
    script_args: tuple[str, ...],
    *,
    experiment: str | None = None,
    unlinked: bool = False,
    sends: bool = True,
    beside: Beside = NOTHING,
) -> Prepared:
    """A submit of a job spec, or of a batch script with options as `sbatch` takes them.

    `script` may be a folder with an MLproject too, which counts as a spec; `beside` is what is
    given for specs alone. Nothing is sent; `sends` says that it is meant to be. Unless it is to be
    `unlinked`, it will be linked to a record in `experiment`, or in the one that the spec, the
    script or the configuration names.

    Raises:
        WrongUse: the file cannot be read, or something in it cannot be understood.
        ActionError: it is meant to be sent, and that is not possible here.
    """
    if sends:
        may_change(site, "submit")
    try:
        path, data = read_script(program_of(script))
        found: Asked | None = None
        if is_spec(path, data):
            _alone((*options, *script_args))
            from foundry_tui.actions import spec

            linked = not unlinked and site.tracker is not None
            found = spec.asked(site, source, path, data, beside, recorded=linked)
            act, experiment = found.submit, experiment or found.experiment
        else:
            _no_spec(path, beside)
            act = Submit(
                source=source or _default_source(site),
                script=data,
                script_name=path,
                options=options,
                script_args=script_args,
                work_dir=str(Path.cwd()),
            )
        plan = link.plan(site, act, experiment, unlinked=unlinked)
        act = replace(act, environment=link.joined(act.environment, link.previewed(site, plan)))
        prepared = _prepared(site, act.source, act, ())
        return replace(
            prepared,
            experiment=plan.experiment,
            notes=(*(found.notes if found else ()), *plan.notes),
            spec=found.spec if found else None,
            origin=found.origin if found else None,
            tags=beside.tags,
        )
    except DirectiveError as error:
        raise WrongUse(f"submit: {error}") from error


def _alone(words: tuple[str, ...]) -> None:
    if words:
        raise WrongUse(
            f"submit: {words[0]!r} beside a job spec: it says everything itself; native options "
            "stand in it under `options`, and arguments in its `command`"
        )


def _no_spec(path: str, beside: Beside) -> None:
    given = "--set" if beside.sets else "-e" if beside.entry else "-P" if beside.params else None
    if given is not None:
        raise WrongUse(f"submit: {given} is for job specs, and {path} is a batch script")


def _default_source(site: Site) -> str:
    if site.saved is not None:
        raise WrongUse("a saved estate (--estate) takes no submits")
    names = list(site.schedulers)
    if not names:
        raise SourceMissing("submit: there is no scheduler here; `foundry doctor` says why")
    slurm = [n for n in names if site.schedulers[n].supports(Hold) is None]
    if len(slurm) == 1 or len(names) == 1:
        return (slurm or names)[0]
    raise WrongUse(f"submit: several sources here, name one with --source: {', '.join(names)}")


def first_try(site: Site, prepared: Prepared) -> tuple[Record, Receipt] | None:
    """An earlier, broken-off try of the same submit that did reach the scheduler.

    Settles every change that was left open. So a submit that was killed in the middle is found by
    its token, and is never sent twice.

    Raises:
        SourceMissing: whether a broken-off try of this very submit arrived is not known yet.
        ActionError: the journal cannot be used.
    """
    wanted = carry.digest(prepared.preview.act)
    now = site.clock()
    try:
        carry.settle_open(site.schedulers, site.journal, now)
        for record in site.journal.changes():
            if record.change.status == carry.FOUND and record.digest == wanted:
                # Told once: the same submit asked for again after this is meant.
                site.journal.finish(record.change.id, "done", record.change.receipts)
                link.adopt(site, record.token or "", record.change.receipts[0].target)
                return record, record.change.receipts[0]
            if record.change.status != OPEN or record.digest != wanted or carry.at_work(record):
                continue
            raise SourceMissing(
                f"an earlier try of this submit ({record.change.id}) may have reached "
                f"{record.source} and is not found there yet: nothing was sent; try again in two "
                "minutes, or with --new if you know that it did not arrive"
            )
    except JournalError as error:
        raise ActionError(f"nothing was sent, because the journal failed: {error}") from error
    return None


def prepare_undo(site: Site, change_id: str, snapshot: Snapshot) -> Prepared:
    """The one act that takes a single change back, as far as it still stands.

    A plan, and what needs several acts, is `actions.undoing`'s.

    Raises:
        NothingMatched: no such change.
        ActionError: it cannot be taken back.
    """
    from foundry_tui.actions import undoing

    first = undoing.prepare(site, change_id, snapshot).backs[0]
    targets_ = set(getattr(first.act, "runs", ()))
    known = tuple(r for r in snapshot.runs if r.id in targets_)
    undoes = change_id if first.record is None else first.record.change.id
    return _prepared(site, first.act.source, first.act, known, undoes=undoes)


def settle(site: Site) -> tuple[tuple[Record, Receipt], ...]:
    """Settle changes that were broken off; errors of the sources leave them open."""
    try:
        return carry.settle_open(site.schedulers, site.journal, site.clock())
    except (JournalError, SchedulerError):
        return ()
