"""Submitting a run that is linked to a record of the tracking server.

The order makes every moment in which the program can be killed repairable: the pair is on disk
before the record is made, and the record before the run is sent. `foundry sync` mends what broke
off, by our file, by the record's tag and by the run's submit token.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tui.actions import record
from foundry_tui.actions.errors import ActionError, WrongUse
from foundry_tui.actions.tracker import backend, configured_experiment, on_loopback
from foundry_tui.changes import carry
from foundry_tui.estate import recorded
from foundry_tui.estate.acts import Change, Preview, ReceiptStatus, Submit
from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.slurm.directives import DirectiveError, parse
from foundry_tui.store.journal import JournalError
from foundry_tui.store.links import Link, LinkError
from foundry_tui.tracking import link as words
from foundry_tui.tracking.ports import Tracker, TrackerDown, TrackingError

if TYPE_CHECKING:
    from foundry_tui.actions.act import Prepared
    from foundry_tui.actions.site import Site
    from foundry_tui.jobs.record.collect import Collected

_SHOWN = words.NOT_MADE_YET

MAX_PROGRAMS = 8
MAX_PROGRAM_BYTES = 1 << 20
"""How many programs that a script names are looked into, and how much of each."""


class Unlinkable(ActionError):
    """The tracking server cannot take the run: nothing was sent. It could be sent unlinked."""

    def __init__(self, error: TrackingError) -> None:
        super().__init__(f"nothing was sent: {error}; --unlinked submits without a record")
        self.code = 3 if isinstance(error, TrackerDown) else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a submit would be linked; without an experiment it is not. `notes` are for the user."""

    experiment: str | None = None
    notes: tuple[str, ...] = ()


def plan(site: Site, act: Submit, experiment: str | None, *, unlinked: bool = False) -> Plan:
    """In which experiment the run's record would be made, and why. Asks no server.

    Raises:
        WrongUse: the experiment's name cannot be one.
    """
    if experiment is not None:
        _check("--experiment", experiment)
    notes = []
    if words.RUN_ID in os.environ:
        notes.append(f"${words.RUN_ID} of your environment goes along: the run logs to that record")
    if unlinked:
        return Plan(notes=tuple(notes))
    tracker = site.tracker
    if tracker is None:
        return Plan(notes=(f"not linked to MLflow: {site.untracked}", *notes))
    notes = []
    named, where = _named_in(act)
    others = [name for name in named if name != experiment]
    if experiment is None and len(named) == 1:
        experiment = named[0]
        notes.append(f"in the experiment {experiment}: {where} sets it")
    elif others:
        told = ", ".join(others)
        notes.append(
            f"{where} sets the experiment {told}: MLflow ends a program that sets another one than "
            "that of its record"
        )
    experiment = (
        experiment
        or os.environ.get(words.EXPERIMENT)
        or configured_experiment(site)
        or words.DEFAULT_EXPERIMENT
    )
    _check("the experiment", experiment)
    if on_loopback(tracker):
        notes.append(
            f"{tracker.url} is on this host alone: a run on another host does not reach it"
        )
    return Plan(experiment=experiment, notes=tuple(notes))


def _check(what: str, name: str) -> None:
    utf8 = name.encode("utf-8", "replace").decode() == name
    if not (utf8 and 0 < len(name.strip()) <= 500):
        shown = safe(name, max_cells=80)
        raise WrongUse(f"{what} {str(shown)!r}: a name has 1 to 500 characters of UTF-8")


