"""Running something again: every input is told as it is, and the code comes back byte for byte."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.actions import laidout, reproduce
from foundry_tui.actions.errors import ActionError, NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.reproduce import Held, Reproduction
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate import recorded
from foundry_tui.jobs.reading import load
from foundry_tui.jobs.resolve import spec_id
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main")
SPEC = b"name: small\ncommand: python train.py\nseed: 7\nimage: python:3.12\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    config = Config(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    made = Site(options=Options(), config=config, mode="live", tell=lambda words: None)
    made._tracker = MemoryTracker("lab", "https://mlflow.example.org")
    return made


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A working tree with one commit and a change that is not committed, below the top."""
    top = tmp_path / "code"
    (top / "jobs").mkdir(parents=True)
    (top / "jobs" / "train.py").write_text("lr = 1\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        subprocess.run([*GIT, "-C", str(top), *words], check=True)
    (top / "jobs" / "train.py").write_text("lr = 2\n")
    return top


def git(repo: Path, *words: str) -> bytes:
    return subprocess.run([*GIT, "-C", str(repo), *words], check=True, capture_output=True).stdout


def made_record(
    site: Site, tags: Mapping[str, str], artifacts: Mapping[str, bytes], spec: bytes | None = SPEC
) -> str:
    """A record with these tags and artifacts; its id."""
    tracker = site.tracker
    assert isinstance(tracker, MemoryTracker)
    whole = dict(tags)
    files = dict(artifacts)
    if spec is not None:
        files[recorded.SPEC_FILE] = spec
        whole.setdefault(recorded.SPEC_ID_TAG, spec_id(load("spec.resolved.yaml", spec)))
    run = tracker.create("nlp", name="small", tags=whole, started_at=NOW)
    for path, data in files.items():
        tracker.write_artifact(run, path, data)
    return run.run_id


def told(found: Reproduction) -> dict[str, Held]:
    return {one.what: one.held for one in found.inputs}


def test_the_code_comes_back_with_what_was_not_committed(
    site: Site, repo: Path, tmp_path: Path
) -> None:
    commit, patch = git(repo, "rev-parse", "HEAD").decode().strip(), git(repo, "diff", "HEAD")
    tags = {
        recorded.COMMIT_TAG: commit,
        recorded.DIRTY_TAG: "true",
        recorded.PATCH_TAG: hashlib.sha256(patch).hexdigest(),
        recorded.FOLDER_TAG: "jobs",
        recorded.DIGEST_TAG: "sha256:" + "0" * 64,
    }
    run_id = made_record(site, tags, {recorded.PATCH_FILE: patch})
    git(repo, "checkout", "-q", "-f", "HEAD")
    found = reproduce.look(site, run_id, repo)
    assert told(found) == {
        "spec": Held.SAME,
        "code": Held.SAME,
        "changes": Held.SAME,
        "image": Held.SAME,
        "data": Held.UNTOLD,
        "seed": Held.SAME,
    }
    assert (found.held, found.whole) == (5, True)
    path = laidout.lay_out(found, tmp_path / "again").spec
    assert path.parent == tmp_path / "again" / "jobs"
    assert (path.parent / "train.py").read_text() == "lr = 2\n"
    assert (repo / "jobs" / "train.py").read_text() == "lr = 1\n"
    again = load(path.name, path.read_bytes())
    assert (again.seed, again.workdir) == (7, None)
    assert again.image == "python:3.12@sha256:" + "0" * 64
    with pytest.raises(WrongUse, match="there already"):
        laidout.lay_out(found, tmp_path / "again")


def test_what_is_missing_or_changed_is_told(site: Site, tmp_path: Path) -> None:
    data = tmp_path / "train.csv"
    data.write_text("a\n1\n")
    spec = b"command: x\nimage: python:3.12\ndata:\n  - name: c4\n    path: train.csv\n"
    tags = {
        recorded.COMMIT_TAG: "0" * 40,
        recorded.DIRTY_TAG: "true",
        recorded.PATCH_TAG: "0" * 64,
        recorded.SPEC_ID_TAG: "f" * 64,
    }
    found = reproduce.look(site, made_record(site, tags, {}, spec), tmp_path)
    assert told(found) == {
        "spec": Held.CHANGED,
        "code": Held.MISSING,
        "changes": Held.MISSING,
        "image": Held.CHANGED,
        "data c4": Held.UNTOLD,
        "seed": Held.UNTOLD,
    }
    assert not found.whole
    path = laidout.lay_out(found, tmp_path / "again").spec
    assert path.parent == tmp_path / "again", "without the code there is the spec alone"


def test_data_is_held_to_its_digest(site: Site, tmp_path: Path) -> None:
    from foundry_tui.jobs.record.data import inputs

    data = tmp_path / "train.csv"
    data.write_text("a\n1\n")
    spec = b"command: x\ndata:\n  - name: c4\n    path: train.csv\n"
    run_id = made_record(site, {}, {}, spec)
    known, _ = inputs(load("s.yaml", spec).data, tmp_path)
    assert site.tracker is not None
    site.tracker.log_inputs(run_id, known)
    assert told(reproduce.look(site, run_id, tmp_path))["data c4"] is Held.SAME
    data.write_text("a\n2\n")
    changed = reproduce.look(site, run_id, tmp_path)
    assert told(changed)["data c4"] is Held.CHANGED
    data.unlink()
    assert told(reproduce.look(site, run_id, tmp_path))["data c4"] is Held.MISSING


def test_a_folder_in_a_tag_does_not_lead_outside(site: Site, tmp_path: Path) -> None:
    found = reproduce.look(
        site, made_record(site, {recorded.FOLDER_TAG: "../../etc"}, {}), tmp_path
    )
    path = laidout.lay_out(found, tmp_path / "again").spec
    assert path.parent == tmp_path / "again"


def test_a_link_in_the_code_is_not_written_through(site: Site, repo: Path, tmp_path: Path) -> None:
    mine = tmp_path / "profile"
    mine.write_text("mine")
    run_id = made_record(
        site, {recorded.COMMIT_TAG: git(repo, "rev-parse", "HEAD").decode().strip()}, {}
    )
    (repo / f"foundry-{run_id[:8]}.yaml").symlink_to(mine)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "a trap")
    commit = git(repo, "rev-parse", "HEAD").decode().strip()
    assert site.tracker is not None
    site.tracker.update(run_id, tags={recorded.COMMIT_TAG: commit})
    found = reproduce.look(site, run_id, repo)
    with pytest.raises(WrongUse, match="there already"):
        laidout.lay_out(found, tmp_path / "again")
    assert mine.read_text() == "mine"


