"""One sweep over the nodes: their pages become readings, and why some gave nothing is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.reading import Reading
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.telemetry.exposition.metrics import NAMES as METRIC_NAMES
from foundry_tui.telemetry.exposition.normalise import moment_of, readings
from foundry_tui.telemetry.exposition.text import Cache, ExpositionError, parse
from foundry_tui.telemetry.health import from_values
from foundry_tui.telemetry.nodes.fetch import Answer
from foundry_tui.telemetry.nodes.silence import Kind, Silence, counted
from foundry_tui.telemetry.nodes.targets import Target
from foundry_tui.telemetry.ports import KIND, Sweep

NAMES = {"agents": "agents", "dcgm": "exporters"}
"""What answers on the nodes, by kind of source."""
GONE_S = 3600.0
"""How long a GPU that its node does not list any more is told of."""

Seen = dict[str, dict[int, Reading]]
"""The GPUs of each node as they were read last."""


@dataclass(slots=True)
class NodeSweep:
    """What has come in of one sweep. `seen` goes from one sweep to the next."""

    config: TelemetryConfig
    clock: Callable[[], datetime]
    cache: Cache
    seen: Seen
    targets: int
    silent: dict[str, Silence] = field(default_factory=dict)
    _readings: dict[tuple[str, int], Reading] = field(default_factory=dict, init=False)
    _uuids: dict[str, str] = field(default_factory=dict, init=False)
    _answered: set[str] = field(default_factory=set, init=False)
    _odd: Counter[tuple[str, str, str]] = field(default_factory=Counter, init=False)

    def take(self, target: Target, outcome: Answer | Silence) -> None:
        """What one target gave."""
        if isinstance(outcome, Answer):
            try:
                outcome = self._page(target.node, outcome) or outcome
            except ExpositionError as error:
                outcome = Silence(Kind.TOO_LARGE, error.words)
        if isinstance(outcome, Answer):
            self._answered.add(target.node)
        else:
            self.silent[target.node] = outcome

    def sweep(self) -> Sweep:
        """All of it. A node that two targets name is silent only when both are."""
        for node in self._answered:
            self.silent.pop(node, None)
        asked, state = len(self._answered) + len(self.silent), SourceState.OK
        named = NAMES[self.config.kind]
        notes = [_note(odd, number) for odd, number in sorted(self._odd.items())]
        reason = f"{len(self._answered):,} of {asked:,} {named}" if notes or self.silent else None
        if self.silent:
            reason = f"{reason}, {counted(self.silent)}"
        if not asked:
            state, reason = SourceState.OFF, "there is no node to ask: no scheduler lists any"
            if self.config.targets_file is not None:
                reason = (
                    f"there is no node to ask: targets_file {self.config.targets_file} is empty"
                )
        elif not self._answered:
            denied = all(why.kind is Kind.DENIED for why in self.silent.values())
            state = SourceState.DENIED if denied else SourceState.DOWN
            reason = f"{reason}: {min(self.silent.items())[1].words}"
        whole = "; ".join((reason, *notes)) if reason else None
        return Sweep(
            readings=tuple(self._readings[at] for at in sorted(self._readings)),
            source=Source(
                name=self.config.name,
                kind=KIND,
                state=state,
                read_at=self.clock() if self._answered else None,
                reason=None if whole is None else safe(whole),
            ),
            asked=asked,
            silent={node: why.words for node, why in sorted(self.silent.items())},
        )

    def _page(self, node: str, answer: Answer) -> Silence | None:
        """Take a page in; why it is of no use, None when it is.

        Raises:
            ExpositionError: there is too much of it.
        """
        page = parse(answer.body, self.cache, METRIC_NAMES)
        left_out = sum(page.rejected.values())
        if not page.sets:
            words = "its answer is not a page of metrics" if left_out else "its page has no GPU"
            return Silence(Kind.BROKEN, safe(words))
        if left_out:
            why = ", ".join(sorted(page.rejected))
            self._odd["node", "has", f"lines that are left out ({why})"] += 1
        now = self.clock()
        peer_at = _date(answer.date) if self.config.kind == "dcgm" else None
        when = moment_of(page, now, peer_at, answer.took_s)
        found = readings(page, node=node, source=self.config.name, now=now, moment=when)
        if not found:
            return Silence(Kind.ERROR, safe(when.problem or "its page has no GPU"))
        if when.remarks:
            self._odd["node", "has", "a clock that differs"] += 1
        if when.stale:
            self._odd["node", "has", "old values alone"] += 1
        self._keep(node, found)
        self._gone(node, found, now)
        return None

    def _keep(self, node: str, found: tuple[Reading, ...]) -> None:
        """The first target that tells of a GPU is believed: nothing is added up."""
        for reading in found:
            uuid = reading.uuid
            told_by = None if uuid is None else self._uuids.setdefault(uuid, node)
            if (node, reading.index) in self._readings or told_by not in (None, node):
                self._odd["GPU", "is", "told of by two targets"] += 1
            else:
                self._readings[node, reading.index] = reading

    def _gone(self, node: str, found: tuple[Reading, ...], now: datetime) -> None:
        """GPUs that the node listed a while ago and does not list now are lost."""
        listed = {reading.index: reading for reading in found}
        known = self.seen.get(node, {})
        if known.keys() <= listed.keys():
            self.seen[node] = listed
            return
        uuids = {reading.uuid for reading in found}
        for index, last in known.items():
            if index in listed or last.uuid in uuids:
                continue
            age_s = (now - last.read_at).total_seconds()
            if age_s > GONE_S:
                continue
            listed[index] = last
            self._readings[node, index] = Reading(
                node=node,
                index=index,
                source=last.source,
                read_at=now,
                how=last.how,
                uuid=last.uuid,
                minor=last.minor,
                pci_bus_id=last.pci_bus_id,
                model=last.model,
                faults=from_values(lost=True),
                reason=safe(
                    f"the node lists it no more; it was last seen {age_s / 60:.0f} min ago"
                ),
            )
        self.seen[node] = listed


def _note(odd: tuple[str, str, str], number: int) -> str:
    what, does, words = odd
    if number > 1:
        what, does = f"{what}s", {"has": "have", "is": "are"}[does]
    return f"{number:,} {what} {does} {words}"


def _date(text: str) -> float | None:
    """The unix time of a Date header; None when it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
