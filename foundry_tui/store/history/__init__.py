"""The history: what every GPU did, who held it and how the estate stood, minute by minute.

One process writes (`History`), any number read (`Past`). Both work on one SQLite file, which holds
every minute for a while, quarters of an hour for longer and hours for longest.
"""

from foundry_tui.store.history.errors import HistoryError
from foundry_tui.store.history.past import Past
from foundry_tui.store.history.shapes import Keep, RunHistory, Series, Span, Use
from foundry_tui.store.history.writer import History

__all__ = ["History", "HistoryError", "Keep", "Past", "RunHistory", "Series", "Span", "Use"]
