"""The pyslurm reader against a stand-in module: what it tells, and every way it can die."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from foundry_tui.schedulers.slurm import pyslurm_reader
from foundry_tui.schedulers.slurm.jobs import to_runs
from foundry_tui.schedulers.slurm.pyslurm_reader import NotUsable, available, read_jobs
from foundry_tui.schedulers.slurm.rows import JobRow

STANDIN = Path(__file__).parent / "standin"
TIMEOUT_S = 30.0


@pytest.fixture(autouse=True)
def _standin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    monkeypatch.delenv("SLURM_CONF", raising=False)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "slurm.conf"
    path.write_text("normal\n")
    return path


def test_rows(conf: Path) -> None:
    rows = {row.job_id: row for row in read_jobs(str(conf), TIMEOUT_S).rows}
    assert list(rows) == ["101", "102", "105", "106", "103"]
    assert rows["101"] == JobRow(
        job_id="101",
        state="RUNNING",
        user="ada",
        account="ml",
        partition="gpu",
        qos="normal",
        priority="4000",
        tres="cpu=4,mem=8000M,gres/gpu=3,gres/gpu:h100=3",
        nodelist="h[1-2]",
        features="nvlink,big",
        submit="2026-11-21T00:30:24",
        eligible="2026-11-21T00:30:24",
        start="2026-11-21T00:31:24",
        end="2026-11-21T01:31:24",
        time_limit="60",
        num_nodes="2",
        num_cpus="4",
        name="train",
    )
    assert rows["102"] == JobRow(
        job_id="102",
        state="PENDING",
        reason="JobHeldUser",
        user="ada",
        account="ml",
        partition="gpu",
        qos="normal",
        priority="0",
        tres="cpu=1,mem=1000M,gres/gpu=1",
        dependency="afterok:101:105(unfulfilled),singleton",
        submit="2026-11-21T00:30:24",
        num_nodes="1",
        num_cpus="1",
        comment="foundry:0a1b2c3d",
        name="bad\udcff\udcfe\nname",
    )
    tasks = [(rows[job].array_job_id, rows[job].array_task) for job in ("105", "106", "103")]
    assert tasks == [("103", "0"), ("103", "1"), ("103", "2-9%2")]
    assert (rows["103"].sched_nodes, rows["103"].start) == ("h2", "2026-11-21T02:31:24")


def test_the_runs_are_those_of_the_other_readers(conf: Path) -> None:
    table = read_jobs(str(conf), TIMEOUT_S)
    assert table.held == {}
    runs = {run.native_id: run for run in to_runs(table, "s", datetime.now(UTC), {})}
    assert set(runs) == {"101", "102", "103_0", "103_1", "103_[2-9%2]"}
    assert (runs["101"].request.gpu_count, runs["101"].request.gpu_model) == (3, "h100")
    assert [(p.node, p.gpus) for p in runs["101"].placement] == [("h1", None), ("h2", None)]
    assert runs["102"].held
    assert runs["102"].name_raw == b"bad\xff\xfe\nname"
    assert runs["102"].submit_token == "0a1b2c3d"
    assert runs["103_[2-9%2]"].count == 8


def test_available() -> None:
    assert available() is None


def test_available_needs_no_configuration(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.write_text("fatal\n")
    monkeypatch.setenv("SLURM_CONF", str(conf))
    assert available() is None


def test_not_installed(conf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # As if it were not installed, even where it is.
    broken = tmp_path / "path" / "pyslurm.py"
    broken.parent.mkdir()
    broken.write_text("raise ModuleNotFoundError('No module', name='pyslurm')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent))
    reason = available()
    assert reason is not None
    assert "extra `slurm`" in reason
    with pytest.raises(NotUsable, match="foundry-tui\\[slurm\\]"):
        read_jobs(str(conf), TIMEOUT_S)


def test_other_version_of_libslurm(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.write_text("mismatch\n")
    with pytest.raises(NotUsable, match=r"does not fit this site's Slurm: libslurm\.so\.44"):
        read_jobs(str(conf), TIMEOUT_S)
    monkeypatch.setenv("SLURM_CONF", str(conf))
    assert "libslurm.so.44" in (available() or "")


def test_release_without_the_surface(conf: Path) -> None:
    conf.write_text("old\n")
    with pytest.raises(Unavailable, match="allocated_tres"):
        read_jobs(str(conf), TIMEOUT_S)


def test_segfault(conf: Path) -> None:
    conf.write_text("segfault\n")
    with pytest.raises(Unavailable, match=r"signal 11 \(Segmentation fault\)"):
        read_jobs(str(conf), TIMEOUT_S)
    assert not list(conf.parent.glob("core*"))


def test_hang(conf: Path) -> None:
    conf.write_text("hang\n")
    with pytest.raises(Unavailable, match=r"no answer within 1\.5 s"):
        read_jobs(str(conf), 1.5)


def test_exit_with_words_from_c(conf: Path) -> None:
    conf.write_text("fatal\n")
    with pytest.raises(Unavailable, match="exit code 1: pyslurm: fatal: Could not establish"):
        read_jobs(str(conf), TIMEOUT_S)


@pytest.mark.parametrize(
    ("errno", "kind"), [(1800, Unavailable), (2002, Denied), (2010, Denied), (1005, NotUsable)]
)
def test_refused_call(conf: Path, errno: int, kind: type[SchedulerError]) -> None:
    conf.write_text(f"rpc {errno}\n")
    with pytest.raises(SchedulerError, match="said the controller") as caught:
        read_jobs(str(conf), TIMEOUT_S)
    assert type(caught.value) is kind


def test_missing_configuration_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        read_jobs(str(tmp_path / "none.conf"), TIMEOUT_S)


def test_answer_of_unknown_shape(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = conf.parent / "worker.py"
    worker.write_text("print('{\"jobs\": [{}]}')\n")
    monkeypatch.setattr(pyslurm_reader, "WORKER", worker)
    with pytest.raises(Unavailable, match="unknown shape: KeyError\\('id'\\)"):
        read_jobs(str(conf), TIMEOUT_S)
