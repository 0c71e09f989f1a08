"""Rounds on their way from the collector process to the serving one: one JSON object a line."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import Any

from foundry_tui.agent.shapes import Device, GpuRound, Instance, ProcessUse, Round

MAX_LINE = 8 << 20
"""Bytes of one round at most: sixteen GPUs with a thousand processes each take a third of it."""


def encode(round_: Round) -> bytes:
    """A round as a line."""
    return json.dumps(asdict(round_), separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Round:
    """The round of a line. Values that are no finite numbers are left out.

    Raises:
        ValueError: the line is no round.
    """
    try:
        raw = json.loads(line)
        at = float(raw["at"])
        if not math.isfinite(at):
            raise ValueError(f"no round: at {at}")
        gpus = [
            GpuRound(
                **{
                    **gpu,
                    "device": Device(**gpu["device"]),
                    "values": _numbers(gpu["values"]),
                    "instances": [
                        Instance(**{**one, "values": _numbers(one["values"])})
                        for one in gpu["instances"]
                    ],
                }
            )
            for gpu in raw["gpus"]
        ]
        uses = raw["processes"]
        processes = None if uses is None else [ProcessUse(**use) for use in uses]
        return Round(**{**raw, "gpus": gpus, "processes": processes, "at": at})
    except (ArithmeticError, AttributeError, KeyError, TypeError, RecursionError) as error:
        wanted = ", ".join(f.name for f in fields(Round))
        raise ValueError(f"no round ({wanted}): {error!r}") from error


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {key: float(v) for key, v in values.items() if v is not None and math.isfinite(v)}
