"""A site whose tracking server is in this process, with runs that are told apart by seed and lr."""

from __future__ import annotations

from datetime import timedelta

from foundry_tui.actions.site import Site
from foundry_tui.estate.snapshot import Snapshot
from foundry_tui.estate.tracked import Point, TrackStatus
from foundry_tui.tracking.memory import MemoryTracker
from tests.tui.estates import HOUR, NOW, Stub, a_run, an_estate, live

HOSTILE = "\x1b]52;c;aGk=\x07name\u202e"


def a_tracker(count: int = 6) -> MemoryTracker:
    """Runs `t-0` to `t-5` of experiment nlp: two rates, three seeds each; later ones are better."""
    tracker = MemoryTracker("lab-mlflow", "http://mlflow.invalid")
    for n in range(count):
        begun = NOW - (count - n) * HOUR
        run = tracker.create(
            "nlp",
            name=f"t-{n}",
            tags={
                "mlflow.user": "zoe" if n % 2 else "ada",
                "foundry.cluster": "lab",
                "foundry.slurm.job_id": str(n),
                "team": "vision",
            },
            started_at=begun,
        )
        tracker.trained(
            run.run_id,
            params={"lr": "0.1" if n < 3 else "0.01", "seed": str(n % 3), "model": "resnet"},
            metrics={
                "loss": [
                    Point(step, begun + timedelta(minutes=step), 2.0 - 0.1 * n - 0.1 * step)
                    for step in range(5)
                ],
                "accuracy": [Point(4, begun, 0.5 + 0.05 * n)],
                "foundry/gpu_hours": [Point(0, begun, 2.0)],
                "foundry/gpu_util_pct": [Point(0, begun, 5.0)],
            },
        )
        tracker.update(
            run.run_id,
            status=TrackStatus.FAILED if n == 1 else TrackStatus.FINISHED,
            ended_at=begun + timedelta(minutes=30),
        )
    return tracker


def tracked_site(tracker: MemoryTracker | None = None, estate: Snapshot | None = None) -> Site:
    """A live site with this tracking server; without one there is none."""
    site = live(Stub(estate or an_estate([a_run(5)])))
    site._tracker = tracker
    site.untracked = "no tracking server is set"
    return site
