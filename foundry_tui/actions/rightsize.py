"""The advised share of a GPU as a change of the run's spec: shown as a diff, written when asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foundry_tui.actions import track
from foundry_tui.actions.errors import ActionError, NothingMatched, WrongUse
from foundry_tui.actions.scripts import read_script
from foundry_tui.actions.site import Site
from foundry_tui.estate.fractions import Fractions
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.recorded import SPEC_FILE
from foundry_tui.estate.snapshot import Snapshot, find_run
from foundry_tui.schedulers.ports import SchedulerError, Sharing
from foundry_tui.tracking.ports import TrackingError

MAX_SPEC_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecChange:
    """A spec before and after; `path` is None where it is the one that the record kept.

    `note` says that the source of the run gives no shares.
    """

    run: str
    share_milli: int
    name: str
    path: Path | None
    after: bytes
    difference: str
    note: str | None = None


def spec_change(
    site: Site, snapshot: Snapshot, found: Fractions, spec: str | None = None
) -> SpecChange:
    """The advice of the one run that `found` is about, as a change of its spec.

    `spec` is the file; without it the spec that the run's record kept is taken.

    Raises:
        WrongUse: there is not exactly one run with advice, or the file is no spec.
        NothingMatched: the record holds no spec.
        ActionError: the tracking server does not give it.
    """
    from foundry_tui.jobs.amend import amended, difference
    from foundry_tui.jobs.errors import SpecError

    advised = [a for a in found.runs if a.advised_milli is not None]
    if len(advised) != 1:
        told = f"{len(advised)} of {len(found.runs)} runs have advice"
        raise WrongUse(f"a change of a spec is for one run with advice: name it; {told}")
    (advice,) = advised
    assert advice.advised_milli is not None
    path, before = _spec(site, snapshot, advice.run, spec)
    name = path.name if path is not None else SPEC_FILE
    value = f"{advice.advised_milli / WHOLE_MILLI:.3f}".rstrip("0").rstrip(".")
    try:
        after = amended(name, before, "gpu_share", value, after="gpus")
    except SpecError as error:
        raise WrongUse(str(error)) from error
    return SpecChange(
        run=advice.run,
        share_milli=advice.advised_milli,
        name=name,
        path=path,
        after=after,
        difference=difference(name, before, after),
        note=_unshared(site, advice.run),
    )


def _unshared(site: Site, run_id: str) -> str | None:
    """That a share would be asked for in vain where the run is."""
    source = run_id.partition("/")[0]
    scheduler: object = site.schedulers.get(source)
    try:
        if not isinstance(scheduler, Sharing) or scheduler.shards_per_gpu() is not None:
            return None
    except SchedulerError as error:
        return f"whether {source} cuts GPUs into shares is not known: {error}"
    return f"{source} cuts its GPUs into no shares (Slurm shards): there it gets a whole one still"


def _spec(
    site: Site, snapshot: Snapshot, run_id: str, spec: str | None
) -> tuple[Path | None, bytes]:
    if spec is not None:
        path, data = read_script(spec)
        return Path(path), data
    run = find_run(snapshot.runs, run_id)
    tracked = track.record(site, run) if run is not None else None
    ask = "name the file with --spec FILE"
    if tracked is None or tracked.record is None or site.tracker is None:
        why = "it has no record" if tracked is None or not tracked.reason else str(tracked.reason)
        raise NothingMatched(f"the spec of {run_id}: {why}; {ask}")
    try:
        kept = site.tracker.read_artifact(tracked.record, SPEC_FILE, most_bytes=MAX_SPEC_BYTES)
    except TrackingError as error:
        raise ActionError(f"the spec of {run_id}: {error}; {ask}") from error
    if kept is None:
        raise NothingMatched(f"the record of {run_id} holds no {SPEC_FILE}; {ask}")
    return None, kept
