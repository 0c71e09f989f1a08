"""Runs of a tracking server side by side, with what their files say."""

from __future__ import annotations

import pytest

from foundry_tui.actions.errors import NothingMatched, SourceMissing, WrongUse
from foundry_tui.actions.experiments.compare import diff, of_runs
from foundry_tui.actions.experiments.evidence import Unreadable, digests, evidence, spec_values
from foundry_tui.actions.site import Site
from foundry_tui.experiments.compare import missing
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown, TrackingError
from tests.actions.experiments.conftest import Run

SPEC = (
    b"version: 1\nname: a\ngpus: %d\nqueue: {slurm: gpu}\nparams: {lr: 1e-3}\npreflight: [[a, b]]\n"
)
FILES = {
    "foundry/spec.resolved.yaml": SPEC % 8,
    "foundry/environment.txt": b"# pip freeze\nnumpy==2.1\nsix==1\n",
    "foundry/patch.diff": b"diff --git a/x.py b/x.py\n+1\n",
    "foundry/data.json": b'[{"name": "c4", "digest": "md5:1"}]',
}


def differing(site: Site, *references: str) -> dict[str, tuple[str | None, ...]]:
    compared = diff(site, references).comparison
    return {f"{r.group}.{r.key}": r.values for r in compared.differing}


def test_what_the_files_of_two_runs_say(compared_site: Site, logged: Run) -> None:
    more = {
        "mlflow.source.git.commit": "c0ffee",
        "foundry.git.dirty": "true",
    }
    one = logged("base", {"lr": "1e-3"}, {"loss": [2, 1]}, files=FILES, more=more)
    changed = {
        **FILES,
        "foundry/spec.resolved.yaml": SPEC % 4,
        "foundry/environment.txt": b"# pip freeze\nnumpy==2.2\nsix==1\n",
        "foundry/data.json": b'{"c4": "md5:2"}',
    }
    two = logged("wide", {"lr": "0.001"}, {"loss": [2, 1.5]}, files=changed, more=more)
    assert differing(compared_site, one, two) == {
        "environment.numpy": ("2.1", "2.2"),
        "data.c4": ("md5:1", "md5:2"),
        "spec.gpus": ("8", "4"),
        "result.loss": ("1", "1.5"),
    }
    found = diff(compared_site, [one, two])
    assert found.server == "https://mlflow.example.org"
    assert [side.experiment for side in found.comparison.sides] == ["llama", "llama"]
    assert [missing(side) for side in found.comparison.sides] == [(), ()]
    keys = {r.key for r in found.comparison.rows if r.group == "spec"}
    assert keys == {"version", "name", "gpus", "queue.slurm", "preflight.1.1", "preflight.1.2"}


def test_a_run_without_files_lacks_them_and_differs_in_none(
    compared_site: Site, logged: Run
) -> None:
    one, two = logged("base", files=FILES), logged("bare")
    assert differing(compared_site, one, two) == {}
    side = diff(compared_site, [one, two]).comparison.sides[1]
    assert missing(side)[0] == "no spec, environment or patch is recorded"


def test_files_that_cannot_be_read_are_told(compared_site: Site, logged: Run) -> None:
    broken = {
        "foundry/spec.resolved.yaml": b"a: [",
        "foundry/environment.txt": b"\xff\x1b[31m\n",
        "foundry/data.json": b"7",
    }
    run_id = logged("broken", files=broken, more={"foundry.git.dirty": "true"})
    memory = compared_site.tracker
    assert memory is not None
    run = memory.get(run_id)
    assert run is not None
    found = evidence(memory, run)
    words = " ".join(found.missing)
    assert "the spec cannot be read" in words
    assert "the data cannot be read: neither a list nor a table" in words
    assert "no patch is recorded" in words
    assert found.environment == ("‹xff›␛[31m",) or "�" in found.environment[0]


def test_a_file_that_is_too_large_is_told(compared_site: Site, logged: Run) -> None:
    run_id = logged("big", files={"foundry/spec.resolved.yaml": b"#" * (1 << 19)})
    memory = compared_site.tracker
    assert memory is not None
    run = memory.get(run_id)
    assert run is not None
    assert any("the spec cannot be read" in words for words in evidence(memory, run).missing)


def test_a_script_in_a_spec_stands_by_its_hash() -> None:
    script = "script: |\n" + "".join(f"  echo {n}\n" for n in range(60))
    found = spec_values(script.encode())
    assert found["script"].startswith("60 lines, sha256 ")
    with pytest.raises(Unreadable):
        digests(b"{")
    assert digests(b'{"a": {"digest": "x"}, "b": 7, "c": "y"}') == {"a": "x", "c": "y"}


def test_wrong_use(compared_site: Site, logged: Run) -> None:
    one = logged("base")
    with pytest.raises(WrongUse, match="two or more"):
        diff(compared_site, [one])
    with pytest.raises(WrongUse, match="one run"):
        diff(compared_site, [one, one[:8]])
    with pytest.raises(NothingMatched):
        diff(compared_site, [one, "0" * 32])
    with pytest.raises(WrongUse, match="at most"):
        diff(compared_site, [one] * 300)


def test_a_server_that_is_gone(compared_site: Site, memory: MemoryTracker, logged: Run) -> None:
    runs = [memory.get(logged("base", {"a": "1"})), memory.get(logged("wide", {"a": "2"}))]
    known = [run for run in runs if run is not None]
    memory.fault = TrackerDown("runs/get", "no answer within 5 s")
    found = of_runs(compared_site, known)
    assert [r.key for r in found.comparison.differing] == ["a"]
    assert any("as it was last seen" in note for note in found.notes)
    memory.fault = None
    memory.delete(known[0].run_id)
    assert any("has been deleted" in note for note in of_runs(compared_site, known).notes)
    compared_site._tracker, compared_site.mode = None, "saved"
    with pytest.raises(SourceMissing):
        of_runs(compared_site, known)


def test_artifacts_that_are_not_served(
    compared_site: Site, memory: MemoryTracker, logged: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise TrackingError("artifacts", "503: artifacts are disabled")

    one, two = logged("base", {"a": "1"}), logged("wide", {"a": "2"})
    monkeypatch.setattr(memory, "artifacts", refuse)
    found = diff(compared_site, [one, two])
    assert [r.key for r in found.comparison.differing] == ["a"]
    assert "cannot be listed" in missing(found.comparison.sides[0])[0]
