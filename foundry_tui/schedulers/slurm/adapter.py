"""One Slurm cluster behind the reader and actor ports."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from foundry_tui.estate.acts import Act, ChangeQueue, Preview, Receipt, Submit
from foundry_tui.estate.gpu import WHOLE_MILLI
from foundry_tui.estate.queue import Queue, with_use
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Run, run_id
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Account, Accounting, OwnTotals, Window
from foundry_tui.schedulers.ports import (
    BatchScript,
    Denied,
    Estimate,
    Log,
    Probe,
    SchedulerError,
    Unavailable,
)
from foundry_tui.schedulers.slurm import (
    actor,
    logs,
    nodes,
    privacy,
    probe,
    receipts,
    rights,
    scripts,
    submit,
)
from foundry_tui.schedulers.slurm.accounting import books
from foundry_tui.schedulers.slurm.accounting.allocated import Allocations
from foundry_tui.schedulers.slurm.accounting.ledger import Ledger, read_accounting
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.details import read_held
from foundry_tui.schedulers.slurm.dialects import decode_jobs
from foundry_tui.schedulers.slurm.estimate import read_estimate, submit_estimate
from foundry_tui.schedulers.slurm.inspect import read_details
from foundry_tui.schedulers.slurm.jobs import array_part, native_id, read_jobs, to_runs
from foundry_tui.schedulers.slurm.queues import parse_queues
from foundry_tui.schedulers.slurm.rows import Held, JobTable

READERS = ("text", "json", "pyslurm")


class SlurmAdapter:
    """Reads and changes one Slurm cluster through its own commands.

    `slow_s` is how often partitions, which change rarely, are read again; `slow_after_s` from when
    on an answer counts as slow.

    A refresh costs two calls: the job list, and either the nodes or the details of jobs that have
    just started (their devices never change while they run). Only the first costs four.
    """

    kind = "slurm"

    def __init__(
        self,
        name: str = "slurm",
        *,
        conf: str | None = None,
        folder: str | None = None,
        timeout_s: float = 12.0,
        read: str = "text",
        slow_s: float = 300.0,
        slow_after_s: float = 5.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if read not in READERS:
            raise ValueError(f"read: one of {', '.join(READERS)}, not {read!r}")
        self.name = name
        self.commands = Commands(conf, folder, timeout_s)
        self._logs = logs.Logs(self.commands)
        self._read = read
        self._slow_s, self._slow_after_s = slow_s, slow_after_s
        self._clock = clock
        self._held: dict[tuple[str, str], tuple[Held, ...]] = {}
        self._nodes: tuple[nodes.RawNode, ...] | None = None
        self._nodes_waited = 0
        self._hides: SafeText | None = None
        self._queues: tuple[float, datetime, str] | None = None
        self._private: tuple[float, frozenset[str]] | None = None

    def user(self) -> str | None:
        """None: Slurm's users are those of the host."""
        return None

    def probe(self) -> tuple[Probe, ...]:
        """What of this cluster is found, missing or broken."""
        return probe.probe(self.commands)

    def snapshot(self) -> Snapshot:
        """Nodes, GPUs, queues and runs of the cluster now."""
        started = time.monotonic()
        with ThreadPoolExecutor(max_workers=3) as pool:
            jobs = pool.submit(self._jobs)
            first = self._nodes is None
            listing = pool.submit(self._read_nodes) if first else None
            queues = pool.submit(self._queue_text)
            table = jobs.result()
            table = self._with_details(table, first=first)
            if listing is not None:
                listing.result()
            queues_at, queue_text = queues.result()
        now = self._clock()
        listed = parse_queues(queue_text, self.name, queues_at)
        return self._assemble(table, listed, now, time.monotonic() - started)

    def _jobs(self) -> JobTable:
        if self._read == "json":
            return decode_jobs(self.commands.read("squeue", "--json"))
        if self._read == "pyslurm":
            from foundry_tui.schedulers.slurm import pyslurm_reader

            return pyslurm_reader.read_jobs(self.commands.configured(), self.commands.timeout_s)
        return read_jobs(self.commands)

    def _with_details(self, table: JobTable, *, first: bool) -> JobTable:
        """The table with what each running job holds, read anew only for jobs that just started."""
        live = {
            (row.job_id, row.start): row.job_id
            for row in table.rows
            if row.state in ("RUNNING", "SUSPENDED", "COMPLETING") and "gres/" in row.tres
        }
        self._held = {key: held for key, held in self._held.items() if key in live}
        for key, job in live.items():
            if job in table.held:
                self._held[key] = table.held[job]
        missing = {key: job for key, job in live.items() if key not in self._held}
        # Two calls a refresh: the details take the nodes' turn, but not twice running.
        if missing and (first or self._nodes_waited == 0):
            found = read_held(self.commands, missing.values())
            self._held.update({k: found[job] for k, job in missing.items() if job in found})
            self._nodes_waited += 0 if first else 1
        elif not first:
            self._read_nodes()
        return JobTable(table.rows, {job: self._held.get(key, ()) for key, job in live.items()})

    def _read_nodes(self) -> None:
        self._nodes_waited = 0
        try:
            text = self.commands.read("scontrol", "-d", "-o", "show", "nodes")
        except Denied as error:  # PrivateData=nodes: a user sees his runs all the same
            self._nodes = ()
            self._hides = safe(f"{self.name}: its nodes are not shown: {error}", max_cells=400)
            return
        self._nodes, self._hides = nodes.parse_nodes(text.decode("utf-8", "surrogateescape")), None

    def shards_per_gpu(self) -> int | None:
        """Into how many shards a GPU is cut; None where none is, or where nodes differ."""
        found = {n.worth.shard for n in self._known_nodes() if n.worth.shard}
        return round(WHOLE_MILLI / found.pop()) if len(found) == 1 else None

    def private_data(self) -> frozenset[str]:
        """What the cluster hides from its users, in the words of PrivateData.

        It is asked at the slow interval; a controller that is silent then has not changed its mind.

        Raises:
            SchedulerError: it was never told.
        """
        if self._private is None or time.monotonic() - self._private[0] > self._slow_s:
            try:
                words = privacy.read_private(self.commands)
            except SchedulerError:
                if self._private is None:
                    raise
                words = self._private[1]
            self._private = (time.monotonic(), words)
        return self._private[1]

    def _queue_text(self) -> tuple[datetime, str]:
        if self._queues is None or time.monotonic() - self._queues[0] > self._slow_s:
            out = self.commands.read("scontrol", "-a", "-o", "show", "partitions")
            text = out.decode("utf-8", "surrogateescape")
            self._queues = (time.monotonic(), self._clock(), text)
        return self._queues[1:]

    def _assemble(
        self, table: JobTable, queues: tuple[Queue, ...], now: datetime, took_s: float
    ) -> Snapshot:
        raw = self._nodes or ()
        worth = {n.name: n.worth for n in raw}
        runs = to_runs(table, self.name, now, worth)
        ids = {row.job_id: run_id(self.name, native_id(row, array_part(row))) for row in table.rows}
        held = nodes.tenants(((ids[j], h) for j, h in table.held.items()), worth)
        slow = took_s > self._slow_after_s
        return Snapshot(
            generated_at=now,
            sources=(
                Source(
                    name=self.name,
                    kind=self.kind,
                    state=SourceState.SLOW if slow else SourceState.OK,
                    read_at=now,
                    reason=f"answered after {took_s:.1f} s" if slow else None,
                ),
            ),
            nodes=tuple(nodes.to_node(n, self.name, now) for n in raw),
            gpus=tuple(
                g for n in raw for g in nodes.to_gpus(n, held.get(n.name, {}), self.name, now)
            ),
            queues=with_use(queues, runs, now),
            runs=runs,
            partial=(self._hides,) if self._hides else (),
        )

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        """Every try of every run that touches the window, from slurmdbd."""
        allocations = Allocations(self._nodes or ())
        return read_accounting(self.commands, self.name, window, allocations, users=users)

    def usage(
        self, window: Window, *, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        """Every try of every run that touches the window, day by day, with doubts and worths."""
        ledger = Ledger.opened(self.commands, self.name, self._known_nodes, self.private_data)
        return ledger.parts(window, self._clock(), users)

    def _known_nodes(self) -> tuple[nodes.RawNode, ...]:
        if self._nodes is None:
            self._read_nodes()
        return self._nodes or ()

    def accounts(self) -> tuple[Account, ...]:
        """The accounts of this cluster in slurmdbd."""
        return books.read_accounts(self.commands, probe.cluster_name(self.commands))

    def own_totals(self, window: Window) -> OwnTotals | None:
        """What `sreport` adds up of the whole hours of the window."""
        cluster = probe.cluster_name(self.commands)
        return books.read_own_totals(self.commands, cluster, window, self._clock())

    def logs(self, run: Run, *, tail_lines: int, errors: bool = False) -> Log:
        """The last lines of the run's output file."""
        return self._logs.read(run, tail_lines, errors=errors)

    def details(self, run: Run) -> dict[str, SafeText]:
        """Slurm's own words about one run."""
        return read_details(self.commands, run)

    def batch_script(self, raw_id: str, *, ended: bool) -> BatchScript:
        """The script of a job, from the controller while it knows it, else from slurmdbd."""
        return scripts.read_script(self.commands, raw_id, ended=ended)

    def estimate(self, run: Run, *, changes: tuple[tuple[str, str], ...] = ()) -> Estimate:
        """When Slurm would start a run like this one: `sbatch --test-only`."""
        return read_estimate(self.commands, run, changes)

    def estimate_submit(self, act: Submit) -> Estimate:
        """When Slurm would start this script: `sbatch --test-only` with all that is given."""
        return submit_estimate(self.commands, act)

    def rights(self, user: str | None = None) -> Rights:
        """What a user (None: the current one) may do here."""
        return rights.read_rights(self.commands, user)

    def supports(self, act: type[Act]) -> str | None:
        """None when this kind of act can be done, else why not."""
        return actor.supports(act)

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        """The exact commands; nothing is sent."""
        return actor.preview(self.commands, act, runs, token)

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        """Send the previewed commands."""
        if isinstance(preview.act, ChangeQueue):
            self._queues = None  # the next reading shows what became of it
        return actor.perform(self.commands, preview)

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        """What Slurm shows now of what was sent."""
        return receipts.read_back(self.commands, preview, sent)

    def find_submitted(self, token: str) -> str | None:
        """The job that carries this submit token."""
        return submit.find_submitted(self.commands, token)


def discover(clock: Callable[[], datetime]) -> SlurmAdapter | None:
    """The cluster this host belongs to, without any configuration; None when there is none.

    A `squeue` without a cluster configuration is a leftover package, not a cluster.
    """
    adapter = SlurmAdapter(clock=clock)
    try:
        name = probe.cluster_name(adapter.commands)
    except SchedulerError as error:
        if isinstance(error, Unavailable) and probe.meant(adapter.commands):
            adapter.name = safe(socket.gethostname().split(".")[0])
            return adapter
        return None
    adapter.name = name
    return adapter
