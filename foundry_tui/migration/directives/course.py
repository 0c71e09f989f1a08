"""Directives about how a run begins, ends, begins again, and what is told of it."""

from __future__ import annotations

import re
import signal as signals

from foundry_tui.jobs.render import SECRET
from foundry_tui.jobs.spec import Checkpoint, Retry
from foundry_tui.migration.draft import Draft
from foundry_tui.migration.nouns import Class
from foundry_tui.migration.script import Given
from foundry_tui.schedulers.slurm.directives import time_limit_s

_SIGNAL = re.compile(r"(?:([BR]+):)?(?:SIG)?([A-Z0-9]+)(?:@([0-9]{1,5}))?", re.IGNORECASE)
_KNOWN = ("USR1", "USR2", "TERM", "INT", "HUP", "QUIT", "CONT")
_AFTER_OK = re.compile(r"afterok(:[0-9]+(?:[_+][0-9]+)?)+")
_COUNTED = re.compile(r"0-[0-9]+%[0-9]+")
"""Arrays that one Indexed Job of Kubernetes counts."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_EVENTS = ("begin", "end", "fail", "requeue")
_GRACE_S = 60
"""Slurm's own, where `--signal` names no time."""


def time(draft: Draft, given: Given) -> None:
    try:
        limit = time_limit_s(given.value)
    except ValueError:
        limit = None
    if not limit:
        return draft.say(given, "no limit", "nothing ends it there either", Class.OK)
    draft.fields["time_limit_s"] = limit
    why = (
        "the deadline of each pod: a pod that begins again has all of it once more"
        if draft.target == "kai"
        else "Run:ai knows none: nothing ends the run when it is over"
    )
    return draft.say(given, f"time_limit: {limit} s", why, Class.APPROXIMATED)


def requeue(draft: Draft, given: Given) -> None:
    draft.fields["retry"] = Retry(on=("node_fail", "preempted"))
    why = "a pod begins again after failures of the program too, at most 3 times"
    return draft.say(given, "retry: 3 times", why, Class.APPROXIMATED)


def no_requeue(draft: Draft, given: Given) -> None:
    why = "the workload gets the cluster's default, which may begin again after a failure"
    return draft.say(given, "options.slurm", why, Class.APPROXIMATED, keep=True)


def output(draft: Draft, given: Given) -> None:
    why = "the log of the pod (`foundry logs`); no file is written, and patterns such as %j with it"
    return draft.say(given, "the log of the pod", why, Class.APPROXIMATED, keep=True)


def standard_input(draft: Draft, given: Given) -> None:
    if given.value == "/dev/null":
        return draft.say(given, "dropped", "a pod reads nothing either", Class.OK, keep=True)
    why = "a pod reads nothing: let the program open the file"
    return draft.say(given, "options.slurm", why, Class.MANUAL, keep=True)


def chdir(draft: Draft, given: Given) -> None:
    path = given.value
    if not re.fullmatch(r"/\S*", path) or "%" in path or ".." in path.split("/"):
        why = "no absolute path without blanks and ..: say `workdir` in the spec"
        return draft.say(given, "options.slurm", why, Class.MANUAL, keep=True)
    draft.fields["workdir"] = path
    mount = draft.tables.mount_of(path)
    if mount is None:
        why = "nothing is mounted there: add it to [paths] of the tables"
        return draft.say(given, f"workdir: {path}", why, Class.MANUAL, blocks=True)
    draft.mounts[mount.target] = mount
    return draft.say(given, f"workdir: {path}", f"{mount.target} is mounted", Class.TABLE)


def export(draft: Draft, given: Given) -> None:
    names, lacking, hidden, everything = [], [], [], False
    for part in given.value.split(","):
        name, equals, value = part.partition("=")
        if part.casefold() in ("none", "nil", ""):
            continue
        if part.casefold() == "all":
            everything = True
        elif equals and _VARIABLE.fullmatch(name) and not name.startswith(("SLURM_", "SBATCH_")):
            if SECRET.search(name):
                hidden.append(name)
            else:
                draft.variable(name, value)
                names.append(name)
        else:
            lacking.append(part)
    became = f"environment: {', '.join(names)}" if names else "environment"
    if hidden:
        why = f"{', '.join(hidden)}: a value there would be readable: name it in `secrets`"
        told = Given(line=given.line, name=given.name, value=f"{hidden[0]}=…")
        return draft.say(told, became, why, Class.MANUAL, blocks=True)
    if lacking:
        why = f"the values of {', '.join(lacking)} stand in the shell of who submits: give them"
        return draft.say(given, became, why, Class.MANUAL, keep=True)
    if everything:
        why = "what else is set in the shell of who submits does not come with it"
        return draft.say(given, became, why, Class.APPROXIMATED)
    return draft.say(given, became, "a pod gets these alone", Class.OK, keep=not names)


