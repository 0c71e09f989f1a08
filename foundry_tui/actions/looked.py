"""What is new since the user last looked: the last glance is kept from one start to the next."""

from __future__ import annotations

import os
from collections.abc import Sequence

from foundry_tui.actions.site import Site
from foundry_tui.config.places import PlaceError, state_dir
from foundry_tui.estate.glance import Glance, glance
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.store.looked import Looked

__all__ = ["Glance", "keep_glance", "last_glance", "take_glance"]


def take_glance(
    site: Site, snapshot: Snapshot, runs: Sequence[Run], *, advice: int | None
) -> Glance:
    """How the estate stands in this reading, for the user of this site."""
    return glance(runs, snapshot.nodes, at=snapshot.generated_at, me=site.me, advice=advice)


def last_glance(site: Site) -> Glance | None:
    """How it stood when the user last looked; None when that was never, or is not kept."""
    kept = _kept(site)
    return None if kept is None else kept.load()


def keep_glance(site: Site, seen: Glance) -> bool:
    """Keep a glance for the next start; False when it cannot be kept."""
    kept = _kept(site)
    return kept is not None and kept.save(seen)


def _kept(site: Site) -> Looked | None:
    """The file of this estate; a saved estate does not change, so nothing is kept of it."""
    if site.mode == "saved":
        return None
    try:
        folder = state_dir(site.config.state_dir, os.environ).path
    except PlaceError:
        return None
    return Looked(folder, " ".join((site.mode, *sorted(site.schedulers))))
