"""What was tracked before the simulation began: three experiments over six weeks, with seeds.

Made up and repeatable: the same day brings the same runs. Each has what a real record has: params,
curves, cost, commit, data, a spec and an environment, so that comparing has something to say.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundry_tui.estate import recorded
from foundry_tui.estate.tracked import DataInput, Point, TrackStatus
from foundry_tui.tracking.memory import MemoryTracker

STEPS = 48
SEEDS = 5
OTHERS = ("grace", "linus", "edsger")
GPU = "NVIDIA H100 80GB HBM3"
PACKAGES = ("numpy==2.3.1", "torch==2.9.0", "transformers==4.57.1", "datasets==4.2.0")


@dataclass(frozen=True, slots=True)
class Kind:
    """One experiment: its program, the data, GPUs per run, and the configurations tried."""

    experiment: str
    program: str
    data: str
    gpus: int
    util_pct: float
    floor: float
    tried: tuple[tuple[str, int], ...]


KINDS = (
    Kind("llama-ft", "finetune.py", "c4-en", 4, 71.0, 1.62,
         (("1e-4", 64), ("3e-4", 64), ("3e-4", 128), ("1e-3", 128))),
    Kind("vision-base", "train_vit.py", "imagenet-1k", 1, 38.0, 0.71,
         (("1e-3", 256), ("3e-3", 256), ("1e-3", 512), ("3e-3", 512))),
    Kind("genome-lm", "pretrain.py", "hg38", 1, 8.5, 2.31,
         (("1e-4", 32), ("3e-4", 32), ("1e-3", 32), ("3e-4", 64))),
)  # fmt: skip


def remember(tracker: MemoryTracker, now: datetime, user: str) -> None:
    """Put the past into an empty tracker; a fifth of the runs are other users'."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for kind in KINDS:
        for number, (rate, batch, seed) in enumerate(_tried(kind)):
            dice = random.Random(f"{kind.experiment}/{number}")
            begun = today - timedelta(days=42 - 2 * number, minutes=dice.randrange(1200))
            owner = OTHERS[number % len(OTHERS)] if number % 5 == 4 else user
            _run(tracker, kind, number, rate, batch, seed, begun, owner, dice)


def _tried(kind: Kind) -> Iterator[tuple[str, int, int]]:
    for rate, batch in kind.tried:
        for seed in range(1, SEEDS + 1):
            yield rate, batch, seed


def _run(
    tracker: MemoryTracker,
    kind: Kind,
    number: int,
    rate: str,
    batch: int,
    seed: int,
    begun: datetime,
    owner: str,
    dice: random.Random,
) -> None:
    commit = hashlib.sha256(f"{kind.experiment}/{number // 7}".encode()).hexdigest()[:40]
    patch = _patch(kind) if number % 9 == 3 else None
    spec = _spec(kind, rate, batch, seed)
    status = {7: TrackStatus.FAILED, 13: TrackStatus.KILLED}.get(number, TrackStatus.FINISHED)
    tags = {
        recorded.USER_TAG: owner,
        "mlflow.source.type": "JOB",
        recorded.PROGRAM_TAG: f"/home/{owner}/{kind.program}",
        recorded.COMMIT_TAG: commit,
        recorded.BRANCH_TAG: "main",
        recorded.BACKEND_TAG: "slurm" if number % 2 else "runai",
        recorded.CLUSTER_TAG: "sim-slurm" if number % 2 else "sim-runai",
        recorded.DIRTY_TAG: "true" if patch else "false",
        recorded.GPU_MODEL_TAG: GPU,
        recorded.NODES_TAG: f"h{dice.randrange(1, 9):02d}",
    }
    if patch:
        tags |= {recorded.PATCH_TAG: hashlib.sha256(patch).hexdigest()}
    if status is not TrackStatus.FINISHED:
        tags |= {recorded.REASON_TAG: "out_of_memory" if number == 7 else "timeout"}
    run = tracker.create(
        kind.experiment, name=f"{kind.experiment}-{number:02d}", tags=tags, started_at=begun
    )
    hours = 3.0 + 6 * dice.random()
    loss, accuracy = _curves(kind, float(rate), batch, begun, hours, dice)
    tracker.trained(
        run.run_id,
        params={"lr": rate, "batch_size": str(batch), "seed": str(seed), "optimizer": "adamw"},
        metrics={"loss": loss, "accuracy": accuracy},
    )
    util = max(1.0, kind.util_pct + dice.uniform(-6, 6))
    gpu_hours = hours * kind.gpus
    measured = {
        recorded.GPU_HOURS: round(gpu_hours, 3),
        recorded.GPU_UTIL: round(util, 1),
        recorded.ENERGY: round(gpu_hours * (0.12 + 0.58 * util / 100), 3),
    }
    ended = begun + timedelta(hours=hours)
    tracker.log(run.run_id, metrics=measured, at=ended)
    data = DataInput(
        name=kind.data, digest=_digest(kind.data, number // 11), path=f"/data/{kind.data}"
    )
    tracker.log_inputs(run.run_id, (data,))
    tracker.write_artifact(run, recorded.SPEC_FILE, spec)
    packages = PACKAGES if number < 12 else (*PACKAGES[:1], "torch==2.9.1", *PACKAGES[2:])
    tracker.write_artifact(run, recorded.ENVIRONMENT_FILE, "\n".join(packages).encode() + b"\n")
    if patch:
        tracker.write_artifact(run, recorded.PATCH_FILE, patch)
    tracker.update(run.run_id, status=status, ended_at=ended)


def _curves(
    kind: Kind, rate: float, batch: int, begun: datetime, hours: float, dice: random.Random
) -> tuple[list[Point], list[Point]]:
    """Loss and accuracy that depend on the configuration, with a little noise of the seed."""
    best = math.log10(3e-4 if kind.gpus > 1 else 1e-3)
    off = abs(math.log10(rate) - best) + 0.1 * abs(math.log2(batch / 128))
    floor = kind.floor * (1 + 0.12 * off) + dice.uniform(-0.02, 0.02)
    loss, accuracy = [], []
    for step in range(STEPS):
        at = begun + timedelta(hours=hours * step / STEPS)
        value = floor + 3.0 * math.exp(-step / 9) + dice.uniform(-0.03, 0.03)
        loss.append(Point(step * 100, at, round(value, 4)))
        accuracy.append(Point(step * 100, at, round(1 / (1 + value / kind.floor / 2), 4)))
    return loss, accuracy


def _spec(kind: Kind, rate: str, batch: int, seed: int) -> bytes:
    return (
        f"version: 1\nname: {kind.experiment}\n"
        f'command: "python {kind.program} --lr ${{lr}} --batch-size ${{batch_size}}"\n'
        f'params:\n  lr: "{rate}"\n  batch_size: "{batch}"\nseed: {seed}\n'
        f"gpus: {kind.gpus}\nmemory: 64Gi\ntime_limit: 12h\n"
        f"data:\n  - name: {kind.data}\n    path: /data/{kind.data}\n"
    ).encode()


def _patch(kind: Kind) -> bytes:
    head = f"diff --git a/{kind.program} b/{kind.program}\n--- a/{kind.program}\n"
    return f"{head}+++ b/{kind.program}\n@@ -1 +1 @@\n-warmup = 100\n+warmup = 500\n".encode()


def _digest(name: str, version: int) -> str:
    return f"sha256:{hashlib.sha256(f'{name}/{version}'.encode()).hexdigest()[:29]}"
