"""What is given on the command line beside a job spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NOT_SENT = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """`sets` are `key=value`; `entry` and `params` (`name=value`) are for an MLproject.

    `sent` has the ids of the runs that the same command has submitted before, by the name of their
    spec; `NOT_SENT` for one that is still to be sent. `later` says that other names may be those of
    specs that are sent another time, because nothing is sent now. `tags` are set on its record.
    """

    sets: tuple[str, ...] = ()
    entry: str | None = None
    params: tuple[str, ...] = ()
    sent: Mapping[str, str] = field(default_factory=dict)
    later: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


NOTHING = Beside()
