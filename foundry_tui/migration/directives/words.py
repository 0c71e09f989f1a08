"""Directives that name something: the run, who pays, where it waits, with which rank."""

from __future__ import annotations

import re

from foundry_tui.jobs.spec import Words
from foundry_tui.migration.binds import bound
from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import TARGETS, Class
from foundry_tui.migration.script import Given

_MAX_NAME = 500
_TABLES = "foundry migrate tables"


def name(draft: Draft, given: Given) -> None:
    text = given.value.strip()
    if not text or not text.isprintable() or len(text) > _MAX_NAME:
        why = "a name has 1 to 500 printable characters"
        return draft.say(given, "the name of the file", why, Class.APPROXIMATED)
    draft.fields["name"] = text
    plain = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    why = "Kubernetes gets it in small letters, digits and dashes"
    return draft.say(given, f"name: {text}", why, Class.OK if plain else Class.APPROXIMATED)


def account(draft: Draft, given: Given) -> None:
    project = draft.tables.project_of(given.value)
    draft.fields["account"] = Words(by_source=(("slurm", given.value),))
    if project is None:
        why = f"no project stands for it: add it to [accounts] of the tables ({_TABLES})"
        return draft.say(given, "account, on Slurm alone", why, Class.MANUAL, blocks=True)
    _here(draft, "queue", project)
    why = "the project that stands for it"
    if given.value not in dict(draft.tables.accounts):
        why = "no entry in [accounts]: the `project` of the tables, which holds for all others"
    return draft.say(given, f"queue: {project}", why, Class.TABLE)


def partition(draft: Draft, given: Given) -> None:
    names = [part for part in given.value.split(",") if part]
    _there(draft, "queue", given.value)
    pools = [draft.tables.pool(part) for part in names]
    missing = [part for part, pool in zip(names, pools, strict=True) if pool is None]
    found = list(dict.fromkeys(pool for pool in pools if pool is not None))
    if missing:
        why = f"no node pool stands for {', '.join(missing)}: add it to [partitions] ({_TABLES})"
        _pool(draft, found)
        return draft.say(given, "queue, on Slurm alone", why, Class.MANUAL)
    _pool(draft, found)
    became = f"node_pool: {','.join(found)}"
    if len(found) > 1 and draft.target == "kai":
        became = f"node_pool: {found[0]}"
        why = "KAI takes one node pool, not an order of several: the first"
        return draft.say(given, became, why, Class.APPROXIMATED)
    why = "the node pool that stands for it" if len(found) == 1 else "tried in this order"
    return draft.say(given, became, why, Class.TABLE)


def qos(draft: Draft, given: Given) -> None:
    _there(draft, "priority", given.value)
    rank = dict(draft.tables.qos).get(given.value)
    if rank is None:
        why = f"no priority class stands for it: add it to [qos] of the tables ({_TABLES})"
        return draft.say(given, "priority, on Slurm alone", why, Class.MANUAL)
    said = []
    if rank.priority is not None:
        _here(draft, "priority", rank.priority)
        said.append(f"priority: {rank.priority}")
    if rank.preemptible is not None:
        draft.fields["preemptible"] = rank.preemptible
        said.append(f"preemptible: {'true' if rank.preemptible else 'false'}")
    why = "the limits of a QOS (runs and GPUs of a user, time) do not come with it"
    return draft.say(given, ", ".join(said) or "nothing", why, Class.TABLE)


def constraint(draft: Draft, given: Given) -> None:
    features = [part for part in re.split(r"[&|,*()\[\]\s]+", given.value) if part]
    plain = re.fullmatch(r"[^|*()\[\]]+", given.value) is not None
    table = dict(draft.tables.constraints)
    missing = [part for part in features if part not in table]
    if missing or not plain:
        what = f"nothing stands for {', '.join(missing)}" if missing else "a choice of features"
        why = f"{what}: add it to [constraints] of the tables, or say it with a node pool"
        return draft.say(given, "options.slurm", why, Class.MANUAL, keep=True)
    said = []
    for part in features:
        label, equals, value = table[part].partition("=")
        if equals:
            draft.labels[label] = value
            said.append(f"node label {table[part]}")
        else:
            _pool(draft, [label])
            said.append(f"node_pool: {label}")
    why = "labels stand in the manifest alone: a job spec has no word for them"
    return draft.say(given, ", ".join(said), why, Class.TABLE, keep=True)


def comment(draft: Draft, given: Given) -> None:
    text = given.value[:_MAX_NAME]
    if not text.strip() or not text.isprintable():
        return draft.say(given, "dropped", "no text on one line", Class.LOST)
    draft.fields["tags"] = (*draft.fields.get("tags", ()), ("comment", text))
    why = "a tag of the MLflow record; the workload itself carries none"
    return draft.say(given, "tags.comment", why, Class.APPROXIMATED, keep=True)


def image(draft: Draft, given: Given) -> None:
    """Pyxis: `nvcr.io#nvidia/pytorch:25.01` is a registry and an image of it."""
    text = given.value.removeprefix("docker://").replace("#", "/", 1)
    if not text or text.startswith(("/", ".")) or text.endswith((".sqsh", ".sif")):
        why = "a file of the host; a pod takes its image from a registry: push it there"
        return draft.say(given, "options.slurm", why, Class.MANUAL, keep=True)
    draft.images.append(text)
    return draft.say(given, f"image: {text}", "the image of the pod", Class.OK, keep=True)


def container_mounts(draft: Draft, given: Given) -> None:
    klass, became, why = bound(draft, given.value)
    draft.say(given, became, why, klass, keep=True, blocks=klass is Class.MANUAL)


def _there(draft: Draft, key: str, word: str) -> None:
    """The word for Slurm, beside those for the others."""
    known = dict(draft.fields.get(key, Words()).by_source)
    draft.fields[key] = Words(by_source=tuple(({"slurm": word} | known).items()))


def _here(draft: Draft, key: str, word: str) -> None:
    known = dict(draft.fields.get(key, Words()).by_source)
    draft.fields[key] = Words(by_source=tuple((known | dict.fromkeys(TARGETS, word)).items()))


def project(draft: Draft) -> None:
    """The project where no account is named.

    The tables may have one for all; else nothing can be submitted before somebody says it.
    """
    if "account" in draft.options:
        return None
    if draft.tables.project is None:
        why = "no account is named: give `project` in the tables, or `queue` in the spec"
        kind_words = "the user's default account"
        return draft.tell(None, "project", kind_words, "unknown", why, Class.MANUAL, blocks=True)
    _here(draft, "queue", draft.tables.project)
    return draft.tell(
        None,
        "project",
        "the user's default account",
        f"queue: {draft.tables.project}",
        "the project of the tables where no account is named",
        Class.TABLE,
    )


def _pool(draft: Draft, pools: list[str]) -> None:
    if not pools:
        return
    known = draft.fields.get("node_pool", Words()).at("runai", "runai")
    every = list(dict.fromkeys([*(known.split(",") if known else ()), *pools]))
    draft.fields["node_pool"] = Words(by_source=(("runai", ",".join(every)), ("kai", every[0])))
