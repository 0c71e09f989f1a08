"""One Kubernetes cluster with KAI behind the reader and actor ports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.estate.acts import (
    Act,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Resubmit,
    Submit,
)
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.usage import Account, Accounting, OwnTotals, Window
from foundry_tui.schedulers.books import accounts_of
from foundry_tui.schedulers.kai import actor, details, order, probe, receipts, rights, submit
from foundry_tui.schedulers.kai.accounting import read_accounting
from foundry_tui.schedulers.kai.assemble import Assembly
from foundry_tui.schedulers.kai.connect import Cluster
from foundry_tui.schedulers.kai.watch import State
from foundry_tui.schedulers.kai.wire import Request
from foundry_tui.schedulers.ports import Estimate, Log, Probe

_SENT = (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)


class KaiAdapter:
    """Reads and changes one cluster.

    The first `snapshot` lists everything; from the second one on the lists are kept up to date by
    watches, so that a refresh asks nothing. Nothing is imported, asked or started before.
    """

    kind = "kai"

    def __init__(
        self,
        config: KubernetesConfig,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        slow_after_s: float = 5.0,
    ) -> None:
        self.name = config.name
        self.config = config
        self.cluster = Cluster(config)
        self._clock = clock
        self._slow_after_s = slow_after_s
        self._state: State | None = None
        self._assembly = Assembly(self.name, config)
        self._order = order.Order(config)
        self._lock = threading.Lock()

    def user(self) -> str | None:
        """None: a submitted workload carries the name of the host's user."""
        return None

    def probe(self) -> tuple[Probe, ...]:
        """What of this cluster is found, missing or broken."""
        return probe.probe(self.cluster)

    def snapshot(self) -> Snapshot:
        """Nodes, GPUs, queues and runs of the cluster now."""
        started = time.monotonic()
        with self._lock:
            state = self._current()
            now = self._clock()
            parts = self._assembly.make(state, self._order.positions(), now)
        took_s = time.monotonic() - started
        slow = took_s > self._slow_after_s
        source = Source(
            name=self.name,
            kind=self.kind,
            state=SourceState.SLOW if slow else SourceState.OK,
            read_at=now,
            reason=f"answered after {took_s:.1f} s" if slow else None,
        )
        return replace(parts, sources=(source,), partial=state.missing())

    def _current(self) -> State:
        """The state, listed at first, followed afterwards."""
        if self._state is None:
            self._state = State(self.cluster)
        if not self._state.listed:
            self._state.read()
        elif not self._state.followed:
            self._state.follow()
            self._state.settle()
        self._state.check()
        return self._state

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        """The workloads that the cluster still knows; Kubernetes keeps no history."""
        estate = self.snapshot()
        with self._lock:
            state = self._state or self._current()
            return read_accounting(state, self.config, estate, window, users)

    def usage(
        self, window: Window, *, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        """The same in one part: all of it is in memory anyway."""
        return iter((self.accounting(window, users=users),))

    def accounts(self) -> tuple[Account, ...]:
        """The queues are charged, as a tree."""
        return accounts_of(self.snapshot().queues)

    def own_totals(self, window: Window) -> OwnTotals | None:
        """None: the cluster keeps no sums."""
        return None

    def logs(self, run: Run, *, tail_lines: int, errors: bool = False) -> Log:
        """The last lines of the first pod's log; Kubernetes keeps both streams in one."""
        return details.read_log(self.cluster, run, tail_lines)

    def details(self, run: Run) -> dict[str, SafeText]:
        """The cluster's own words about one run, with its latest events."""
        return details.read_details(self.cluster, run)

    def estimate(self, run: Run, *, changes: tuple[tuple[str, str], ...] = ()) -> Estimate:
        """Nothing is known of a start: KAI plans none ahead."""
        return Estimate(starts_at=None, reason=details.NO_ESTIMATE, how=details.HOW)

    def estimate_submit(self, act: Submit) -> Estimate:
        """Whether the API would take the workload; when it would start is not known."""
        return details.try_submit(self.cluster, self.config, act)

    def rights(self, user: str | None = None) -> Rights:
        """What this user may do here; of others nothing can be asked."""
        return rights.read_rights(self.cluster, user)

    def supports(self, act: type[Act]) -> str | None:
        """None when this kind of act can be done, else why not."""
        return actor.supports(act)

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        """The exact requests, each tried without effect."""
        return actor.preview(self.cluster, self.config, act, runs, token)

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        """Send the previewed requests; the next reading shows what came of them."""
        state = self._state if self._state is not None and self._state.followed else None
        uids = {item.target: self._uid(item) for item in preview.items}
        before = {} if state is None else {uid: state.version_of(uid) for uid in uids.values()}
        sent = actor.perform(self.cluster, preview, token)
        if state is not None:
            done = {uids.get(r.target, r.target) for r in sent if r.status in _SENT}
            if isinstance(preview.act, Resubmit):  # the new ones are seen too
                done |= {r.after.removeprefix(f"{self.name}/") for r in sent if r.after}
            state.await_change({uid: before.get(uid) for uid in done})
        return sent

    def _uid(self, item: PreviewItem) -> str:
        """The uid of the object that an item changes: nodes and queues go by their names."""
        asked = Request.of(item.command)
        return (asked[0].uid if asked else None) or item.target.removeprefix(f"{self.name}/")

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        """What the cluster shows now of what was sent."""
        return receipts.read_back(self.cluster, preview, sent)

    def find_submitted(self, token: str) -> str | None:
        """The workload that carries this submit token."""
        uid = submit.find_submitted(self.cluster, token, self.config)
        if uid is not None and self._state is not None and self._state.followed:
            self._state.await_change({uid: None})
        return uid

    def close(self) -> None:
        """End the watches; what is asked afterwards is listed anew."""
        with self._lock:
            if self._state is not None:
                self._state.stop()
            self._state = None
