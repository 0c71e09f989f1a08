"""Notes and tags on the record of a run, seen by everybody who uses the tracking server.

A change of a record is not in the journal, which is of schedulers: the former text is given back,
so that it can be written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import NothingMatched, WrongUse
from foundry_tui.actions.experiments import find
from foundry_tui.actions.experiments.mirrored import keep, keep_experiments
from foundry_tui.actions.experiments.server import refusals, tracker_of, writable
from foundry_tui.estate.recorded import HEADLINE_TAG, NOTE_TAG
from foundry_tui.estate.text import safe
from foundry_tui.experiments import best
from foundry_tui.tracking.link import MAX_TAG_CHARS

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site
    from foundry_tui.estate.tracked import TrackedRun

OURS = ("mlflow.", "foundry.")
"""Beginnings of tags that programs write and rely on: no person sets them here."""

MOST_KEY_CHARS = 250
"""MLflow takes no longer key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A note or a tag of a run: what it was before, None for none, and what it is now."""

    run: TrackedRun
    key: str
    before: str | None
    after: str | None

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return self.before != self.after


def note(site: Site, reference: str, text: str | None = None) -> Noted:
    """The note of a run; with a text it is written in place of the former one.

    Raises:
        WrongUse: the text is too long.
        NothingMatched, SourceMissing, ActionError: no such run, no server, or it refuses.
    """
    if text is None:
        run = _now(site, find.resolve(site, reference))
        known = run.tags.get(NOTE_TAG)
        return Noted(run=run, key=NOTE_TAG, before=known, after=known)
    return write(site, reference, {NOTE_TAG: text.strip()})[0]


def tag(site: Site, reference: str, tags: Mapping[str, str]) -> tuple[Noted, ...]:
    """Set tags of a run.

    Raises:
        WrongUse: a key or a value that must not be set, or is too long.
        NothingMatched, SourceMissing, ActionError: as `note`.
    """
    for key in tags:
        if not key.strip() or key.startswith(OURS) or len(key) > MOST_KEY_CHARS:
            raise WrongUse(
                f"tag {safe(key, max_cells=60)!r}: a key has 1 to {MOST_KEY_CHARS} characters and "
                f"does not begin with {' or '.join(OURS)}, which programs write"
            )
    return write(site, reference, tags)


def write(site: Site, reference: str, tags: Mapping[str, str]) -> tuple[Noted, ...]:
    """Set these tags, after the former values have been read. Nothing is written that is so."""
    writable(site, "tag" if NOTE_TAG not in tags else "note")
    for key, value in tags.items():
        if len(value) > MAX_TAG_CHARS:
            words = f"{safe(key)}: {len(value)} characters; a tag holds {MAX_TAG_CHARS}"
            raise WrongUse(words)
    run = _now(site, find.resolve(site, reference))
    new = {key: value for key, value in tags.items() if run.tags.get(key) != value}
    if new:
        with refusals():
            tracker_of(site, "tags").update(run.run_id, tags=new)
        # The lists of this user come from a copy, which would learn of a tag only much later.
        keep(site, run.run_id, replace(run, tags={**run.tags, **new}))
    return tuple(
        Noted(run=run, key=key, before=run.tags.get(key), after=value)
        for key, value in tags.items()
    )


def set_headline(site: Site, experiment: str, headline: str) -> str | None:
    """Write down what an experiment is about, `metric:max` or `metric:min`; what it was before.

    Raises:
        WrongUse: it is no such headline.
        NothingMatched: there is no experiment of this name or id.
        SourceMissing, ActionError: as `note`.
    """
    if best.headline(headline) is None:
        shown = safe(headline, max_cells=60)
        raise WrongUse(f"headline {shown!r}: give METRIC:max or METRIC:min, such as val_loss:min")
    writable(site, "headline")
    with refusals():
        tracker = tracker_of(site, "headline")
        known = tracker.experiments()
        found = next((one for one in known if experiment in (one.name, one.id)), None)
        if found is None:
            shown = safe(experiment, max_cells=80)
            raise NothingMatched(f"no experiment {shown!r} at {tracker.url}")
        tracker.tag_experiment(found.id, HEADLINE_TAG, headline)
        keep_experiments(site, tracker.experiments())
    return found.tags.get(HEADLINE_TAG)


def _now(site: Site, run: TrackedRun) -> TrackedRun:
    """The run as the server has it: what is shown as the former text must be that."""
    with refusals():
        known = tracker_of(site, "tags").get(run.run_id)
    if known is None:
        raise NothingMatched(f"the record {run.run_id} has been deleted")
    return known
