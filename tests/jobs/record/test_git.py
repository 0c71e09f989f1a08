"""What git tells of a folder, with real repositories: the patch makes the very tree again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foundry_tui.jobs.record import git, patch, repository
from foundry_tui.jobs.record.git import checkout
from foundry_tui.jobs.record.keys import holds_key, looks_like_key
from foundry_tui.process import ProcessError

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    **{f"GIT_{who}_{what}": "t@e" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"


def call(folder: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *args], env=ENV, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def made(folder: Path, **files: str) -> Path:
    """A repository with one commit."""
    folder.mkdir(parents=True, exist_ok=True)
    call(folder, "init", "-q", "-b", "main")
    for name, text in {"train.py": "lr = 1\n", **files}.items():
        (folder / name).write_text(text)
    call(folder, "add", "-A")
    call(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return made(tmp_path / "tree", gone="old\n", moved="text\n")


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every path of a working tree with its kind, its permission to run, and its content."""
    found = {}
    for place in folder.rglob("*"):
        name = str(place.relative_to(folder))
        if place.is_symlink():
            found[name] = (2, os.fsencode(place.readlink()))
        elif place.is_file() and not name.startswith(".git/"):
            found[name] = (place.stat().st_mode & 0o100, place.read_bytes())
    return found


def applied(tree: Path, diff: bytes, commit: str) -> dict[str, tuple[int, bytes]]:
    """What a fresh clone of the commit is after `git apply`."""
    clone = tree.parent / "clone"
    call(tree.parent, "clone", "-q", str(tree), str(clone))
    call(clone, "checkout", "-q", commit)
    (tree.parent / "patch.diff").write_bytes(diff)
    call(clone, "apply", str(tree.parent / "patch.diff"))
    return files(clone)


def test_a_clean_tree(tree: Path) -> None:
    call(tree, "remote", "add", "origin", "https://me:secret@host/x.git")
    found = checkout(tree)
    assert found.commit is not None
    assert found.commit.commit == call(tree, "rev-parse", "HEAD")
    assert (found.commit.branch, found.commit.remote) == ("main", "https://host/x.git")
    assert (found.dirty, found.patch, found.notes) == (False, None, ())
    call(tree, "checkout", "-q", "--detach")
    detached = checkout(tree).commit
    assert detached is not None and detached.branch is None


def test_the_patch_makes_the_very_tree(tree: Path) -> None:
    (tree / "train.py").write_text("lr = 2\n")
    (tree / "train.py").chmod(0o755)
    (tree / "gone").unlink()
    (tree / "moved").rename(tree / "elsewhere")
    (tree / "sub dir").mkdir()
    (tree / "sub dir" / 'new "quoted"\n\tü').write_text("x")
    (tree / os.fsdecode(b"no utf-8 \xff")).write_bytes(os.urandom(3000))
    (tree / "-rf").write_text("no newline at the end")
    (tree / ":(glob)*").write_text("not a pattern\n")
    (tree / "empty").touch()
    (tree / "link").symlink_to("train.py")
    (tree / "staged").write_text("added\n")
    call(tree, "add", "staged", "elsewhere")
    (tree / "staged").write_text("and changed\n")
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "big.log").write_text("ignored")
    before = call(tree, "status", "--porcelain=v2"), (tree / ".git" / "index").read_bytes()
    found = checkout(tree / "sub dir")
    assert (found.dirty, found.notes) == (True, ())
    assert found.patch is not None and found.commit is not None
    wanted = files(tree)
    del wanted["big.log"]
    assert applied(tree, found.patch, found.commit.commit) == wanted
    after = call(tree, "status", "--porcelain=v2"), (tree / ".git" / "index").read_bytes()
    assert after == before, "nothing of the user's is touched"


