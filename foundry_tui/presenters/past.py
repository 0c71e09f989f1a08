"""The words for a moment of the past that is shown instead of now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from foundry_tui.presenters import units

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def floored(moment: datetime, step: timedelta) -> datetime:
    """The last whole step of the clock (in UTC) at or before a moment."""
    return moment - (moment - _EPOCH) % step


def shown_time(moment: datetime, now: datetime) -> str:
    """`14:05Z`, with its date where that is not today's."""
    return units.clock(moment) if moment.date() == now.date() else units.when(moment)


def past_bar(moment: datetime, now: datetime, keys: Sequence[str]) -> str:
    """Which moment is shown, how long ago it is, and the keys: earlier, later, by hours, now."""
    ago = units.duration((now - moment).total_seconds())
    earlier, later, hour_earlier, hour_later, back = keys
    return (
        f"AS OF {shown_time(moment, now)}, {ago} ago · {earlier} earlier  {later} later  "
        f"{hour_earlier} {hour_later} an hour · {back} now"
    )


def past_refusal(moment: datetime) -> str:
    """Why nothing is changed on what is shown."""
    return f"this is the estate as of {units.when(moment)}; esc goes back to now"


def nothing_recorded(length_s: float, first: datetime) -> str:
    """Why a window of a GPU's history is empty."""
    return (
        f"Nothing was recorded of this GPU in the last {units.duration(length_s)}; "
        f"the history begins at {units.when(first)}."
    )
