"""The key map: which key does what, from the action table, changed by the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from foundry_tui.actions.onscreen import EVERY
from foundry_tui.actions.table import Action


@dataclass(frozen=True, slots=True)
class Keys:
    """Key -> action. Keys are in Textual's words."""

    by_key: Mapping[str, Action]
    first: Mapping[str, str]

    @classmethod
    def of(cls, changed: Mapping[str, str] | None = None) -> Keys:
        """The map of the action table, with the keys of `changed` (id -> key) instead.

        A changed key is taken from whatever had it, which then has none.
        """
        wanted = dict(changed or {})
        by_key: dict[str, Action] = {}
        for action in EVERY:
            for key in (wanted[action.id],) if action.id in wanted else action.keys:
                if key not in by_key or action.id in wanted:
                    by_key[key] = action
        first: dict[str, str] = {}
        for key, action in by_key.items():
            first.setdefault(action.id, key)
        return cls(by_key, first)

    def action_of(self, key: str) -> Action | None:
        """What a key does."""
        return self.by_key.get(key)

    def key_of(self, action_id: str) -> str:
        """The key of an action; empty when it has none."""
        return self.first.get(action_id, "")
