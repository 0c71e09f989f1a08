"""Rows: what a live table knows of runs, nodes, GPUs and queues, without drawing anything."""

from foundry_tui.presenters.rows.devices import gpu_rows, node_rows
from foundry_tui.presenters.rows.idle import IDLE_ROWS
from foundry_tui.presenters.rows.model import GLYPH_TONES, GridColumn, Rows, Tone, sort_letters
from foundry_tui.presenters.rows.queues import queue_rows
from foundry_tui.presenters.rows.runs import RUN_ROWS, live_first

__all__ = [
    "GLYPH_TONES",
    "IDLE_ROWS",
    "RUN_ROWS",
    "GridColumn",
    "Rows",
    "Tone",
    "gpu_rows",
    "live_first",
    "node_rows",
    "queue_rows",
    "sort_letters",
]
