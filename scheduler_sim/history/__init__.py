"""What a cluster really ran, as runs for a replay: published traces and a site's own accounting."""

from scheduler_sim.history.reading import FORMATS, History, read_history, sniff
from scheduler_sim.history.rejects import HistoryError, Reject, Rejects

__all__ = ["FORMATS", "History", "HistoryError", "Reject", "Rejects", "read_history", "sniff"]
