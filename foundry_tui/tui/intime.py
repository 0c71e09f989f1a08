"""A place that can show the estate as it was, with the keys for it."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from foundry_tui.tui.place import Place

STEP = timedelta(minutes=5)
LEAP = timedelta(hours=1)


class InTime(Place):
    """Steps back and forth in time, for all such places together."""

    in_time: ClassVar[bool] = True

    @property
    def way_out(self) -> str:
        """What esc does, where there is nothing to show."""
        past = self.foundry.travel.moment is not None
        return "esc goes back to now" if past else "esc goes back"

    def do_earlier(self) -> None:
        self.foundry.travel.step(STEP)

    def do_later(self) -> None:
        self.foundry.travel.step(-STEP)

    def do_hour_earlier(self) -> None:
        self.foundry.travel.step(LEAP)

    def do_hour_later(self) -> None:
        self.foundry.travel.step(-LEAP)
