"""What a report of a month costs as the site grows: 10,000 to 1,000,000 tries.

python -m benchmarks.reports                       # the table
python -m benchmarks.reports --sizes 1000000       # one size; --keep FOLDER keeps what was made

Each size has a hundredth as many GPUs as tries, a history of hourly roll-ups over 720 hours, and
an `sacct` that prints recorded rows, day by day, as a real one does; everything behind it is the
real program: parsing, the join, the rows, the file and its sidecar. CPU seconds and peak memory are
those of the whole child process. The peer is awk, which sums GPU-seconds by account over the same
rows and joins nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.reports_history import START, Size, Tries, node_name, tries, write

SIZES = (10_000, 100_000, 1_000_000)
HOURS = 720
DAY_S = 86_400
REPORTS = ("usage-by-account", "usage-by-user", "jobs", "gpu-health", "capacity")
BUDGET_S, BUDGET_MIB = 60.0, 1024
MARK = "~"
CONFIG = "config.toml"
STATES = ("COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED by 1007")

SACCT = """\
#!/bin/sh
for word; do
  case $word in --delimiter=*) mark=${{word#--delimiter=}} ;; esac
  [ "$before" = -S ] && start=$word
  before=$word
done
exec sed "s/{mark}/$mark/g" "{folder}/rows/$start"
"""
SACCTMGR = """\
#!/bin/sh
case "$*" in
  *tres*) printf 'cpu|\\nmem|\\ngres|gpu\\n' ;;
  *assoc*) for n in $(seq 0 39); do echo "||1|root|acc$n"; done ;;
esac
"""
OTHERS = """\
#!/bin/sh
case "$*" in
  *"show config"*) printf "ClusterName = bench\\nPrivateData             = none\\n" ;;
esac
"""
AWK = """
{{ n = split($14, tres, ","); gpus = 0
   for (i = 1; i <= n; i++) if (tres[i] ~ /^gres\\/gpu=/) gpus = substr(tres[i], 10)
   start = $10 < {start} ? {start} : $10; end = $11 > {end} ? {end} : $11
   if (end > start) sum[$4] += gpus * (end - start) }}
END {{ for (name in sum) print name, sum[name] }}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a child process took: CPU seconds, wall seconds, peak memory in MiB."""

    cpu_s: float
    wall_s: float
    peak_mib: float


def site(folder: Path, count: int) -> Path:
    """A site with this many tries in a folder; its configuration file.

    Another process makes it: the peak memory of a child counts what its parent held at the fork.
    """
    if not (folder / CONFIG).exists():
        argv = (sys.executable, "-m", "benchmarks.reports", "--make", str(folder))
        subprocess.run((*argv, "--sizes", str(count)), check=True)
    return folder / CONFIG


def make(folder: Path, count: int) -> None:
    """Make the site."""
    size = Size(gpus=count // 100, hours=HOURS, tries=count)
    held = tries(size)
    write(folder / "history", size, held)
    (folder / "rows").mkdir()
    (folder / "bin").mkdir()
    _rows(folder / "rows", held)
    for name, text in (
        ("sacct", SACCT.format(folder=folder, mark=MARK)),
        ("sacctmgr", SACCTMGR),
        *((name, OTHERS) for name in ("scontrol", "squeue", "sinfo", "sreport")),
    ):
        path = folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
    (folder / "slurm.conf").write_text("ClusterName=bench\n")
    config = folder / CONFIG
    config.write_text(
        f'cache_dir = "{folder}/cache"\nstate_dir = "{folder}/state"\n'
        f'[slurm.bench]\nbin = "{folder}/bin"\nconf = "{folder}/slurm.conf"\n'
        f'[collector]\nfolder = "{folder}/history"\n'
    )
    (folder / "cache").mkdir(mode=0o700)
    config.chmod(0o600)


def _rows(folder: Path, held: Tries) -> None:
    """One file per day with the rows of every try that touches it, and one with all of them."""
    days = HOURS // 24
    files = [(folder / _iso(START + day * DAY_S)).open("w") for day in range(days)]
    every = (folder / "all").open("w")
    columns = (held.node, held.count, held.milli, held.start, held.end)
    table = zip(*(column.tolist() for column in columns), strict=True)
    for number, (node, count, milli, start, end) in enumerate(table, 1):
        user = number * 7 % 200
        gpus = f",gres/gpu={count}" if milli == 1000 else ",gres/gpu=0"
        tres = f"cpu={8 * count},mem={16 * count}G,node=1{gpus}"
        row = MARK.join(
            (
                str(number), str(number), f"user{user}", f"acc{user % 40}", "gpu", "normal",
                STATES[number % len(STATES)], str(start - 600), str(start - 300), str(start),
                str(end), "00:00:00", "1-00:00:00", tres,
                node_name(node), "0:0", "", "", f"/home/user{user}", f"train-{number % 50}", "\n",
            )
        )  # fmt: skip
        every.write(row)
        first = max(0, (start - START) // DAY_S)
        for day in range(first, min(days - 1, (end - START) // DAY_S) + 1):
            files[day].write(row)
    for file in (*files, every):
        file.close()


def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def cost(argv: Sequence[str]) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; with what it said.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=said)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(argv)}: {child.returncode}\n{said.read().decode()[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024)


@contextmanager
def _folder(keep: Path | None, count: int) -> Iterator[Path]:
    if keep is not None:
        place = keep / str(count)
        place.mkdir(parents=True, exist_ok=True)
        yield place
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--reports", nargs="+", default=REPORTS)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.make is not None:
        make(asked.make, asked.sizes[0])
        return
    print(f"{'tries':>9} {'GPUs':>6} {'report':18} {'CPU s':>7} {'wall s':>7} {'MiB':>6}"
          f" {'us/try':>7} {'x awk':>7}")  # fmt: skip
    for count in asked.sizes:
        with _folder(asked.keep, count) as folder:
            config = site(folder, count)
            end = START + HOURS * 3600
            program = AWK.format(start=START, end=end)
            peer = cost(("awk", "-F", MARK, program, str(folder / "rows" / "all")))
            print(f"{count:9} {count // 100:6} {'awk, raw sum':18} {peer.cpu_s:7.2f}"
                  f" {peer.wall_s:7.2f} {peer.peak_mib:6.0f}")  # fmt: skip
            for name in asked.reports:
                argv = (
                    sys.executable, "-m", "foundry_tui.cli", "--config", str(config), "report",
                    name, "--from", _iso(START), "--to", _iso(end), "-o", str(folder / "out"),
                )  # fmt: skip
                one = cost(argv)
                print(f"{count:9} {count // 100:6} {name:18} {one.cpu_s:7.2f} {one.wall_s:7.2f}"
                      f" {one.peak_mib:6.0f} {1e6 * one.cpu_s / count:7.1f}"
                      f" {one.cpu_s / max(peer.cpu_s, 0.01):7.1f}", flush=True)  # fmt: skip
    print(f"budget for 1,000,000 tries: {BUDGET_S:g} s, {BUDGET_MIB} MiB")


if __name__ == "__main__":
    main()
