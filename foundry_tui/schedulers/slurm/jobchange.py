"""Changing what waiting jobs ask for: previewed with the old values, proved by the new ones.

The old values are read when the change is previewed. They make the act that takes it back, and
stand in `before`, so that the proof can tell a change from a yes that changed nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace

from foundry_tui.estate.acts import (
    ChangeQueue,
    ChangeRun,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
)
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.schedulers.ports import SchedulerError
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.fields import update_words
from foundry_tui.schedulers.slurm.gres import (
    GPU_FIELDS,
    gpu_refusal,
    gpu_value,
    gpu_word,
)
from foundry_tui.schedulers.slurm.present import Present, read_present
from foundry_tui.schedulers.slurm.proof import reached

BESIDE = {"nodes": ("cpus",)}
"""Field -> what Slurm changes with it and does not change back: `NumNodes=2` raises NumCPUs."""

INSTEAD = {"memory_per_cpu": "memory_per_node", "memory_per_node": "memory_per_cpu"}

PRIORITY = (
    "a set priority stays fixed and no longer grows with waiting; what takes it back is a release, "
    "which only an operator may send, and it gives the automatic priority"
)

_BASIC = re.compile(r"^PriorityType\s*=\s*priority/basic\s*$", re.MULTILINE)


def preview_change(commands: Commands, act: ChangeRun, items: tuple[PreviewItem, ...]) -> Preview:
    """The items with their commands, old values and refusals, and the act that takes it back.

    A job list that does not answer makes refusals of the items, with the reason.

    Raises:
        ValueError: a field that cannot be changed.
    """
    update_words(act.fields)
    names = [name for name, _ in act.fields]
    open_ = [item for item in items if item.refusal is None]
    natives = {item.target: item.target.partition("/")[2] or item.target for item in open_}
    looked = {*names, *(b for n in names for b in BESIDE.get(n, ()))}
    try:
        present = read_present(commands, natives.values(), looked)
        basic = "priority" in names and _basic(commands)
    except SchedulerError as error:
        return Preview(act=act, items=tuple(_refuse(i, f"not told: {error}") for i in items))
    made = tuple(
        _item(act, item, natives[item.target], present[natives[item.target]])
        if item.refusal is None
        else item
        for item in items
    )
    olds = [
        _old(act, present[natives[item.target]], basic=basic)
        for item in made
        if item.refusal is None
    ]
    if not olds or olds[0] is None or any(old != olds[0] for old in olds):
        return Preview(act=act, items=made)
    changed = tuple(item.target for item in made if item.refusal is None)
    back = ChangeRun(source=act.source, runs=changed, fields=olds[0])
    return Preview(act=act, items=made, inverse=back)


def _refuse(item: PreviewItem, why: str) -> PreviewItem:
    return replace(item, refusal=item.refusal or safe(why, max_cells=400), command=())


def _item(
    act: ChangeRun, item: PreviewItem, native: str, records: list[Present]
) -> PreviewItem:  # fmt: skip
    if not records:
        return _refuse(item, f"Slurm knows no job {native}")
    if "_[" in native and any(name == "nodelist" for name, _ in act.fields):
        # 22.05.8: "Invalid job ID 18_[4-9]", and "Job resizing not supported for job arrays" for 18
        return _refuse(item, "Slurm takes no node list for an array: name its tasks one by one")
    first = records[0]
    for record in records:
        if why := _refusal(act, record):
            return _refuse(item, why)
    job = re.sub(r"%\d+", "", native)
    spelling = {n: gpu_word(first.words, n, v) for n, v in act.fields if n in GPU_FIELDS}
    command: tuple[str, ...] = (
        *("scontrol", "update", f"JobId={job}"),
        *update_words(act.fields, spelling),
    )
    if act.fields == (("priority", ""),):
        command = ("scontrol", "release", native.partition("_[")[0])
    notes: list[str] = [item.warning] if item.warning else []
    notes += [PRIORITY] * any(n == "priority" and v for n, v in act.fields)
    notes += [
        f"{name}: the present value was not told, so this cannot be taken back"
        for name, _ in act.fields
        if _value(first, name) is None
    ]
    return replace(
        item,
        command=command,
        before=told(records, [name for name, _ in act.fields]),
        warning=safe("; ".join(notes), max_cells=400) if notes else None,
    )


def _refusal(act: ChangeRun, record: Present) -> str | None:
    if record.state != "PENDING" and any(name != "time_limit_s" for name, _ in act.fields):
        return f"it is {record.state.lower()}: only a waiting job can be changed"
    for name, value in act.fields:
        if name == "priority" and record.held:
            return "it is held: Slurm sets no priority of a held job; release it first"
        if name in GPU_FIELDS and (why := gpu_refusal(record.words, name, value)):
            return why
    return None


def _old(
    act: ChangeRun, records: list[Present], *, basic: bool
) -> tuple[tuple[str, str], ...] | None:
    """The fields that give every record back what it asked for; None where that is not one act."""
    found = {_old_of(act, record, basic=basic) for record in records}
    return found.pop() if len(found) == 1 else None


def _old_of(
    act: ChangeRun, record: Present, *, basic: bool
) -> tuple[tuple[str, str], ...] | None:  # fmt: skip
    old: dict[str, str] = {}
    for name, _ in act.fields:
        name = INSTEAD[name] if name in INSTEAD and _value(record, name) == "" else name
        value = _value(record, name)
        if (name == "priority" and not basic) or (name == "begin" and record.delayed):
            value = ""
        if value is None or (not value and name in GPU_FIELDS):
            return None
        old[name] = value
        for beside in BESIDE.get(name, ()):
            old.setdefault(beside, _value(record, beside) or "")
    return None if "" in (old.get("cpus"), old.get("nodes")) else tuple(old.items())


def _value(record: Present, name: str) -> str | None:
    if name in GPU_FIELDS:
        return gpu_value(record.words, name)
    return record.words.get(name)


def told(records: list[Present], names: list[str]) -> str:
    """`pending; queue=gpu; nodelist=`: state and values, as `values` reads them again."""
    states = ", ".join(sorted({"held" if r.held else r.state.lower() for r in records}))
    parts = [states]
    for name in names:
        seen = sorted({"—" if (v := _value(r, name)) is None else v for r in records})
        parts.append(f"{name}={' or '.join(seen)}")
    return safe("; ".join(parts), max_cells=400)


def values(text: str | None) -> dict[str, str]:
    """The values in a text of `told`."""
    pairs = (part.partition("=") for part in (text or "").split("; ") if "=" in part)
    return {name: value for name, _, value in pairs}


def _basic(commands: Commands) -> bool:
    """Whether priorities do not change by themselves, so that an old one can be set again."""
    config = commands.read("scontrol", "show", "config").decode("utf-8", "replace")
    return _BASIC.search(config) is not None


def settle_change(act: ChangeRun, receipt: Receipt, records: list[Present]) -> Receipt:
    """The receipt as the job list proves it now; `accepted` while that shows something else.

    A refusal of Slurm is not believed either: of several fields it may have taken some (22.05).
    """
    before = values(receipt.before)
    names = [name for name, _ in act.fields]
    after = told(records, names)
    if all(
        reached(name, value, record, before.get(name))
        for record in records
        for name, value in act.fields
    ):
        return replace(receipt, status=ReceiptStatus.DONE, after=after)
    return replace(receipt, after=after)


def final_change(act: ChangeRun | ChangeQueue, receipt: Receipt) -> Receipt:
    """What to say when Slurm still shows something else after a while."""
    was, now = values(receipt.before), values(receipt.after)
    changed = [n for n, _ in act.fields if n in was and n in now and was[n] != now[n]]
    said: str | SafeText = receipt.message or "Slurm said yes"
    if changed:
        words = f"{said}; of the fields only these changed: {', '.join(changed)}; look at it"
        return replace(receipt, status=ReceiptStatus.UNKNOWN, message=safe(words, max_cells=400))
    if receipt.message:
        return replace(receipt, status=ReceiptStatus.REFUSED)
    words = f"Slurm said yes, but still shows: {receipt.after or 'nothing'}"
    return replace(receipt, status=ReceiptStatus.UNCHANGED, message=safe(words, max_cells=400))
