"""Whatever a file holds, reading it gives runs that make sense or a `HistoryError`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler_sim.cluster import Cluster
from scheduler_sim.history import FORMATS, HistoryError, read_history
from tests.scheduler_sim.history import samples

NASTY = (
    *("", "-1", "0", "nan", "inf", "1e400", "99999999999999999999", "0.5", "١٢", "1_0", "None"),
    *("Unknown", "\x00", '"', "[", "]", "{", "}", ",", "|", "=", "cpu=-1", "gres/gpu=1e99"),
    *("gres/gpu:=1,gres/gpu=", "mem=9999999999999999P", "2026-01-01T00:00:00+99:00", "é" * 300),
    *("9999-12-31T23:59:59", "0001-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "\ud7ff"),
    *("9" * 5000, "1e12", "4294967296", "\r", "\n", ";", "; MaxProcs: 0", "; MaxNodes: 3\n"),
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The text with some of it replaced or taken away."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 25)))
        text = text[:start] + draw(st.sampled_from(NASTY) | st.text(max_size=8)) + text[end:]
    return text.encode("utf-8", "surrogatepass")


def makes_sense(format: str, content: bytes, beside: str = "", other: bytes = b"") -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history"
        path.write_bytes(content)
        if beside:
            (path.parent / beside).write_bytes(other)
        try:
            history = read_history(path, format)
        except HistoryError as error:
            assert str(error).isprintable()
            return
    jobs = history.jobs
    assert len(jobs) > 0
    assert jobs.submit_s[0] == 0
    assert (jobs.duration_s >= 0).all()
    assert (jobs.limit_s >= 1).all()
    assert (jobs.nodes >= 1).all()
    assert all(kind.gpus or kind.cpu_milli or kind.memory_mib for kind in jobs.kinds)
    assert history.rejects.count >= len(history.rejects.first)
    if history.nodes:
        Cluster(history.nodes)


BESIDE = {
    "cluster_gpu_number.csv": ("helios", samples.HELIOS_GPUS),
    "cluster_machine_list": ("philly", samples.PHILLY_MACHINES),
    "pai_job_table.csv": ("pai", samples.PAI_JOBS),
    "pai_machine_spec.csv": ("pai", samples.PAI_MACHINES),
}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(BESIDE)), st.data())
def test_a_damaged_file_beside_gives_runs_or_a_history_error(
    name: str, data: st.DataObject
) -> None:
    format, text = BESIDE[name]
    other = data.draw(damaged(text))
    makes_sense(format, samples.EVERY[format].encode(), name, other)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FORMATS), st.booleans(), st.data())
def test_a_damaged_sample_gives_runs_or_a_history_error(
    format: str, told: bool, data: st.DataObject
) -> None:
    makes_sense(format if told else "auto", data.draw(damaged(samples.EVERY[format])))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from((*FORMATS, "auto")), st.binary(max_size=300))
def test_any_bytes_give_runs_or_a_history_error(format: str, content: bytes) -> None:
    makes_sense(format, content)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(("helios", "openb", "pai", "sacct")), st.data())
def test_any_cells_under_a_good_header_give_runs_or_a_history_error(
    format: str, data: st.DataObject
) -> None:
    lines = samples.EVERY[format].splitlines()
    mark = "|" if format == "sacct" else ","
    width = len(lines[1].split(mark))
    cell = st.sampled_from(NASTY) | st.sampled_from(lines[1].split(mark))
    rows = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=6))
    text = "\n".join([*lines, *(mark.join(row) for row in rows)])
    makes_sense(format, text.encode("utf-8", "surrogatepass"))
