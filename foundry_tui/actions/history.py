"""Looking back: what one GPU did over a time, and the whole estate as it was at a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.site import Site
from foundry_tui.estate.snapshot import Snapshot

if TYPE_CHECKING:
    from foundry_tui.store.history import Past, Series, Span

NOBODY = (
    "no history yet: it is kept from the first minute on that `foundry collect` or a screen of "
    "yours stays open"
)


def _past(site: Site) -> Past:
    """The history that this site reads.

    Raises:
        ActionError: there is none, and why.
    """
    from foundry_tui.store.history import HistoryError

    if site.saved is not None:
        raise ActionError("a saved estate is one moment: it has no history")
    try:
        past = site.past
    except HistoryError as error:
        raise ActionError(str(error)) from error
    if past is None:
        raise ActionError(NOBODY)
    return past


def span(site: Site) -> Span:
    """The time that is covered.

    Raises:
        ActionError: there is no history, or it cannot be read.
    """
    from foundry_tui.store.history import HistoryError

    try:
        found = _past(site).span()
    except HistoryError as error:
        raise ActionError(str(error)) from error
    if found is None:
        raise ActionError(NOBODY)
    return found


def gpu_history(
    site: Site,
    source: str,
    node: str,
    index: int,
    *,
    until: datetime,
    length_s: float,
    most: int,
) -> tuple[Span, Series]:
    """What one GPU did in the time before `until`, in at most `most` steps; and what is covered.

    Raises:
        ActionError: there is no history, or it cannot be read.
    """
    from foundry_tui.store.history import HistoryError

    covered = span(site)
    since = until - timedelta(seconds=length_s)
    try:
        return covered, _past(site).gpu(source, node, index, since, until, most)
    except HistoryError as error:
        raise ActionError(str(error)) from error


def moment(site: Site, when: datetime) -> Snapshot:
    """The estate as it was.

    Raises:
        ActionError: there is no history, it cannot be read, or nothing was recorded then.
    """
    from foundry_tui.store.history import HistoryError

    try:
        found = _past(site).at(when)
    except HistoryError as error:
        raise ActionError(str(error)) from error
    if found is None:
        raise ActionError(f"nothing was recorded at {when:%m-%d %H:%M} UTC")
    return found
