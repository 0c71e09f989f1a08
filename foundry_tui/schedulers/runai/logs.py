"""The control plane serves no logs: the command that shows them, spelled out."""

from __future__ import annotations

import shlex

from foundry_tui.estate.run import Run
from foundry_tui.estate.text import safe
from foundry_tui.schedulers.ports import Log

_VERBS = {
    "Training": "training",
    "Workspace": "workspace",
    "Inference": "inference",
    "DistributedInference": "inference distributed",
}


def read_logs(run: Run, tail_lines: int) -> Log:
    """No lines, and the reason with the command."""
    return Log(
        path=None,
        reason=safe(
            f"Run:ai's control plane serves no logs; `{command(run, tail_lines)}` shows them",
            max_cells=400,
        ),
    )


def command(run: Run, tail_lines: int) -> str:
    """The `runai` command that shows the end of a run's log."""
    native = run.native or {}
    kind = native.get("kind", "")
    verb = _VERBS.get(kind, "workload")
    if kind == "Distributed":
        verb = f"training {native.get('framework', 'pytorch').lower()}"
    words = ["runai", *verb.split(), "logs", native.get("workload", run.name)]
    if run.queue:
        words += ["--project", run.queue]
    return shlex.join([*words, "--tail", str(tail_lines)])
