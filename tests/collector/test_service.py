"""The collector of the whole host: whom it is believed, and what it keeps to itself."""

from __future__ import annotations

import os
import pwd
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.actions import collecting
from foundry_tui.collector import service
from foundry_tui.collector.publish import IdleMark, Measured
from foundry_tui.collector.service import FILE_MODE, FOLDER_MODE, Hidden, public, trusted
from foundry_tui.estate.reading import Holder
from foundry_tui.schedulers.ports import SchedulerReader
from foundry_tui.schedulers.slurm.adapter import SlurmAdapter
from tests.collector.fakeslurm import FakeSlurm
from tests.collector.shared import NOW, Clock, Reader, swept
from tests.collector.test_processes import Host, host, until

__all__ = ["host"]

ROOT = os.geteuid() == 0
ME = pwd.getpwuid(os.geteuid()).pw_name
only_root = pytest.mark.skipif(not ROOT, reason="only root can make a folder of another user")


# -- whom to believe


def test_a_folder_of_the_service_is_believed(tmp_path: Path) -> None:
    tmp_path.chmod(FOLDER_MODE)
    owners, who = trusted(tmp_path, ME)
    assert owners is not None
    assert os.geteuid() in owners
    assert who == ME


@pytest.mark.parametrize("mode", [0o770, 0o757, 0o777])
def test_a_folder_that_others_may_write_is_not(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    owners, why = trusted(tmp_path, ME)
    assert owners is None
    assert "mode" in why


def test_a_link_is_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    owners, why = trusted(tmp_path / "link", ME)
    assert owners is None
    assert "symbolic link" in why


def test_no_folder_is_no_service(tmp_path: Path) -> None:
    owners, why = trusted(tmp_path / "missing", ME)
    assert owners is None
    assert "No such file" in why


@only_root
def test_the_folder_of_a_stranger_is_not(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    owners, why = trusted(tmp_path, "nobody")
    assert owners is None
    assert "uid 12345" in why
    assert trusted(tmp_path, "no-such-user")[0] is None


@only_root
def test_the_service_of_another_uid_is_believed_by_its_name(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(tmp_path, nobody.pw_uid, -1)
    assert trusted(tmp_path, "nobody")[0] == frozenset({0, nobody.pw_uid})


# -- what it tells


@pytest.mark.parametrize(
    ("words", "runs", "nodes"),
    [
        ("none", False, False),
        ("(null)", False, False),
        ("cloud", False, False),
        ("jobs", True, False),
        ("usage,users", True, False),
        ("accounts", True, False),
        ("jobs,nodes,reservations", True, True),
    ],
)
def test_private_data_is_asked_of_the_controller(
    tmp_path: Path, words: str, runs: bool, nodes: bool
) -> None:
    slurm = FakeSlurm.made(tmp_path / "slurm", private=words)
    adapter = SlurmAdapter("lab", folder=f"{slurm.folder}/bin", conf=f"{slurm.folder}/slurm.conf")
    for _ in range(3):
        found = service.hidden(adapter)
        assert (found.runs is not None, found.nodes) == (runs, nodes)
    assert len(slurm.calls("scontrol")) == 1, "the answer is kept for some minutes"


def test_what_is_not_known_is_private(tmp_path: Path) -> None:
    slurm = FakeSlurm.made(tmp_path / "slurm")
    slurm.down.touch()
    adapter = SlurmAdapter(
        "lab", folder=f"{slurm.folder}/bin", conf=f"{slurm.folder}/slurm.conf", slow_s=0.0
    )
    found = service.hidden(adapter)
    assert found.nodes
    assert "not known" in str(found.runs)
    slurm.down.unlink()
    assert service.hidden(adapter) == service.PUBLIC
    slurm.down.touch()
    assert service.hidden(adapter) == service.PUBLIC, "a silent controller has not changed its mind"


def test_an_answer_without_the_line_is_private(tmp_path: Path) -> None:
    slurm = FakeSlurm.made(tmp_path / "slurm")
    (slurm.folder / "config").write_text("PluginDir = /usr/lib\n")
    adapter = SlurmAdapter("lab", folder=f"{slurm.folder}/bin", conf=f"{slurm.folder}/slurm.conf")
    assert service.hidden(adapter).runs is not None


def test_a_scheduler_with_rights_of_its_own_is_private() -> None:
    reader: SchedulerReader = Reader("tenant", Clock(), kind="runai")  # type: ignore[assignment]
    assert service.hidden(reader).runs is not None


def test_readings_lose_what_is_hidden() -> None:
    clock = Clock()
    parts = {"lab": Reader("lab", clock).snapshot(), "dark": None}
    held = tuple(replace(r, holders=(Holder(job="7", how="cgroup"),)) for r in swept(NOW).readings)
    marks = (
        IdleMark(source="lab", node="h01", index=0, since=NOW),
        IdleMark(source="dark", node="d01", index=0, since=NOW),
    )
    whole = Measured(readings=(*held, *swept(NOW, node="d01").readings), idle=marks)
    assert public(whole, parts, {"lab": Hidden()}) is whole
    nobody = public(whole, {}, {})
    assert ({r.holders for r in nobody.readings}, nobody.idle) == ({None}, ())
    told = public(whole, parts, {"lab": Hidden(), "dark": Hidden(runs="jobs")})
    assert {r.node for r in told.readings} == {"h01", "d01"}
    assert {r.holders for r in told.readings} == {None}
    assert [m.source for m in told.idle] == ["lab"]
    told = public(whole, parts, {"lab": Hidden(), "dark": Hidden(runs="nodes", nodes=True)})
    assert {r.node for r in told.readings} == {"h01"}


# -- as a process


def configure(host: Host, folder: Path) -> None:
    words = f'shared = "{folder}"\nservice_user = "{ME}"\n'
    config = host.place / "config.toml"
    config.write_text(config.read_text() + words)  # its last table is that of the collector


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_service_serves_other_processes(host: Host) -> None:
    folder = host.place / "srv"
    configure(host, folder)
    collector = host.start("collect", "--service", "--as-root", "--folder", str(folder))
    until(
        lambda: (folder / "readings.json").exists() and any(folder.glob("snapshot-*")),
        by=collector,
    )
    published = [folder / "collector.json", folder / "readings.json", *folder.glob("snapshot-*")]
    assert {mode(path) for path in published} == {FILE_MODE}
    assert (mode(folder), mode(folder / "private")) == (FOLDER_MODE, 0o700)
    until(lambda: (folder / "history" / "history.sqlite").exists())
    until(lambda: mode(folder / "history") == FOLDER_MODE)
    assert mode(folder / "history" / "history.sqlite") == FILE_MODE
    before = len(host.slurm.calls())
    watcher = host.start("nodes", "--watch", "10")
    until(lambda: "h01" in host.said(watcher))
    assert len(host.slurm.calls()) == before
    doctor = host.start("doctor")
    doctor.wait(30)
    assert "shared collector" in host.said(doctor)
    collector.send_signal(signal.SIGTERM)
    assert collector.wait(10) == 0


def test_the_service_keeps_private_data(host: Host) -> None:
    host.slurm.hide("jobs")
    folder = host.place / "srv"
    configure(host, folder)
    collector = host.start("collect", "--service", "--as-root", "--folder", str(folder))
    history = folder / "history"
    until(lambda: (folder / "readings.json").exists() and any(history.iterdir()), by=collector)
    until(lambda: "PrivateData hides jobs" in host.said(collector))
    assert not any(folder.glob("snapshot-*"))
    assert mode(history) == 0o700
    assert any((folder / "private").glob("snapshot-*"))


def test_the_service_is_nothing_for_root(host: Host) -> None:
    if not ROOT:
        pytest.skip("only root is refused")
    collector = host.start("collect", "--service", "--folder", str(host.place / "srv"))
    assert collector.wait(30) == 2
    assert "--as-root" in host.said(collector)
    assert not (host.place / "srv").exists()


def test_the_unit_runs_the_service() -> None:
    words = collecting.unit()
    assert "ExecStart=/usr/bin/env foundry collect --service" in words
    assert "StateDirectoryMode=0750" in words
    assert "User=foundry" in words


def test_a_service_that_finds_no_scheduler_tells_nobody_who_works(host: Host) -> None:
    folder = host.place / "srv"
    (host.place / "config.toml").write_text(
        f'cache_dir = "{host.cache}"\n[telemetry.here]\nkind = "nvml"\n'
        f'[collector]\nshared = "{folder}"\n'
    )
    words = ("collect", "--service", "--as-root", "--folder", str(folder))
    nothing = {"PATH": str(host.place)}
    collector = host.start(*words, env=nothing)
    until(lambda: (folder / "readings.json").exists())
    until(lambda: any((folder / "history").iterdir()))
    assert not (folder / "estate.json").exists()
    assert mode(folder / "history") == 0o700
    collector.terminate()
    assert collector.wait(10) == 0
