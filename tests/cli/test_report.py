"""`foundry report`: options, windows, exit codes, closed pipes, and the worst of an `sacct`."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from foundry_tui.cli import main
from foundry_tui.cli import report as cli
from tests.collector.fakeslurm import FakeSlurm

DAY = ["--period", "2026-11-01"]
NOON = int(datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp())
SACCT = """#!/bin/sh
for word; do case $word in --delimiter=*) mark=${{word#--delimiter=}} ;; esac; done
LC_ALL=C exec sed "s/~/$mark/g" "{rows}"
"""
SACCTMGR = """#!/bin/sh
case "$*" in *tres*) printf 'cpu|\\ngres|gpu\\n' ;; esac
"""


def row(
    job: int,
    name: bytes = b"train",
    *,
    user: str = "alice",
    state: str = "COMPLETED",
    start: int | str = NOON,
    end: int | str = NOON + 3600,
    tres: str = "cpu=8,gres/gpu=2",
) -> bytes:
    """A line of `sacct`, with a tilde for the mark."""
    cells = (
        job, job, user, "bio", "gpu", "normal", state, NOON - 60, NOON - 60, start, end,
        "00:00:00", "1-00:00:00", tres, "h01", "0:0", "", "", "/home/alice",
    )  # fmt: skip
    return b"~".join([*(str(cell).encode() for cell in cells), name, b"\n"])


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A Slurm with an accounting of two jobs, which the configuration names."""
    made = FakeSlurm.made(tmp_path / "slurm")
    (made.folder / "rows").write_bytes(row(1) + row(2, user="bob"))
    for name, text in (
        ("sacct", SACCT.format(rows=made.folder / "rows")),
        ("sacctmgr", SACCTMGR),
        ("sreport", "#!/bin/sh\n"),
    ):
        (made.folder / "bin" / name).write_text(text)
        (made.folder / "bin" / name).chmod(0o755)
    config = tmp_path / "config.toml"
    config.write_text(
        f'cache_dir = "{tmp_path}/cache"\nstate_dir = "{tmp_path}/state"\n{made.table()}'
        f'[collector]\nfolder = "{tmp_path}/history"\n'
    )
    config.chmod(0o600)
    (tmp_path / "cache").mkdir(mode=0o700)
    monkeypatch.setenv("FOUNDRY_CONFIG", str(config))
    return made


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_csv_goes_to_standard_output_and_the_rest_beside_it(
    slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "usage-by-account", *DAY]) == 0
    told = capfd.readouterr()
    (line,) = rows(told.out)
    assert (line["account"], line["gpu_allocated_hours"]) == ("bio", "4.0000")
    assert (line["gpu_unknown_hours"], line["gpu_idle_hours"]) == ("4.0000", "")
    assert "what the GPUs did is unknown" in told.err


