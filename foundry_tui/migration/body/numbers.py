"""Numbers that stand in a program as variables: those of Slurm, and constants of its own. Pure."""

from __future__ import annotations

import re

from foundry_tui.migration.amounts import Amounts
from foundry_tui.migration.body.lexer import Lexed

_NAME = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-[^}]*)?\})")
_MAX_STEPS = 5
"""How many constants may stand for each other."""


def slurm_numbers(found: Amounts) -> dict[str, int]:
    """Variables of a job of Slurm that are plain numbers, as far as its directives tell them."""
    known: dict[str, int | None] = {
        "SLURM_NNODES": found.nodes,
        "SLURM_JOB_NUM_NODES": found.nodes,
        "SLURM_NTASKS": found.ntasks,
        "SLURM_NPROCS": found.ntasks,
        "SLURM_NTASKS_PER_NODE": found.tasks,
        "SLURM_TASKS_PER_NODE": found.tasks,
        "SLURM_GPUS_ON_NODE": found.gpus,
        "SLURM_GPUS_PER_NODE": found.gpus,
        "SLURM_GPUS": None if found.gpus is None else found.gpus * found.nodes,
        "SLURM_CPUS_ON_NODE": None if found.cpu_milli is None else found.cpu_milli // 1000,
        "SLURM_JOB_CPUS_PER_NODE": None if found.cpu_milli is None else found.cpu_milli // 1000,
        "SLURM_CPUS_PER_TASK": None
        if found.cpu_milli is None
        else found.cpu_milli // 1000 // found.tasks,
        "SLURM_MEM_PER_NODE": None
        if found.memory_bytes is None
        else found.memory_bytes // (1 << 20),
    }
    return {name: value for name, value in known.items() if value is not None}


def constants(lexed: Lexed) -> dict[str, str]:
    """Variables that are assigned once, outside of every block, to one word without a program."""
    found: dict[str, list[str]] = {}
    for command in lexed.commands:
        pairs = [(name, word.raw) for name, word in command.assignments]
        if command.name in ("export", "declare", "readonly"):
            split = (word.raw.partition("=") for word in command.words[1:])
            pairs += [(name, value) for name, equals, value in split if equals]
        for name, value in pairs:
            usable = not command.blocks and "(" not in value and "`" not in value
            found.setdefault(name, []).append(value if usable else "$(")
    return {name: values[0] for name, values in found.items() if values[1:] == []}


def number(text: str | None, found: Amounts, known: dict[str, str]) -> int | None:
    """A whole number in a word of the program; None where that is decided when it runs."""
    slurm = slurm_numbers(found)
    for _ in range(_MAX_STEPS):
        text = (text or "").strip("\"'")
        if text.isdecimal() and len(text) <= 9:
            return int(text)
        if text in ("gpu", "auto"):
            return found.gpus
        match = _NAME.fullmatch(text)
        name = (match[1] or match[2]) if match else ""
        if name in slurm and name not in known:
            return slurm[name]
        text = known.get(name)
        if text is None:
            return None
    return None
