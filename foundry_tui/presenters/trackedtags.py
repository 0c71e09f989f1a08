"""The note and the tags that people give a tracked run."""

from __future__ import annotations

from collections.abc import Mapping

from foundry_tui.estate.text import SafeText, safe


def own_tags(tags: Mapping[str, str]) -> dict[str, SafeText]:
    """The tags that people set: none of MLflow's own and none of ours."""
    return {
        safe(key): safe(value, max_cells=400)
        for key, value in sorted(tags.items())
        if not key.startswith(("mlflow.", "foundry."))
    }
