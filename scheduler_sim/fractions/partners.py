"""What a share of a GPU costs here, given who else wants what: the effective fraction.

A share of 0.81 leaves 0.19. Where nobody asks for 0.19 or less, the GPU is gone: the share costs a
whole one. Where 0.23 is asked for, 0.77 costs less than a whole GPU, and 0.81 still does not. Room
r on a GPU is worth V(r), the best filling by what is asked for at its prices, so a share m costs
what it takes away from the others:

    effective(m) = min over j of (V(1) - V(1 - j m)) / j,   j = 1, 2, ... copies on one GPU

which is the shadow price of one more share of that size in the packing program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler_sim.cluster import WHOLE_MILLI
from scheduler_sim.fractions.packing import Best, Packer, checked, fill

GRID_MILLI = 10
"""Run:ai takes fractions in steps of 0.01 (its screens in 0.05)."""

_SAME_MILLI = 1.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one share costs: thousandths asked for, thousandths of a GPU that others lose.

    `stranded_milli` is what is lost and given to nobody. `partners` (size, how many) is the best
    that the shapes in demand make of the rest of that GPU.
    """

    milli: int
    effective_milli: float
    stranded_milli: float
    partners: tuple[tuple[int, int], ...]

    @property
    def words(self) -> str:
        """One sentence for a person."""
        asked = f"{self.milli / WHOLE_MILLI:.2f} GPU"
        rest = (WHOLE_MILLI - self.milli) / WHOLE_MILLI
        with_whom = " + ".join(
            f"{count} x {milli / WHOLE_MILLI:.2f}" if count > 1 else f"{milli / WHOLE_MILLI:.2f}"
            for milli, count in self.partners
        )
        if self.milli == WHOLE_MILLI:
            return "a whole GPU"
        if self.stranded_milli >= _SAME_MILLI:
            return (
                f"{asked} costs {self.effective_milli / WHOLE_MILLI:.2f} here: it strands "
                f"{self.stranded_milli / WHOLE_MILLI:.2f}"
            )
        costs = f"{asked} costs {self.effective_milli / WHOLE_MILLI:.2f} here"
        return f"{costs}: {with_whom} fits in the other {rest:.2f}" if with_whom else costs


@dataclass(frozen=True, slots=True)
class Tariff:
    """What room on a GPU is worth here, as a share of a whole GPU's worth: 1,001 values."""

    worth: tuple[float, ...]
    _best: Best = field(repr=False, compare=False)

    @classmethod
    def of(cls, prices: Mapping[int, float], supply: Mapping[int, int]) -> Tariff:
        """From the price of one share of each size (any unit) and how many are asked for.

        Raises:
            ValueError: a size outside 1..1000, a negative count, or nothing that has a price.
        """
        wanted = checked(supply)
        checked(dict.fromkeys(prices, 1))
        worth, best = fill(dict(sorted(prices.items())), wanted)
        whole = float(worth[WHOLE_MILLI])
        if whole <= 0:
            raise ValueError("prices: nothing that is asked for has a price")
        return cls(tuple((worth / whole).tolist()), best)

    def cost(self, milli: int) -> Cost:
        """What a share of so many thousandths costs here.

        Raises:
            ValueError: it is not within 1..1000.
        """
        if not 1 <= milli <= WHOLE_MILLI:
            raise ValueError(f"milli: a share is 1..1000 thousandths, got {milli}")
        effective = WHOLE_MILLI * min(
            (1.0 - self.worth[WHOLE_MILLI - copies * milli]) / copies
            for copies in range(1, WHOLE_MILLI // milli + 1)
        )
        stranded = max(0.0, effective - milli)
        return Cost(milli, effective, stranded, self._best(WHOLE_MILLI - milli))


def tariff(shares: Mapping[int, int]) -> Tariff:
    """The prices of a demand: how many shares are asked for of each size in thousandths.

    Raises:
        ValueError: a size outside 1..1000, a negative count, or no demand at all.
    """
    wanted = checked(shares)
    if not wanted:
        raise ValueError("shares: none are asked for, so none has a price")
    return Tariff.of(Packer().pack(wanted).price, wanted)


def rounded_up(milli: int, grid_milli: int = GRID_MILLI) -> int:
    """The next value of the grid, at most a whole GPU.

    Raises:
        ValueError: the share or the grid is not within 1..1000.
    """
    if not 1 <= milli <= WHOLE_MILLI or not 1 <= grid_milli <= WHOLE_MILLI:
        raise ValueError(f"milli: 1..1000 on a grid of 1..1000, got {milli} and {grid_milli}")
    return min(WHOLE_MILLI, -(-milli // grid_milli) * grid_milli)


def friendly(here: Tariff, safe_milli: int, asked_milli: int, grid_milli: int = GRID_MILLI) -> int:
    """The share to ask for: never below the safe one, never above the asked one, cheapest here.

    Of values that cost the same the largest is taken: it cuts least. Where even the asked share is
    not safe, the safe one on the grid is the answer.

    Raises:
        ValueError: a share or the grid is not within 1..1000.
    """
    lowest = rounded_up(safe_milli, grid_milli)
    if not 1 <= asked_milli <= WHOLE_MILLI:
        raise ValueError(f"asked_milli: a share is 1..1000 thousandths, got {asked_milli}")
    if safe_milli > asked_milli:
        return lowest
    values: list[int] = [*range(lowest, asked_milli, grid_milli), asked_milli]
    cost = {milli: here.cost(milli).effective_milli for milli in values}
    cheapest = min(cost.values())
    return max(milli for milli, each in cost.items() if each <= cheapest + _SAME_MILLI)
