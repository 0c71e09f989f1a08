"""What a cluster hides from its users: `PrivateData` of slurm.conf(5)."""

from __future__ import annotations

import re

from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.slurm.commands import Commands

_PRIVATE = re.compile(r"^PrivateData\s*=[ \t]*(\S*)", re.MULTILINE)


def read_private(commands: Commands) -> frozenset[str]:
    """The words of PrivateData as the controller has them: accounts, jobs, nodes, usage…

    Raises:
        SchedulerError: the controller does not answer, or its answer does not tell.
    """
    out = commands.read("scontrol", "show", "config").decode("utf-8", "replace")
    found = _PRIVATE.search(out)
    if found is None:
        raise Unavailable("scontrol show config", "the answer has no line PrivateData")
    words = frozenset(word for word in found[1].lower().split(",") if word)
    return words - {"none", "(null)"}
