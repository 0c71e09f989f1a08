"""What the command line costs: start-up, 10,000 saved runs, and one refresh beside `squeue --json`.

python -m benchmarks.house            # start-up and a saved estate
python -m benchmarks.house --lab      # and a refresh on a real Slurm with 10,000 jobs (root)
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Cost, cost
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot, encode
from foundry_tui.estate.source import Source, SourceState
from foundry_tui.estate.text import safe

RUNS = 10_000
FOUNDRY = str(Path(sys.executable).with_name("foundry"))


def saved_estate(folder: Path) -> Path:
    """A saved estate of 10,000 runs, a fifth of them running."""
    now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
    runs = tuple(
        Run(
            id=f"lab/{1000 + i}",
            native_id=str(1000 + i),
            source="lab",
            scheduler="slurm",
            name=safe(f"train-{i % 97}"),
            state=RunState.RUNNING if i % 5 == 0 else RunState.PENDING,
            user=f"user{i % 60}",
            account=f"acct{i % 12}",
            queue="h100",
            qos="normal",
            reason=None if i % 5 == 0 else safe("Priority"),
            priority=100_000 - i,
            request=Request(gpu_count=1 + i % 8, gpu_milli=1000 * (1 + i % 8), gpu_model="h100"),
            placement=(Placement(f"h{i % 1250:04d}", (0, 1)),) if i % 5 == 0 else (),
            submitted_at=now - timedelta(seconds=i),
            started_at=now if i % 5 == 0 else None,
            read_at=now,
        )
        for i in range(RUNS)
    )
    source = Source(name="lab", kind="slurm", state=SourceState.OK, read_at=now)
    path = folder / "estate.json"
    path.write_bytes(encode(Snapshot(generated_at=now, sources=(source,), runs=runs)))
    return path


def start_up() -> list[str]:
    """The cost of `foundry --version` beside an interpreter that does nothing."""
    python = cost("python -c pass", [sys.executable, "-c", "pass"])
    return [python.line(), cost("foundry --version", [FOUNDRY, "--version"]).line(python)]


def saved(folder: Path) -> list[str]:
    """The cost of `runs --json` on a saved estate beside reading the same file with `json`."""
    path = saved_estate(folder)
    load = f"import json; json.dumps(json.load(open({str(path)!r})))"
    peer = cost("python json: load and dump the file", [sys.executable, "-c", load])
    ours = cost(
        f"foundry runs --json, {RUNS} runs", [FOUNDRY, "--estate", str(path), "runs", "--json"]
    )
    table = cost(f"foundry runs (table), {RUNS} runs", [FOUNDRY, "--estate", str(path), "runs"])
    return [peer.line(), ours.line(peer), table.line(peer)]


def refresh(folder: Path) -> list[str]:
    """One refresh on a real Slurm with 10,000 waiting jobs beside `squeue --json`."""
    from concurrent.futures import ThreadPoolExecutor

    from tests.lab.plugin import new_lab_folder
    from tests.lab.slurm import SlurmLab

    missing = SlurmLab.missing()
    if missing:
        return [f"no lab here: {missing}"]
    lab = SlurmLab.start(new_lab_folder(), extra_down_nodes=512)
    try:
        for i in range(6):
            lab.submit("-p", "h100", "--gres=gpu:h100:4", "-J", f"busy{i}")
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(
                pool.map(
                    lambda i: lab.submit("-p", "h100", "-N4", "--gres=gpu:8", "-J", f"w{i}"),
                    range(RUNS),
                )
            )
        env = dict(lab.env)
        peer = cost("squeue --json", [shutil.which("squeue") or "squeue", "--json"], env)
        sweep = (
            "from foundry_tui.schedulers.slurm.adapter import SlurmAdapter;"
            "a = SlurmAdapter('lab'); a.snapshot()"
        )
        twice = sweep + "; a.snapshot()"
        first = cost(
            "first reading (4 calls, Slurm's commands too)", [sys.executable, "-c", sweep], env
        )
        second = cost("two readings", [sys.executable, "-c", twice], env)
        one = Cost("one refresh (2 calls)", second.cpu_ms - first.cpu_ms, 0, 0, 0, second.code)
        whole = cost(
            "foundry runs --json --since 0, live", [FOUNDRY, "runs", "--json", "--since", "0"], env
        )
        return [peer.line(), first.line(peer), one.line(peer), whole.line(peer)]
    finally:
        lab.stop()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = start_up() + saved(folder) + (refresh(folder) if given.lab else [])
    print("\n".join(lines))


if __name__ == "__main__":
    main()
