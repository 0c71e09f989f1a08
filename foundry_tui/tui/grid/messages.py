"""What a table tells its screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from foundry_tui.tui.grid.table import GridTable


@dataclass
class _OfTable(Message):
    table: GridTable[Any]

    @property
    def control(self) -> GridTable[Any]:
        """The table that sends it."""
        return self.table


@dataclass
class Moved(_OfTable, namespace="grid_table"):
    """The cursor is on another row, or on none."""

    row: Any

    def can_replace(self, message: Message) -> bool:
        """Only the last place of the cursor matters."""
        return isinstance(message, Moved) and message.table is self.table


@dataclass
class Entered(_OfTable, namespace="grid_table"):
    """A row is to be opened."""

    row: Any


@dataclass
class MarksChanged(_OfTable, namespace="grid_table"):
    """`count` rows are marked now; `lost` marks went because their rows did."""

    count: int
    lost: int = 0