def test_a_change_in_the_same_moment_as_the_commit_is_seen(tree: Path) -> None:
    for _ in range(5):
        when = (tree / "train.py").stat().st_mtime_ns
        call(tree, "commit", "-q", "--allow-empty", "-am", "again")
        (tree / "train.py").write_text("lr = 7\n")
        for place in (tree / "train.py", tree / ".git" / "index"):
            os.utime(place, ns=(when, when))
        (tree / "new").touch()
        found = checkout(tree)
        assert found.patch is not None and b"+lr = 7" in found.patch
        (tree / "train.py").write_text("lr = 1\n")


def test_the_users_settings_do_not_change_the_patch(tree: Path) -> None:
    ran = tree.parent / "ran"
    program = tree.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    settings = {
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.external": str(program),
        "diff.x.textconv": str(program),
        "diff.x.command": str(program),
        "core.fsmonitor": str(program),
        "color.ui": "always",
        "diff.context": "0",
        "diff.renames": "copies",
        "diff.relative": "true",
        "core.pager": str(program),
        "diff.srcPrefix": "x/",
    }
    for key, value in settings.items():
        call(tree, "config", key, value)
    (tree / ".git" / "info" / "attributes").write_text("*.py diff=x\n")
    for hook in ("post-index-change", "pre-commit"):
        shutil.copy(program, tree / ".git" / "hooks" / hook)
    (tree / "train.py").write_text("lr = 2\n")
    (tree / "gone").rename(tree / "other")
    found = checkout(tree)
    assert not ran.exists(), "nothing that the repository names is started"
    assert found.patch is not None and found.commit is not None
    assert applied(tree, found.patch, found.commit.commit) == files(tree)


def test_200_mb_are_neither_read_nor_waited_for(tree: Path) -> None:
    for name in ("train.py", "new.bin"):
        (tree / name).touch()
        os.truncate(tree / name, 200 << 20)
    (tree / "small.py").write_text("x\n")
    began = time.monotonic()
    found = checkout(tree)
    assert time.monotonic() - began < 2
    assert found.patch is not None and b"small.py" in found.patch
    assert b"train.py" not in found.patch and b"new.bin" not in found.patch
    assert found.notes == ("not in the patch (larger than 8 MiB): train.py, new.bin",)


def test_a_large_file_that_was_deleted_is_not_printed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch, "MOST_FILE_BYTES", 1 << 20)
    (tree / "big").write_bytes(os.urandom(2 << 20))
    call(tree, "add", "big")
    call(tree, "commit", "-qm", "big")
    (tree / "big").unlink()
    assert checkout(tree).notes == ("not in the patch (larger than 1 MiB): big",)


def test_a_patch_above_the_cap_keeps_what_fits(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch, "MOST_PATCH_BYTES", 1 << 20)
    (tree / "train.py").write_text("lr = 2\n")
    for number in range(4):
        (tree / f"{number}.bin").write_bytes(os.urandom(300_000))
    found = checkout(tree)
    assert found.patch is not None
    assert b"train.py" in found.patch
    assert len(found.patch) < 1 << 20
    (only,) = found.notes
    assert only.startswith("not in the patch (above 1 MiB in all): ")


def test_thousands_of_small_files_are_cut_into_commands(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patch, "_ARGUMENTS", 2000)
    monkeypatch.setattr(patch, "MOST_FILES", 300)
    for number in range(400):
        place = tree / f"{number % 10}" / f"{number:04}-{'x' * 40}"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"{number}\n")
    found = checkout(tree, within_s=30)
    assert found.patch is not None
    assert found.patch.count(b"diff --git ") == 300
    assert "and 95 more" in found.notes[0]


def test_a_folder_full_of_new_files_is_data(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch, "MOST_FILES", 300)
    (tree / "train.py").write_text("lr = 2\n")
    (tree / "src").mkdir()
    (tree / "src" / "new.py").write_text("x\n")
    for folder, count in (("data", 350), ("data/more", 101)):
        (tree / folder).mkdir()
        for number in range(count):
            (tree / folder / str(number)).touch()
    found = checkout(tree)
    assert found.notes == (
        "not in the patch (folders with very many new files): data/, data/more/",
    )
    assert found.patch is not None and found.patch.count(b"diff --git ") == 2


