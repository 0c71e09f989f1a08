"""Lists of the control plane: page by page, several at a time, and never without end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from foundry_tui.deadline import Deadline
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.wire import Tolerant, items, page

LIMIT = 500
"""Items on a page: the most that the API gives."""

MAX_PAGES = 400
"""Cap against a server that always names another page: 200,000 items."""

AT_ONCE = 4

T = TypeVar("T", bound=Tolerant)
Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """The items of a list; `missing` says in words what of it could not be read."""

    items: list[T]
    missing: tuple[str, ...] = ()


def listed(
    client: Client,
    path: str,
    key: str | None,
    kind: type[T],
    deadline: Deadline,
    params: Params = (),
    *,
    paged: bool = True,
    most: int | None = None,
) -> Listing[T]:
    """Every item of a list, or the first `most` of it.

    After the first page the next ones are read four at a time, as long as each page names the
    offset that follows from its size.

    Raises:
        Unavailable, Denied, Refused: as `Client.read`; or an answer is no JSON of this shape.
    """
    limit = min(LIMIT, most or LIMIT)
    raw, after = _page(client, path, key, deadline, params, 0 if paged else None, limit)
    seen, pages, missing = 0, 1, []
    while after is not None and (most is None or len(raw) < most):
        if after <= seen or pages >= MAX_PAGES:
            missing.append(f"{path}: page {pages} names page {after} as its next")
            break
        wanted = [after + step * limit for step in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(
                pool.map(
                    lambda offset: _page(client, path, key, deadline, params, offset, limit),
                    wanted if most is None else wanted[:1],
                )
            )
        for offset, (more, following) in zip(wanted, found, strict=False):
            raw += more
            pages, seen, after = pages + 1, offset, following
            if following != offset + limit:
                break
    records, unread = items(raw if most is None else raw[:most], kind)
    if unread:
        missing.append(f"{path}: {unread} of {len(raw)} items could not be read")
    return Listing(records, tuple(missing))


def _page(
    client: Client,
    path: str,
    key: str | None,
    deadline: Deadline,
    params: Params,
    offset: int | None,
    limit: int,
) -> tuple[list[msgspec.Raw], int | None]:
    where = () if offset is None else (("offset", str(offset)), ("limit", str(limit)))
    answer = client.read(path, deadline, (*params, *where))
    try:
        return page(answer.body, key)
    except ValueError as error:
        raise Unavailable(
            f"GET {path}", str(error)[:200], f"look whether {client.url} is a Run:ai control plane"
        ) from None
