"""The live table: ten thousand rows, of which only the visible ones are ever drawn."""

from foundry_tui.tui.grid.copying import Copied, copies
from foundry_tui.tui.grid.table import GridTable
from foundry_tui.tui.grid.view import View, ViewState

__all__ = ["Copied", "GridTable", "View", "ViewState", "copies"]
