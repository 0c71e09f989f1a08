"""When a prepared submit would start, for a dry run: told, or why it cannot be told."""

from __future__ import annotations

from foundry_tui.actions import draft
from foundry_tui.actions.act import Prepared
from foundry_tui.actions.site import Site
from foundry_tui.schedulers.ports import SchedulerError


def start(site: Site, prepared: Prepared) -> draft.Start | str:
    """What the scheduler says of a start; nothing is submitted. Text where it does not say."""
    if prepared.preview.refused:
        return "not asked, because it would be refused"
    try:
        return draft.estimate(site, prepared)
    except SchedulerError as error:
        return str(error)