def test_too_many_new_files_leave_the_others(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "MOST_LIST_BYTES", 4000)
    (tree / "train.py").write_text("lr = 2\n")
    for number in range(200):
        (tree / f"{number:04}-{'x' * 40}").touch()
    found = checkout(tree)
    assert found.notes == ("git: new files are not recorded, because there are too many",)
    assert found.patch is not None and found.patch.count(b"diff --git ") == 1


@pytest.mark.parametrize("name", [".env", "id_rsa", "server.pem", "hf_token", "credentials.json"])
def test_what_looks_like_a_key_stays_here(tree: Path, name: str) -> None:
    (tree / name).write_text("SECRET=hush")
    (tree / "train.py").write_text("lr = 2\n")
    found = checkout(tree)
    assert found.notes == (f"not in the patch (looks like a key): {name}",)
    assert found.patch is not None and b"hush" not in found.patch


def test_a_private_key_stays_here_whatever_its_name(tree: Path) -> None:
    (tree / "notes.txt").write_text(KEY)
    (tree / "train.py").write_text("lr = 2\n")
    found = checkout(tree)
    assert found.notes == ("not in the patch (holds a private key): notes.txt",)
    assert found.patch is not None
    assert b"PRIVATE KEY" not in found.patch and b"lr = 2" in found.patch


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        (b"a/.env.production", True),
        (b".env.example", False),
        (b"id_rsa.pub", False),
        (b"environment.yaml", False),
        (b"tokenizer.json", False),
        (b"added_tokens.json", False),
        (b"secrets.yaml", True),
        (b"monkey.py", False),
        (b"id_ed25519", True),
        (b"x/.netrc", True),
    ],
)
def test_names_of_keys(name: bytes, secret: bool) -> None:
    assert looks_like_key(name) is secret


def submodule(tree: Path) -> None:
    made(tree.parent / "lib")
    call(tree, "-c", "protocol.file.allow=always", "submodule", "add", "-q", "../lib", "lib")
    call(tree, "commit", "-qm", "lib")


def test_changes_inside_a_submodule_are_named(tree: Path) -> None:
    call(tree, "config", "protocol.file.allow", "always")
    call(tree, "remote", "add", "origin", str(tree))
    submodule(tree)
    (tree / "train.py").write_text("lr = 2\n")
    (tree / "lib" / "train.py").write_text("changed\n")
    found = checkout(tree)
    assert found.notes == ("not in the patch (changes inside submodules): lib",)
    assert found.patch is not None and found.commit is not None
    assert applied(tree, found.patch, found.commit.commit)["train.py"][1] == b"lr = 2\n"


def test_another_commit_of_a_submodule_is_in_the_patch(tree: Path) -> None:
    call(tree, "config", "protocol.file.allow", "always")
    call(tree, "remote", "add", "origin", str(tree))
    submodule(tree)
    call(tree / "lib", "commit", "-q", "--allow-empty", "-m", "next")
    found = checkout(tree)
    assert found.patch is not None
    assert f"+Subproject commit {call(tree / 'lib', 'rev-parse', 'HEAD')}".encode() in found.patch
    assert found.notes == ()


def test_a_repository_in_the_repository_is_named(tree: Path) -> None:
    made(tree / "nested")
    found = checkout(tree)
    assert found.notes == ("not in the patch (a repository of its own): nested/",)
    assert (found.dirty, found.patch) == (True, None)


def test_a_second_working_tree(tree: Path) -> None:
    other = tree.parent / "other"
    call(tree, "worktree", "add", "-q", "-b", "side", str(other))
    (other / "train.py").write_text("lr = 3\n")
    found = checkout(other)
    assert found.commit is not None and found.commit.branch == "side"
    assert found.patch is not None and b"lr = 3" in found.patch
    assert checkout(tree).dirty is False