def test_data_is_linked_to_where_it_lies(site: Site, repo: Path, tmp_path: Path) -> None:
    from foundry_tui.jobs.record.data import inputs

    (repo / "jobs" / "data").mkdir()
    (repo / "jobs" / "data" / "c4.csv").write_text("a\n")
    commit = git(repo, "rev-parse", "HEAD").decode().strip()
    spec = (
        b"command: x\ndata:\n  - {name: c4, path: data/c4.csv}\n  - {name: code, path: train.py}\n"
        b"  - {name: out, path: ../../profile}\n"
    )
    (tmp_path / "profile").write_text("mine")
    tags = {recorded.COMMIT_TAG: commit, recorded.START_TAG: "jobs", recorded.FOLDER_TAG: "jobs"}
    run_id = made_record(site, tags, {}, spec)
    known, _ = inputs(load("s.yaml", spec).data, repo / "jobs")
    assert site.tracker is not None
    site.tracker.log_inputs(run_id, known)
    found = reproduce.look(site, run_id, repo / "jobs")
    assert told(found)["data c4"] is Held.SAME
    assert "comes with the code" in next(str(i.words) for i in found.inputs if "code" in i.what[5:])
    laid = laidout.lay_out(found, tmp_path / "again")
    assert laid.start == tmp_path / "again" / "jobs"
    linked = laid.start / "data" / "c4.csv"
    assert linked.is_symlink() and linked.resolve() == repo / "jobs" / "data" / "c4.csv"
    assert not (laid.start / "train.py").is_symlink()
    assert not (tmp_path / "profile").is_symlink()


