"""Accounting rows from slurmdbd by `sacct`, cut at a mark that no job name can forge."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import Accounting, UsageRecord, Window
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.hostlist import expand
from foundry_tui.schedulers.slurm.jobs import STATES, TOKEN, limit_s, moment
from foundry_tui.schedulers.slurm.tres import count, model, parse_tres, size_bytes

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
    "Suspended",
    "Timelimit",
    "AllocTRES",
    "NodeList",
    "ExitCode",
    "Comment",
    "WorkDir",
    "JobName",
)


def read_accounting(
    commands: Commands, source: str, window: Window, *, users: tuple[str, ...] | None = None
) -> Accounting:
    """Every try of every job that touches the window (`-D`: requeued jobs have several).

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    mark = f"@{secrets.token_hex(6)}@"
    who = ("-u", ",".join(users)) if users else ("-a",)
    out = commands.read(
        "sacct",
        *who,
        "-X",
        "-D",
        "-n",
        "-p",
        "--noconvert",
        f"--delimiter={mark}",
        "-S",
        _slurm_time(window.start),
        "-E",
        _slurm_time(window.end),
        "-o",
        ",".join(COLUMNS),
    )
    records, rejects = parse(out.decode("utf-8", "surrogateescape"), mark, source)
    return Accounting(window=window, records=records, rejects=rejects)


def _slurm_time(moment_utc: datetime) -> str:
    return moment_utc.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse(
    text: str, mark: str, source: str
) -> tuple[tuple[UsageRecord, ...], tuple[SafeText, ...]]:
    """Records, and the rows that make no sense: counted, never dropped silently."""
    cells = text.split(mark)
    width = len(COLUMNS)
    records: list[UsageRecord] = []
    rejects: list[SafeText] = []
    for start in range(0, len(cells) - width, width):
        row = dict(zip(COLUMNS, cells[start : start + width], strict=True))
        row["JobIDRaw"] = row["JobIDRaw"].lstrip("\n")
        try:
            records.append(_record(row, source))
        except ValueError as error:
            rejects.append(safe(f"{row['JobIDRaw']}: {error}"))
    rest = cells[len(cells) - 1 - (len(cells) - 1) % width :]
    if any(cell.strip() for cell in rest):
        rejects.append(safe("the answer was cut off: " + " ".join(rest)[:80]))
    return tuple(records), tuple(rejects)


def _record(row: dict[str, str], source: str) -> UsageRecord:
    if not row["JobIDRaw"].isdecimal():
        raise ValueError(f"JobIDRaw is no number: {row['JobIDRaw'][:40]!r}")
    tres = parse_tres(row["AllocTRES"])
    state = STATES.get(row["State"].split(" ")[0], RunState.UNKNOWN)
    started = moment(row["Start"])
    gpus = count(tres, "gpu")
    shared = count(tres, "shard") + count(tres, "mps")
    token = TOKEN.search(row["Comment"])
    code = row["ExitCode"].partition(":")
    return UsageRecord(
        source=source,
        native_id=safe(row["JobID"]),
        raw_id=row["JobIDRaw"],
        name=safe(row["JobName"]),
        user=safe(row["User"]) or None,
        account=safe(row["Account"]) or None,
        queue=safe(row["Partition"]) or None,
        qos=safe(row["QOS"]) or None,
        state=state,
        submitted_at=moment(row["Submit"]),
        eligible_at=moment(row["Eligible"]),
        started_at=started,
        ended_at=moment(row["End"]),
        nodes=tuple(safe(n) for n in expand(row["NodeList"])),
        gpu_count=gpus,
        gpu_milli=1000 * gpus if not shared else None,
        gpu_model=safe(gpus_of) if (gpus_of := model(tres)) else None,
        cpu_milli=1000 * int(tres["cpu"]) if tres.get("cpu", "").isdigit() else None,
        memory_bytes=size_bytes(tres.get("mem")),
        time_limit_s=limit_s(row["Timelimit"]),
        suspended_s=_seconds(row["Suspended"]),
        exit_code=None if state in LIVE else _exit(code[0], code[2]),
        work_dir=safe(row["WorkDir"]) or None,
        submit_token=token[1] if token else None,
    )


def _exit(code: str, signal: str) -> int | None:
    """Shell convention: 128 plus the signal for a job that a signal ended."""
    if not code.isdigit():
        return None
    if signal.isdigit() and signal != "0":
        return 128 + int(signal)
    return int(code)


def _seconds(text: str) -> int:
    days, _, clock = text.rpartition("-")
    total = 0
    for part in clock.split(".")[0].split(":"):
        total = 60 * total + (int(part) if part.isdigit() else 0)
    return total + 86_400 * (int(days) if days.isdigit() else 0)
