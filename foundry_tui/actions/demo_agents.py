"""Simulated nodes for trying the sources of GPU readings, and for measuring them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from foundry_tui.actions.errors import ActionError
from foundry_tui.estate.text import safe

FRAGMENT = """\
[telemetry.demo]
kind = "agents"
targets_file = {path}
"""


def serve(count: int, out: Path, show: Callable[[str], None], tell: Callable[[str], None]) -> None:
    """Serve `count` simulated nodes on loopback until Ctrl-C.

    Args:
        count: how many nodes, of 8 GPUs each.
        out: where the list of targets is written, as Prometheus' file_sd_configs takes it.
        show: takes the fragment of a configuration that reads them.
        tell: takes a line about how it stands.

    Raises:
        ActionError: the list cannot be written, or the host does not allow so many sockets.
    """
    from foundry_tui.telemetry.demo.agents import HOST, DemoAgentsError
    from foundry_tui.telemetry.demo.agents import serve as serve_nodes

    def ready(nodes: Sequence[tuple[str, int]]) -> None:
        groups = [{"targets": [f"{HOST}:{port}"], "labels": {"node": name}} for name, port in nodes]
        _write(out, json.dumps(groups, indent=1) + "\n")
        show(FRAGMENT.format(path=json.dumps(str(out.absolute()))))
        tell(f"{len(nodes):,} nodes with {8 * len(nodes):,} GPUs answer; Ctrl-C ends them")

    try:
        serve_nodes(count, ready)
    except DemoAgentsError as error:
        raise ActionError(str(error)) from error


def _write(out: Path, text: str) -> None:
    temp = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temp.write_text(text, "utf-8")
        temp.replace(out)
    except OSError as error:
        temp.unlink(missing_ok=True)
        raise ActionError(safe(f"{out} cannot be written: {error.strerror}")) from None
