"""The table of actions: one row per ability, from which help, completion and docs are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One ability.

    `id` is its word on the command line; `scope` what it works on (estate, run, journal, config);
    `risk` is look or change; `role` is user or admin; `keys` are its keys on the screens.
    """

    id: str
    title: str
    help: str
    scope: str = "estate"
    risk: str = "look"
    role: str = "user"
    keys: tuple[str, ...] = ()


ACTIONS: tuple[Action, ...] = (
    Action(
        id="overview",
        title="Overview",
        help="The whole estate on one page; what `foundry` alone shows.",
        keys=("1",),
    ),
    Action(
        id="doctor",
        title="Doctor",
        help="Every source: found, missing or broken, why, and the command that mends it.",
        keys=("D",),
    ),
    Action(id="nodes", title="Nodes", help="Nodes with their GPUs and what is free.", keys=("3",)),
    Action(id="gpus", title="GPUs", help="Every GPU, the runs that hold it and what it does."),
    Action(id="queues", title="Queues", help="Partitions and projects with quota, use and waits."),
    Action(id="runs", title="Runs", help="Live and finished runs together.", keys=("2",)),
    Action(
        id="why",
        title="Why it waits",
        help="The one dominant reason why a run waits and the smallest change that starts it.",
        scope="run",
        keys=("w",),
    ),
    Action(id="inspect", title="Inspect", help="Everything about runs.", scope="run", keys=("i",)),
    Action(id="logs", title="Logs", help="The end of a run's output.", scope="run", keys=("l",)),
    Action(id="snapshot", title="Snapshot", help="The whole estate as a JSON file."),
    Action(
        id="init",
        title="New spec",
        help="Write a job spec to begin with, and the program that it runs.",
        scope="config",
    ),
    Action(
        id="submit",
        title="Submit",
        help="Submit a portable job spec, or a batch script, unchanged, with options as `sbatch` "
        "takes them.",
        scope="run",
        risk="change",
        keys=("n",),
    ),
    Action(
        id="render",
        title="Render",
        help="Exactly what a submit of a job spec or a batch script would send; nothing is sent.",
        scope="run",
    ),
    Action(
        id="preflight",
        title="Preflight",
        help="What a job spec needs and what is not there: paths, queue, image, data, MLflow.",
        scope="run",
    ),
    Action(
        id="reproduce",
        title="Reproduce",
        help="What of a tracked run's inputs is still there, and the run once more with them.",
        scope="run",
        risk="change",
    ),
    Action(
        id="cancel",
        title="Cancel",
        help="End runs, waiting or running. Cannot be undone.",
        scope="run",
        risk="change",
        keys=("c",),
    ),
    Action(
        id="hold",
        title="Hold",
        help="Keep waiting runs from starting.",
        scope="run",
        risk="change",
        keys=("h",),
    ),
    Action(
        id="release",
        title="Release",
        help="Let held runs start.",
        scope="run",
        risk="change",
        keys=("H",),
    ),
    Action(
        id="requeue",
        title="Requeue",
        help="Stop running runs and queue them again. Cannot be undone.",
        scope="run",
        risk="change",
        keys=("b",),
    ),
    Action(
        id="suspend",
        title="Suspend",
        help="Stop running runs: Slurm keeps their place, Run:ai and KAI give their GPUs away.",
        scope="run",
        risk="change",
        keys=("B",),
    ),
    Action(
        id="resume",
        title="Resume",
        help="Let suspended runs go on; on Run:ai and KAI they start anew.",
        scope="run",
        risk="change",
        keys=("U",),
    ),
    Action(
        id="apply",
        title="Apply",
        help="Carry a plan out: compared with the estate before every move, and journalled.",
        scope="journal",
        risk="change",
        role="admin",
        keys=("A",),
    ),
    Action(
        id="diff-plan",
        title="Plan against now",
        help="What a plan saw and what is now, move by move; 1 when something no longer holds.",
        scope="journal",
    ),
    Action(
        id="undo",
        title="Undo",
        help="Take a change or a whole plan back, as far as it still stands.",
        scope="journal",
        risk="change",
        keys=("u",),
    ),
    Action(
        id="triage",
        title="Triage",
        help="What the site's rules find wasted, by owner; a plan against it, and notices.",
        role="admin",
    ),
    Action(
        id="rights",
        title="Rights",
        help="What you may change here and what not, with the limits of your runs.",
    ),
    Action(
        id="approve",
        title="Approve",
        help="Agree to a plan that somebody else will apply.",
        scope="journal",
        risk="change",
        role="admin",
    ),
    Action(
        id="journal",
        title="Journal",
        help="Every change that was sent, and what came of it.",
        scope="journal",
        keys=("J",),
    ),
    Action(
        id="advise",
        title="Advice",
        help="Where waiting runs should go, and GPUs that are held without being used.",
        keys=("4",),
    ),
    Action(
        id="verdicts",
        title="Verdicts",
        help="What applied plans promised and what was measured, and the record of each rule.",
        scope="journal",
        keys=("I",),
    ),
    Action(
        id="fractions",
        title="Fractions",
        help="What a share of a GPU costs here now, and what runs could ask for instead.",
        keys=("F",),
    ),
    Action(
        id="migrate",
        title="Migrate",
        help="Batch scripts of Slurm as job specs and manifests for Run:ai or KAI, with a verdict "
        "for each directive.",
        role="admin",
    ),
    Action(id="report", title="Report", help="Utilisation reports as CSV files.", keys=("5",)),
    Action(
        id="collect",
        title="Collector",
        help="Reads schedulers and GPUs for all your screens and keeps the history; with --service "
        "for all users of the host.",
        scope="config",
    ),
    Action(
        id="sync",
        title="Reconcile with MLflow",
        help="Bring the MLflow records of your runs in line with how the runs stand.",
        scope="estate",
        risk="change",
    ),
    Action(
        id="experiments",
        title="Experiments",
        help="The experiments of the tracking server: runs, and the best by the headline metric.",
        keys=("6",),
    ),
    Action(
        id="tracked",
        title="Tracked runs",
        help="Runs of the tracking server, filtered and sorted by metrics, params and tags.",
    ),
    Action(
        id="diff",
        title="Compare",
        help="Tracked runs side by side: only what differs in params, code, environment, data, "
        "spec, placement and result.",
        scope="run",
        keys=("equals_sign",),
    ),
    Action(
        id="best",
        title="Best",
        help="The best runs of an experiment by a metric, or the best means over seeds.",
        scope="run",
    ),
    Action(
        id="report-run",
        title="Report of runs",
        help="Runs as one Markdown file: tables, curves, provenance, cost.",
        scope="run",
    ),
    Action(
        id="note",
        title="Note",
        help="Show or write the note of a run, which all users of the tracking server see.",
        scope="run",
        risk="change",
        keys=("N",),
    ),
    Action(
        id="tag",
        title="Tag",
        help="Set tags of a tracked run, which all users of the tracking server see.",
        scope="run",
        risk="change",
        keys=("M",),
    ),
    Action(
        id="tracking",
        title="Tracking server",
        help="The embedded MLflow tracking server.",
        scope="config",
    ),
    Action(
        id="agent",
        title="Agent",
        help="What the GPUs of this host do, as Prometheus text; runs on compute nodes. "
        "`foundry agent --help` has its options.",
        scope="config",
    ),
    Action(
        id="demo-agents",
        title="Simulated agents",
        help="Simulated nodes on loopback that answer as agents do, until Ctrl-C: for trying and "
        "for measuring.",
        scope="config",
    ),
    Action(id="keys", title="Key map", help="The keys of the screens, as they are here."),
    Action(
        id="config",
        title="Configuration",
        help="The configuration file.",
        scope="config",
    ),
)

BY_ID = {action.id: action for action in ACTIONS}
