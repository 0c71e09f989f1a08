"""What slurmdbd knows besides tries: the tree of accounts, and its own sums of use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Account, OwnTotals, Window
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.tres import parse_tres

HOUR_S = 3600
BOOKS_TIMEOUT_S = 120.0
_ASSOC = ("User", "GrpTRES", "Fairshare", "ParentName", "Account")
_SREPORT = ("Login", "TRESName", "Used", "Account")
NOTES = (
    safe("slurmdbd sums up each hour soon after it ends: an hour that is not summed up is missing"),
    safe("GPUs as they are billed (gres/gpu): shards and MPS are not in it"),
)


def tracked(commands: Commands) -> frozenset[str]:
    """The resources that slurmdbd keeps for each job: `gres/gpu`, `gres/gpuutil`, `gres/shard`…

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    out = commands.read("sacctmgr", "-n", "-P", "show", "tres", "format=Type,Name")
    rows = (line.partition("|") for line in out.decode("ascii", "replace").splitlines())
    return frozenset(f"{kind}/{name}" if name else kind for kind, _, name in rows)


def read_accounts(commands: Commands, cluster: str) -> tuple[Account, ...]:
    """The accounts of a cluster by name, each with its parent, shares and `GrpTRES` of GPUs.

    Deleted ones too, for their jobs keep their names. A limit on GPUs of one type is not a quota of
    GPUs, so it is passed over.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    out = commands.read(
        "sacctmgr",
        "-n",
        "-P",
        "show",
        "assoc",
        "withdeleted",
        f"cluster={cluster}",
        f"format={','.join(_ASSOC)}",
        timeout_s=BOOKS_TIMEOUT_S,
    )
    found = {}
    for user, limits, shares, parent, name in _rows(out, len(_ASSOC)):
        if user:
            continue
        gpus = parse_tres(limits).get("gres/gpu", "")
        found[name] = Account(
            name=safe(name),
            parent=safe(parent) or None,
            quota_gpu_milli=WHOLE_MILLI * int(gpus) if gpus.isdigit() else None,
            shares=int(shares) if shares.isdigit() else None,
        )
    return tuple(found[name] for name in sorted(found))


def read_own_totals(
    commands: Commands, cluster: str, window: Window, now: datetime
) -> OwnTotals | None:
    """What `sreport` adds up of the whole hours of the window that are over; None without any.

    The sums are those of users: the row of an account holds those of the accounts below it too.
    What an account has beyond its users and the accounts below it is told in a note: time of a
    reservation that nobody used is no job's.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    start_s = -(-int(window.start.timestamp()) // HOUR_S) * HOUR_S
    end_s = int(min(window.end, now).timestamp()) // HOUR_S * HOUR_S
    if start_s >= end_s:
        return None
    start, end = datetime.fromtimestamp(start_s, UTC), datetime.fromtimestamp(end_s, UTC)
    asked = (
        "cluster",
        "AccountUtilizationByUser",
        f"cluster={cluster}",
        f"start={start:%Y-%m-%dT%H:%M:%S}",
        f"end={end:%Y-%m-%dT%H:%M:%S}",
    )
    out = commands.read(
        "sreport",
        "-n",
        "-P",
        "-t",
        "Seconds",
        "-T",
        "gres/gpu",
        *asked,
        f"format={','.join(_SREPORT)}",
        timeout_s=BOOKS_TIMEOUT_S,
    )
    users: dict[str, int] = {}
    wholes: dict[str, int] = {}
    for login, tres, used, account in _rows(out, len(_SREPORT)):
        if tres != "gres/gpu" or not used.isdigit():
            continue
        into = users if login else wholes
        into[account] = into.get(account, 0) + int(used)
    parents = {a.name: a.parent for a in read_accounts(commands, cluster)}
    return OwnTotals(
        window=Window(start, end),
        gpu_s={safe(name): used for name, used in sorted(users.items())},
        by="sreport -t Seconds -T gres/gpu " + " ".join(asked),
        notes=(*NOTES, *_nobodys(users, wholes, parents)),
    )


def _nobodys(
    users: Mapping[str, int], wholes: Mapping[str, int], parents: Mapping[str, str | None]
) -> Iterator[SafeText]:
    """What each account has that is no user's: its own row less its users and those below it."""
    for name, whole in sorted(wholes.items()):
        below = sum(used for child, used in wholes.items() if parents.get(safe(child)) == name)
        rest = whole - users.get(name, 0) - below
        if rest > 0:
            yield safe(f"{name}: {rest} GPU-seconds of no user, such as an unused reservation")


def _rows(out: bytes, width: int) -> Iterator[list[str]]:
    """Lines cut at `|`, the last field whole: neither command can be given another mark."""
    for line in out.decode("utf-8", "surrogateescape").splitlines():
        cells = line.split("|", width - 1)
        if len(cells) == width:
            yield cells
