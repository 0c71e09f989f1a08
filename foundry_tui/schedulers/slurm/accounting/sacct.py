"""The rows of `sacct`, cut at a mark that no job name can forge, as records.

Text, not `--json`. Measured for the 20,000 tries of one day (Slurm 22.05.8, 2 cores): the text of
these columns is 8 MB, and `sacct` takes 0.3 s of CPU and 39 MiB of memory; its JSON is 73 MB, 7 to
9 s of CPU and 1.4 GiB, and 1.5 s more to decode. The tests read both and compare them.

Times are asked for as unix seconds (`SLURM_TIME_FORMAT=%s`), which are read five times faster.
Free text stands last, and the number of fields is checked for every row: one that makes no sense
is counted and shown, and reading goes on at the next.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import field, fields, make_dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from foundry_tui.estate.run import LIVE, RunState
from foundry_tui.estate.text import SafeText, safe
from foundry_tui.estate.usage import UsageRecord
from foundry_tui.schedulers.slurm.accounting.allocated import Allocations
from foundry_tui.schedulers.slurm.commands import Commands
from foundry_tui.schedulers.slurm.jobs import STATES, TOKEN, TOKEN_PREFIX, limit_s, moment

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
    "Reservation",
    "Comment",
    "WorkDir",
    "JobName",
)
WIDTH = len(COLUMNS)

TRIES = ("-X", "-D")
"""Whole tries without their steps, and all of them: requeued and resized jobs have several."""

Kept = Callable[[int | None, int | None, int | None], bool]
"""Whether a try is wanted, by the unix seconds at which it was eligible, started and ended."""

_UNSET = frozenset({b"Unknown", b"None", b"N/A", b"NONE", b""})
_DIGITS = 11
"""Digits of the latest moment that is believed, some years after 5000."""

_UNNAMED = safe("")
_Draft: Any = make_dataclass(
    "_Draft",
    [(f.name, f.type, field(default=f.default)) for f in fields(UsageRecord)],
    kw_only=True,
    slots=True,
    eq=False,
)
"""A record that is not frozen yet: filling in a frozen one takes seven times as long."""

_ROW = re.compile(rb"\n\d+$")
_MARK_BYTES = 6
_TOKEN_START = TOKEN_PREFIX.encode()


def ask(
    commands: Commands,
    columns: tuple[str, ...],
    *args: str,
    timeout_s: float | None = None,
    max_bytes: int,
) -> tuple[bytes, bytes]:
    """What `sacct` prints for these columns, and the mark after each field.

    The mark begins with a control character and is made new for each call.

    Raises:
        Unavailable, Denied: as `Commands.read`.
    """
    mark = f"\x1f{secrets.token_urlsafe(_MARK_BYTES)}"
    out = commands.read(
        "sacct",
        *args,
        "-n",
        "-p",
        "--noconvert",
        f"--delimiter={mark}",
        "-o",
        ",".join(columns),
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        env={"SLURM_TIME_FORMAT": "%s"},
    )
    return out, mark.encode()


def parse(
    out: bytes,
    mark: bytes,
    source: str,
    allocations: Allocations,
    kept: Kept | None = None,
) -> tuple[list[UsageRecord], list[SafeText]]:
    """Records of the tries that are `kept`, and the rows that make no sense."""
    cells = out.split(mark)
    over = len(cells) - 1  # the last cell is what stands behind the last mark
    records: list[UsageRecord] = []
    rejects: list[SafeText] = []
    at = 0
    while at + WIDTH <= over:
        try:
            record = _record(cells, at, source, allocations, kept)
        except ValueError as error:
            rejects.append(safe(f"{_shown(cells[at])}: {error}"))
            at = _next_row(cells, at, over)
        else:
            if record is not None:
                records.append(record)
            at += WIDTH
    rest = b" ".join(cells[at:]).strip()
    if rest:
        rejects.append(safe(f"the answer was cut off: {_shown(rest)}"))
    return records, rejects


def _record(
    cells: list[bytes], at: int, source: str, allocations: Allocations, kept: Kept | None
) -> UsageRecord | None:
    raw_id = cells[at].removeprefix(b"\n")
    if not raw_id.isdigit():
        raise ValueError(f"JobIDRaw is no number: {_shown(raw_id)!r}")
    if at and cells[at][:1] != b"\n":
        raise ValueError("the row does not begin where a line does")
    if cells[at + WIDTH][:1] != b"\n":
        raise ValueError(f"the row has not {WIDTH} fields")
    row = cells[at : at + WIDTH]
    _, job_id, user, account, partition, qos, word, submit, eligible, start, end = row[:11]
    suspended, limit, tres, nodelist, code, reservation, comment, folder, name = row[11:]
    submit_s, eligible_s = seconds(submit), seconds(eligible)
    end_s = seconds(end)
    start_s = _start_s(seconds(start), submit_s, end_s)
    if kept is not None and not kept(eligible_s, start_s, end_s):
        return None
    place = allocations.place(nodelist)
    if start_s == end_s and not place.nodes:
        start_s = None  # it was cancelled before it started
    got = allocations.of(tres, place.kind, len(place.nodes), start_s is not None)
    token = TOKEN.search(comment.decode("ascii", "replace")) if _TOKEN_START in comment else None
    raw = raw_id.decode()
    native = raw if job_id == raw_id else safe(job_id)
    state, exit_code = _ending(word, code, end_s is not None)
    submitted_at = _utc(submit_s)
    draft = _Draft(
        source=source,
        native_id=native,
        raw_id=raw,
        name=_word(name) or _UNNAMED,
        user=_word(user),
        account=_word(account),
        queue=_word(partition),
        qos=_word(qos),
        state=state,
        submitted_at=submitted_at,
        eligible_at=submitted_at if eligible_s == submit_s else _utc(eligible_s),
        started_at=_utc(start_s),
        ended_at=_utc(end_s),
        nodes=place.nodes,
        gpu_count=got.count,
        gpu_milli=got.milli,
        gpu_model=got.model,
        cpu_milli=got.cpu_milli,
        memory_bytes=got.memory_bytes,
        time_limit_s=_limit(limit),
        suspended_s=_duration_s(suspended),
        exit_code=exit_code,
        work_dir=_word(folder),
        submit_token=token[1] if token else None,
        held=got.held,
        reservation=_word(reservation),
        het_offset=_het_offset(native),
    )
    draft.__class__ = UsageRecord  # the same slots: Python refuses it otherwise
    record: UsageRecord = draft
    return record


def _start_s(start_s: int | None, submit_s: int | None, end_s: int | None) -> int | None:
    """When this row began to hold what it names.

    What is left of a job after a change of its size is a row of its own, submitted at the change,
    that still has the start of the whole job: counted from there, the time before would count
    twice, and it does in Slurm's own sums. Nothing is held before it is submitted; only a clock
    that jumped says so of a row that was over by then.
    """
    if start_s is None or submit_s is None or (end_s is not None and submit_s > end_s):
        return start_s
    return max(start_s, submit_s)


def _next_row(cells: list[bytes], at: int, over: int) -> int:
    """Where the next row begins after one that makes no sense: a line that starts with a number."""
    if at + WIDTH >= over or _ROW.match(cells[at + WIDTH]):
        return at + WIDTH
    return next((i for i in range(at + 1, over) if _ROW.match(cells[i])), over)


def seconds(cell: bytes) -> int | None:
    """A moment in unix seconds; None when it is not set.

    Raises:
        ValueError: it is neither unset nor a moment within the years that can be told.
    """
    if cell.isdigit() and len(cell) <= _DIGITS:
        return int(cell) or None
    if cell in _UNSET:
        return None
    found = moment(cell.decode("ascii", "replace"))
    if found is None:
        raise ValueError(f"a time makes no sense: {_shown(cell)!r}")
    return int(found.timestamp())


def _utc(at_s: int | None) -> datetime | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC)


@lru_cache(maxsize=4096)
def _ending(word: bytes, code: bytes, ended: bool) -> tuple[RunState, int | None]:
    """The state, and the exit code of what is over.

    Slurm's word may say more behind a space, `CANCELLED by 1000`. A requeued try is over, and so
    is the piece of a job before a change of its size.
    """
    first = word.decode("ascii", "replace").split(" ")[0]
    if ended and first.startswith("REQUEUE"):
        return RunState.REQUEUED, _exit(code)
    if ended and first == "RESIZING":
        return RunState.COMPLETED, _exit(code)
    state = STATES.get(first, RunState.UNKNOWN)
    return state, None if state in LIVE else _exit(code)


@lru_cache(maxsize=65_536)
def _word(cell: bytes) -> SafeText | None:
    """A name that comes again and again."""
    return safe(cell) or None


@lru_cache(maxsize=4096)
def _limit(cell: bytes) -> int | None:
    return limit_s(cell.decode("ascii", "replace"))


def _exit(cell: bytes) -> int | None:
    """Shell convention: 128 plus the signal for a job that a signal ended."""
    code, _, signal = cell.decode("ascii", "replace").partition(":")
    if not code.isdigit():
        return None
    return 128 + int(signal) if signal.isdigit() and signal != "0" else int(code)


@lru_cache(maxsize=4096)
def _duration_s(cell: bytes) -> int:
    """`1-02:03:04` or `03:04.5` in seconds.

    Raises:
        ValueError: something that is no duration.
    """
    days, _, clock = cell.decode("ascii", "replace").rpartition("-")
    total = 0
    for part in clock.split(".")[0].split(":") if clock else ():
        if not part.isdigit():
            raise ValueError(f"Suspended is no duration: {_shown(cell)!r}")
        total = 60 * total + int(part)
    total += 86_400 * (int(days) if days.isdigit() else 0)
    if total >= 10**_DIGITS:
        raise ValueError(f"Suspended is no duration: {_shown(cell)!r}")
    return total


def _het_offset(native_id: str) -> int | None:
    """The place in a heterogeneous job: 1 of `10+1`."""
    if "+" not in native_id:
        return None
    offset = native_id.rpartition("+")[2]
    return int(offset) if offset.isdigit() else None


def _shown(cell: bytes) -> str:
    return cell[:80].decode("utf-8", "surrogateescape").strip()