def signal(draft: Draft, given: Given) -> None:
    found = _SIGNAL.fullmatch(given.value)
    name = _named(found[2]) if found is not None else None
    if found is None or name is None:
        why = f"a signal that a spec does not know; it knows {', '.join(_KNOWN)}"
        return draft.say(given, "options.slurm", why, Class.LOST, keep=True)
    grace_s = int(found[3] or _GRACE_S) or 1
    draft.fields["checkpoint"] = Checkpoint(signal=name, grace_s=grace_s)
    became = f"checkpoint: {name}, {grace_s} s"
    if name == "TERM":
        why = f"what a pod gets {grace_s} s before it has to go; before the time limit it may not"
        return draft.say(given, became, why, Class.EMULATED)
    why = f"a pod that has to go gets SIGTERM {grace_s} s before; a trap of {name} hears it too"
    if (found[1] or "").upper() != "B":
        why = f"a pod that has to go gets SIGTERM, not {name}, {grace_s} s before its end"
        return draft.say(given, became, why, Class.APPROXIMATED)
    return draft.say(given, became, why, Class.EMULATED)


def _named(text: str) -> str | None:
    name = text.upper()
    if name.isdecimal():
        try:
            name = signals.Signals(int(name)).name.removeprefix("SIG")
        except ValueError:
            return None
    return name if name in _KNOWN else None


def mail(draft: Draft, given: Given) -> None:
    events = [part.lower() for part in given.value.split(",")]
    if events == ["none"]:
        return draft.say(given, "dropped", "no mail is sent there either", Class.OK)
    known = _EVENTS if "all" in events else tuple(e for e in _EVENTS if e in events)
    if known:
        draft.fields["notify"] = known
    if set(events) - {*_EVENTS, "all"}:
        draft.slurm.append(given.words)
        draft.fields.pop("notify", None)
    return draft.say(given, f"notify: {', '.join(known)}", "nobody sends a mail there", Class.LOST)


def mail_user(draft: Draft, given: Given) -> None:
    draft.say(given, "options.slurm", "nobody sends a mail there", Class.LOST, keep=True)


def array(draft: Draft, given: Given) -> None:
    tasks = re.sub(r"\s", "", given.value)
    draft.fields["array"] = tasks
    if draft.target == "kai":
        why = "one workload whose pods count from 0, or one for each task"
    else:
        why = "one workload for each task"
    klass, counted = Class.EMULATED, draft.target == "kai" and _COUNTED.fullmatch(tasks)
    if "%" in tasks and not (counted and draft.amounts.nodes == 1):
        klass, why = Class.APPROXIMATED, f"{why}; how many run at a time is not limited"
    became = f"array: {tasks}"
    return draft.say(given, became, f"{why}; SLURM_ARRAY_TASK_ID is set", klass)


def dependency(draft: Draft, given: Given) -> None:
    if _AFTER_OK.fullmatch(given.value):
        draft.fields["needs"] = tuple(dict.fromkeys(given.value.split(":")[1:]))
        why = "nothing lets a run wait for another there: submit it when they have ended"
        became = f"needs: {', '.join(draft.fields['needs'])}, on Slurm alone"
        return draft.say(given, became, why, Class.MANUAL)
    why = "nothing lets a run wait for another there, or keeps two of a name apart"
    return draft.say(given, "options.slurm", why, Class.LOST, keep=True)


def begin(draft: Draft, given: Given) -> None:
    why = "nothing delays a run there: submit it at that time (cron)"
    return draft.say(given, "options.slurm", why, Class.MANUAL, keep=True)


def hold(draft: Draft, given: Given) -> None:
    why = "submit it, then `foundry hold RUN`; it may start in between"
    return draft.say(given, "options.slurm", why, Class.MANUAL, keep=True)
