"""Mapping tables that are proposed from what both schedulers report. Pure: nouns in, nouns out.

Nothing here is sure of what a site means: every proposal says on what it rests, and what nothing
fits stays open for a person.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from foundry_tui.estate.queue import Queue
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import safe
from foundry_tui.jobs.writing import word
from foundry_tui.migration.nouns import Confidence, Proposal

_LIKE = 0.75
"""From this likeness of two names on (difflib's ratio) one may stand for the other."""

_RANKS = ("very-low", "low", "medium-low", "medium", "medium-high", "high", "very-high")
"""Run:ai's priority classes, lowest first."""

_WORDS = {
    "scavenger": 0,
    "scavenge": 0,
    "preempt": 0,
    "preemptible": 0,
    "low": 1,
    "long": 2,
    "normal": 3,
    "default": 3,
    "medium": 3,
    "high": 5,
    "interactive": 5,
    "urgent": 6,
    "premium": 6,
}
"""Words in names of QOS and how high they rank among the classes."""


def propose(snapshot: Snapshot) -> tuple[Proposal, ...]:
    """Proposals for partitions, accounts and QOS.

    Slurm is what has partitions; projects and queues are of Run:ai and KAI.

    Raises:
        LookupError: one of the two sides is not there.
    """
    slurm = {queue.source for queue in snapshot.queues if queue.kind == "partition"}
    other = {queue.source for queue in snapshot.queues} - slurm
    if not slurm or not other:
        side = "the queues of Run:ai or KAI" if slurm else "the partitions of Slurm"
        raise LookupError(f"{side} are not known")
    return (
        *_partitions(snapshot, slurm, other),
        *_accounts(snapshot, slurm, other),
        *_qos(snapshot, slurm, other),
    )


def text(proposals: Sequence[Proposal]) -> str:
    """The proposals as a file of mapping tables: what is open stands as a comment."""
    lines = [
        "# Mapping tables of `foundry migrate`, proposed from what both schedulers report.",
        "# Read every line; what nothing fits is a comment to be filled in.",
        '# image = "REGISTRY/IMAGE:TAG"   where a script names none',
        '# project = "PROJECT"            where a script names no account, or one of no entry',
    ]
    for table in ("partitions", "accounts", "qos"):
        lines += ["", f"[{table}]"]
        for one in (p for p in proposals if p.table == table):
            sure = one.confidence.value if one.confidence is not None else "open"
            lines.append(f"# {sure}: {one.why}")
            mark = "" if one.value is not None else "# "
            lines.append(f"{mark}{_key(one.key)} = {_key(one.value or 'FILL-IN')}")
    lines += [
        "",
        "[constraints]",
        '# "FEATURE" = "LABEL=VALUE"   or a node pool',
        "",
        "[modules]",
        '# "cuda/12.4" = "IMAGE"   or "" where it is in the image',
        "",
        "[paths]",
        '# "/scratch" = {claim = "CLAIM"}',
        '# "$HOME" = {claim = "CLAIM", target = "/home/user"}',
    ]
    return "".join(f"{line}\n" for line in lines)


def _key(name: str) -> str:
    """A name as a string of TOML; YAML's escapes are the same ones."""
    quoted = word(name)
    return quoted if quoted.startswith('"') else f'"{quoted}"'


def _partitions(snapshot: Snapshot, slurm: set[str], other: set[str]) -> Iterable[Proposal]:
    pools = _models(snapshot, other)
    for name, models in _models(snapshot, slurm).items():
        yield _partition(name, models, pools)


def _models(snapshot: Snapshot, sources: set[str]) -> dict[str, frozenset[str]]:
    """Partition or node pool -> the short names of the GPU models of its nodes."""
    found: dict[str, set[str]] = {}
    for node in snapshot.nodes:
        if node.source in sources:
            for name in node.queues:
                models = found.setdefault(name, set())
                if node.gpu_count and node.gpu_model:
                    models.add(short(node.gpu_model))
    return {name: frozenset(models) for name, models in sorted(found.items())}


def short(model: str) -> str:
    """`h100` for `NVIDIA-H100-80GB-HBM3` and for `h100`: letters and digits of the first such."""
    found = re.search(r"(?:rtx)?[a-z]{1,3}[0-9]{2,4}[a-z]?(?![a-z0-9])", model.lower())
    return found[0] if found else model.lower()


def _partition(name: str, models: frozenset[str], pools: Mapping[str, frozenset[str]]) -> Proposal:
    def made(value: str | None, sure: Confidence | None, why: str) -> Proposal:
        told = safe(why, max_cells=200)
        return Proposal(table="partitions", key=name, value=value, confidence=sure, why=told)

    shown = ", ".join(sorted(models))
    if not models:
        return made(None, None, "no GPU is known of its nodes")
    same = [pool for pool, others in pools.items() if others == models]
    if len(same) == 1:
        return made(same[0], Confidence.SURE, f"the only node pool with the same GPUs: {shown}")
    if same:
        best = _nearest(name, same) or same[0]
        return made(best, Confidence.GUESS, f"{len(same)} node pools have {shown}")
    over = sorted((len(others), pool) for pool, others in pools.items() if models <= others)
    if over:
        others = ", ".join(sorted(pools[over[0][1]]))
        return made(over[0][1], Confidence.LIKELY, f"has {shown} among its GPUs ({others})")
    return made(None, None, f"no node pool has {shown}")


def _accounts(snapshot: Snapshot, slurm: set[str], other: set[str]) -> Iterable[Proposal]:
    named = {a for q in snapshot.queues if q.source in slurm for a in q.accounts or ()}
    charged = {r.account for r in snapshot.runs if r.source in slurm and r.account}
    projects = sorted(_leaves(q for q in snapshot.queues if q.source in other))
    for name in sorted(charged | named):
        like = _nearest(name, projects)
        if like is None:
            yield _account(name, None, None, "no project is called like it")
        elif like.lower() == name.lower():
            yield _account(name, like, Confidence.SURE, "a project of the same name")
        else:
            yield _account(name, like, Confidence.GUESS, "the project whose name is most like it")


def _account(name: str, value: str | None, sure: Confidence | None, why: str) -> Proposal:
    return Proposal(table="accounts", key=name, value=value, confidence=sure, why=safe(why))


def _leaves(queues: Iterable[Queue]) -> set[str]:
    """Queues that take runs: those that no other one has for its parent."""
    every = list(queues)
    parents = {(q.source, q.parent) for q in every}
    return {q.name for q in every if q.kind != "department" and (q.source, q.name) not in parents}


def _nearest(name: str, names: Sequence[str]) -> str | None:
    """The name that is most like another: the same, one inside the other, or of like letters."""
    plain = name.lower()
    for candidate in names:
        if candidate.lower() == plain:
            return candidate
    parts = set(re.split(r"[^a-z0-9]+", plain))
    within = [c for c in names if set(re.split(r"[^a-z0-9]+", c.lower())) & parts - {""}]
    if len(within) == 1:
        return within[0]
    near = difflib.get_close_matches(plain, [c.lower() for c in names], n=1, cutoff=_LIKE)
    return next((c for c in names if near and c.lower() == near[0]), None)


def _qos(snapshot: Snapshot, slurm: set[str], other: set[str]) -> Iterable[Proposal]:
    """QOS against priority classes, by what their names say of their order."""
    there = {r.qos for r in snapshot.runs if r.source in slurm and r.qos}
    for queue in snapshot.queues:
        if queue.source in slurm:
            there |= set(queue.qos or ())
    here = {r.qos for r in snapshot.runs if r.source in other and r.qos}
    for name in sorted(there):
        if name in here:
            why = "a priority class of the same name is in use"
            yield _rank(name, name, Confidence.LIKELY, why)
            continue
        ranks = [_WORDS[part] for part in re.split(r"[^a-z]+", name.lower()) if part in _WORDS]
        if not ranks:
            yield _rank(name, None, None, "its name tells no order")
        else:
            value = _RANKS[ranks[0]]
            yield _rank(name, value, Confidence.GUESS, "by the order that its name tells")


def _rank(name: str, value: str | None, sure: Confidence | None, why: str) -> Proposal:
    return Proposal(table="qos", key=name, value=value, confidence=sure, why=safe(why))
