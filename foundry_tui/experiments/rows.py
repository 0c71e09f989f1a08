"""The rows of a comparison, group by group."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from foundry_tui.estate import recorded
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.experiments.environment import versions
from foundry_tui.experiments.nouns import Difference, Evidence, Group, Side
from foundry_tui.experiments.numerals import canon, shown, spelled

VALUE_CELLS = 65_536
"""More than any value of a tracking server takes: a cut could hide a difference."""

DIGEST_CHARS = 12
"""Characters of a SHA-256 that are shown and compared where a person reads it."""

MOST_FILES = 8
"""Files of a patch that are named."""

PARAMS = "params."
"""How the keys of parameters begin in a spec."""

_CHANGED = re.compile(r"diff --git \"?a/(.*?)\"? \"?b/(.*?)\"?")


def params(sides: Sequence[Side]) -> list[Difference]:
    """Parameters; one that a run has not logged is absent there, not unknown."""
    return _mapped(Group.PARAMS, [side.run.params for side in sides], numbers=True)


def code(sides: Sequence[Side]) -> list[Difference]:
    """Commit, branch, remote, program, and changes of the tree that were not committed."""
    tags = [side.run.tags for side in sides]
    told = [
        _tagged(Group.CODE, "commit", tags, recorded.COMMIT_TAG),
        _tagged(Group.CODE, "branch", tags, recorded.BRANCH_TAG),
        _tagged(Group.CODE, "remote", tags, recorded.REMOTE_TAG),
        _tagged(Group.CODE, "program", tags, recorded.PROGRAM_TAG),
        _tagged(Group.CODE, "dirty", tags, recorded.DIRTY_TAG),
        _patched("patch sha256", sides, [_patch_sha(side) for side in sides]),
        _patched("patch", sides, [_summary(side.evidence) for side in sides]),
    ]
    return [row for row in told if row is not None]


def environment(sides: Sequence[Side]) -> list[Difference]:
    """Image, modules, and each package with its version."""
    tags = [side.run.tags for side in sides]
    told = [
        _tagged(Group.ENVIRONMENT, "image", tags, recorded.IMAGE_TAG),
        _tagged(Group.ENVIRONMENT, "image digest", tags, recorded.DIGEST_TAG),
        _tagged(Group.ENVIRONMENT, "modules", tags, recorded.MODULES_TAG),
    ]
    known = [versions(side.evidence.environment) for side in sides]
    return [row for row in told if row is not None] + _mapped(Group.ENVIRONMENT, known, blank=True)


def data(sides: Sequence[Side]) -> list[Difference]:
    """The digest of each set of data."""
    digests = [
        {**side.evidence.data, **{d.name: safe(d.digest) for d in side.run.inputs}}
        for side in sides
    ]
    return _mapped(Group.DATA, digests, blank=True)


def spec(sides: Sequence[Side]) -> list[Difference]:
    """The resolved spec by its dotted keys."""
    tags = [side.run.tags for side in sides]
    whole = _tagged(Group.SPEC, "spec id", tags, recorded.SPEC_ID_TAG, short=True)
    written = [side.evidence.spec for side in sides]
    # A parameter that every such run has logged stands among the parameters already.
    twice = {
        key
        for one in written
        for key in one
        if key.startswith(PARAMS)
        and all(
            key not in told or key.removeprefix(PARAMS) in side.run.params
            for told, side in zip(written, sides, strict=True)
        )
    }
    kept = [{key: one[key] for key in one if key not in twice} for one in written]
    known = _mapped(Group.SPEC, kept, blank=True)
    return [row for row in (whole,) if row is not None] + known


def placement(sides: Sequence[Side]) -> list[Difference]:
    """Where it ran: source, scheduler, nodes, GPU model; and how often it was begun."""
    tags = [side.run.tags for side in sides]
    told = [
        _tagged(Group.PLACEMENT, "source", tags, recorded.CLUSTER_TAG),
        _tagged(Group.PLACEMENT, "scheduler", tags, recorded.BACKEND_TAG),
        _tagged(Group.PLACEMENT, "nodes", tags, recorded.NODES_TAG),
        _tagged(Group.PLACEMENT, "GPU model", tags, recorded.GPU_MODEL_TAG),
        # The first attempt has no tag: only a requeued run of ours gets one.
        _row(
            Group.PLACEMENT,
            "attempts",
            [t.get(recorded.ATTEMPT_TAG, "1" if recorded.CLUSTER_TAG in t else None) for t in tags],
            unknown=True,
        ),
    ]
    return [row for row in told if row is not None]


def result(sides: Sequence[Side]) -> list[Difference]:
    """Status, its reason, how long it took, its cost, and the latest value of each metric."""
    runs = [side.run for side in sides]
    fine = [run.status is TrackStatus.FINISHED for run in runs]
    reasons = [run.tags.get(recorded.REASON_TAG) for run in runs]
    spans = [
        (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None
        for run in runs
    ]
    told = [
        _row(Group.RESULT, "status", [run.status.value for run in runs]),
        _row(
            Group.RESULT,
            "reason",
            reasons,
            silent={n for n, why in enumerate(reasons) if why is None and not fine[n]},
        ),
        _tagged(Group.RESULT, "exit code", [run.tags for run in runs], recorded.EXIT_TAG),
        _numbers("duration_s", spans, cost=True),
    ]
    keys = dict.fromkeys(key for run in runs for key in run.metrics)
    costs = [key for key in recorded.COST if key in keys]
    for key in (*costs, *sorted(keys.keys() - recorded.COST)):
        latest = [run.metrics[key].value if key in run.metrics else None for run in runs]
        told.append(_numbers(key, latest, cost=key in recorded.COST))
    return [row for row in told if row is not None]


def patch_words(patch: str) -> str:
    """A patch in short: how many files and lines, and which files."""
    files: list[str] = []
    added = removed = 0
    for line in patch.splitlines():
        changed = _CHANGED.fullmatch(line)
        if changed is not None:
            files.append(changed[2])
        elif line.startswith("+") and not line.startswith("+++"):
            added += 1
        elif line.startswith("-") and not line.startswith("---"):
            removed += 1
    counted = f"{len(files)} file{'' if len(files) == 1 else 's'} +{added} -{removed}"
    shown = ", ".join(files[:MOST_FILES]) + (", …" if len(files) > MOST_FILES else "")
    return f"{counted}: {shown}" if files else counted


def _summary(evidence: Evidence) -> str | None:
    return None if not evidence.patch else patch_words(evidence.patch)


def _short(digest: str | None) -> str | None:
    return digest[:DIGEST_CHARS] if digest else None


def _patched(key: str, sides: Sequence[Side], values: list[str | None]) -> Difference | None:
    """A row about changes that were not committed; a clean tree has none, which is known."""
    clean = [side.run.tags.get(recorded.DIRTY_TAG) == "false" for side in sides]
    silent = {n for n, one in enumerate(values) if one is None and not clean[n]}
    return _row(Group.CODE, key, values, silent=silent)


def _patch_sha(side: Side) -> str | None:
    """The tag's, else that of the patch itself: two patches may look alike in short."""
    patch = side.evidence.patch
    known = side.run.tags.get(recorded.PATCH_TAG)
    if known or not patch:
        return _short(known)
    return _short(hashlib.sha256(patch.encode("utf-8", "surrogateescape")).hexdigest())


