"""Variables of Slurm that a program uses: those that a pod can tell are set before it begins."""

from __future__ import annotations

import re

from foundry_tui.jobs.podscript import TASKS
from foundry_tui.jobs.spec import Launcher
from foundry_tui.migration.body.edits import Body
from foundry_tui.migration.body.numbers import slurm_numbers
from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import Class

_USED = re.compile(
    r"(?<![A-Za-z0-9_])((?:SLURM|SLURMD|SBATCH)_[A-Z0-9_]+)(?![A-Za-z0-9_=])"
    r"|\$\{?(TMPDIR|USER)(?![A-Za-z0-9_])"
)
"""Also without a `$`: in arithmetic, and in programs of other languages that stand inside."""

_RANKS = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_NODEID")
_NUMBER = """$(printf %s "${FOUNDRY_SUBMIT_TOKEN:-$(hostname)}" | cksum | cut -d' ' -f1)"""
"""Scripts take the id of a job for a number: one made of what all pods of a run share."""
_BY_LAUNCHER = {
    Launcher.TORCHRUN: ("${RANK:-0}", "${LOCAL_RANK:-0}", "${GROUP_RANK:-0}"),
    Launcher.DEEPSPEED: ("${RANK:-0}", "${LOCAL_RANK:-0}", "${GROUP_RANK:-0}"),
    Launcher.MPI: (
        "${OMPI_COMM_WORLD_RANK:-0}",
        "${OMPI_COMM_WORLD_LOCAL_RANK:-0}",
        "${OMPI_COMM_WORLD_NODE_RANK:-0}",
    ),
}
_POD = "${RANK:-${JOB_COMPLETION_INDEX:-0}}"

SHIMMED = frozenset(
    """
    SLURM_JOB_ID SLURM_JOBID SLURM_JOB_NAME SLURM_NNODES SLURM_JOB_NUM_NODES SLURM_NODEID
    SLURM_PROCID SLURM_LOCALID SLURM_NTASKS SLURM_NPROCS SLURM_NTASKS_PER_NODE
    SLURM_TASKS_PER_NODE SLURM_CPUS_PER_TASK SLURM_CPUS_ON_NODE SLURM_JOB_CPUS_PER_NODE SLURM_GPUS
    SLURM_GPUS_ON_NODE SLURM_GPUS_PER_NODE SLURM_MEM_PER_NODE SLURM_ARRAY_TASK_ID
    SLURM_ARRAY_JOB_ID SLURM_SUBMIT_DIR SLURM_JOB_NODELIST SLURM_NODELIST SLURMD_NODENAME
    SLURM_JOB_PARTITION SLURM_JOB_ACCOUNT SLURM_JOB_USER SLURM_TMPDIR TMPDIR USER
    """.split()  # noqa: SIM905  (a table to be read)
)
"""Variables that can be set; some only where the script says their value."""


def shims(body: Body) -> tuple[str, ...]:
    """Lines that set what the program uses, where nobody has set it; says what cannot be."""
    used: dict[str, int] = {}
    for found in _USED.finditer(body.lexed.code):
        if not body.touched(found.start(), found.end()):
            used.setdefault(found[1] or found[2], found.start())
    assigned = {name for c in body.lexed.commands for name, _ in c.assignments}
    launcher = body.draft.fields.get("launcher", Launcher.NONE)
    if launcher is not Launcher.NONE and _from_srun(body.draft):
        for name in _RANKS:
            used.setdefault(name, -1)
    lines = []
    for name, at in used.items():
        if name in ("TMPDIR", "USER") and name in assigned:
            continue
        value = _value(body.draft, name)
        if value is not None:
            lines.append(f"export {name}=${{{name}:-{value}}}")
        if at >= 0:
            _told(body, name, at, value)
    return tuple(lines)


def _from_srun(draft: Draft) -> bool:
    return any(f.name == "srun" and f.became.startswith("launcher") for f in draft.findings)


def _told(body: Body, name: str, at: int, value: str | None) -> None:
    line, words = body.line(at), f"${name}"
    if value is None:
        why = "no pod can tell that: a name of Slurm's own"
        return body.draft.tell(line, words, words, "empty", why, Class.LOST)
    if value == _NUMBER:
        # The token of a submit stands in the environment of Run:ai's pods alone.
        alike = body.draft.target == "runai" or body.draft.amounts.nodes == 1
        why = "a number that all pods of the run share" if alike else "a number for each pod"
        klass = Class.EMULATED if alike else Class.APPROXIMATED
        return body.draft.tell(
            line, words, words, "set in the pod", f"{why}; no id of the run", klass
        )
    if "id -un" in value or value == "$PWD":
        why = "who the pod runs as, often root: not who submits"
        if value == "$PWD":
            why = "the folder of the image: that of the submit is not seen in a pod"
        return body.draft.tell(line, words, words, value, why, Class.APPROXIMATED)
    return body.draft.tell(
        line, words, words, f"{value}", "set before the program begins", Class.EMULATED
    )


def _value(draft: Draft, name: str) -> str | None:
    """What stands for a variable, as a shell reads it; None where nothing does."""
    launcher = draft.fields.get("launcher", Launcher.NONE)
    ranks = _BY_LAUNCHER.get(launcher, (_POD, "0", _POD))
    numbers = {k: str(v) for k, v in slurm_numbers(draft.amounts).items()}
    if draft.fields.get("processes") or launcher is not Launcher.NONE:
        each = draft.fields.get("processes") or draft.amounts.gpus or 1
        numbers["SLURM_NTASKS"] = numbers["SLURM_NPROCS"] = str(each * draft.amounts.nodes)
        numbers["SLURM_NTASKS_PER_NODE"] = str(each)
    alone = draft.amounts.nodes == 1
    told = {
        **numbers,
        "SLURM_PROCID": ranks[0],
        "SLURM_LOCALID": ranks[1],
        "SLURM_NODEID": ranks[2],
        "SLURM_JOB_ID": _NUMBER,
        "SLURM_JOBID": _NUMBER,
        "SLURM_JOB_NAME": _quoted(draft.fields.get("name")),
        "SLURM_SUBMIT_DIR": _quoted(draft.fields.get("workdir")) or "$PWD",
        "SLURM_JOB_NODELIST": "$(hostname)" if alone else None,
        "SLURM_NODELIST": "$(hostname)" if alone else None,
        "SLURMD_NODENAME": "$(hostname)",
        "SLURM_JOB_PARTITION": _quoted(draft.options.get("partition")),
        "SLURM_JOB_ACCOUNT": _quoted(draft.options.get("account")),
        "SLURM_JOB_USER": "$(id -un)",
        "SLURM_TMPDIR": "/tmp",
        "TMPDIR": "/tmp",
        "USER": "$(id -un)",
    }
    if "array" in draft.fields:
        told |= {"SLURM_ARRAY_TASK_ID": f"${TASKS[0]}", "SLURM_ARRAY_JOB_ID": _NUMBER}
    return told.get(name)


def _quoted(text: str | None) -> str | None:
    """A word that stays one inside `${…:-}`; None for one that would not."""
    return text if text and re.fullmatch(r"[\w@%+=:,./-]+", text) else None