@pytest.mark.parametrize("start", ["../..", "/", "/etc", "missing"])
def test_a_start_in_a_tag(site: Site, repo: Path, tmp_path: Path, start: str) -> None:
    commit = git(repo, "rev-parse", "HEAD").decode().strip()
    found = reproduce.look(
        site, made_record(site, {recorded.COMMIT_TAG: commit, recorded.START_TAG: start}, {}), repo
    )
    laid = laidout.lay_out(found, tmp_path / "again")
    if start.startswith("/"):
        assert told(found)["start"] is Held.CHANGED, "a run that starts elsewhere says so"
        assert laid.start == Path(start)
    else:
        assert laid.start == tmp_path / "again"


def test_what_the_patch_does_not_hold_is_told(site: Site, repo: Path) -> None:
    commit = git(repo, "rev-parse", "HEAD").decode().strip()
    patch = git(repo, "diff", "HEAD")
    tags = {
        recorded.COMMIT_TAG: commit,
        recorded.DIRTY_TAG: "true",
        recorded.LEFT_OUT_TAG: "not in the patch (larger than 8 MiB): weights.bin",
    }
    found = reproduce.look(site, made_record(site, tags, {recorded.PATCH_FILE: patch}), repo)
    (changes,) = [one for one in found.inputs if one.what == "changes"]
    assert changes.held is Held.MISSING and "weights.bin" in changes.words


def test_submodules_are_told(site: Site, repo: Path) -> None:
    (repo / ".gitmodules").write_text("")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "with a submodule")
    commit = git(repo, "rev-parse", "HEAD").decode().strip()
    found = reproduce.look(site, made_record(site, {recorded.COMMIT_TAG: commit}, {}), repo)
    assert told(found)["submodules"] is Held.MISSING


def test_hidden_values_have_to_be_given(site: Site, tmp_path: Path) -> None:
    spec = b"command: x\nenvironment: {HF_TOKEN: '***'}\n"
    run_id = made_record(site, {recorded.SPEC_ID_TAG: "0" * 64}, {}, spec)
    found = reproduce.look(site, run_id, tmp_path)
    assert told(found)["spec"] is Held.MISSING
    given = frozenset({"environment.HF_TOKEN"})
    assert told(reproduce.look(site, run_id, tmp_path, given))["spec"] is Held.UNTOLD


def test_whose_run_it_is_only_the_own_links_tell(site: Site, tmp_path: Path) -> None:
    from foundry_tui.process import user_name
    from foundry_tui.store.links import Link

    run_id = made_record(site, {recorded.SUBMIT_TAG: "token-1", "mlflow.user": user_name()}, {})
    assert not reproduce.look(site, run_id, tmp_path).own, "anybody can write a name"
    made = Link.begin(token="token-1", source="lab", server="x", experiment="nlp", now=NOW)
    site.links.save(replace(made, mlflow_run_id=run_id, settled=True))
    found = reproduce.look(site, run_id, tmp_path)
    assert found.own and found.experiment == "nlp"
    other = made_record(site, {recorded.SUBMIT_TAG: "token-1"}, {})
    assert not reproduce.look(site, other, tmp_path).own, "a token can be copied"


def test_a_record_without_a_spec_says_what_there_is(site: Site, tmp_path: Path) -> None:
    with pytest.raises(NothingMatched, match="not submitted from a job spec"):
        reproduce.look(site, made_record(site, {}, {}, None), tmp_path)


def test_a_spec_that_cannot_be_read(site: Site, tmp_path: Path) -> None:
    run_id = made_record(site, {}, {recorded.SPEC_FILE: b"\xff"}, None)
    with pytest.raises(ActionError, match="the spec in the record"):
        reproduce.look(site, run_id, tmp_path)


def test_a_server_that_is_gone(site: Site, tmp_path: Path) -> None:
    run_id = made_record(site, {}, {})
    tracker = site.tracker
    assert isinstance(tracker, MemoryTracker)
    tracker.fault = TrackerDown("the run", "no answer")
    with pytest.raises(SourceMissing):
        reproduce.look(site, run_id, tmp_path)