def test_rows_that_nobody_would_write_are_told_or_refused_each_by_itself(
    slurm: FakeSlurm, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = (
        b"a|b=c",
        b"two\nlines",
        b"\xff\xfe",
        b'=HYPERLINK("x")',
        b"\t-1",
        b'a,"b"',
        b"\x1b[2J",
    )
    good = b"".join(row(number, name) for number, name in enumerate(names, 1))
    odd = (
        row(20, start=NOON, end=NOON - 30)  # the clock was set back
        + row(21, state="RUNNING", end="Unknown")  # forgotten by the controller
        + row(22, tres="cpu=1,gres/fpga=7,license/matlab=1")
        + row(23, tres="")
    )
    broken = row(30, tres="gres/gpu=many") + row(31, start="2026-99-99") + b"32~32~ali"
    (slurm.folder / "rows").write_bytes(good + odd + broken)
    assert main(["report", "jobs", *DAY, "-o", str(tmp_path / "out")]) == 5, "not all of it is told"
    told = capfd.readouterr().err
    assert "3 rows of accounting could not be read" in told
    assert "not billed: 1 try in doubt: it has no end" in told
    assert "not billed: 1 try whose GPUs accounting does not tell" in told
    assert "not billed: 1 try that end before they begin" in told
    raw = (tmp_path / "out" / "jobs.csv").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") == 1 + len(names) + 4
    found = {line["job_id"]: line for line in rows(raw.decode())}
    shown = [found[str(number)]["job_name"] for number in range(1, 1 + len(names))]
    assert shown[0] == "a|b=c"
    assert shown[3] == '\'=HYPERLINK("x")'
    assert shown[5] == 'a,"b"'
    assert all(name.isprintable() and not name.startswith(("=", "-", "+", "@")) for name in shown)
    meta = json.loads((tmp_path / "out" / "jobs.csv.meta.json").read_text())
    hours = sum(Decimal(line["gpu_hours_in_window"] or 0) for line in found.values())
    assert hours * 3600 == meta["totals"]["allocated_gpu_s"] == len(names) * 7200
    assert meta["rejects"]["count"] == 3
    assert [one["tries"] for one in meta["counted_apart"]["doubtful"]] == [1]
    assert (found["21"]["gpu_hours"], found["22"]["gpu_hours"]) == ("", "0.0000")


def test_a_source_that_does_not_answer_is_exit_code_3_and_writes_nothing(
    slurm: FakeSlurm, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = '#!/bin/sh\necho "sacct: error: Problem talking to the database" >&2\nexit 1\n'
    (slurm.folder / "bin" / "sacct").write_text(script)
    assert main(["report", "jobs", *DAY, "-o", str(tmp_path / "out")]) == 3
    assert "Problem talking to the database" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--chart", "png"], "--chart png: say with -o"),
        (["--json", "--chart"], "--json and --chart exclude each other"),
        (["--csv", "--chart"], "--csv and --chart exclude each other"),
        (["--mode", "640"], "--mode: say with -o"),
        (["--json", "--excel-bom"], "--excel-bom: it is of a CSV file"),
        (["--mode", "1777", "-o", "."], "--mode '1777': give the mode of a file"),
        (["--mode", "rw", "-o", "."], "--mode 'rw': give the mode of a file"),
        (["--from", ""], "--from '': give a date"),
        (["--from", "2026-11-01+02:00"], "--from '2026-11-01+02:00': give a date"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "--from, --to: window: ends at"),
        (["--period", "2026-10", "--to", "now"], "--period stands for --from and --to"),
        (["--period", "2025-W53"], "--period '2025-W53': give a month"),
        (["--prices", "/nonexistent"], "--prices: prices /nonexistent: cannot be read"),
        (["--by", "minute"], "'minute' is not one of"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2_and_names_the_option(
    slurm: FakeSlurm, options: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "usage-by-account", *options]) == 2
    told = capfd.readouterr()
    assert said in told.err
    assert told.out == ""


def test_a_name_that_matches_nothing_is_told(
    slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "usage-by-user", *DAY, "--user", "alcie", "--account", "bio"]) == 0
    told = capfd.readouterr()
    assert rows(told.out) == []
    assert "nothing in this window is of --account bio --user alcie" in told.err


def test_an_empty_window_and_one_to_come_are_a_header_and_a_note(
    slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]
) -> None:
    for options, note in (
        (["--from", "2026-11-01", "--to", "2026-11-01"], "the window is empty"),
        (["--from", "9000-01-01", "--to", "9000-02-01"], "yet to come"),
    ):
        assert main(["report", "usage-by-account", *options]) == 0
        told = capfd.readouterr()
        assert told.out.startswith("period_start_utc,")
        assert rows(told.out) == []
        assert note in told.err


def test_a_week_53_is_cut_at_its_days_and_a_zone_is_reckoned_in(
    slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]
) -> None:
    begin = int(datetime(2020, 12, 28, tzinfo=UTC).timestamp())
    (slurm.folder / "rows").write_bytes(row(1, start=NOON, end=NOON))
    long = row(2, start=begin - 60, end=begin + 8 * 86400).replace(
        str(NOON - 60).encode(), str(begin - 60).encode()
    )
    (slurm.folder / "rows").write_bytes(long)
    assert main(["report", "usage-by-account", "--period", "2020-W53", "--by", "day"]) == 0
    days = rows(capfd.readouterr().out)
    assert [day["gpu_allocated_hours"] for day in days] == ["48.0000"] * 7
    assert days[-1]["period_end_utc"] == "2021-01-04T00:00:00Z"
    zone = ["--from", "2020-12-29T01:00+02:00", "--to", "2020-12-29T01:30:00Z"]
    assert main(["report", "usage-by-account", *zone]) == 0
    (hours,) = rows(capfd.readouterr().out)
    assert hours["period_start_utc"] == "2020-12-28T23:00:00Z"
    assert hours["gpu_allocated_hours"] == "5.0000"


def test_jobs_are_not_cut_and_the_sidecar_does_not_say_so(
    slurm: FakeSlurm, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "jobs", *DAY, "--by", "hour", "-o", str(tmp_path)]) == 0
    assert "jobs has a row per try, which is not cut by hour" in capfd.readouterr().err
    assert json.loads((tmp_path / "jobs.csv.meta.json").read_text())["window"]["by"] is None


def test_gpus_without_a_price_are_named(
    slurm: FakeSlurm, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (slurm.folder / "rows").write_bytes(row(1, tres="gres/gpu=1,gres/gpu:h200=1") + row(2))
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "gpu_type,price_per_gpu_hour,currency,valid_from_utc,valid_to_utc\nh100,2,EUR,,\n"
    )
    assert main(["report", "usage-by-account", *DAY, "--prices", str(prices)]) == 0
    told = capfd.readouterr()
    assert {line["cost_allocated"] for line in rows(told.out)} == {""}
    assert "no price, so that the cost is empty: GPUs of type h200, unknown" in told.err


