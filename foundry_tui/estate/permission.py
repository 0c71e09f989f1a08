"""Rights as sentences: why a user may not do an act, naming the right that is missing.

Only what the scheduler told counts: where it did not tell, nothing is forbidden here, and the
scheduler itself says no when it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foundry_tui.estate.acts import (
    Act,
    ChangeNode,
    ChangeQueue,
    ChangeRun,
    MoveNode,
    Resume,
    RunAct,
    Submit,
    Suspend,
    kind,
)
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot

_NODES = {
    "slurm": "needs a Slurm administrator, SlurmUser or root: nobody else changes nodes",
    "kai": "needs patch on nodes in the cluster",
    "runai": "nobody changes nodes by Run:ai's control plane: it needs patch on nodes in its "
    "cluster, as a source of kind kubernetes",
}
_QUEUES = {
    "slurm": "needs a Slurm administrator, SlurmUser or root: nobody else changes partitions",
    "kai": "needs patch on queues.scheduling.run.ai in the cluster",
    "runai": "needs a Run:ai role that changes quotas, such as Department administrator",
}
_OVER_RUNS = {
    "slurm": "a Slurm operator",
    "kai": "whoever may delete pods in every namespace",
    "runai": "an administrator of its project",
}
_ADMIN = "an administrator"
_VERBS = {"change_run": "change"}
"""Kinds of acts that are no verbs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What this user may do with one source, and what the site's policy adds to that.

    `manner` is slurm, runai or kai, of a simulated source too. `policy` says in words what the
    site's policy lets this user do there; None without a policy that has roles.
    """

    source: str
    manner: str
    rights: Rights
    policy: str | None = None


def manner(snapshot: Snapshot, source: str) -> str:
    """The words in which a source speaks: its kind, for a simulated one that of its runs."""
    kinds = {s.name: s.kind for s in snapshot.sources}
    found = kinds.get(source, "")
    if found in _OVER_RUNS:
        return found
    return next((r.scheduler for r in snapshot.runs if r.source == source), found)


def forbidden(act: Act, rights: Rights, source_kind: str, runs: Mapping[str, Run]) -> str | None:
    """Why the user of `rights` may not do this act; None when allowed, or not known.

    `source_kind` is the `manner` of the source (slurm, runai, kai), `runs` are the runs as last
    seen, by id. The owner of a run is told, and who else may change it.
    """
    if isinstance(act, Submit):
        return None
    if isinstance(act, ChangeNode | MoveNode):
        return lacks(rights, source_kind)["nodes"]
    if isinstance(act, ChangeQueue):
        return lacks(rights, source_kind)["queues"]
    if rights.admin or not told(rights):
        return None
    if source_kind == "slurm" and (words := _privileged(act, runs)) is not None:
        return words
    foreign = [
        run
        for run in (runs.get(target) for target in act.runs)
        if run is not None and not _within(run, rights, source_kind)
    ]
    if not foreign:
        return None
    return _foreign(foreign, kind(act), source_kind)


def told(rights: Rights) -> bool:
    """Whether the scheduler told whose runs this user may change.

    Without associations and with a reason nobody answered, and nothing follows from the rest.
    """
    return rights.admin or rights.associations is not None or rights.reason is None


def over_runs(source_kind: str, account: str | None) -> str:
    """Who may change the runs of others that are charged to an account, in words."""
    wide = _OVER_RUNS.get(source_kind, _ADMIN)
    if source_kind == "slurm" and account:
        return f"a coordinator of {account} or {wide}"
    return wide


def _privileged(act: RunAct, runs: Mapping[str, Run]) -> str | None:
    """What Slurm lets its operators alone do, whosever the run is (22.05)."""
    if isinstance(act, Suspend | Resume):
        return f"needs a Slurm operator: an owner may not {kind(act)} a run"
    fields = dict(act.fields) if isinstance(act, ChangeRun) else {}
    wanted = fields.get("priority", "")
    now = [run.priority for run in (runs.get(name) for name in act.runs) if run is not None]
    if wanted.isdecimal() and any(p is not None and int(wanted) > p for p in now):
        return "needs a Slurm operator: an owner may lower a priority, and never raise it"
    if fields.get("nice", "").startswith("-"):
        return "needs a Slurm operator: an owner may not set a nice value below 0"
    return None


def _within(run: Run, rights: Rights, source_kind: str) -> bool:
    if run.user is None or rights.may_change(run.user, run.account):
        return True
    if source_kind not in ("kai", "runai"):
        return False
    # Their rights hold per namespace or project, for everybody's workloads in it.
    within = {a.account for a in rights.associations or ()}
    return run.account in within or any(queue in within for queue in run.queues)


def _foreign(foreign: list[Run], verb: str, source_kind: str) -> str:
    first = foreign[0]
    words = f"{first.id} belongs to {first.user}: only {first.user}"
    others = over_runs(source_kind, first.account)
    glue = ", " if " or " in others else " or "
    words += f"{glue}{others} may {_VERBS.get(verb, verb)} it"
    if len(foreign) > 1:
        more = len(foreign) - 1
        words += f"; {more} more {'run is' if more == 1 else 'runs are'} not yours either"
    return words


def lacks(rights: Rights, source_kind: str) -> dict[str, str | None]:
    """`nodes` and `queues` -> the right that is missing to change them; None for none known."""
    return {
        "nodes": None if rights.may_nodes is not False else _lack(_NODES, source_kind, "nodes"),
        "queues": None if rights.may_queues is not False else _lack(_QUEUES, source_kind, "queues"),
    }


def _lack(table: dict[str, str], source_kind: str, what: str) -> str:
    return table.get(source_kind, f"needs {_ADMIN}: this user may not change {what}")
