"""Places in the queue, from the scheduler's own read-only page where the site offers it.

KAI's plugin `reflectjoborder` (off by default) answers /get-job-order with the names of PodGroups
in the order in which they will be tried.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from foundry_tui.config.sources import KubernetesConfig

EVERY_S = 30.0
TIMEOUT_S = 3.0
MAX_BYTES = 16 << 20


class _Place(msgspec.Struct):
    id: str = ""


class _Answer(msgspec.Struct):
    global_order: list[_Place] | None = None


class Order:
    """The order as last told. A page that fails is an order that is not known, never an error."""

    def __init__(self, config: KubernetesConfig) -> None:
        self._url = config.scheduler_url
        self._read_at = float("-inf")
        self._known: Mapping[str, int] = {}

    def positions(self) -> Mapping[str, int]:
        """Name of a PodGroup -> its place, from 1; empty where nobody tells it."""
        if self._url is None or time.monotonic() - self._read_at < EVERY_S:
            return self._known
        self._read_at = time.monotonic()
        self._known = self._read()
        return self._known

    def _read(self) -> Mapping[str, int]:
        import httpx

        try:
            answer = httpx.get(f"{self._url}/get-job-order", timeout=TIMEOUT_S)
            if answer.status_code != 200 or len(answer.content) > MAX_BYTES:
                return {}
            told = msgspec.json.decode(answer.content, type=_Answer)
        except (httpx.HTTPError, msgspec.MsgspecError, ValueError):
            return {}
        names = [p.id.rpartition("/")[2] for p in told.global_order or () if p.id]
        return {name: place for place, name in enumerate(names, 1)}
