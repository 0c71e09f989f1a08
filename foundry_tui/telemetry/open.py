"""The sources of readings that are configured; without any, the GPUs of this host itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.telemetry.ports import TelemetrySource

LOCAL = TelemetryConfig(name="nvml", kind="nvml")
"""What is read where nothing is configured."""


def configured(tables: tuple[TelemetryConfig, ...]) -> tuple[TelemetryConfig, ...]:
    """The sources that there are to open."""
    return tables or (LOCAL,)


def source(
    table: TelemetryConfig,
    *,
    clock: Callable[[], datetime],
    node: str,
    env: Mapping[str, str] = os.environ,
) -> TelemetrySource:
    """One source, imported only now; `node` is the short name of this host. Asks nobody yet."""
    if table.kind == "nvml":
        from foundry_tui.telemetry.nvml.source import Nvml

        return Nvml(node=node, name=table.name, clock=clock)
    if table.kind == "prometheus":
        from foundry_tui.telemetry.prometheus.source import PrometheusSource

        return PrometheusSource(table, env=env, clock=clock)
    from foundry_tui.telemetry.nodes.source import NodesSource

    return NodesSource(table, env=env, clock=clock)
