"""Changing a partition: `scontrol update PartitionName=…`, with the old values saved first.

Slurm checks little of it: an unknown QOS is accepted, `Nodes=` replaces the whole list, an empty
one empties the partition, and all of it is gone at the next `scontrol reconfigure` unless the
site keeps it (22.05).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from foundry_tui.estate.acts import ChangeQueue, Preview, PreviewItem, Receipt, ReceiptStatus
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.directives import time_limit_s
from foundry_tui.schedulers.slurm.fields import UNLIMITED
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.nodechange import NAME, read_seen

STATES = ("up", "down", "drain", "inactive")
ALL = "ALL"
NONE = "none"
"""`DefaultTime=NONE`: a job without a limit gets MaxTime. Slurm cannot set it back to that."""

EMPTIES = "Slurm would refuse that list, and empty the partition all the same"
"""`Nodes=h01,nope`: exit 1, "Invalid node name specified", and TotalNodes=0 (22.05.8)."""

_PAIR = re.compile(r"(?:^| )([A-Za-z]+)=(\S*)")
_LIST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:,[A-Za-z0-9][A-Za-z0-9._-]*)*")
_KEPT = re.compile(r"^ReconfigFlags\s*=.*KeepPartInfo", re.MULTILINE)
_KEPT_STATE = re.compile(r"^ReconfigFlags\s*=.*KeepPartState", re.MULTILINE)


class _Wrong(ValueError):
    """A value that Slurm would not take, or would take and mean something else by."""


def _state(text: str) -> str:
    if text.lower() not in STATES:
        raise _Wrong(f"one of {', '.join(STATES)}, not {text!r}")
    return text.upper()


def _hosts(text: str) -> str:
    if not text or text.upper() == ALL or not expand(text):
        raise _Wrong(f"the whole list of nodes by their names, not {text!r}")
    return text


def _minutes(text: str) -> str:
    if text == UNLIMITED:
        return "UNLIMITED"
    return str(-(-_number(text) // 60))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise _Wrong(f"a whole number above 0 or {UNLIMITED}, not {text!r}")
    return int(text)


def _most(text: str) -> str:
    return "UNLIMITED" if text == UNLIMITED else str(_number(text))


def _tier(text: str) -> str:
    if not (text.isascii() and text.isdecimal() and int(text) < 65_534):
        raise _Wrong(f"a whole number from 0 to 65533, not {text!r}")
    return text


def _allowed(text: str) -> str:
    if not _LIST.fullmatch(text):
        raise _Wrong(f"names with commas between them, or {ALL}, not {text!r}")
    return text


def _denied(text: str) -> str:
    if text and (not _LIST.fullmatch(text) or text.upper() == ALL):
        raise _Wrong(f"names with commas between them, or nothing, not {text!r}")
    return text


@dataclass(frozen=True, slots=True)
class PartitionField:
    """Key of `scontrol`, what it is sent for a value of ours, and what an absent one means."""

    key: str
    send: Callable[[str], str]
    absent: str = ""
    seconds: bool = False


FIELDS = {
    "state": PartitionField("State", _state),
    "nodes": PartitionField("Nodes", _hosts),
    "max_time_s": PartitionField("MaxTime", _minutes, seconds=True),
    "default_time_s": PartitionField("DefaultTime", _minutes, seconds=True),
    "max_nodes": PartitionField("MaxNodes", _most),
    "priority_tier": PartitionField("PriorityTier", _tier),
    "priority_factor": PartitionField("PriorityJobFactor", _tier),
    "allow_qos": PartitionField("AllowQos", _allowed, ALL),
    "deny_qos": PartitionField("DenyQos", _denied),
    "allow_accounts": PartitionField("AllowAccounts", _allowed, ALL),
    "deny_accounts": PartitionField("DenyAccounts", _denied),
}
"""Field of `ChangeQueue` -> how Slurm writes it."""

KNOWN = {
    "allow_qos": "qos",
    "deny_qos": "qos",
    "allow_accounts": "account",
    "deny_accounts": "account",
}
"""Field -> what its names are looked up as, since Slurm takes names that nobody has."""


def read_partitions(commands: Commands) -> dict[str, dict[str, str]]:
    """Slurm's words about every partition, by name.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    text = commands.read("scontrol", "-a", "-o", "show", "partitions")
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    found = (dict(_PAIR.findall(line)) for line in lines if line.startswith("PartitionName="))
    return {words["PartitionName"]: words for words in found}


def preview_queue(commands: Commands, act: ChangeQueue) -> Preview:
    """The command, the old values and what has to be known before it is sent.

    Raises:
        ValueError: a field that cannot be changed.
    """
    for name, _ in act.fields:
        if name not in FIELDS:
            raise ValueError(f"field {name!r} cannot be changed; one of {', '.join(FIELDS)}")
    try:
        if not NAME.fullmatch(act.queue) or act.queue.upper() == ALL:
            raise _Wrong(f"{act.queue!r} is no name of one partition")
        sent = tuple(_sent(name, value) for name, value in act.fields)
        words = read_partitions(commands).get(act.queue)
        if words is None:
            raise _Wrong(f"there is no partition {act.queue}")
        notes = _notes(commands, act, words)
        config = commands.read("scontrol", "show", "config").decode("utf-8", "replace")
    except (_Wrong, SchedulerError) as error:
        refusal = safe(str(error), max_cells=400)
        return Preview(act=act, items=(PreviewItem(target=act.queue, command=(), refusal=refusal),))
    notes.append(_lasting(act, words, sent, config))
    item = PreviewItem(
        target=act.queue,
        command=("scontrol", "update", f"PartitionName={act.queue}", *sent),
        before=told(act, words),
        warning=safe("; ".join(notes), max_cells=800),
    )
    return Preview(act=act, items=(item,), inverse=_inverse(act, words))


