"""Quotas of projects, proposed from Slurm's shares and from what accounts really held. Pure.

The formula, for the accounts that held GPUs in the window, P being the GPUs of the pool:

- weight w = the account's part of the shares: its own among its sisters', times that of the account
  above it, and so on; accounts that held nothing do not count. Shares that nobody gave are 1.
- entitlement e = w P, or the account's limit of GPUs (`GrpTRES`) where that is less.
- quota q = min(e, p50) in whole GPUs, p50 being the median over the hours of the GPUs held. A quota
  is what a project gets before all others and what nobody may take from it, so it should be what
  the account needs most of the time, and no more than its part: bursts are for the surplus.
- Whole GPUs: every min(e, p50) is rounded down; then the largest rests get one more, in order, as
  long as the sum stays within P. Quotas beyond the pool could not be kept to all at once.
- over-quota weight = w, scaled so that the smallest is 1: the surplus is shared as Slurm shares.
- No limit: a limit leaves GPUs idle while somebody waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.usage import Account
from foundry_tui.migration.tally import Hours

MOST_WEIGHT = 1000.0
"""The largest over-quota weight against a smallest of 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """GPUs that an account held, over the hours of a window that are known; None without any."""

    mean: float | None
    p50: float | None
    p95: float | None
    hours: int
    unknown_hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The proposal for one account; GPUs. `quota` is None where its use is not known."""

    account: str
    shares: int | None
    share: float | None
    entitled: float | None
    use: Use
    quota: int | None
    weight: float | None
    why: str


def use_of(hours: Hours, lengths_s: Sequence[float], begins_at: int = 0) -> Use:
    """The use of an account, from the hour `begins_at` on, in which the books begin."""
    known = sorted(
        held / length
        for at, (held, length) in enumerate(zip(hours.gpu_s, lengths_s, strict=True))
        if at >= begins_at and at not in hours.unknown
    )
    mean = sum(known) / len(known) if known else None
    return Use(
        mean=mean,
        p50=_quantile(known, 0.5),
        p95=_quantile(known, 0.95),
        hours=len(known),
        unknown_hours=len(hours.unknown),
    )


def propose(accounts: Iterable[Account], use: Mapping[str, Use], pool: int) -> tuple[Quota, ...]:
    """A quota for every account with use, by name. `pool` is how many GPUs there are to give.

    Raises:
        ValueError: the pool has less than no GPU.
    """
    if pool < 0:
        raise ValueError(f"pool: {pool} GPUs cannot be given away")
    tree = {account.name: account for account in accounts}
    active = sorted(name for name, one in use.items() if one.mean is None or one.mean > 0)
    parts = _parts(tree, active)
    entitled = {name: _entitled(tree.get(name), parts[name] * pool) for name in active}
    wanted = {
        name: min(entitled[name], p50) for name in active if (p50 := use[name].p50) is not None
    }
    given = _whole(wanted, pool)
    least = min((part for part in parts.values() if part > 0), default=1.0)
    found = []
    for name in sorted(use):
        held, account = use[name], tree.get(name)
        used = name in parts
        found.append(
            Quota(
                account=name,
                shares=account.shares if account else None,
                share=parts.get(name),
                entitled=entitled.get(name),
                use=held,
                quota=given.get(name, None if used else 0),
                weight=min(MOST_WEIGHT, round(parts[name] / least, 2)) if used else None,
                why=_why(held, entitled.get(name)),
            )
        )
    return tuple(found)


def _why(use: Use, entitled: float | None) -> str:
    if entitled is None:
        return "held no GPU in the window"
    if use.p50 is None:
        return "how many GPUs it held is not known in any hour"
    if use.p50 < entitled:
        return "the median of what it held"
    return "its part of the pool, less than the median of what it held"


def _parts(tree: Mapping[str, Account], active: Sequence[str]) -> dict[str, float]:
    """Each active account's part of the shares; the parts add up to 1.

    Runs of an account that has accounts below it compete with those as a sister of share 1.
    """
    chains = {name: _chain(tree, name) for name in active}
    inner = {node for chain in chains.values() for node in chain[:-1]}
    paths = {name: [*chain, None] if name in inner else [*chain] for name, chain in chains.items()}
    below: dict[tuple[str | None, ...], set[str | None]] = {}
    for path in paths.values():
        for depth, node in enumerate(path):
            below.setdefault(tuple(path[:depth]), set()).add(node)

    def shares(node: str | None) -> float:
        known = tree.get(node) if node is not None else None
        return float(1 if known is None or known.shares is None else known.shares)

    found = {}
    for name, path in paths.items():
        part = 1.0
        for depth, node in enumerate(path):
            sisters = sum(map(shares, sorted(below[tuple(path[:depth])], key=str)))
            part *= shares(node) / sisters if sisters else 0.0
        found[name] = part
    whole = sum(found.values())
    # Shares of 0 all over say nothing of who gets what: then all get the same.
    return {n: p / whole if whole else 1 / len(found) for n, p in found.items()}


def _chain(tree: Mapping[str, Account], name: str) -> list[str]:
    """The account behind those above it, the topmost first; a ring of parents is cut."""
    chain = [name]
    while (node := tree.get(chain[-1])) is not None and node.parent and node.parent not in chain:
        chain.append(node.parent)
    return chain[::-1]


def _entitled(account: Account | None, part: float) -> float:
    limit = account.quota_gpu_milli if account else None
    return part if limit is None else min(part, limit / WHOLE_MILLI)


def _whole(wanted: Mapping[str, float], pool: int) -> dict[str, int]:
    given = {name: floor(gpus) for name, gpus in wanted.items()}
    rests = sorted((gpus % 1, name) for name, gpus in wanted.items() if gpus % 1 > 0)
    rests.sort(key=lambda rest: (-rest[0], rest[1]))
    for _, name in rests:
        if sum(given.values()) < pool:
            given[name] += 1
    return given


def _quantile(ordered: Sequence[float], part: float) -> float | None:
    """Linear between the two nearest, as numpy's default."""
    if not ordered:
        return None
    place = part * (len(ordered) - 1)
    low = floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
