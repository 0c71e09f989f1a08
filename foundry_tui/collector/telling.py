"""What a collector tells the others: everything to its user's own, to all only what is for all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from foundry_tui.collector.publish import ESTATE, READINGS, Board, Measured, Standing
from foundry_tui.collector.service import Hidden, public, shared_names
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.store.snapshots import StoreError


@dataclass(slots=True)
class Telling:
    """The snapshots that one collector has published for all, so that none is written twice."""

    _saved: dict[str, Snapshot] = field(init=False, default_factory=dict)
    _begun: bool = field(init=False, default=False)

    def publish(
        self,
        board: Board,
        standing: Standing,
        measured: Measured | None,
        estate: Snapshot | None,
        parts: Mapping[str, Snapshot | None],
        hidden: Mapping[str, Hidden],
    ) -> None:
        """Publish what is not `hidden`, and take away what is from the time before.

        `parts` are the sources' snapshots; without an `estate` it is a sign of life alone.

        Raises:
            OSError: the folder is full or closed.
        """
        shared = shared_names(hidden, tuple(parts))
        self._show(board, parts, shared)
        if len(shared) < len(parts) or not parts:
            estate = None
            (board.folder / ESTATE).unlink(missing_ok=True)
            if not self._begun:  # those of the last service may tell whose processes were seen
                (board.folder / READINGS).unlink(missing_ok=True)
        self._begun = True
        told = None if measured is None else public(measured, parts, hidden)
        board.publish(replace(standing, shared=shared), told, estate)

    def _show(
        self, board: Board, parts: Mapping[str, Snapshot | None], shared: tuple[str, ...]
    ) -> None:
        for name, part in parts.items():
            with suppress(StoreError):
                if name not in shared:
                    self._saved.pop(name, None)
                    board.snapshots.forget(name)
                elif part is not None and self._saved.get(name) is not part:
                    board.snapshots.save(name, part)
                    self._saved[name] = part
