"""An adapter under test: how to submit to it, and how to let its time pass."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pytest

from foundry_tui.estate.acts import Act, Preview, Receipt, ReceiptStatus, Submit
from foundry_tui.estate.run import Run, RunState
from foundry_tui.schedulers.ports import SchedulerActor, SchedulerReader

POLLS = 180
"""So often a condition is looked at before a test fails."""

SAID_YES = {ReceiptStatus.DONE, ReceiptStatus.ACCEPTED}
SAID_NO = {ReceiptStatus.REFUSED, ReceiptStatus.UNCHANGED}


class Adapter(SchedulerReader, SchedulerActor, Protocol):
    """Both ports on one object."""

    name: str


@dataclass(frozen=True)
class Harness:
    """An adapter under test.

    `work` gives a submission of one GPU for ten minutes under a name; `impossible` is one that the
    scheduler refuses; `after` gives one that waits for a run, None where nothing can wait so;
    `change` is a field of a waiting run that can be changed, with a new value, `queue_change` a
    queue with such fields, its state among them; `unknown` is a well-formed id that no run has.
    `drive` lets seconds pass, and `now` is the moment by the adapter's clock.
    """

    adapter: Adapter
    work: Callable[[str], Submit]
    impossible: Submit
    after: Callable[[str], Submit] | None
    unknown: str
    drive: Callable[[float], None]
    now: Callable[[], datetime]
    change: tuple[str, str] = ("time_limit_s", "660")
    queue_change: tuple[str, tuple[tuple[str, str], ...]] | None = None

    def changed(self, run: Run) -> bool:
        """Whether a run shows the value of `change`."""
        name, value = self.change
        seen = {"time_limit_s": run.request.time_limit_s, "queue": run.queue, "qos": run.qos}
        return str(seen[name]) == value

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Let time pass until a condition holds."""
        for _ in range(POLLS):
            if holds():
                return
            self.drive(15)
        pytest.fail(f"it did not come to this: {what}")

    def send(self, act: Act, *runs: Run, token: str = "") -> tuple[Preview, tuple[Receipt, ...]]:
        """Preview and perform."""
        token = token or new_token()
        preview = self.adapter.preview(act, runs, token)
        return preview, self.adapter.perform(preview, token)

    def started(self, name: str = "contract") -> Run:
        """A run of ours that runs on a GPU."""
        run = self.submitted(name)
        self.until(lambda: self.state(run) is RunState.RUNNING, f"{run.id} runs")
        # KAI gives the GPU away before the node says that the pod started there
        self.until(lambda: self.run(run.native_id).started_at is not None, f"{run.id} started")
        return self.run(run.native_id)

    def submitted(self, name: str = "contract") -> Run:
        """A run of ours as it is first seen."""
        token = new_token()
        _, (receipt,) = self.send(self.work(name), token=token)
        assert receipt.status in SAID_YES, receipt
        self.until(lambda: self.adapter.find_submitted(token) is not None, "the run is seen")
        native = self.adapter.find_submitted(token)
        assert native is not None
        return self.run(native)

    def run(self, native: str) -> Run:
        """The run of this native id."""
        return next(r for r in self.adapter.snapshot().runs if r.native_id == native)

    def state(self, run: Run) -> RunState | None:
        """The present state of a run, None when it is listed no more."""
        runs = self.adapter.snapshot().runs
        return next((r.state for r in runs if r.id == run.id), None)


def new_token() -> str:
    """A submit token that nobody else has."""
    return f"contract-{secrets.token_hex(6)}"
