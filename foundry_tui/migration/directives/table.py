"""The table of directives: each option of sbatch, what it becomes, its class, and the rule.

The translator, docs/migrate.md and the tests read this one table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foundry_tui.migration.directives import course, sizes, words
from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import Class
from foundry_tui.migration.script import Given

Rule = Callable[[Draft, Given], None]

_OK, _TABLE, _EMULATED = Class.OK, Class.TABLE, Class.EMULATED
_APPROXIMATED, _MANUAL, _LOST = Class.APPROXIMATED, Class.MANUAL, Class.LOST


@dataclass(frozen=True, slots=True)
class Row:
    """`options` are long names; `classes` all that `rule` may come to; `why` stands in the docs."""

    options: tuple[str, ...]
    becomes: str
    classes: tuple[Class, ...]
    why: str
    rule: Rule


def _names(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(" ".join(options).split())


def _lost(why: str, *options: str) -> Row:
    def rule(draft: Draft, given: Given) -> None:
        draft.say(given, "options.slurm", why, _LOST, keep=True)

    return Row(_names(options), "nothing; kept for Slurm in `options`", (_LOST,), why, rule)


def _gone(why: str, *options: str) -> Row:
    """Lost, and not kept: `foundry submit` takes none of them."""

    def rule(draft: Draft, given: Given) -> None:
        draft.say(given, "dropped", why, _LOST)

    return Row(_names(options), "nothing", (_LOST,), why, rule)


def _sbatch(why: str, *options: str) -> Row:
    def rule(draft: Draft, given: Given) -> None:
        draft.say(given, "dropped", why, _OK)

    return Row(_names(options), "nothing", (_OK,), why, rule)


def _row(options: str, becomes: str, rule: Rule, why: str, *classes: Class) -> Row:
    return Row(tuple(options.split()), becomes, classes, why, rule)


ROWS: tuple[Row, ...] = (
    _row(
        "job-name",
        "`name`",
        words.name,
        "Kubernetes gets it in small letters, digits and dashes",
        _OK,
        _APPROXIMATED,
    ),
    _row(
        "account",
        "`queue`: the project",
        words.account,
        "[accounts]; without an entry nothing can be submitted",
        _TABLE,
        _MANUAL,
    ),
    _row(
        "partition",
        "`node_pool`",
        words.partition,
        "[partitions]; several become an order of node pools (KAI: the first)",
        _TABLE,
        _MANUAL,
        _APPROXIMATED,
    ),
    _row(
        "qos",
        "`priority`, `preemptible`",
        words.qos,
        "[qos]; the limits of a QOS do not come with it",
        _TABLE,
        _MANUAL,
    ),
    _row(
        "constraint",
        "a label of nodes, or `node_pool`",
        words.constraint,
        "[constraints]; a choice of features (`|`, `[…]`, counts) is for a person",
        _TABLE,
        _MANUAL,
    ),
    _row(
        "nodes",
        "`nodes`: pods that start together",
        sizes.nodes,
        "of a range the fewest; with torchrun the range is elastic",
        _OK,
        _APPROXIMATED,
    ),
    _row(
        "gpus gpus-per-node gpus-per-task gpus-per-socket gres tres-per-task",
        "`gpus` of each node, `gpu_model`, `gpu_share`, `gpu_memory`",
        sizes.gpus,
        "the model needs a node pool; MIG becomes GPU memory, shards and MPS a share; other "
        "resources are lost; of two models, or a share beside whole GPUs, a person chooses",
        _OK,
        _TABLE,
        _APPROXIMATED,
        _MANUAL,
        _LOST,
    ),
    _row(
        "ntasks ntasks-per-node ntasks-per-gpu",
        "`processes` of the launcher",
        sizes.tasks,
        "a total must divide by the nodes",
        _OK,
        _APPROXIMATED,
    ),
    _row("cpus-per-task cpus-per-gpu", "`cpus` of each node", sizes.cpus, "times the tasks", _OK),
    _row(
        "mem mem-per-cpu mem-per-gpu",
        "`memory` of each node",
        sizes.memory,
        "Slurm's is a limit, here it is a request; 0 (all of a node) cannot be said",
        _OK,
        _APPROXIMATED,
    ),
    _row(
        "time",
        "`time_limit`",
        course.time,
        "KAI: the deadline of each pod; Run:ai knows none and ends nothing",
        _APPROXIMATED,
        _OK,
    ),
    _row(
        "requeue",
        "`retry`",
        course.requeue,
        "counts failures of the program, not preemptions",
        _APPROXIMATED,
    ),
    _row("no-requeue", "nothing", course.no_requeue, "the cluster's default holds", _APPROXIMATED),
    _row(
        "output error open-mode",
        "the log of the pod",
        course.output,
        "no file is written; `%j %x %A %a %N` go with it",
        _APPROXIMATED,
    ),
    _row("input", "nothing", course.standard_input, "a pod reads nothing", _OK, _MANUAL),
    _row(
        "array",
        "`array`: an Indexed Job (KAI, from 0), else a workload for each task",
        course.array,
        "`SLURM_ARRAY_TASK_ID` is set; of several workloads all may run at a time, "
        "whatever `%N` says",
        _EMULATED,
        _APPROXIMATED,
    ),
    _row(
        "dependency",
        "`needs` (afterok), on Slurm alone",
        course.dependency,
        "nothing lets a run wait for another there",
        _MANUAL,
        _LOST,
    ),
    _row("chdir", "`workdir`", course.chdir, "[paths]", _TABLE, _MANUAL),
    _row(
        "export",
        "`environment`",
        course.export,
        "ALL: the environment of who submits does not come with it",
        _OK,
        _APPROXIMATED,
        _MANUAL,
    ),
    _row(
        "signal",
        "`checkpoint`: grace before the end",
        course.signal,
        "a pod gets SIGTERM; with `B:` a trap of the script hears it too",
        _EMULATED,
        _APPROXIMATED,
        _LOST,
    ),
    _row(
        "mail-type",
        "`notify`, on Slurm alone",
        course.mail,
        "nobody sends a mail there",
        _LOST,
        _OK,
    ),
    _row("mail-user", "nothing", course.mail_user, "nobody sends a mail there", _LOST),
    _row("begin", "nothing", course.begin, "submit it at that time", _MANUAL),
    _row("hold", "nothing", course.hold, "submit it, then `foundry hold RUN`", _MANUAL),
    _row(
        "exclusive",
        "nothing",
        sizes.exclusive,
        "a node of one's own is not promised; =user and =mcs are lost",
        _APPROXIMATED,
        _LOST,
    ),
    _row("tmp", "nothing", sizes.scratch, "no size is kept on the node's disk", _APPROXIMATED),
    _row("comment", "a tag of the record", words.comment, "", _APPROXIMATED, _LOST),
    _row("container-image", "`image`", words.image, "Pyxis; a file is for a person", _OK, _MANUAL),
    _row("container-mounts", "`mounts`", words.container_mounts, "[paths]", _TABLE, _MANUAL),
    _lost("a number within a queue has no counterpart: the class decides", "nice", "priority"),
    _lost("reservations are of Slurm alone: ask for a project or a node pool", "reservation"),
    _lost("licenses are not counted there", "licenses"),
    _lost("the nodes of the other cluster have other names", "nodelist", "exclude", "nodefile"),
    _lost(
        "the network is not looked at: use a node pool of nodes behind one switch",
        "switches",
        "contiguous",
        "network",
        "segment",
        "consolidate-segments",
        "spread-segments",
    ),
    _lost("which cluster takes a job is not chosen there", "cluster-constraint"),
    _lost("a wish, not a need; there is none", "prefer"),
    _lost(
        "how tasks lie on nodes, sockets and cores cannot be said",
        "distribution hint core-spec thread-spec",
        "extra-node-info cores-per-socket",
        "sockets-per-node threads-per-core ntasks-per-core ntasks-per-socket",
        "mincpus",
        "ntasks-per-tres spread-job use-min-nodes overcommit",
        "oversubscribe resv-ports",
    ),
    _lost(
        "which device or memory a task is bound to cannot be said",
        "gpu-bind tres-bind mem-bind gres-flags",
    ),
    _lost("clocks and power cannot be set", "gpu-freq", "cpu-freq", "power"),
    _lost("no such accounting there", "wckey", "acctg-freq", "profile", "mcs-label"),
    _lost("burst buffers are of Slurm alone: mount a volume", "bb", "bbf"),
    _lost(
        "no counterpart for how a job waits or ends",
        "deadline time-min delay-boot reboot",
        "kill-on-invalid-dep no-kill wait-all-nodes",
        "oom-kill-step stepmgr external resources",
        "extra",
    ),
    _lost(
        "the surroundings of a login are not taken along",
        "propagate get-user-env export-file context",
    ),
    _lost("an OCI bundle of the host; name an `image`", "container", "container-id"),
    _gone("who submits owns the run", "uid", "gid"),
    _gone("it goes to the source that is named at the submit", "clusters"),
    _gone("a command in place of a script; sbatch takes no script with it", "wrap"),
    _sbatch(
        "about sbatch itself, not about the run",
        "wait test-only parsable quiet",
        "verbose version help usage ignore-pbs batch",
        "autocomplete",
    ),
)

OF = {option: row for row in ROWS for option in row.options}
"""Long name -> its row."""

UNKNOWN = _lost("no option of any sbatch that is known; a plug-in of the site may read it")
"""What holds for an option that no row has."""