def test_a_conflict_is_recorded_as_it_stands(tree: Path) -> None:
    call(tree, "checkout", "-qb", "side")
    (tree / "train.py").write_text("lr = side\n")
    call(tree, "commit", "-qam", "side")
    call(tree, "checkout", "-q", "main")
    (tree / "train.py").write_text("lr = main\n")
    call(tree, "commit", "-qam", "main")
    subprocess.run(["git", "-C", str(tree), "merge", "side"], env=ENV, capture_output=True)
    found = checkout(tree)
    assert found.patch is not None and b"<<<<<<<" in found.patch


def test_no_repository_is_nothing_to_tell(tmp_path: Path) -> None:
    assert checkout(tmp_path) == git.Checkout()
    assert checkout(tmp_path / "not here") == git.Checkout()


def test_a_bare_repository_has_no_files(tmp_path: Path) -> None:
    call(tmp_path, "init", "-q", "--bare", "x.git")
    (only,) = checkout(tmp_path / "x.git").notes
    assert "bare repository" in only


def test_before_the_first_commit(tmp_path: Path) -> None:
    call(tmp_path, "init", "-q")
    (tmp_path / "a").touch()
    found = checkout(tmp_path)
    assert (found.commit, found.dirty) == (None, True)
    assert found.notes == ("git: there is no commit here yet",)


def test_a_broken_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    (only,) = checkout(tmp_path).notes
    assert "the commit is not recorded" in only


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_is_refused_by_git(tree: Path) -> None:
    for place in (tree, *tree.rglob("*")):
        os.lchown(place, 1234, 1234)
    (only,) = checkout(tree).notes
    assert "belongs to another user" in only and "safe.directory" in only


def test_without_git(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))
    (only,) = checkout(tree).notes
    assert only == "git: not on the PATH here; the commit is not recorded"


@pytest.mark.parametrize(
    ("slow", "note"),
    [
        ("status", "what is not committed is not recorded"),
        ("diff", "the patch is not recorded"),
        ("rev-parse", "the commit is not recorded"),
    ],
)
def test_a_git_that_hangs(
    tree: Path, monkeypatch: pytest.MonkeyPatch, slow: str, note: str
) -> None:
    real = shutil.which("git")
    place = tree.parent / "bin"
    place.mkdir(mode=0o755)
    body = f'case " $* " in *" {slow} "*) exec sleep 60;; esac\nexec {real} "$@"\n'
    (place / "git").write_text(f"#!/bin/sh\n{body}")
    (place / "git").chmod(0o755)
    (tree / "train.py").write_text("lr = 2\n")
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    began = time.monotonic()
    found = checkout(tree, within_s=2.0)
    assert time.monotonic() - began < 8
    assert note in found.notes[-1]
    assert found.patch is None


def test_an_unreadable_file_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "mine").write_text("x")
    (tree / "train.py").write_text("lr = 2\n")
    real: Callable[..., bool] = os.access
    closed = os.fsencode(tree / "mine")

    def access(path: str | bytes, mode: int) -> bool:
        return path != closed and real(path, mode)

    monkeypatch.setattr(os, "access", access)
    found = checkout(tree)
    assert found.notes == ("not in the patch (cannot be read): mine",)
    assert found.patch is not None and b"lr = 2" in found.patch


@given(st.binary(max_size=400))
@example(b"1 .M N... 100644 100644 100644 a b c\0")
@example(b"# branch.oid\0? \0u \0" + b"2 R. N... 1 1 1 a b R1 x\0y\0")
def test_no_answer_of_git_breaks_the_reading(out: bytes) -> None:
    with contextlib.suppress(ProcessError):
        git._parsed(out)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=50), st.integers(1, 200))
def test_batches_keep_all_in_order(paths: list[bytes], size: int) -> None:
    before, patch._ARGUMENTS = patch._ARGUMENTS, size
    try:
        batches = list(patch._batches(paths))
    finally:
        patch._ARGUMENTS = before
    assert [p for b in batches for p in b] == paths
    assert all(len(b) == 1 or sum(map(len, b)) + len(b) - 1 <= size for b in batches)


def test_public_keys_are_none() -> None:
    assert not holds_key(b"-----BEGIN PUBLIC KEY-----")
    assert holds_key(b"-----BEGIN PGP PRIVATE KEY BLOCK-----")
