"""Host names that mean one node: `gpu01` and `gpu01.cluster.example` are the same computer."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PORT = re.compile(r"^(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:]*))(?::[0-9]*)?$")
_ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def short(host: str) -> str:
    """A host's name without its port and domain, as schedulers call nodes; an address is whole."""
    found = _PORT.match(host)
    if found is None:
        return host
    name = found["v6"] or found["host"] or host
    return name if _ADDRESS.fullmatch(name) else name.partition(".")[0]


def canonical(names: Iterable[str]) -> dict[str, str]:
    """Each name -> one name for its host, in lower case.

    A short name stands for the only long one that begins with it. Where two long names do, it may
    be either: it then stays by itself. Addresses have no short name.
    """
    lower = {name: name.casefold().rstrip(".") for name in names}
    long: dict[str, set[str]] = {}
    for full in set(lower.values()):
        short, dot, rest = full.partition(".")
        if dot and not rest.rpartition(".")[2].isdigit():
            long.setdefault(short, set()).add(full)
    return {
        name: next(iter(long[full])) if len(long.get(full, ())) == 1 else full
        for name, full in lower.items()
    }
