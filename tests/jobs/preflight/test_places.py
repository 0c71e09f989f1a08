"""Folders and files of a spec, seen from the host that submits it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.jobs.preflight import places
from foundry_tui.jobs.preflight.places import Ground, Seen, checkpoint, free, seen
from foundry_tui.jobs.preflight.verdict import Check, State
from foundry_tui.jobs.spec import Checkpoint, JobSpec, Mount

AS_ROOT = os.geteuid() == 0
SPEC = JobSpec(name="x", script="true")


def ground(
    folder: Path, kind: str = "slurm", *, simulated: bool = False, contained: bool = False
) -> Ground:
    return Ground(kind=kind, start=folder, beside=folder, simulated=simulated, contained=contained)


def by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {str(c.name): c for c in checks}


def test_on_slurm_paths_are_those_of_this_host(tmp_path: Path) -> None:
    (tmp_path / "proj").mkdir()
    spec = replace(SPEC, workdir="proj")
    assert seen("data.csv", spec, ground(tmp_path)) == Seen(tmp_path / "proj" / "data.csv")
    assert seen("/shared/c4", spec, ground(tmp_path)) == Seen(Path("/shared/c4"))
    assert by_name(places.check(spec, ground(tmp_path)))["workdir"].state is State.OK


@pytest.mark.parametrize("text", ["$SCRATCH/x", "~/x"])
def test_what_a_shell_would_say_is_not_guessed(tmp_path: Path, text: str) -> None:
    found = seen(text, SPEC, ground(tmp_path))
    assert found.path is None
    assert "shell" in found.why


def test_inside_a_container_paths_go_through_the_mounts(tmp_path: Path) -> None:
    mounts = (
        Mount(target="/data", source=str(tmp_path / "shared")),
        Mount(target="/data/inner", claim="team-pvc"),
    )
    on_slurm = replace(SPEC, mounts=mounts, workdir="/data")
    here = ground(tmp_path, contained=True)
    assert seen("/data/c4", on_slurm, ground(tmp_path)) == Seen(Path("/data/c4"))
    assert seen("/data/c4", on_slurm, here) == Seen(tmp_path / "shared" / "c4")
    assert seen("c4", on_slurm, here) == Seen(tmp_path / "shared" / "c4")
    assert seen("/data/inner/x", on_slurm, here).why == (
        "in the volume team-pvc, which this host does not see"
    )
    assert seen("/opt/x", on_slurm, here).why == "inside the container, which is not looked into"
    for kind in ("runai", "kai"):
        there = ground(tmp_path, kind)
        assert "of the nodes" in seen("/data/c4", on_slurm, there).why
        assert "team-pvc" in seen("/data/inner/x", on_slurm, there).why
        assert seen("/data/c4", on_slurm, there).path is None


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("missing", None, "cannot be found: No such file"),
        ("file", "file", "no folder"),
    ],
)
def test_a_workdir_that_is_none_fails(
    tmp_path: Path, name: str, make: str | None, words: str
) -> None:
    if make:
        (tmp_path / name).touch()
    check = by_name(places.check(replace(SPEC, workdir=name), ground(tmp_path)))["workdir"]
    assert check.state is State.FAIL
    assert words in check.words


def test_a_workdir_with_a_variable_is_not_what_it_looks_like(tmp_path: Path) -> None:
    check = by_name(places.check(replace(SPEC, workdir="~/p"), ground(tmp_path)))["workdir"]
    assert check.state is State.FAIL
    assert "write it out" in check.words


def test_what_is_not_here_says_nothing_of_a_simulated_estate(tmp_path: Path) -> None:
    spec = replace(SPEC, workdir="none", mounts=(Mount(target="/m", source="/no/such"),))
    checks = by_name(places.check(spec, ground(tmp_path, simulated=True)))
    assert checks["workdir"].state is checks["mount /m"].state is State.SKIPPED
    real = by_name(places.check(spec, ground(tmp_path)))
    assert real["workdir"].state is real["mount /m"].state is State.FAIL


def test_mounts_are_looked_for_on_slurm_alone(tmp_path: Path) -> None:
    spec = replace(
        SPEC, mounts=(Mount(target="/m", source=str(tmp_path)), Mount(target="/c", claim="pvc"))
    )
    on_slurm = by_name(places.check(spec, ground(tmp_path)))
    assert on_slurm["mount /m"].state is State.OK
    assert on_slurm["mount /c"].state is State.SKIPPED
    elsewhere = places.check(spec, ground(tmp_path, "kai"))
    assert [c.state for c in elsewhere] == [State.SKIPPED, State.SKIPPED]


def test_files_that_a_spec_names_have_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "ds.json").write_text("{}")
    (tmp_path / "img.sqsh").mkdir()
    spec = replace(SPEC, script=None, file="train.py", deepspeed_config="ds.json", image="img.sqsh")
    checks = by_name(places.check(spec, ground(tmp_path)))
    assert checks["file"].state is State.FAIL
    assert checks["deepspeed_config"].state is State.OK
    assert checks["image"].words.endswith("a folder; name a file")


def at(path: str) -> JobSpec:
    return replace(SPEC, checkpoint=Checkpoint(path=path))


def test_a_checkpoint_folder_is_there_or_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for path, words in (("there", "is there"), ("new", "can be made in")):
        (check,), folder = checkpoint(at(path), ground(tmp_path))
        assert check.state in (State.OK, State.WARN)
        assert words in check.words
        assert " GB free" in check.words
        assert folder is not None


def test_a_checkpoint_far_from_any_folder_looks_mistyped(tmp_path: Path) -> None:
    (check,), folder = checkpoint(at("a/b/c"), ground(tmp_path))
    assert check.state is State.WARN
    assert f"only {tmp_path}" in check.words
    assert folder == tmp_path


def test_a_checkpoint_below_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (check,), folder = checkpoint(at("f/ckpt"), ground(tmp_path))
    assert (check.state, folder) == (State.FAIL, None)


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_checkpoint_that_may_not_be_written_fails(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    (check,), _ = checkpoint(at("ckpt"), ground(tmp_path))
    tmp_path.chmod(0o700)
    assert check.state is State.FAIL
    assert "may not write" in check.words


def test_without_a_checkpoint_nothing_is_looked_at(tmp_path: Path) -> None:
    assert checkpoint(SPEC, ground(tmp_path)) == ((), None)
    (check,), folder = checkpoint(at("/ckpt"), ground(tmp_path, "runai"))
    assert (check.state, folder) == (State.SKIPPED, None)


@pytest.mark.parametrize(
    ("free_bytes", "free_inodes", "read_only", "state", "words"),
    [
        (10**12, None, False, State.OK, "1,000.0 GB free"),
        (10**9, None, False, State.WARN, "1.0 GB free: little"),
        (0, None, False, State.FAIL, "is full"),
        (10**12, 0, False, State.FAIL, "no free inodes"),
        (10**12, 7, False, State.WARN, "only 7 more files"),
        (10**12, None, True, State.FAIL, "cannot be written"),
    ],
)
def test_room_is_judged(
    free_bytes: int, free_inodes: int | None, read_only: bool, state: State, words: str
) -> None:
    check = free(
        Path("/ckpt"),
        "is there",
        free_bytes=free_bytes,
        free_inodes=free_inodes,
        read_only=read_only,
    )
    assert check.state is state
    assert words in check.words
