"""What a user may do with a scheduler, and the limits that bind a run: asked, never guessed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit: `scope` is qos, account, user or queue; `what` the limited measure.

    `what` is gpus, gpus_per_run, runs, runs_waiting, nodes, cpus, memory_bytes, time_s. `value`
    and `used` are in that measure's unit, `used` None when the scheduler does not tell.
    """

    scope: str
    name: str
    what: str
    value: float
    used: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A user's right to charge an account: in `queues` (None: every one), with these QOS."""

    account: str
    queues: tuple[str, ...] | None = None
    qos: tuple[str, ...] = ()
    default_qos: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What one user may do with one source.

    `admin` means that the user may change other users' runs. `coordinates` are the accounts whose
    runs the user may change besides. `may_nodes` says whether the user may drain, resume and move
    nodes, `may_queues` whether queues may be changed; None where that was not told. `associations`
    is None when the scheduler keeps no accounts, or did not tell (`reason`).
    """

    user: str
    admin: bool
    associations: tuple[Association, ...] | None = None
    limits: tuple[Limit, ...] = ()
    reason: str | None = None
    coordinates: tuple[str, ...] = ()
    may_nodes: bool | None = None
    may_queues: bool | None = None

    def may_change(self, owner: str | None, account: str | None = None) -> bool:
        """Whether this user may change a run of `owner` that is charged to `account`."""
        return self.admin or owner == self.user or account in self.coordinates

    def queues_of(self, account: str | None) -> tuple[str, ...] | None:
        """Queues the user may use with `account`; None for every queue or when unknown."""
        if self.associations is None:
            return None
        found = [a for a in self.associations if account in (None, a.account)]
        if any(a.queues is None for a in found):
            return None
        return tuple(dict.fromkeys(q for a in found for q in a.queues or ()))
