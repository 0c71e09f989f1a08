"""Scripts that the user's own records hold: what foundry itself has sent, by its submit token."""

from __future__ import annotations

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Site
from foundry_tui.estate.recorded import SPEC_FILE, SUBMITTED_FILE
from foundry_tui.jobs.errors import SpecError
from foundry_tui.migration.census import Reading, portable, reading, spec_refused
from foundry_tui.migration.nouns import Tables
from foundry_tui.migration.rendering import ManifestError, manifests
from foundry_tui.migration.translate import translate
from foundry_tui.tracking.ports import TrackingError

MAX_SPEC_BYTES = 1 << 20
MAX_SCRIPT_BYTES = 8 << 20

_BREAK = b"\n\n--- "
"""What stands between the command and the script (`jobs.record.collect.submitted`)."""


def recorded(site: Site, token: str | None, tables: Tables, target: str) -> Reading | None:
    """What the record of a run says of moving it; None where there is no such record to read.

    A run that a job spec made is portable already, as far as the target takes the spec.
    """
    if token is None or site.mode != "live":
        return None
    try:
        link = site.links.find(token)
        tracker = None if link is None or link.mlflow_run_id is None else site.tracker
        if tracker is None or link is None:
            return None
        run = tracker.get(link.mlflow_run_id or "")
        if run is None:
            return None
        spec = tracker.read_artifact(run, SPEC_FILE, most_bytes=MAX_SPEC_BYTES)
        if spec is not None:
            return _of_spec(spec, target)
        sent = tracker.read_artifact(run, SUBMITTED_FILE, most_bytes=MAX_SCRIPT_BYTES)
    except (ActionError, TrackingError):
        return None
    script = (sent or b"").partition(_BREAK)[2].partition(b"\n")[2]
    return reading(translate("record.sh", script, tables, target)) if script else None


def _of_spec(data: bytes, target: str) -> Reading:
    from foundry_tui.jobs.reading import load

    try:
        manifests(load("spec.yaml", data), target, {})
    except (SpecError, ManifestError) as error:
        return spec_refused(str(error))
    return portable()