def _tagged(
    group: Group, key: str, tags: Sequence[Mapping[str, str]], tag: str, *, short: bool = False
) -> Difference | None:
    values = [one.get(tag) or None for one in tags]
    return _row(group, key, [_short(v) for v in values] if short else values, unknown=True)


def _mapped(
    group: Group,
    found: Sequence[Mapping[str, SafeText]],
    *,
    numbers: bool = False,
    blank: bool = False,
) -> list[Difference]:
    """A row for each key. With `blank` a side that has no key at all is one that does not tell."""
    silent = {n for n, one in enumerate(found) if blank and not one}
    keys = sorted({key for one in found for key in one})
    made = [
        _row(group, key, [one.get(key) for one in found], silent=silent, numbers=numbers)
        for key in keys
    ]
    return [row for row in made if row is not None]


def _row(
    group: Group,
    key: str,
    values: Sequence[str | None],
    *,
    silent: Iterable[int] = (),
    unknown: bool = False,
    numbers: bool = False,
) -> Difference | None:
    """A row; None when no side has a value. With `unknown` a side without one does not tell."""
    if all(value is None for value in values):
        return None
    texts = [None if v is None else safe(v, max_cells=VALUE_CELLS) for v in values]
    if numbers:
        first: dict[object, SafeText] = {}
        texts = [None if t is None else first.setdefault(canon(t), t) for t in texts]
    blind = {n for n, value in enumerate(values) if value is None} if unknown else set(silent)
    return Difference(group=group, key=safe(key), values=tuple(texts), unknown=frozenset(blind))


def _numbers(key: str, values: Sequence[float | None], *, cost: bool) -> Difference | None:
    """A row of numbers. A cost that is not there was not measured; a metric was not logged."""
    if all(value is None for value in values):
        return None
    if key == "duration_s":
        texts = tuple(None if v is None else shown(v, digits=12) for v in values)
    else:
        texts = spelled(values)
    blind = frozenset(n for n, v in enumerate(values) if v is None and cost)
    return Difference(
        group=Group.RESULT,
        key=safe(key),
        values=tuple(None if t is None else SafeText(t) for t in texts),
        numbers=tuple(values),
        unknown=blind,
    )
