"""Acts in words: what is done, to what, with which values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundry_tui.estate.actrecords import ActError, act_of, targets
from foundry_tui.estate.acts import Act, ChangeNode, MoveNode, Requeue, kind
from foundry_tui.estate.text import SafeText, safe

MOST_CELLS = 4000


def act_words(act: Act) -> SafeText:
    """One act: `change run lab/17: partition=short`. Every target is named."""
    words = f"{kind(act).replace('_', ' ')} {', '.join(targets(act))}"
    values = [f"{name}={value}" for name, value in getattr(act, "fields", ())]
    if isinstance(act, ChangeNode):
        values = [act.state, *([f'reason "{act.reason}"'] if act.reason else [])]
    elif isinstance(act, MoveNode):
        values = [f"to pool {act.pool}" if act.pool else "out of every pool"]
    elif isinstance(act, Requeue) and act.hold:
        values = ["comes back held"]
    return safe(f"{words}: {', '.join(values)}" if values else words, max_cells=MOST_CELLS)


def record_words(record: Mapping[str, Any]) -> SafeText:
    """The act of a journal's record; a record of another version is named by its kind."""
    try:
        return act_words(act_of(record))
    except ActError:
        return safe(str(record.get("act")))
