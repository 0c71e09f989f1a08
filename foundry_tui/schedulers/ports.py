"""The ports: what a scheduler can be read for, and what it can be asked to change.

Every adapter serves both, and the same contract tests run on all of them
(`tests/schedulers/test_contract.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from foundry_tui.estate.acts import Act, Preview, Receipt, Submit
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Placement, Run
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.text import SafeText
from foundry_tui.estate.usage import Account, Accounting, OwnTotals, Window


class SchedulerError(Exception):
    """A scheduler could not answer. `asked` is what was wanted, `hint` what to do next."""

    def __init__(self, asked: str, answer: str, hint: str = "") -> None:
        super().__init__(f"{asked}: {answer}" + (f"; {hint}" if hint else ""))
        self.asked, self.answer, self.hint = asked, answer, hint


class Unavailable(SchedulerError):
    """The source is down, hung or not installed: exit code 3."""


class Denied(SchedulerError):
    """The source answered and refuses this user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The end of a run's output file; `reason` says why there is none."""

    path: SafeText | None
    lines: tuple[SafeText, ...] = ()
    truncated: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """When and where the scheduler itself would start a run; `reason` when it cannot."""

    starts_at: datetime | None
    placement: tuple[Placement, ...] = ()
    queue: str | None = None
    reason: SafeText | None = None
    how: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One line of `foundry doctor`: what was looked for, what was found, and the mend."""

    what: str
    state: str
    found: SafeText
    mend: str | None = None


@runtime_checkable
class SchedulerReader(Protocol):
    """Reads one source. Every call ends within its deadline; none of them changes anything."""

    name: str
    kind: str

    def user(self) -> str | None:
        """The name under which this user's runs stand here; None for that of the process.

        Answers at once: until the source has told the name, None. Never raises.
        """

    def probe(self) -> tuple[Probe, ...]:
        """What of this source is found, missing or broken. Never raises."""

    def snapshot(self) -> Snapshot:
        """Nodes, GPUs, queues and runs of this source.

        Raises:
            Unavailable: the source did not answer in time.
            Denied: the source refuses this user.
        """

    def accounting(self, window: Window, *, users: tuple[str, ...] | None = None) -> Accounting:
        """Every try of every run that touches the window.

        Raises:
            Unavailable: the accounting did not answer.
        """

    def logs(self, run: Run, *, tail_lines: int, errors: bool = False) -> Log:
        """The last lines of the run's output file, or of its error file."""

    def details(self, run: Run) -> dict[str, SafeText]:
        """The scheduler's own words about one run, for the detail view and explanations."""

    def estimate(self, run: Run, *, changes: tuple[tuple[str, str], ...] = ()) -> Estimate:
        """When the scheduler would start a run like this one, with `changes` applied.

        `changes` are pairs in the words of `ChangeRun.fields`. Nothing is submitted.
        """

    def estimate_submit(self, act: Submit) -> Estimate:
        """When the scheduler would start what is not submitted yet. Nothing is submitted.

        Raises:
            Unavailable: the source did not answer.
        """

    def rights(self, user: str | None = None) -> Rights:
        """What a user (None: the current one) may do, with the limits that bind."""


@runtime_checkable
class SchedulerActor(Protocol):
    """Changes one source: spell out, do, read back. Creating is never tried twice blindly."""

    name: str

    def supports(self, act: type[Act]) -> str | None:
        """None when the adapter can do this kind of act, else the reason why not."""

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        """The exact command or request for each item; nothing is changed.

        What is to be changed may be read for it, so that the inverse has the old values; what
        could not be read then makes refusals of the items, with the reason.
        `runs` are the runs as last seen; `token` is the submit token that a creating act carries.
        """

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        """Send the previewed commands, one receipt per item. Never raises for a refusal.

        Raises:
            Unavailable: nothing was sent, because the source does not answer.
        """

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        """The receipts as the scheduler's state proves them now."""

    def find_submitted(self, token: str) -> str | None:
        """The native id of the run that carries this submit token, or None.

        Raises:
            Unavailable: the source did not answer, so nothing is known.
        """


@runtime_checkable
class Sharing(Protocol):
    """A source that cuts its GPUs into shards of equal worth; only Slurm does."""

    def shards_per_gpu(self) -> int | None:
        """Into how many; None where it does not, or where that differs between nodes.

        Raises:
            Unavailable: the source did not answer.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchScript:
    """The batch script of a run; `reason` says why there is no `data`.

    `interactive` says that the run never had one: it was started with `srun` or `salloc`. `kept`
    is False where the source keeps no script of any run that is over.
    """

    data: bytes | None = None
    interactive: bool = False
    kept: bool = True
    reason: SafeText | None = None


@runtime_checkable
class ScriptReader(Protocol):
    """A source that keeps the batch scripts of its runs; only Slurm does."""

    def batch_script(self, raw_id: str, *, ended: bool) -> BatchScript:
        """The script of a run, as the user of this process may see it.

        `raw_id` is the id under which the accounting keeps it. What is refused is no error, but
        has a reason.

        Raises:
            Unavailable: the source did not answer.
        """


@runtime_checkable
class Bookkeeper(Protocol):
    """A source whose accounting is too long for one answer, or knows more than runs."""

    def usage(
        self, window: Window, *, users: tuple[str, ...] | None = None
    ) -> Iterator[Accounting]:
        """Every try of every run that touches the window, in parts: each try in exactly one.

        The window of a part is the time that was looked through for it. One part at a time is in
        memory, and the caller may stop between two.

        Raises:
            Unavailable: the accounting did not answer.
        """

    def accounts(self) -> tuple[Account, ...]:
        """Who is charged here, with the account above and the quota.

        Raises:
            Unavailable: the accounting did not answer.
        """

    def own_totals(self, window: Window) -> OwnTotals | None:
        """The source's own sums of the window; None where it keeps none.

        Raises:
            Unavailable: the accounting did not answer.
        """