def test_json_says_when_it_is_not_all_of_it(
    slurm: FakeSlurm, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "jobs", *DAY, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["partial"] == []
    (slurm.folder / "rows").write_bytes(row(1) + row(2, tres="gres/gpu=x"))
    assert main(["report", "jobs", *DAY, "--json"]) == 5
    told = json.loads(capfd.readouterr().out)
    assert [line["job_id"] for line in told["report"]] == ["1"]
    assert any("could not be read" in note for note in told["partial"])


def test_the_files_are_what_was_asked_for(slurm: FakeSlurm, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["report", "jobs", *DAY, "-o", str(out), "--mode", "640", "--excel-bom"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["jobs.csv", "jobs.csv.meta.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o640}
    first = (out / "jobs.csv").read_bytes()
    assert first.startswith(b"\xef\xbb\xbfcluster,")
    assert main(["report", "jobs", *DAY, "-o", str(out), "--excel-bom"]) == 0
    assert (out / "jobs.csv").read_bytes() == first, "the same input gives the same bytes"


def test_nothing_is_written_through_a_symlink_or_over_a_folder(
    slurm: FakeSlurm, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "jobs.csv").symlink_to(victim)
    assert main(["report", "jobs", *DAY, "-o", str(tmp_path)]) == 1
    assert "jobs.csv is a symlink: nothing is written through it" in capfd.readouterr().err
    assert victim.read_text() == "mine"
    (tmp_path / "jobs.csv").unlink()
    (tmp_path / "jobs.csv").mkdir()
    assert main(["report", "jobs", *DAY, "-o", str(tmp_path)]) == 1
    assert main(["report", "jobs", *DAY, "-o", str(victim)]) == 1
    assert "a file stands where the folder should be" in capfd.readouterr().err


def test_no_word_of_an_anonymous_report_names_anybody(slurm: FakeSlurm, tmp_path: Path) -> None:
    (slurm.folder / "rows").write_bytes(row(1, b"secret-model", user="DOM\\carl") + row(2))
    for name in ("jobs", "usage-by-user", "usage-by-account"):
        options = ["--anonymise", "--chart", "svg", "-o", str(tmp_path / "out")]
        assert main(["report", name, *DAY, *options]) == 0
    files = list((tmp_path / "out").iterdir())
    assert len(files) == 9
    for path in files:
        for word in ("carl", "DOM", "alice", "bio", "secret", str(tmp_path)):
            assert word not in path.read_text(), f"{word} in {path.name}"


def test_an_older_picture_beside_an_anonymous_report_is_warned_of(
    slurm: FakeSlurm, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "jobs.svg").write_text("alice")
    assert main(["report", "jobs", *DAY, "--anonymise", "-o", str(tmp_path)]) == 0
    assert "jobs.svg is older and may hold names" in capfd.readouterr().err
    assert main(["report", "jobs", *DAY, "--anonymise", "--chart=svg", "-o", str(tmp_path)]) == 0
    assert "may hold names" not in capfd.readouterr().err
    assert "alice" not in (tmp_path / "jobs.svg").read_text()


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "foundry_tui.cli", "report", *options]


def test_a_reader_that_has_gone_is_no_fault(slurm: FakeSlurm) -> None:
    (slurm.folder / "rows").write_bytes(b"".join(row(number) for number in range(1, 2000)))
    read, write = os.pipe()
    with subprocess.Popen(
        command("jobs", *DAY), stdout=write, stderr=subprocess.PIPE, text=True
    ) as child:
        os.close(write)
        assert os.read(read, 7) == b"cluster"
        os.close(read)
        assert child.stderr is not None
        said = child.stderr.read()
        assert child.wait() == 0
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_report_that_is_ended_in_the_middle_leaves_no_file(
    slurm: FakeSlurm, tmp_path: Path, sent: signal.Signals
) -> None:
    reached = tmp_path / "reached"
    script = f"#!/bin/sh\ntouch '{reached}'\nexec sleep 20\n"
    (slurm.folder / "bin" / "sacct").write_text(script)
    out = tmp_path / "out"
    out.mkdir()
    with subprocess.Popen(
        command("jobs", *DAY, "-o", str(out)), stderr=subprocess.PIPE, text=True
    ) as child:
        until = time.monotonic() + 30
        while not reached.exists() and time.monotonic() < until:
            assert child.poll() is None
            time.sleep(0.02)
        child.send_signal(sent)
        if sent is signal.SIGINT:
            assert child.stderr is not None
            said = child.stderr.read()
            assert "interrupted" in said
            assert "Traceback" not in said
        assert child.wait(30) == (130 if sent is signal.SIGINT else -signal.SIGKILL)
    assert list(out.iterdir()) == []


def test_the_bar_fits_the_terminal_and_is_gone_when_the_report_fails(
    slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "QUIET_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    (slurm.folder / "bin" / "sacct").unlink()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        assert main(["report", "jobs", *DAY]) == 3
    said = ""
    with contextlib.suppress(OSError):  # the end of a terminal
        while more := os.read(ours, 65536):
            said += more.decode()
    os.close(ours)
    *bars, last = said.split("\r\x1b[K")
    assert len(bars) > 1
    assert "  0%" in bars[1]
    assert all(len(bar) < 20 for bar in bars), "it does not wrap"
    assert last.startswith("foundry: "), "the message begins on a line of its own"
