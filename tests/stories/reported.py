"""Reports as a user makes them on the lab, and sums of seconds to hold beside them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.lab.books import HOUR_S, Books, moment
from tests.lab.slurm import SlurmLab
from tests.stories.conftest import Answer, Foundry

Row = dict[str, str]
WORTH_MILLI = {"gres/gpu": 1000, "gres/shard": 250, "gres/mps": 10}
"""What one of each is worth in the lab: 32 shards on 8 GPUs, 400 mps on 4."""


@dataclass(slots=True)
class Reports:
    """Makes reports of the lab's books as a user does, each in a folder of its own, and once."""

    foundry: Foundry
    config: str
    made: dict[tuple[object, ...], tuple[list[Row], dict[str, Any]]] = field(default_factory=dict)

    def __call__(
        self, name: str, window: tuple[int, int], *words: str
    ) -> tuple[list[Row], dict[str, Any]]:
        """The rows of a report and what its sidecar says."""
        if (name, window, words) not in self.made:
            folder = self.foundry.home / f"report-{len(self.made)}"
            answer = self.asked(name, window, *words, "-o", str(folder))
            assert answer.code == 0, answer.err
            (path,) = folder.glob("*.csv")
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file, strict=True))
            meta = json.loads(path.with_name(f"{path.name}.meta.json").read_text())
            assert meta["rows"] == len(rows)
            self.made[name, window, words] = rows, meta
        return self.made[name, window, words]

    def asked(self, name: str, window: tuple[int, int], *words: str) -> Answer:
        """The answer to `foundry report`, whatever it is."""
        times = ("--from", f"{moment(window[0])}Z", "--to", f"{moment(window[1])}Z")
        return self.foundry("--config", self.config, "report", name, *times, *words)


def login(lab: SlurmLab, home: Path, *lines: str) -> tuple[Foundry, str]:
    """A user of a login node, and the configuration there, `lines` after that of Slurm."""
    config = home / "foundry.toml"
    of_slurm = f'[slurm.lab]\nconf = "{lab.env["SLURM_CONF"]}"\n'
    history = f'[collector]\nfolder = "{home}/history"\n'
    config.write_text("".join((of_slurm, history, *lines)))
    return Foundry(home, {"SLURM_CONF": lab.env["SLURM_CONF"]}), str(config)


def raw_sum(
    lab: SlurmLab, window: tuple[int, int], worth: dict[str, int], *, twice: bool = False
) -> dict[str, int]:
    """Thousandths of GPU-seconds by account, over a raw dump; tries without an end are left out.

    The second row of a job whose size was changed says when the whole job started: `twice` counts
    the time before its submission, as Slurm does, which the first row has too.
    """
    asked = ("sacct", "-aXDnP", "--noconvert", f"-S{moment(window[0])}", f"-E{moment(window[1])}")
    fields = ("-o", "Account,Submit,Start,End,Suspended,AllocTRES")
    dump = lab.run(["env", "TZ=UTC", "SLURM_TIME_FORMAT=%s", *asked, *fields]).stdout.decode()
    sums: Counter[str] = Counter()
    for account, *times, suspended, tres in (line.split("|") for line in dump.splitlines()):
        if all(time.isdecimal() for time in times):
            submitted, start, last = map(int, times)
            first = start if twice else max(submitted, start)
            held = dict(item.split("=") for item in tres.split(",") if item)
            milli = sum(int(held.get(name, 0)) * each for name, each in worth.items())
            work = last - first - clock_s(suspended)
            done = [_done(at, first, last - first, work) for at in window]
            sums[account] += milli * (done[1] - done[0])
    return {account: milli for account, milli in sums.items() if milli}


def _done(at: int, first: int, length: int, work: int) -> int:
    """Seconds of work up to a time; suspended time is spread evenly."""
    return min(max(at - first, 0), length) * work // length if length > 0 else 0


def hours_of(books: Books, which: str) -> tuple[int, int]:
    """The hour before the border that cuts through the jobs, the one after it, or both."""
    start, end = books.border - HOUR_S, books.border + HOUR_S
    return {
        "hour before": (start, books.border),
        "hour after": (books.border, end),
        "both": (start, end),
    }[which]


def by_account(rows: Sequence[Row]) -> dict[str, int]:
    """Thousandths of GPU-seconds of the rows of `jobs`, try by try; those in doubt have none."""
    sums: Counter[str] = Counter()
    for row in rows:
        if row["gpus_alloc"] and row["elapsed_in_window_s"] and row["end_utc"]:
            milli = round(1000 * float(row["gpus_alloc"]))
            sums[row["account"]] += milli * int(row["elapsed_in_window_s"])
    return {account: milli for account, milli in sums.items() if milli}


def hours(rows: Sequence[Row], column: str = "gpu_allocated_hours") -> dict[str, int]:
    """The same of hours with four places, each row to the half GPU-second that it stands for."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row["account"]] += 500 * round(float(row[column] or 0) * 7200)
    return {account: milli for account, milli in sums.items() if milli}


def tries(rows: Sequence[Row], job: str) -> list[Row]:
    """The tries of a job, of all its tasks or parts."""
    parts = (f"{job}_", f"{job}+")
    return [r for r in rows if r["job_id"] == job or r["job_id"].startswith(parts)]


def second(text: str) -> int:
    """A time of a report in seconds since 1970."""
    return int(datetime.fromisoformat(text).timestamp())


def clock_s(text: str) -> int:
    """A duration as Slurm's commands print it, `[days-]hours:minutes:seconds`."""
    days, _, clock = text.rpartition("-")
    hours_, minutes, seconds = map(int, clock.split(":"))
    return 86400 * int(days or 0) + 3600 * hours_ + 60 * minutes + seconds
