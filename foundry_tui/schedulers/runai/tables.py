"""What changes rarely: clusters, node pools, projects, departments and our own access rules.

A part that this user may not read is missing, not an error: the rest of the estate is still worth
showing, and `missing` says what is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from foundry_tui.deadline import Deadline
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Denied, Unavailable
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.errors import Refused
from foundry_tui.schedulers.runai.paging import Listing, Params, T, listed
from foundry_tui.schedulers.runai.wire import Cluster, OrgUnit, Rule, items, page, text

CLUSTERS = "/api/v1/clusters"
PROJECTS = "/api/v1/org-unit/projects"
DEPARTMENTS = "/api/v1/org-unit/departments"
RULES = "/api/v1/authorization/me/access-rules"


@dataclass(frozen=True, slots=True)
class Unit:
    """A project or department under the name by which it is shown, which no other one has."""

    id: str
    name: SafeText
    raw_name: str
    cluster: str | None
    parent: str | None
    told: OrgUnit


@dataclass(frozen=True, slots=True)
class Tables:
    """What was read, and when. `rules` is None when they could not be read.

    `cluster` is the uuid of the one cluster to show; None is every cluster of the tenant.
    """

    clusters: tuple[Cluster, ...]
    projects: dict[str, Unit]
    departments: dict[str, Unit]
    rules: tuple[Rule, ...] | None
    cluster: str | None
    read_at: datetime
    missing: tuple[str, ...] = ()

    def project(self, name: str) -> Unit | None:
        """The project of this name (as shown or as it is) or id."""
        return next((p for p in self.projects.values() if name in (p.name, p.raw_name, p.id)), None)

    def cluster_of(self, unit: Unit) -> str | None:
        """The uuid of the cluster in which a project's workloads run."""
        if unit.cluster is not None or len(self.clusters) != 1:
            return unit.cluster or self.cluster
        return text(self.clusters[0].uuid)


def read_tables(client: Client, wanted: str | None, deadline: Deadline, now: datetime) -> Tables:
    """The tables now; `wanted` is the name or uuid of the one cluster to show.

    Raises:
        Unavailable, Denied: the control plane does not answer, or the login is refused.
        Unavailable: there is no cluster of the wanted name.
    """
    client.who(deadline)  # log in once, before several threads would try
    with ThreadPoolExecutor(4) as pool:
        asked = (
            pool.submit(_part, lambda: listed(client, PROJECTS, "projects", OrgUnit, deadline)),
            pool.submit(
                _part, lambda: listed(client, DEPARTMENTS, "departments", OrgUnit, deadline)
            ),
        )
        clusters, _ = _part(lambda: listed(client, CLUSTERS, None, Cluster, deadline, paged=False))
        rules, why_rules = _part(lambda: _rules(client, deadline))
        (projects, why_projects), (departments, why_departments) = (a.result() for a in asked)
    uuid = _wanted(wanted, clusters.items if clusters else None, client.url)
    roofs = _units(departments, uuid, {}, "department")
    whys = (why_projects, why_departments, why_rules)
    lists: tuple[Listing[Any] | None, ...] = (clusters, projects, departments, rules)
    return Tables(
        clusters=tuple(clusters.items) if clusters else (),
        projects=_units(projects, uuid, roofs, "project"),
        departments=roofs,
        rules=None if rules is None else tuple(rules.items),
        cluster=uuid,
        read_at=now,
        missing=(
            *(why for why in whys if why is not None),
            *(words for found in lists if found for words in found.missing),
        ),
    )


def _part(read: Callable[[], Listing[T]]) -> tuple[Listing[T] | None, str | None]:
    """A list, or why this user or this version of the control plane has none."""
    try:
        return read(), None
    except (Denied, Refused) as error:
        if isinstance(error, Denied) and "403" not in error.answer:
            raise
        return None, f"{error.asked}: {error.answer}"


def _rules(client: Client, deadline: Deadline) -> Listing[Rule]:
    """Our access rules, which stand one level deeper than other lists and name no next page."""
    params: Params = (("limit", "500"),)
    answer = client.read(RULES, deadline, params)
    try:
        body = bytes(msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])["accessRules"])
        raw, _ = page(body, None) if body[:1] == b"[" else page(body, "accessRules")
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise Unavailable(f"GET {RULES}", safe(str(error)), f"look at {client.url}") from None
    found, unread = items(raw, Rule)
    return Listing(found, (f"{RULES}: {unread} rules could not be read",) if unread else ())


def _wanted(wanted: str | None, clusters: list[Cluster] | None, url: str) -> str | None:
    if wanted is None:
        return None
    for cluster in clusters or ():
        if wanted in (text(cluster.name), text(cluster.uuid)):
            return text(cluster.uuid)
    if clusters is None:  # they may not be listed: take it for a uuid
        return wanted
    names = ", ".join(safe(text(c.name) or "?") for c in clusters) or "none"
    raise Unavailable(
        f"cluster {safe(wanted)}", f"{url} has no such cluster; it has {names}", "correct `cluster`"
    )


def _units(
    found: Listing[OrgUnit] | None, cluster: str | None, taken: dict[str, Unit], kind: str
) -> dict[str, Unit]:
    """Id -> unit, of one cluster or of all; names that occur twice get what tells them apart."""
    names = {unit.name for unit in taken.values()}
    units: dict[str, Unit] = {}
    for told in found.items if found else ():
        key, raw = text(told.id), text(told.name)
        if key is None or raw is None or key in units:
            continue
        if cluster is not None and text(told.cluster_id) not in (None, cluster):
            continue
        name = shown_name(raw)
        if name in names:
            name = safe(f"{name} ({kind} {key})")
        names.add(name)
        parent = text(told.parent.id) if told.parent else None
        units[key] = Unit(
            key, name, raw, text(told.cluster_id), parent or text(told.parent_id), told
        )
    return units


def shown_name(raw: str) -> SafeText:
    """A project's name as it is shown. A comma would part it in two queues."""
    return safe(raw.replace(",", "\u201a"))
