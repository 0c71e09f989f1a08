"""What a plan brings when only the best of its moves are made: one point of its trade-offs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """The best `moves` moves of a plan, valid by themselves; the first point has none.

    `added` are the ids of the moves that this point has and the one before it has not: more than
    one where a move cannot be made without another. `gain` and `cost` are GPU-hours, over the
    moves whose gain is known; of `gain_unknown` others it is not. `worth` is the weighted work that
    is started, None when a start does not tell it; `gpus_allocated` is the estate's, None when it
    is not known. `owners` must agree, the runs in `stopped` are stopped: the
    disturbance that the gain is paid with.
    """

    moves: int
    added: tuple[str, ...]
    gain: float
    cost: float
    gain_unknown: int
    worth: float | None
    gpus_allocated: float | None
    owners: tuple[str, ...]
    stopped: tuple[str, ...]

    @property
    def net(self) -> float:
        """GPU-hours that are left of the gain when the cost is paid."""
        return self.gain - self.cost

    @property
    def disturbed(self) -> int:
        """People to ask and runs that are stopped."""
        return len(self.owners) + len(self.stopped)
