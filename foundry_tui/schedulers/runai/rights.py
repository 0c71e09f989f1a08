"""What our access rules allow: a role within a scope, and what would be refused for lack of one.

Sites make roles of their own, so only roles whose limits are known refuse anything here; what any
other role may do is the control plane's to say.
"""

from __future__ import annotations

from foundry_tui.estate.rights import Association, Limit, Rights
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.runai.tables import Tables, Unit
from foundry_tui.schedulers.runai.wire import Rule, milli, text

EVERYWHERE = frozenset({"system", "tenant"})

ADMINISTRATORS = frozenset({"system administrator", "department administrator", "editor", "admin"})
"""Roles that change quotas and other people's workloads within their scope."""

ONLOOKERS = frozenset(
    {
        *("viewer", "department viewer", "cloud operator", "data source administrator"),
        *("data volume administrator", "environment administrator", "template administrator"),
        *("compute resource administrator", "credentials administrator"),
    }
)
"""Roles that start and change no workloads."""

NO_TRAINING = ONLOOKERS | {"ml engineer", "application administrator"}
"""Roles that submit no training: an ML engineer deploys inference only."""

USERS = frozenset({"user", "app", "application", "service-account", "service_account"})


def role(rule: Rule) -> str:
    """The name of a rule's role, in small letters."""
    return (text(rule.role_name) or "").strip().lower()


def covers(rule: Rule, project: Unit) -> bool:
    """Whether a project lies within a rule's scope."""
    kind, scope = (text(rule.scope_type) or "").lower(), text(rule.scope_id)
    return kind in EVERYWHERE or (kind, scope) in (
        ("project", project.id),
        ("department", project.parent),
        ("cluster", project.cluster),
    )


def covering(tables: Tables, project: Unit) -> list[Rule] | None:
    """Our rules for a project; None when our rules are not known."""
    if tables.rules is None:
        return None
    return [rule for rule in tables.rules if covers(rule, project)]


def submit_refusal(tables: Tables, project: Unit) -> SafeText | None:
    """Why a training would be refused in a project; None when nothing known speaks against it."""
    return _refusal(tables, project, NO_TRAINING, "submit a training")


def change_refusal(tables: Tables, project: Unit) -> SafeText | None:
    """Why a workload of a project may not be changed; None when nothing known speaks against it."""
    return _refusal(tables, project, ONLOOKERS, "change a workload")


def _refusal(tables: Tables, project: Unit, unable: frozenset[str], what: str) -> SafeText | None:
    found = covering(tables, project)
    if found is None or any(role(rule) not in unable for rule in found):
        return None
    names = ", ".join(sorted({text(rule.role_name) or "?" for rule in found}))
    have = f"your role there is {names}" if names else "no access rule of yours covers it"
    return safe(f"403 you may not {what} in project {project.name}: {have}")


def quota_refusal(tables: Tables, unit: Unit) -> SafeText | None:
    """Why our rules do not let us change the quota of a project or department."""
    if tables.rules is None:
        return None
    for rule in tables.rules:
        own = (text(rule.scope_type) or "").lower(), text(rule.scope_id)
        is_department = unit.id in tables.departments
        within = covers(rule, unit) or (is_department and own == ("department", unit.id))
        # An administrator of one project alone does not set its own quota.
        if within and own[0] != "project" and role(rule) not in ONLOOKERS | _RESEARCHERS:
            return None
    return safe(
        f"403 the quota of {unit.name} is changed by a System or Department administrator of its "
        "department, and no access rule makes you one"
    )


_RESEARCHERS = frozenset(
    {"l1 researcher", "l2 researcher", "research manager", "ml engineer", "researcher"}
)


def who(tables: Tables) -> str | None:
    """The subject of our rules: our name as `submittedBy` shows it."""
    for rule in tables.rules or ():
        if (text(rule.subject_type) or "").lower() in USERS:
            name = text(rule.subject_id)
            return None if name is None else safe(name)
    return None


def to_rights(tables: Tables, me: str, user: str | None) -> Rights:
    """What a user (None: the current one) may do."""
    if user is not None and user != me:
        return Rights(
            user=user, admin=False, reason="Run:ai tells access rules of the current user only"
        )
    if tables.rules is None:
        why = next((w for w in tables.missing if "access-rules" in w), "they could not be read")
        return Rights(user=me, admin=False, reason=f"access rules: {why}", limits=_limits(tables))
    admin = any(
        role(rule) in ADMINISTRATORS and (text(rule.scope_type) or "").lower() in EVERYWHERE
        for rule in tables.rules
    )
    units = [*tables.projects.values(), *tables.departments.values()]
    allowed = [p for p in tables.projects.values() if submit_refusal(tables, p) is None]
    return Rights(
        user=me,
        admin=admin,
        may_nodes=False,  # of nobody: the control plane changes no nodes
        may_queues=any(quota_refusal(tables, unit) is None for unit in units),
        associations=tuple(Association(account=p.name, queues=(p.name,)) for p in allowed),
        limits=_limits(tables),
    )


def _limits(tables: Tables) -> tuple[Limit, ...]:
    """The limits of projects that have one in each of their node pools."""
    found = []
    for project in tables.projects.values():
        told = [milli(r.gpu.limit) if r.gpu else None for r in project.told.resources or ()]
        if told and None not in told:
            value = sum(n or 0 for n in told) / 1000
            found.append(Limit(scope="queue", name=project.name, what="gpus", value=value))
    return tuple(found)
