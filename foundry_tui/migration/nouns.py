"""The nouns of a migration: what became of a line, of a script, and which words stand for which.

Pure. A `Finding` claims only what the text of the script shows: nothing of it is ever run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from foundry_tui.estate.text import SafeText
from foundry_tui.jobs.spec import JobSpec, Mount


class Class(StrEnum):
    """How much of what was asked for carries over, best first."""

    OK = "ok"
    TABLE = "by table"
    EMULATED = "emulated"
    APPROXIMATED = "approximated"
    MANUAL = "manual"
    LOST = "lost"


ORDER: tuple[Class, ...] = tuple(Class)
"""The classes from best to worst."""

TARGETS = ("runai", "kai")
"""Kinds of schedulers to which a script can be taken."""


class Kind(StrEnum):
    """What a finding is about: an option, an idiom of the program, the file, an ignored line."""

    DIRECTIVE = "directive"
    BODY = "body"
    FILE = "file"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one directive or one idiom.

    `line` counts from 1, None where it is about the whole script. `name` is the long option
    (`--time`) or the idiom (`srun`, `path`, `$SLURM_PROCID`); `words` how it stands there, `became`
    what it is now, `why` the reason. `blocks` says that nothing may be submitted before a person
    has mended it.
    """

    line: int | None
    kind: Kind
    name: SafeText
    words: SafeText
    became: SafeText
    why: SafeText
    klass: Class
    blocks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """One script, translated for a kind of scheduler.

    `problem` says why nothing came of it: then there is no spec. `manifests` are requests of
    Run:ai (JSON) or objects of Kubernetes, one for each workload; none with the reason `withheld`.
    """

    path: str
    target: str
    spec: JobSpec | None = None
    spec_text: str | None = None
    manifests: tuple[Mapping[str, object], ...] = ()
    withheld: SafeText | None = None
    findings: tuple[Finding, ...] = ()
    problem: SafeText | None = None

    @property
    def worst(self) -> Class:
        """The worst class of all findings; lost where the script could not be read at all."""
        return Class.LOST if self.problem is not None else worst(f.klass for f in self.findings)

    @property
    def counts(self) -> dict[Class, int]:
        """How many findings there are of each class, none included."""
        found = Counter(finding.klass for finding in self.findings)
        return {klass: found[klass] for klass in ORDER}


def worst(classes: Iterable[Class]) -> Class:
    """The worst of some classes; ok where there is none."""
    return max(classes, key=ORDER.index, default=Class.OK)


@dataclass(frozen=True, slots=True)
class Rank:
    """What a QOS becomes: a priority class, and whether its runs may be stopped for others."""

    priority: str | None = None
    preemptible: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Which words of the other world stand for those of Slurm; a pair is (there, here).

    Partition to node pool, account to project, QOS to `Rank`, feature of a node to a label
    (`key=value`) or a node pool, module to image (empty: it is in the image anyhow), path prefix to
    what is mounted at it. `image` and `project` hold where nothing else names one;
    `shards_per_gpu` is into how many shards Slurm cuts a GPU.
    """

    partitions: tuple[tuple[str, str], ...] = ()
    accounts: tuple[tuple[str, str], ...] = ()
    qos: tuple[tuple[str, Rank], ...] = ()
    constraints: tuple[tuple[str, str], ...] = ()
    modules: tuple[tuple[str, str], ...] = ()
    paths: tuple[tuple[str, Mount], ...] = ()
    image: str | None = None
    project: str | None = None
    shards_per_gpu: int | None = None

    def pool(self, partition: str) -> str | None:
        """The node pool of a partition; None where the tables have none."""
        return dict(self.partitions).get(partition)

    def project_of(self, account: str | None) -> str | None:
        """The project of an account, else the one that holds for all."""
        return dict(self.accounts).get(account or "", self.project)

    def mount_of(self, path: str) -> Mount | None:
        """What is mounted at a path: that of the longest prefix."""
        fits = [
            (len(prefix), mount)
            for prefix, mount in self.paths
            if path == prefix or path.startswith(f"{prefix.rstrip('/')}/")
        ]
        return max(fits, key=lambda fit: fit[0])[1] if fits else None


class Confidence(StrEnum):
    """How sure a proposal is: the site's own numbers agree, it is likely, or a guess."""

    SURE = "sure"
    LIKELY = "likely"
    GUESS = "guess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One line of a mapping table that is proposed; `value` None is left for a person to fill in.

    `table` is partitions, accounts or qos; `confidence` None goes with `value` None.
    """

    table: str
    key: str
    value: str | None
    confidence: Confidence | None
    why: SafeText
