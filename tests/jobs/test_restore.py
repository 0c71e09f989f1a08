"""The code as it was: a commit and its uncommitted changes in a folder of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from foundry_tui.jobs.restore import RestoreError, has_file, holds, repository, restore

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")


def git(folder: Path, *args: str) -> bytes:
    return subprocess.run([*GIT, "-C", str(folder), *args], check=True, capture_output=True).stdout


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one commit, a changed file and a new binary one."""
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("lr = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "train.py").write_text("lr = 2\n")
    (folder / "new.bin").write_bytes(bytes(range(256)))
    git(folder, "add", "-N", ".")
    return folder


def commit_of(repo: Path) -> str:
    return git(repo, "rev-parse", "HEAD").decode().strip()


def test_commit_and_patch_come_back_byte_for_byte(repo: Path, tmp_path: Path) -> None:
    commit, patch = commit_of(repo), git(repo, "diff", "--binary", "HEAD")
    git(repo, "checkout", "-q", "-f", "HEAD")
    target = tmp_path / "again"
    restore(repo, commit, patch, target)
    assert (target / "train.py").read_text() == "lr = 2\n"
    assert (target / "new.bin").read_bytes() == bytes(range(256))
    assert (repo / "train.py").read_text() == "lr = 1\n", "the own working tree is not touched"
    assert repository(target / ".") == target


def test_a_patch_that_does_not_fit_leaves_nothing(repo: Path, tmp_path: Path) -> None:
    target = tmp_path / "again"
    patch = b"diff --git a/gone b/gone\n--- a/gone\n+++ b/gone\n@@ -1 +1 @@\n-a\n+b\n"
    with pytest.raises(RestoreError, match="git apply"):
        restore(repo, commit_of(repo), patch, target)
    assert not target.exists()
    restore(repo, commit_of(repo), None, target)
    assert (target / "train.py").read_text() == "lr = 1\n"


def test_a_folder_that_is_there_is_kept(repo: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.mkdir()
    (target / "notes").write_text("mine")
    with pytest.raises(RestoreError, match="is there already"):
        restore(repo, commit_of(repo), None, target)
    assert (target / "notes").read_text() == "mine"


def test_an_unknown_commit_and_no_repository(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="does not have the commit"):
        restore(repo, "0" * 40, None, tmp_path / "x")
    with pytest.raises(RestoreError, match="no commit"):
        restore(repo, "--help", None, tmp_path / "x")
    assert not holds(repo, "--all")
    assert holds(repo, commit_of(repo))
    outside = tmp_path / "outside"
    outside.mkdir()
    assert repository(outside) is None


def test_hooks_of_the_repository_are_not_run(repo: Path, tmp_path: Path) -> None:
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    restore(repo, commit_of(repo), None, tmp_path / "again")
    assert not (tmp_path / "ran").exists()


OUT = (
    b"diff --git a/%(p)s b/%(p)s\nnew file mode 100644\n--- /dev/null\n+++ b/%(p)s\n"
    b"@@ -0,0 +1 @@\n+x\n"
)
LINK = (
    b"diff --git a/way b/way\nnew file mode 120000\n--- /dev/null\n+++ b/way\n@@ -0,0 +1 @@\n"
    b"+../outside\n\\ No newline at end of file\n"
)


@pytest.mark.parametrize(
    "patch",
    [
        OUT % {b"p": b"../outside/x"},
        OUT % {b"p": b".git/hooks/post-checkout"},
        OUT % {b"p": b".git"},
        LINK + OUT % {b"p": b"way/x"},
    ],
    ids=["above", "hooks", "git", "link"],
)
def test_a_patch_cannot_write_elsewhere(repo: Path, tmp_path: Path, patch: bytes) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    before = sorted(p for p in (repo / ".git").rglob("*") if "worktrees" not in p.parts)
    with pytest.raises(RestoreError, match="git apply"):
        restore(repo, commit_of(repo), patch, tmp_path / "again")
    assert not list(outside.iterdir())
    assert not (tmp_path / "again").exists()
    after = sorted(p for p in (repo / ".git").rglob("*") if "worktrees" not in p.parts)
    assert before == after


def test_files_of_a_commit(repo: Path) -> None:
    commit = commit_of(repo)
    assert has_file(repo, commit, "train.py")
    assert not has_file(repo, commit, "new.bin")
    assert not has_file(repo, commit, ".")
    assert not has_file(repo, "HEAD", "train.py")
