"""Which reading belongs to which GPU, node and run: the result of matching, ready to be applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foundry_tui.estate.reading import Reading
from foundry_tui.estate.run import Attribution
from foundry_tui.estate.text import SafeText

Key = tuple[str, str, int]
"""One GPU of the estate: source, node, index."""

Place = tuple[str, str]
"""One node of the estate: source, node."""


@dataclass(frozen=True, slots=True)
class RunUse:
    """What one run does on its GPUs: the mean over them, in percent of a device (or instance)."""

    util_pct: float
    how: Attribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Readings by what they belong to. A GPU, node or run that is missing here is not known.

    `by_gpu` are whole readings; that of a MIG instance which a scheduler counts as a GPU holds the
    instance's values. `by_node` is the mean utilisation where it is known although the GPUs of the
    node cannot be told apart. `notes` say of a GPU why it has no reading, or what is to be known of
    the one it has. `remarks` name contradictions, `unmatched` counts the readings of GPUs that no
    scheduler lists, and `index` tells what a node's index was found to mean (nvml or minor).
    """

    by_gpu: Mapping[Key, Reading] = field(default_factory=dict)
    by_node: Mapping[Place, float] = field(default_factory=dict)
    by_run: Mapping[str, RunUse] = field(default_factory=dict)
    notes: Mapping[Key, str] = field(default_factory=dict)
    remarks: tuple[SafeText, ...] = ()
    unmatched: int = 0
    index: Mapping[Place, str] = field(default_factory=dict)
