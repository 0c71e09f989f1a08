"""A scheduler of a dozen runs that lives in a file, so that it outlives a process that is killed.

It serves both ports. What it is told to do wrong stands in the file too: `lies` says yes and does
nothing, `denies` says no, `silent` gives no answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.acts import (
    Act,
    Cancel,
    ChangeRun,
    Hold,
    Preview,
    PreviewItem,
    Receipt,
    ReceiptStatus,
    Release,
    Requeue,
    Resubmit,
)
from foundry_tui.estate.node import Node, NodeState
from foundry_tui.estate.plan import Move, Plan, Target
from foundry_tui.estate.queue import Queue
from foundry_tui.estate.rights import Rights
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe
from foundry_tui.process import user_name
from foundry_tui.schedulers.ports import Unavailable

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@dataclass
class Lab:
    """The scheduler; `before` is called with the name of every call to it that changes something.

    The runs 1 to 12 wait in the queue `short`.
    """

    path: Path
    name: str = "lab"
    kind: str = "slurm"
    before: Callable[[str], None] = lambda _: None
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.path.exists():
            runs = {
                f"lab/{n}": {"queue": "short", "state": "pending", "held": False, "started": None}
                for n in range(1, 13)
            }
            self.save({"runs": runs, "sent": [], "tokens": {}, "lies": [], "denies": []})

    def load(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def save(self, state: dict[str, Any]) -> None:
        part = self.path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(state))
        part.replace(self.path)

    def set(self, run_id: str, **fields: Any) -> None:
        """What somebody else does to a run behind our back."""
        state = self.load()
        state["runs"][run_id].update(fields)
        self.save(state)

    def mark(self, what: str, *run_ids: str) -> None:
        state = self.load()
        state[what] = list(run_ids)
        self.save(state)

    @property
    def sent(self) -> list[str]:
        found: list[str] = self.load()["sent"]
        return found

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.load()["runs"][run_id]
        return found

    # -- reading

    def user(self) -> str | None:
        return None

    def rights(self, user: str | None = None) -> Rights:
        return Rights(user=user_name(), admin=True)

    def snapshot(self) -> Snapshot:
        state = self._answer()
        runs = tuple(
            Run(
                id=run_id,
                native_id=run_id.partition("/")[2],
                source="lab",
                scheduler="slurm",
                name=safe("train"),
                user=user_name(),
                state=RunState(found["state"]),
                queue=found["queue"],
                held=found["held"],
                request=Request(gpu_count=1, gpu_milli=1000),
                placement=(Placement("n1", (0,)),) if found["state"] == "running" else (),
                started_at=_when(found["started"]),
                read_at=NOW,
            )
            for run_id, found in state["runs"].items()
        )
        node = Node(
            name="n1", source="lab", state=NodeState.MIXED, gpu_count=8,
            gpu_milli_allocated=state.get("allocated", 0),
        )  # fmt: skip
        return Snapshot(
            generated_at=NOW,
            sources=(Source(name="lab", kind="slurm", state=SourceState.OK, read_at=NOW),),
            nodes=(node,),
            queues=tuple(Queue(name=q, source="lab", kind="partition") for q in ("short", "long")),
            runs=runs,
        )

    def _answer(self) -> dict[str, Any]:
        state = self.load()
        if state.get("silent"):
            raise Unavailable("squeue", "no answer")
        return state

    # -- acting

    def supports(self, act: type[Act]) -> str | None:
        return None

    def preview(self, act: Act, runs: tuple[Run, ...], token: str) -> Preview:
        state = self._answer()
        known = {run.id: run for run in runs}
        ids: tuple[str, ...] = act.runs  # type: ignore[union-attr]
        items = []
        for run_id in ids:
            run, refusal = known.get(run_id), None
            if run_id in state["denies"]:
                refusal = "Access denied"
            elif run is not None and isinstance(act, ChangeRun | Hold | Release):
                refusal = "it runs" if run.state is not RunState.PENDING else None
            loss = 7200.0 if isinstance(act, Requeue) else None
            items.append(
                PreviewItem(
                    target=run_id,
                    command=("do", _words(act), run_id),
                    owner=user_name(),
                    before=str(run.state) if run else None,
                    loss_gpu_s=loss,
                    refusal=None if refusal is None else safe(refusal),
                )
            )
        return Preview(act=act, items=tuple(items), inverse=self._inverse(act, state, ids))

    def _inverse(self, act: Act, state: dict[str, Any], ids: Sequence[str]) -> Act | None:
        if isinstance(act, Hold):
            return Release(source="lab", runs=act.runs)
        if isinstance(act, Release):
            return Hold(source="lab", runs=act.runs)
        if isinstance(act, ChangeRun):
            queue = state["runs"][ids[0]]["queue"]
            return ChangeRun(source="lab", runs=act.runs, fields=(("queue", queue),))
        return None

    def perform(self, preview: Preview, token: str) -> tuple[Receipt, ...]:
        self.before("perform")
        state = self._answer()
        receipts = []
        for item in preview.items:
            run_id = item.target
            state["sent"].append(" ".join(item.command))
            if run_id not in state["lies"]:
                _do(state, preview.act, run_id, token)
            receipts.append(Receipt(target=run_id, status=ReceiptStatus.ACCEPTED))
        self.save(state)
        self.before("performed")
        return tuple(receipts)

    def read_back(self, preview: Preview, sent: tuple[Receipt, ...]) -> tuple[Receipt, ...]:
        state = self._answer()
        found = []
        for receipt in sent:
            done = _reached(state, preview.act, receipt.target)
            status = ReceiptStatus.DONE if done else ReceiptStatus.UNCHANGED
            found.append(Receipt(target=receipt.target, status=status))
        return tuple(found)

    def find_submitted(self, token: str) -> str | None:
        found: str | None = self._answer()["tokens"].get(token)
        return found


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _words(act: Act) -> str:
    return type(act).__name__.lower() + "".join(f" {k}={v}" for k, v in getattr(act, "fields", ()))


def _do(state: dict[str, Any], act: Act, run_id: str, token: str) -> None:
    run = state["runs"][run_id]
    if isinstance(act, ChangeRun):
        run["queue"] = dict(act.fields)["queue"]
    elif isinstance(act, Hold | Release):
        run["held"] = isinstance(act, Hold)
    elif isinstance(act, Requeue):
        run.update(state="pending", held=act.hold, started=None)
    elif isinstance(act, Cancel):
        run["state"] = "cancelled"
    elif isinstance(act, Resubmit):
        made = f"lab/{100 + len(state['tokens'])}"
        state["tokens"][token] = made.partition("/")[2]
        state["runs"][made] = {**run, "queue": dict(act.fields)["queue"]}
        run["state"] = "cancelled"


def _reached(state: dict[str, Any], act: Act, run_id: str) -> bool:
    run = state["runs"].get(run_id)
    if run is None:
        return False
    if isinstance(act, ChangeRun):
        return bool(run["queue"] == dict(act.fields)["queue"])
    if isinstance(act, Hold | Release):
        return bool(run["held"] is isinstance(act, Hold))
    if isinstance(act, Requeue):
        return bool(run["state"] == "pending")
    return bool(run["state"] == "cancelled")


def site_of(lab: Lab, folder: Path) -> Site:
    """A site of this one scheduler, with a journal in the folder."""
    config = Config(state_dir=folder / "state", cache_dir=folder / "cache")
    site = Site(options=Options(), config=config, mode="live", tell=lambda _: None)
    site.schedulers["lab"] = lab  # type: ignore[assignment]
    return site


def to_queue(number: int, run_id: str, queue: str = "long", **more: Any) -> Move:
    """A move of a run to another queue."""
    return Move(
        id=f"m{number}",
        target=Target("run", run_id),
        action="move_queue",
        precondition={"state": "pending", "queue": "short", "tasks": 1, "held": False},
        steps=(ChangeRun(source="lab", runs=(run_id,), fields=(("queue", queue),)),),
        **more,
    )


def plan_of(*moves: Move, plan_id: str = "p1", estate_id: str = "") -> Plan:
    """A plan as somebody would write it by hand."""
    return Plan(
        id=plan_id,
        generated_at=NOW - timedelta(minutes=5),
        estate_id=estate_id,
        objective_name="by hand",
        objective=None,
        bound=None,
        gap=None,
        status="written by hand",
        solve_s=0.0,
        moves=moves,
        before={},
        after={},
    )
