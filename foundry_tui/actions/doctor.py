"""The doctor: every source, found, missing or broken, and what lies here and is not configured."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from foundry_tui.actions.checked import sharing_lines
from foundry_tui.actions.errors import ActionError
from foundry_tui.actions.permitted import policy_file, policy_of
from foundry_tui.actions.reverting import overdue
from foundry_tui.actions.site import Site
from foundry_tui.actions.sources import Scheduler
from foundry_tui.actions.tracker import NONE_SET
from foundry_tui.changes.people import Person
from foundry_tui.changes.policy import roles_of
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Probe

Found = tuple[str, str, tuple[Probe, ...]]
"""The name of a source, its kind, and what was found of it."""


def doctor(site: Site) -> tuple[Found, ...]:
    """Per source its name, its kind and what was found of it. Slow ones are asked side by side."""
    schedulers = list(site.schedulers.values())
    with ThreadPoolExecutor(max_workers=max(1, len(schedulers))) as pool:
        found = list(pool.map(_probed, schedulers))
    if site.unasked or (site.mode == "live" and not schedulers):
        from foundry_tui.schedulers.slurm.commands import Commands
        from foundry_tui.schedulers.slurm.probe import probe

        found.insert(0, ("slurm", "slurm", probe(Commands())))
    if site.mode != "saved":
        found += _unconfigured(site, os.environ)
        found.append(_tracking(site))
        found += sharing_lines(site)
        found += _overdue(site)
        found += _policy(site)
    return tuple(found)


def _overdue(site: Site) -> list[Found]:
    """Changes that were made for a time, and stand although it is over."""
    mend = "foundry collect --reverts"
    late = tuple(
        Probe(what="revert", state="broken", found=safe(words, max_cells=400), mend=mend)
        for words in overdue(site)
    )
    return [("journal", "journal", late)] if late else []


def _policy(site: Site) -> list[Found]:
    """The site's policy, where there is one: whether it holds, and what it says of this user."""
    path = policy_file(site)
    if path is None:
        return []
    try:
        rules = policy_of(site)
    except ActionError as error:
        probe = Probe(what="policy", state="broken", found=safe(str(error), max_cells=400))
        return [("policy", "policy", (probe,))]
    roles = ", ".join(role.name for role in roles_of(rules, Person.current())) or "none"
    words = f"{path}; your roles: {roles}" if rules.roles else f"{path}; it has no roles"
    return [("policy", "policy", (Probe(what="policy", state="found", found=safe(words)),))]


def _probed(scheduler: Scheduler) -> Found:
    return (scheduler.name, scheduler.kind, scheduler.probe())


def _unconfigured(site: Site, env: Mapping[str, str]) -> list[Found]:
    """Logins of this user that no source of the configuration uses: looked for, never opened."""
    home = Path(env.get("HOME", "/nonexistent"))
    named = env.get("KUBECONFIG", "").split(":")[0]
    kubeconfig = Path(named) if named else home / ".kube" / "config"
    login = Path(env.get("RUNAI_CLI_CONFIG_PATH") or home / ".runai")
    found: list[Found] = []
    for place, configured, table, kind, what in (
        (kubeconfig, site.config.kubernetes, "kubernetes.NAME", "kai", "kubeconfig"),
        (login, site.config.runai, "runai.NAME", "runai", "login"),
    ):
        if configured or site.options.demo or not place.exists():
            continue
        words = f"{place} is there, and no source uses it: what it leads to is not shown"
        mend = f"foundry config init, then fill in [{table}]"
        probe = Probe(what=what, state="off", found=safe(words, max_cells=400), mend=mend)
        found.append((kind, kind, (probe,)))
    return found


def _tracking(site: Site) -> Found:
    """What is found of the tracking server."""
    tracker = site.tracker
    if tracker is None:
        unset = site.untracked == NONE_SET
        none = Probe(
            what="mlflow",
            state="missing" if unset else "broken",
            found=safe(site.untracked, max_cells=400),
            mend="foundry tracking up" if unset else None,
        )
        return ("mlflow", "mlflow", (none,))
    lines = tracker.probe()
    told = (Probe(what=f.what, state=f.state, found=f.found, mend=f.mend) for f in lines)
    return (tracker.name, "mlflow", tuple(told))
