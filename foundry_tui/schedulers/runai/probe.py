"""`foundry doctor` for one Run:ai control plane: its address, the login, clusters and rights."""

from __future__ import annotations

import msgspec

from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import Denied, Probe, SchedulerError
from foundry_tui.schedulers.runai.client import Client
from foundry_tui.schedulers.runai.reader import Reader
from foundry_tui.schedulers.runai.tables import Tables
from foundry_tui.schedulers.runai.wire import Cluster, text


def probe(client: Client, reader: Reader, access_key: str | None) -> tuple[Probe, ...]:
    """What is found, missing or broken, in the order in which it has to be mended."""
    deadline = client.deadline()
    how = f"access key {access_key}" if access_key else "the login of the `runai` command"
    reader.forget_tables()
    try:
        me = client.who(deadline)
        tables = reader.tables(deadline)
    except Denied as error:
        return (_line("control plane", "found", client.url), _broken("login", how, error))
    except SchedulerError as error:
        return (_broken("control plane", client.url, error),)
    return (
        _line("control plane", "found", client.url),
        _line("login", "found", f"{how}, as {me}" if me else how),
        *_clusters(tables),
        _rights(tables),
    )


def _clusters(tables: Tables) -> list[Probe]:
    if not tables.clusters:
        why = next((w for w in tables.missing if "clusters" in w), "none is listed")
        return [_line("clusters", "unknown", why, "ask for a role that may list clusters")]
    found = []
    for cluster in tables.clusters:
        if tables.cluster is not None and text(cluster.uuid) != tables.cluster:
            continue
        state = _state(cluster)
        version = text(cluster.version) or "unknown version"
        good = state in (None, "Connected")
        mend = None if good else "look at the cluster's page in the Run:ai UI"
        words = f"{text(cluster.name) or '?'}, {version}, {state or 'state not told'}"
        found.append(_line("cluster", "found" if good else "broken", words, mend))
    return found


def _state(cluster: Cluster) -> str | None:
    raw = (cluster.status or {}).get("state")
    try:
        told = None if raw is None else msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return None
    return told if isinstance(told, str) else None


def _rights(tables: Tables) -> Probe:
    if tables.rules is None:
        why = next((w for w in tables.missing if "access-rules" in w), "not told")
        return _line("access rules", "unknown", why)
    roles = [
        f"{text(r.role_name) or '?'} on {text(r.scope_type) or '?'} {text(r.scope_name) or ''}"
        for r in tables.rules
    ]
    if not roles:
        return _line("access rules", "missing", "none", "ask an administrator for a role")
    return _line("access rules", "found", "; ".join(r.strip() for r in roles))


def _broken(what: str, where: str, error: SchedulerError) -> Probe:
    return _line(what, "broken", f"{where}: {error.answer}", error.hint or "look at its `url`")


def _line(what: str, state: str, found: str, mend: str | None = None) -> Probe:
    return Probe(what=what, state=state, found=_text(found), mend=mend)


def _text(words: str) -> SafeText:
    return safe(words, max_cells=400)
