"""The screens, each in a module of its own, imported when it is first shown."""

from __future__ import annotations

from importlib import import_module

from foundry_tui.tui.place import Place

HOME = {
    "overview": ("overview", "Overview"),
    "runs": ("runs", "Runs"),
    "nodes": ("nodes", "Nodes"),
    "advise": ("advice", "Advice"),
    "report": ("reports", "Reports"),
    "experiments": ("experiments", "Experiments"),
}
"""Mode -> module of this package and its class."""


def make(mode: str) -> Place:
    """The screen of a mode."""
    module, name = HOME[mode]
    made = getattr(import_module(f"{__name__}.{module}"), name)()
    assert isinstance(made, Place)
    return made
