"""What holds for every format: found by its content, gzip, damage, and rejects that are counted."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from scheduler_sim.history import FORMATS, HistoryError, read_history, sniff
from scheduler_sim.history.lines import LONGEST_LINE
from scheduler_sim.history.rejects import SHOWN
from tests.scheduler_sim.history import samples
from tests.scheduler_sim.history.samples import written


@pytest.mark.parametrize("format", FORMATS)
def test_the_content_tells_the_format_plain_and_packed(tmp_path: Path, format: str) -> None:
    text = samples.EVERY[format]
    plain = written(tmp_path, text, "some.file")
    packed = tmp_path / "other.file"
    packed.write_bytes(gzip.compress(text.encode()))
    assert sniff(plain) == sniff(packed) == format
    as_told, found = read_history(plain, format), read_history(packed)
    assert found.format == format
    assert found.jobs.submit_s.tolist() == as_told.jobs.submit_s.tolist()
    assert found.jobs.kinds == as_told.jobs.kinds


@pytest.mark.parametrize("format", FORMATS)
def test_windows_line_ends_and_a_byte_order_mark_change_nothing(
    tmp_path: Path, format: str
) -> None:
    text = samples.EVERY[format]
    other = tmp_path / "other"
    other.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert (
        read_history(other).jobs.duration_s.tolist()
        == read_history(written(tmp_path, text)).jobs.duration_s.tolist()
    )


@pytest.mark.parametrize("format", FORMATS)
def test_every_row_is_a_run_or_a_reject(tmp_path: Path, format: str) -> None:
    rows = {"helios": 3, "openb": 4, "pai": 5, "philly": 3, "sacct": 4, "swf": 5}
    history = read_history(written(tmp_path, samples.EVERY[format]))
    assert len(history.jobs) + history.rejects.count == rows[format]
    assert sum(count for _, count in history.rejects.by_reason) == history.rejects.count


@pytest.mark.parametrize("format", [*FORMATS, "auto"])
@pytest.mark.parametrize("content", [b"", b"\n \n\n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_said_to_be_empty(tmp_path: Path, format: str, content: bytes) -> None:
    path = tmp_path / "nothing"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="nothing: the file is empty"):
        read_history(path, format)


@pytest.mark.parametrize("format", [*FORMATS, "auto"])
@pytest.mark.parametrize("content", [b"\x00\xff" * 300, b"what is this?\n", b"a,b,c\n1,2,3\n"])
def test_another_file_is_refused(tmp_path: Path, format: str, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="other"):
        read_history(path, format)


def test_an_unknown_file_is_told_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"format is not known\. Known are: philly .*sacct"):
        sniff(written(tmp_path, "one,two\n1,2\n"))


def test_an_unknown_format_is_told_the_names(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="'borg' is none of helios, openb"):
        read_history(written(tmp_path, samples.SWF), "borg")


def test_a_file_that_is_not_there_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="absent: cannot be read: No such file"):
        read_history(tmp_path / "absent")
    with pytest.raises(HistoryError, match="cannot be read: Is a directory"):
        read_history(tmp_path)


def test_gzip_that_was_cut_off_is_an_error_and_not_a_shorter_history(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    row = samples.SWF.splitlines()[-1]
    lines = (f"{row}\n".replace("    5", f"{i:5d}") for i in range(5000))
    path.write_bytes(gzip.compress((samples.SWF + "".join(lines)).encode())[:-500])
    with pytest.raises(HistoryError, match=r"cut\.gz: the gzip data is damaged or cut off"):
        read_history(path)


@pytest.mark.parametrize("format", ["helios", "openb", "sacct"])
def test_a_missing_column_is_named(tmp_path: Path, format: str) -> None:
    header, _, rest = samples.EVERY[format].partition("\n")
    column = {"helios": "node_num", "openb": "creation_time", "sacct": "Submit"}[format]
    path = written(tmp_path, header.replace(column, "other") + "\n" + rest)
    with pytest.raises(HistoryError, match=f"history: the header has no column {column}"):
        read_history(path, format)


def test_a_header_alone_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="no run of 0 can be replayed as openb"):
        read_history(written(tmp_path, samples.OPENB.splitlines()[0]))


def test_when_no_row_fits_the_first_is_named(tmp_path: Path) -> None:
    header = samples.OPENB.splitlines()[0]
    path = written(tmp_path, f"{header}\np,1,1,1,9,,LS,Failed,5,4,1\n")
    with pytest.raises(HistoryError, match=r"no run of 1 .*history line 2: scheduled_time: before"):
        read_history(path)


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ("p,-1,1,1,9,,LS,Failed,1,4,1", "cpu_milli", "negative"),
        ("p,1,1.5,1,9,,LS,Failed,1,4,1", "memory_mib", "no whole number"),
        ("p,1,1,1,0,,LS,Failed,1,4,1", "gpu_milli", "not within 1..1000"),
        ("p,1,1,1,1001,,LS,Failed,1,4,1", "gpu_milli", "not within 1..1000"),
        ("p,0,0,0,0,,LS,Failed,1,4,1", "request", "asks for nothing"),
        ("p,1,1,1,9,,LS,Failed,nan,4,1", "creation_time", "missing"),
        ("p,1,1,1,9,,LS,Failed,NAN,4,1", "creation_time", "no number"),
        ("p,1,1,1,9,,LS,Failed,1e9999,4,1", "creation_time", "no number"),
        ("p,1,1,1,9,,LS,Failed,1_0,40,10", "creation_time", "no number"),
        ("p,1,1,1,9,,LS,Failed,1,9e15,1", "deletion_time", "too large"),
        ("p,1,1,1,9,,LS,Failed,1,4,", "scheduled_time", "missing"),
        ("p,1,1,1,9,,LS,Failed,1,4", "row", "as many cells"),
        ("p,1,1,1,9,,LS,Failed,1,4,1,1", "row", "as many cells"),
        ('p,1,1,1,9,",LS,Failed,1,4,1', "row", "as many cells"),
    ],
)
def test_a_bad_cell_is_a_reject_with_its_place(
    tmp_path: Path, cells: str, field: str, reason: str
) -> None:
    good = samples.OPENB.replace("pod-d", "pod-e").replace("150,250,", "150,250,151")
    history = read_history(written(tmp_path, f"{good}{cells}\n"))
    (reject,) = history.rejects.first
    assert (reject.file, reject.line, reject.field) == ("history", 6, field)
    assert reason in reject.reason
    assert len(history.jobs) == 4


def test_rejects_are_counted_and_the_first_of_each_reason_named(tmp_path: Path) -> None:
    bad = "p,-1,1,1,9,,LS,Failed,1,4,1\n" * 50 + "p,1,1,1,9,,LS,Failed,1,4,0\n" * 30
    rejects = read_history(written(tmp_path, samples.OPENB + bad)).rejects
    assert rejects.count == 81
    assert rejects.by_reason[:2] == (
        ("cpu_milli: negative", 50),
        ("scheduled_time: before the start", 30),
    )
    assert len(rejects.first) == 1 + 2 * SHOWN
    assert rejects.lines()[0] == "50 rows: cpu_milli: negative"
    assert "history line 6: cpu_milli: negative: '-1'" in rejects.lines()


def test_names_and_values_cannot_drive_a_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J\u202etxt"
    text = samples.OPENB + f"{evil},1,1,1,9,,LS,Failed,1,4,1\np,{evil},1,1,9,,LS,Failed,1,4,1\n"
    history = read_history(written(tmp_path, text))
    assert all(name.isprintable() for name in history.jobs.names or ())
    assert all(line.isprintable() for line in history.rejects.lines())
    assert any("\\x1b" in line for line in history.rejects.lines())


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = written(tmp_path, samples.SWF + "1 " * LONGEST_LINE)
    with pytest.raises(HistoryError, match="history line 11: longer than"):
        read_history(path)


def test_packed_blanks_are_not_kept(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with gzip.open(packed, "wt") as stream:
        stream.write("\n" * (1 << 20) + samples.SWF)
    path = tmp_path / "log"
    path.write_bytes(packed.getvalue())
    assert len(read_history(path, "swf").jobs) == 3


def test_the_published_openb_list_is_read_whole(traces: Path) -> None:
    history = read_history(traces / "openb_pod_list_default.csv.gz")
    assert history.format == "openb"
    assert len(history.jobs) == 8152 - 897
    assert history.rejects.by_reason == (
        ("scheduled_time: never started, so its duration is not known", 897),
    )


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(HistoryError, match=r"pipe\.csv: a pipe or a device"):
        read_history(pipe)
