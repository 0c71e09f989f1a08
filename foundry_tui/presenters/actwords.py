"""Acts in words: what is done, to what, with which values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundry_tui.estate.actrecords import ActError, act_of, targets
from foundry_tui.estate.acts import Act, kind
from foundry_tui.estate.text import SafeText, safe

SHORT_CELLS = 400


def act_words(act: Act, *, max_cells: int | None = SHORT_CELLS) -> SafeText:
    """An act in a few words: `change run lab/17 queue=long`; uncut without `max_cells`."""
    words = [kind(act).replace("_", " "), *targets(act)]
    words += [f"{name}={value}" for name, value in getattr(act, "fields", ())]
    words += [
        f"{name}={value}"
        for name in ("state", "pool", "reason")
        if (value := getattr(act, name, None)) is not None
    ]
    words += ["held"] if getattr(act, "hold", False) else []
    text = " ".join(words)
    return safe(text, max_cells=8 * len(text) if max_cells is None else max_cells)


def record_words(record: Mapping[str, Any]) -> SafeText:
    """The act of a journal's record; a record of another version is named by its kind."""
    try:
        return act_words(act_of(record))
    except ActError:
        return safe(str(record.get("act")))
