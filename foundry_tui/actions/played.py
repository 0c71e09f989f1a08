"""The tracking server of the simulated estate: records of the user's runs, made up and repeatable.

What a run has logged follows from its id and from how long it has run, so that two looks at the
same moment show the same.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from foundry_tui.estate.recorded import SUBMIT_TAG
from foundry_tui.estate.run import Run
from foundry_tui.estate.tracked import Point, TrackedRun
from foundry_tui.tracking.link import job_tag, tags
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.reconcile import Job, decide

if TYPE_CHECKING:
    from foundry_tui.actions.site import Site

EVERY_S = 60
"""Simulated seconds between two values of a metric."""

MOST_POINTS = 1500
EXPERIMENTS = ("llama-ft", "vision-base", "genome-lm")


class Played(MemoryTracker):
    """The simulated tracking server, and which record belongs to which run."""

    def __init__(self) -> None:
        super().__init__("sim-mlflow", "http://mlflow.sim.invalid")
        self.by_run: dict[str, str] = {}
        self.experiment_of: dict[str, str] = {}
        """Record -> the name of its experiment."""
        self._remembers = False

    def remember(self, now: datetime, user: str) -> None:
        """Have what was tracked in the six weeks before; made when it is first asked for."""
        from foundry_tui.actions.playedpast import remember

        if not self._remembers:
            self._remembers = True
            remember(self, now, user)

    def id_of(self, site: Site, run: Run) -> str | None:
        """The id of the run's record, which is made when absent; None for a run that has none."""
        known = self.by_run.get(run.id)
        if known is None:
            known = self._submitted(site, run) or self._made_up(site, run)
            if known is not None:
                self.by_run[run.id] = known
        return known

    def up_to_date(self, site: Site, run: Run) -> str | None:
        """The same, and the record has what the run would have logged until now."""
        known = self.id_of(site, run)
        if known is not None:
            self._advance(known, run, site.clock())
        return known

    def _submitted(self, site: Site, run: Run) -> str | None:
        """The record that this process made when it submitted the run."""
        link = site.links.find(run.submit_token) if run.submit_token else None
        record = self.get(link.mlflow_run_id) if link and link.mlflow_run_id else None
        mine = record is not None and record.tags.get(SUBMIT_TAG) == run.submit_token
        return record.run_id if record is not None and mine else None

    def _made_up(self, site: Site, run: Run) -> str | None:
        if run.user != site.user(run.source) or not run.request.gpu_count:
            return None
        made = tags(
            user=run.user or "",
            backend=run.scheduler,
            cluster=run.source,
            token=run.submit_token or "",
            script=f"/home/{run.user}/{run.name}",
            commit=None,
        )
        return self.create(
            EXPERIMENTS[_seed(run.id) % len(EXPERIMENTS)],
            name=run.name,
            tags={**made, **job_tag(run.scheduler, run.native_id)},
            started_at=run.submitted_at or site.clock(),
        ).run_id

    def create(
        self, experiment: str, *, name: str, tags: Mapping[str, str], started_at: datetime
    ) -> TrackedRun:
        """See the port; the experiment's name is remembered."""
        record = super().create(experiment, name=name, tags=tags, started_at=started_at)
        self.experiment_of[record.run_id] = experiment
        return record

    def _advance(self, run_id: str, run: Run, now: datetime) -> None:
        """Log what the run would have logged since the last look, and set its status."""
        record = self.get(run_id)
        if record is None:
            return
        if run.started_at is not None:
            self._log(record, run, run.started_at, run.ended_at or now)
        job = Job(state=run.state, ended_at=run.ended_at, exit_code=run.exit_code)
        decision = decide(job, record.status, record.tags)
        self.update(run_id, status=decision.status, ended_at=decision.ended_at, tags=decision.tags)

    def _log(self, record: TrackedRun, run: Run, start: datetime, end: datetime) -> None:
        dice = random.Random(_seed(run.id))
        rate = dice.choice((1e-4, 3e-4, 1e-3))
        params = {
            "lr": f"{rate:g}",
            "batch_size": str(dice.choice((32, 64, 128, 256))),
            "optimizer": dice.choice(("adamw", "lion", "sgd")),
            "seed": str(dice.randrange(100)),
            "gpus": str(run.request.gpu_count),
        }
        first, floor = 2.0 + 2 * dice.random(), 0.2 + dice.random() / 2
        steps = min(MOST_POINTS, int((end - start).total_seconds()) // EVERY_S)
        done = record.metrics["loss"].step + 1 if "loss" in record.metrics else 0
        noise = random.Random(_seed(run.id, done))
        loss: list[Point] = []
        accuracy: list[Point] = []
        for step in range(done, steps):
            at = start + timedelta(seconds=EVERY_S * step)
            value = floor + (first - floor) * math.exp(-step / 120) + noise.uniform(-0.04, 0.04)
            loss.append(Point(step, at, round(value, 4)))
            accuracy.append(Point(step, at, round(1 / (1 + value), 4)))
        self.trained(
            record.run_id,
            params={} if record.params else params,
            metrics={"loss": loss, "accuracy": accuracy} if loss else {},
        )


def tracker() -> Played:
    """A new simulated tracking server."""
    return Played()


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")
