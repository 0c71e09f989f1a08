"""One Run:ai control plane behind the reader and actor ports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from foundry_tui.config.sources import RunaiConfig
from foundry_tui.estate.acts import (
    Act,
    ChangeQueue,
    Preview,
    Receipt,
    ReceiptStatus,
    Resubmit,
    Submit,
)
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Account, Accounting, OwnTotals, Window
from foundry_tui.schedulers.ports import Estimate, Log, Probe

if TYPE_CHECKING:
    import httpx

    from foundry_tui.deadline import Deadline
    from foundry_tui.schedulers.runai.client import Client
    from foundry_tui.schedulers.runai.reader import Reader
    from foundry_tui.schedulers.runai.tables import Tables

FRESH_S = 30.0
"""A reading so young is good enough for an estimate."""


class RunaiAdapter:
    """Reads and changes one Run:ai tenant, or one of its clusters, over REST.

    `slow_s` is how often projects, departments and access rules, which change rarely, are read
    again; `slow_after_s` from when on an answer counts as slow. `transport` and `pause` stand in
    for the network and for waiting in tests.

    A refresh costs three lists, and at most 48 small calls for readings and records of what is new;
    the first one at most 208.
    """

    kind = "runai"

    def __init__(
        self,
        config: RunaiConfig,
        *,
        env: Mapping[str, str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        slow_s: float = 300.0,
        slow_after_s: float = 5.0,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = config.name
        self._config, self._env, self._clock = config, env, clock
        self._slow_s, self._slow_after_s = slow_s, slow_after_s
        self._transport, self._pause = transport, pause
        self._made: tuple[Client, Reader] | None = None
        self._me: str | None = None

    def _parts(self) -> tuple[Client, Reader]:
        """Client and reader, made and imported with the first call."""
        if self._made is None:
            from foundry_tui.schedulers.runai.client import Client
            from foundry_tui.schedulers.runai.reader import Reader

            client = Client(self._config, self._env, transport=self._transport, pause=self._pause)
            reader = Reader(
                self.name,
                client,
                cluster=self._config.cluster,
                clock=self._clock,
                slow_s=self._slow_s,
                slow_after_s=self._slow_after_s,
            )
            self._made = (client, reader)
        return self._made

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        if self._made is not None:
            self._made[0].close()

    def user(self) -> str | None:
        """Our name as workloads show it; None until access rules or token have told it."""
        return self._me

    def probe(self) -> tuple[Probe, ...]:
        """What of this control plane is found, missing or broken."""
        from foundry_tui.schedulers.runai.probe import probe

        client, reader = self._parts()
        return probe(client, reader, self._config.client_id)

    def snapshot(self) -> Snapshot:
        """Nodes, GPUs, queues and runs now."""
        found = self._parts()[1].snapshot()
        self._tables()
        return found

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        """Every try of every workload that touches the window."""
        from foundry_tui.schedulers.runai.usage import read_usage

        client, reader = self._parts()
        tables = reader.tables(client.deadline())
        return read_usage(client, tables, self.name, window, users=users, now=self._clock())

    def usage(
        self, window: Window, *, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        """The same, in one part: the control plane cannot be asked for ends within a time."""
        return iter((self.accounting(window, users=users),))

    def accounts(self) -> tuple[Account, ...]:
        """Projects are charged, below their departments."""
        from foundry_tui.schedulers.books import accounts_of

        return accounts_of(self._recent().queues)

    def own_totals(self, window: Window) -> OwnTotals | None:
        """None: the control plane sums up no GPU-seconds by project for any time."""
        return None

    def logs(self, run: Run, *, tail_lines: int, errors: bool = False) -> Log:
        """No lines: the control plane serves none. The reason names the command that does."""
        from foundry_tui.schedulers.runai.logs import read_logs

        return read_logs(run, tail_lines)

    def details(self, run: Run) -> dict[str, SafeText]:
        """The control plane's own words about one workload; empty for one that is gone."""
        from foundry_tui.schedulers.runai.details import read_details

        return read_details(self._parts()[0], run)

    def estimate(self, run: Run, *, changes: tuple[tuple[str, str], ...] = ()) -> Estimate:
        """Now, where there is a free place; otherwise nothing is known.

        Raises:
            ValueError: changes, which a workload does not take.
        """
        from foundry_tui.estate.acts import ChangeRun
        from foundry_tui.schedulers.runai.acts import UNSUPPORTED
        from foundry_tui.schedulers.runai.estimate import estimate, need_of_run

        if changes:
            raise ValueError(UNSUPPORTED[ChangeRun])
        return estimate(need_of_run(run), self._recent(), self._clock())

    def estimate_submit(self, act: Submit) -> Estimate:
        """Now, where there is a free place; otherwise nothing is known. Nothing is sent."""
        from foundry_tui.schedulers.options import parse
        from foundry_tui.schedulers.runai.estimate import HOW, estimate, need_of_wanted

        item = self.preview(act, (), "estimate").items[0]
        if item.refusal is not None:
            return Estimate(starts_at=None, reason=item.refusal, how=HOW)
        wanted = parse(act.options)
        client, reader = self._parts()
        unit = reader.tables(client.deadline()).project(wanted.project or "")
        return estimate(
            need_of_wanted(wanted, unit.name if unit else None), self._recent(), self._clock()
        )

    def _recent(self) -> Snapshot:
        """The last reading while it is young, else a new one."""
        last = self._parts()[1].last
        young = last and (self._clock() - last.generated_at).total_seconds() < FRESH_S
        return last if last and young else self.snapshot()

    def rights(self, user: str | None = None) -> Rights:
        """What our access rules allow; of other users nothing is told."""
        from foundry_tui.schedulers.runai.rights import to_rights

        tables, me = self._tables()
        return to_rights(tables, me, user)

    def _tables(self) -> tuple[Tables, str]:
        """The tables, and our own name as workloads show it."""
        from foundry_tui.schedulers.runai.rights import who

        client, reader = self._parts()
        deadline: Deadline = client.deadline()
        tables = reader.tables(deadline)
        self._me = who(tables) or client.who(deadline) or self._config.client_id
        return tables, safe(self._me or "unknown")

    def supports(self, act: type[Act]) -> str | None:
        """None when this kind of act can be done, else why not."""
        from foundry_tui.schedulers.runai.acts import supports

        return supports(act)

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        """The exact requests; nothing is sent but readings of rights and projects.

        Raises:
            ValueError: an act that `supports` refuses, or a field that cannot be changed.
            Unavailable, Denied: projects and rights cannot be read.
        """
        from foundry_tui.estate.acts import ChangeNode, MoveNode
        from foundry_tui.schedulers.runai import resubmit
        from foundry_tui.schedulers.runai.acts import preview_runs
        from foundry_tui.schedulers.runai.quota import preview_quota
        from foundry_tui.schedulers.runai.request import submit_item

        why = self.supports(type(act))
        if why is not None or isinstance(act, ChangeNode | MoveNode):
            raise ValueError(why)
        tables, me = self._tables()
        if isinstance(act, Submit):
            return Preview(act=act, items=(submit_item(act, token, tables, me),))
        if isinstance(act, ChangeQueue):
            return preview_quota(act, tables)
        if isinstance(act, Resubmit):
            return resubmit.preview(self._parts()[0], act, runs, tables, me, token)
        return preview_runs(act, runs, tables, me)

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        """Send the previewed requests, one receipt per item."""
        from foundry_tui.schedulers.runai import resubmit
        from foundry_tui.schedulers.runai.acts import perform_quota, perform_runs, perform_submit

        client, reader = self._parts()
        if isinstance(preview.act, Submit):
            receipt = perform_submit(client, preview.items[0])
            if receipt.status is ReceiptStatus.ACCEPTED:
                reader.tokens[receipt.target] = token
            return (receipt,)
        if isinstance(preview.act, ChangeQueue):
            reader.forget_tables()
            return (perform_quota(client, preview),)
        if isinstance(preview.act, Resubmit):
            return resubmit.perform(client, preview)
        return perform_runs(client, preview)

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        """The receipts as the control plane shows them now."""
        from foundry_tui.schedulers.ports import SchedulerError
        from foundry_tui.schedulers.runai import resubmit
        from foundry_tui.schedulers.runai.receipts import read_back, read_back_quota

        client, reader = self._parts()
        if isinstance(preview.act, Resubmit):
            return resubmit.read_back(client, preview, sent, self._pause)
        if not isinstance(preview.act, ChangeQueue):
            return read_back(client, preview, sent, self._pause)
        try:
            tables = reader.tables(client.deadline())
        except SchedulerError:
            return sent
        return read_back_quota(client, preview.act, tables, sent)

    def find_submitted(self, token: str) -> str | None:
        """The uuid of the workload that carries this submit token."""
        from foundry_tui.schedulers.runai.receipts import find_submitted

        client, reader = self._parts()
        known = next((native for native, told in reader.tokens.items() if told == token), None)
        return find_submitted(client, token, known)