def joined(
    asked: tuple[tuple[str, str], ...], ours: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """The variables that a submit asks for, and those that link it, which are stronger."""
    names = {name for name, _ in ours}
    return (*(pair for pair in asked if pair[0] not in names), *ours)


def previewed(site: Site, plan: Plan) -> tuple[tuple[str, str], ...]:
    """The variables that the run will get, as far as they are known before there is a record."""
    tracker = site.tracker
    if tracker is None or plan.experiment is None:
        return ()
    return _environment(tracker, plan.experiment, _SHOWN, _SHOWN, _SHOWN)


def _environment(
    tracker: Tracker, experiment: str, run_id: str, experiment_id: str, artifacts: str | None
) -> tuple[tuple[str, str], ...]:
    """The experiment's id only where the user's environment has one, which has to agree."""
    known = experiment_id if words.EXPERIMENT_ID in os.environ else None
    return words.environment(
        tracker.url, run_id, experiment, experiment_id=known, artifacts=artifacts
    )


def send(site: Site, prepared: Prepared, carry_out: Callable[[Site, Prepared], Change]) -> Change:
    """Make the record, fill it, send the run, and tie the two; `carry_out` alone sends.

    What cannot be written into the record is told, and the run is sent all the same.

    Raises:
        Unlinkable: the tracking server did not make a record; nothing was sent.
        ActionError: the pair cannot be written down; nothing was sent.
        Exception: as `carry_out`.
    """
    act, tracker, experiment = prepared.preview.act, site.tracker, prepared.experiment
    assert isinstance(act, Submit)
    assert experiment is not None
    if prepared.preview.refused:
        return carry_out(site, prepared)
    if tracker is None:
        gone = TrackerDown("the tracking server", "it was there at the preview and is not any more")
        raise Unlinkable(gone)
    from foundry_tui.jobs.record.collect import collect

    now = site.clock()
    link = Link.begin(
        token=prepared.token,
        source=prepared.source,
        server=tracker.url,
        experiment=experiment,
        now=now,
    )
    _must_keep(site, link)
    collected = collect(prepared.spec, prepared.origin, act)
    tags = {**_tags(site, prepared, act, collected.code.commit), **prepared.tags}
    try:
        made = tracker.create(experiment, name=_name(act), tags=tags, started_at=now)
    except TrackingError as error:
        if not isinstance(error, TrackerDown):
            # A refusal: nothing was made. After silence the pair stays open, and `sync` looks.
            _keep(site, replace(link, settled=True))
        raise Unlinkable(error) from error
    link = replace(link, mlflow_run_id=made.run_id, status=str(made.status))
    _must_keep(site, link)
    artifacts = words.artifacts_address(tracker.url, made.artifact_uri)
    given = _environment(tracker, experiment, made.run_id, made.experiment_id, artifacts)
    # What the preview showed in the place of a value that there is not, such as for a bucket.
    asked = tuple(pair for pair in act.environment if pair != (words.ARTIFACTS, _SHOWN))
    act = replace(act, environment=joined(asked, given))
    sent = replace(prepared, preview=_again(site, prepared, act))
    record.write(site, tracker, made, _with_request(collected, sent))
    link = replace(link, sent_at=site.clock())
    _must_keep(site, link)
    try:
        change = carry_out(site, sent)
    except carry.Unsettled:
        raise
    except (Unavailable, JournalError) as error:
        _failed(site, tracker, link, f"not sent: {error}")
        raise
    receipt = change.receipts[0]
    if receipt.status in (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED):
        adopt(site, prepared.token, receipt.target)
    elif receipt.status is ReceiptStatus.REFUSED:
        _failed(site, tracker, link, f"refused by {prepared.source}: {receipt.message or ''}")
    return change


def adopt(site: Site, token: str, native_id: str) -> None:
    """Tie a run that was submitted with this token to its record; what fails is left to `sync`."""
    link, tracker = site.links.find(token), site.tracker
    if link is None or link.native_id is not None or link.mlflow_run_id is None or tracker is None:
        return
    try:
        tracker.update(
            link.mlflow_run_id, tags=words.job_tag(backend(site, link.source), native_id)
        )
        site.links.save(replace(link, native_id=native_id))
    except (TrackingError, LinkError) as error:
        site.tell(f"{native_id} is not on its MLflow record yet ({error}); `foundry sync` mends it")


def _again(site: Site, prepared: Prepared, act: Submit) -> Preview:
    """The same submit spelled out with the id of its record."""
    return carry.preview(site.scheduler(prepared.source), act, (), prepared.token)


def _failed(site: Site, tracker: Tracker, link: Link, reason: str) -> None:
    """The run was not sent: its record says so."""
    told = {recorded.REASON_TAG: str(safe(reason, max_cells=1000)), recorded.SOURCE_TAG: "foundry"}
    status = TrackStatus.FAILED
    try:
        tracker.update(link.mlflow_run_id or "", status=status, ended_at=site.clock(), tags=told)
    except TrackingError as error:
        site.tell(f"its MLflow record still says {link.status} ({error}); `foundry sync` mends it")
        return
    _keep(site, replace(link, status=str(status), settled=True))


def _must_keep(site: Site, link: Link) -> None:
    try:
        site.links.save(link)
    except LinkError as error:
        raise ActionError(f"nothing was sent: {error}; --unlinked needs no link") from error


def _keep(site: Site, link: Link) -> None:
    try:
        site.links.save(link)
    except LinkError as error:
        site.tell(str(error))


def _name(act: Submit) -> str:
    """The name of the record: that of the job."""
    with suppress(DirectiveError):  # options of another scheduler, which has taken them
        found = parse(act.script, act.options)
        if name := found.get("job-name") or found.get("name"):
            return name
    return Path(act.script_name).name


def _with_request(collected: Collected, sent: Prepared) -> Collected:
    """With what will be sent, exactly, as an artifact."""
    from foundry_tui.jobs.record.collect import submitted

    act = sent.preview.act
    assert isinstance(act, Submit)
    data = submitted(act, sent.preview.items[0].command)
    return replace(collected, artifacts={**collected.artifacts, recorded.SUBMITTED_FILE: data})


def _tags(
    site: Site, prepared: Prepared, act: Submit, commit: words.Commit | None
) -> dict[str, str]:
    return words.tags(
        user=prepared.user,
        backend=backend(site, prepared.source),
        cluster=prepared.source,
        token=prepared.token,
        script=act.script_name,
        commit=commit,
    )


def _named_in(act: Submit) -> tuple[tuple[str, ...], str]:
    """The experiments that the script, or else a program that it runs, sets; and which file."""
    text = act.script.decode("utf-8", "replace")
    if named := words.named_experiments(text):
        return named, "the script"
    start = Path(act.work_dir or ".")
    with suppress(DirectiveError):  # the preview says what is wrong
        start /= parse(act.script, act.options).get("chdir", "")
    for program in words.python_files(text)[:MAX_PROGRAMS]:
        if named := words.named_experiments(_read(start / program)):
            return named, program
    return (), ""


def _read(path: Path) -> str:
    """The beginning of a program; nothing of a pipe, a device or what may not be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(MAX_PROGRAM_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