def _sent(name: str, value: str) -> str:
    try:
        return f"{FIELDS[name].key}={FIELDS[name].send(value)}"
    except ValueError as error:
        raise _Wrong(f"{name}: {error}") from error


def _inverse(act: ChangeQueue, words: Mapping[str, str]) -> ChangeQueue | None:
    """The old values; a default time of none becomes the maximum, which is what it means."""
    old = []
    for name, _ in act.fields:
        value = _value(name, words)
        if name == "default_time_s" and value == NONE:
            value = _value("max_time_s", words)
        with suppress(_Wrong):
            _sent(name, value or "")
            old.append((name, value or ""))
            continue
        return None
    return ChangeQueue(source=act.source, queue=act.queue, fields=tuple(old))


def _value(name: str, words: Mapping[str, str]) -> str:
    """The present value as the field would take it."""
    field = FIELDS[name]
    text = words.get(field.key, field.absent)
    if name == "state":
        return text.lower()
    if text in ("(null)", "N/A"):
        return field.absent
    if field.seconds:
        with suppress(ValueError):
            limit = time_limit_s(text)
            return UNLIMITED if limit is None else str(limit)
        return NONE
    return UNLIMITED if text == "UNLIMITED" else text


def _notes(commands: Commands, act: ChangeQueue, words: Mapping[str, str]) -> list[str]:
    """What has to be known before this is sent.

    Raises:
        _Wrong: it would do nothing.
    """
    notes: list[str] = []
    for name, value in act.fields:
        if name == "nodes":
            before, after = set(expand(_value(name, words))), set(expand(value))
            strange = sorted(after - read_seen(commands).keys())
            if strange:
                raise _Wrong(f"nodes: there is no node {strange[0]}; {EMPTIES}")
            out, in_ = (",".join(sorted(s)) or "none" for s in (before - after, after - before))
            notes.append(f"nodes: the whole list is replaced; taken out: {out}; put in: {in_}")
        if name == "state" and value.lower() != "up":
            notes.append("state: waiting runs stay waiting; those that run go on")
        if name == "default_time_s" and _value(name, words) == NONE:
            notes.append("default_time_s: taken back it becomes MaxTime, which NONE stands for")
        if name.startswith("deny_"):
            other = name.replace("deny_", "allow_")
            if value and _value(other, words) != ALL and other not in dict(act.fields):
                raise _Wrong(f"{name}: Slurm looks only at {other} while it names some")
        if name in KNOWN and value not in ("", ALL):
            notes += _unknown(commands, name, value)
    return notes


def _unknown(commands: Commands, name: str, value: str) -> list[str]:
    """A note where the accounting does not tell whether these names exist.

    Raises:
        _Wrong: one does not.
    """
    what = KNOWN[name]
    try:
        out = commands.read("sacctmgr", "-nP", "show", what, f"format={_COLUMN[what]}")
    except SchedulerError as error:
        return [f"{name}: whether these names exist was not told ({error.answer})"]
    known = set(out.decode("utf-8", "surrogateescape").split())
    strange = [n for n in value.split(",") if n not in known]
    if strange:
        raise _Wrong(f"{name}: there is no {what} {strange[0]}; Slurm would take it all the same")
    return []


_COLUMN = {"qos": "name", "account": "account"}


def _lasting(
    act: ChangeQueue, words: Mapping[str, str], sent: tuple[str, ...], config: str
) -> str:  # fmt: skip
    """Whether it outlives a reconfigure, and the line of slurm.conf that makes it last."""
    only_state = all(name == "state" for name, _ in act.fields)
    if _KEPT.search(config) or (only_state and _KEPT_STATE.search(config)):
        return "kept at `scontrol reconfigure` (ReconfigFlags)"
    return (
        "lost at the next `scontrol reconfigure`; to keep it, write into slurm.conf: "
        f"PartitionName={act.queue} … {' '.join(sent)}"
    )


def told(act: ChangeQueue, words: Mapping[str, str]) -> str:
    """`state=up; max_time_s=1800`: the fields of the act as they stand."""
    return safe("; ".join(f"{n}={_value(n, words)}" for n, _ in act.fields), max_cells=400)


def settle_queue(
    act: ChangeQueue, receipt: Receipt, partitions: Mapping[str, Mapping[str, str]]
) -> Receipt:
    """The receipt as the partition proves it now; `accepted` while it shows something else."""
    words = partitions.get(receipt.target)
    if words is None:
        gone = safe("there is no such partition")
        return replace(receipt, status=ReceiptStatus.UNCHANGED, message=gone)
    proven = all(_same(name, value, words) for name, value in act.fields)
    status = ReceiptStatus.DONE if proven else receipt.status
    return replace(receipt, status=status, after=told(act, words))


def _same(name: str, asked: str, words: Mapping[str, str]) -> bool:
    seen = _value(name, words)
    if name == "nodes":
        wanted = set(expand(asked))
        return wanted == set(expand(seen)) and words.get("TotalNodes") == str(len(wanted))
    if name in KNOWN:
        return set(asked.split(",")) == set(seen.split(","))
    if FIELDS[name].seconds and asked != UNLIMITED:
        return seen == str(-(-int(asked) // 60) * 60)
    return seen == (asked.lower() if name == "state" else asked)
