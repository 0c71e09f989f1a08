"""Writes the small samples of `data/`: accounting rows as `sacct -p` prints them, and a trace.

python -m foundry_tui.schedulers.simulated.make_samples --seed 7 -d data
"""

from __future__ import annotations

import argparse
import csv
import io
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from foundry_tui.estate.run import RunState
from foundry_tui.estate.usage import UsageRecord, Window
from foundry_tui.schedulers.simulated import build
from foundry_tui.schedulers.simulated.layout import slurm_spec
from foundry_tui.schedulers.simulated.make_estate import START
from foundry_tui.schedulers.simulated.sbatch import SHARDS_PER_GPU
from scheduler_sim.workload import TRACE_FIELDS, Arrivals

ROWS = 200
ARRIVALS = 100
COLUMNS = (
    "JobIDRaw",
    "JobID",
    "User",
    "Account",
    "Partition",
    "QOS",
    "State",
    "Submit",
    "Eligible",
    "Start",
    "End",
    "ElapsedRaw",
    "Timelimit",
    "AllocTRES",
    "NNodes",
    "NodeList",
    "ExitCode",
    "JobName",
)

_EXIT = {RunState.OUT_OF_MEMORY: "0:125", RunState.TIMEOUT: "0:15", RunState.NODE_FAIL: "0:9"}


def sacct_sample(seed: int) -> str:
    """The last rows of some 30 simulated hours, delimited by `|`, also at the end of a line."""
    source = build(None, lambda: START, seed=seed)[0]
    end = source.now()
    window = Window(end - timedelta(days=7), end)
    records = sorted(source.accounting(window).records, key=lambda r: int(r.raw_id))
    lines = [_line(COLUMNS), *(_line(_row(r, end)) for r in records[-ROWS:])]
    return "".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return "|".join(cells) + "|\n"


def _row(record: UsageRecord, now: datetime) -> tuple[str, ...]:
    started = record.started_at
    elapsed_s = 0 if started is None else int(((record.ended_at or now) - started).total_seconds())
    state = record.state.value.upper()
    return (
        record.raw_id,
        record.native_id,
        record.user or "",
        record.account or "",
        record.queue or "",
        record.qos or "",
        f"{state} by 20001" if record.state is RunState.CANCELLED else state,
        _time(record.submitted_at),
        _time(record.eligible_at),
        _time(started),
        _time(record.ended_at),
        str(elapsed_s),
        _clock(record.time_limit_s or 0),
        _tres(record) if started else "",
        str(len(record.nodes)),
        ",".join(record.nodes) or "None assigned",
        _EXIT.get(record.state, f"{record.exit_code or 0}:0"),
        record.name,
    )


def _tres(record: UsageRecord) -> str:
    """Allocated resources; a shard job holds no whole GPU."""
    parts = [f"billing={(record.cpu_milli or 0) // 1000}", f"cpu={(record.cpu_milli or 0) // 1000}"]
    gpus, milli = record.gpu_count or 0, record.gpu_milli or 0
    if milli < 1000 * gpus:
        parts.append(f"gres/shard={milli * SHARDS_PER_GPU // 1000}")
    else:
        parts += [f"gres/gpu:{record.gpu_model}={gpus}", f"gres/gpu={gpus}"]
    parts += [f"mem={(record.memory_bytes or 0) >> 20}M", f"node={len(record.nodes)}"]
    return ",".join(parts)


def _time(moment: datetime | None) -> str:
    return "Unknown" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}"


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock


def trace_sample(seed: int) -> str:
    """The first arrivals of the simulated Slurm cluster, as a CSV of `TRACE_FIELDS`."""
    spec = slurm_spec(8, ARRIVALS)
    arrivals = Arrivals(
        spec.templates,
        spec.people,
        total_milli=1000 * sum(n.gpus for n in spec.nodes),
        load=spec.load,
        start_s=0,
        seed=seed,
    )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(TRACE_FIELDS)
    for at_s, job in islice(arrivals, ARRIVALS):
        need = job.request
        cells = (need.cpu_milli, need.memory_mib, need.gpus, need.gpu_milli, at_s, job.duration_s)
        writer.writerow((job.name, *cells))
    return out.getvalue()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Write the accounting and trace samples.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("-d", "--directory", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    (args.directory / "sacct-sample.csv").write_text(sacct_sample(args.seed))
    (args.directory / "trace.csv").write_text(trace_sample(args.seed))


if __name__ == "__main__":
    main()
