"""A run that uses a tenth of its GPU: the advised share as a change of its spec."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.actions.errors import NothingMatched, WrongUse
from foundry_tui.actions.fractions import fractions
from foundry_tui.actions.rightsize import spec_change
from foundry_tui.actions.site import Options, Site
from foundry_tui.cli.app import run as foundry
from foundry_tui.config.model import Config
from foundry_tui.estate.fractions import Fractions
from foundry_tui.estate.recorded import SPEC_FILE, SUBMIT_TAG
from foundry_tui.estate.run import Placement, Request, Run, RunState
from foundry_tui.estate.snapshot import Snapshot, encode
from foundry_tui.estate.text import safe
from foundry_tui.jobs.reading import load
from foundry_tui.optimiser.fractions import Known
from foundry_tui.optimiser.fractions import recorded as recorded_use
from foundry_tui.tracking.memory import MemoryTracker

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
GIB = 1 << 30
TOKEN = "token-1"
SPEC = b"# mine\nname: small\ncommand: x\ngpus: 1  # one\nparams: {lr: 3e-4}\n"


def run(number: int, **given: object) -> Run:
    """A running run of a whole GPU."""
    plain: dict[str, object] = {
        "id": f"ai/{number}",
        "native_id": str(number),
        "source": "ai",
        "scheduler": "runai",
        "name": safe(f"r{number}"),
        "state": RunState.RUNNING,
        "user": "zoe",
        "request": Request(gpu_count=1, gpu_milli=1000),
        "placement": (Placement("a01", (number,)),),
    }
    return Run(**{**plain, **given})  # type: ignore[arg-type]


def used(pct: int) -> Known:
    """A history of ten hours in which a GPU of 80 GiB was always busy to this percentage."""
    counts = tuple(600 if level == pct else 0 for level in range(101))
    return recorded_use(counts, 0, mem_peak_bytes=4 * GIB, device_bytes=80 * GIB, gpu_model="h100")


ESTATE = Snapshot(
    generated_at=NOW,
    sources=(),
    nodes=(),
    gpus=(),
    queues=(),
    runs=(run(0, submit_token=TOKEN), run(1)),
)
KNOWN = {"ai/0": used(10), "ai/1": used(95)}


def advised(*references: str) -> Fractions:
    return fractions(ESTATE, references, known=KNOWN)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    config = Config(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    made = Site(options=Options(), config=config, mode="live", tell=lambda words: None)
    made._tracker = MemoryTracker("lab", "https://mlflow.example.org")
    return made


def recorded(site: Site, files: Mapping[str, bytes]) -> None:
    """The record of the first run, with these artifacts."""
    tracker = site.tracker
    assert isinstance(tracker, MemoryTracker)
    made = tracker.create("nlp", name="small", tags={SUBMIT_TAG: TOKEN}, started_at=NOW)
    for path, data in files.items():
        tracker.write_artifact(made, path, data)


def test_the_file_gets_the_share_and_keeps_all_else(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_bytes(SPEC)
    change = spec_change(site, ESTATE, advised("ai/0"), str(path))
    assert change.path == path
    assert 100 <= change.share_milli <= 500
    lines = change.after.decode().splitlines()
    assert [line for line in lines if not line.startswith("gpu_share")] == (
        SPEC.decode().splitlines()
    )
    assert load(path.name, change.after).gpu_share_milli == change.share_milli
    added = [line for line in change.difference.splitlines() if line.startswith(("+", "-"))][2:]
    assert added == [f"+gpu_share: {change.share_milli / 1000:g}"]
    assert path.read_bytes() == SPEC, "nothing is written"


def test_a_toml_file(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('name = "small"\ncommand = "x"\ngpus = 1\n[params]\nlr = "3e-4"\n')
    change = spec_change(site, ESTATE, advised("ai/0"), str(path))
    assert load(path.name, change.after).gpu_share_milli == change.share_milli


def test_the_spec_of_the_record_is_used_without_a_file(site: Site) -> None:
    recorded(site, {SPEC_FILE: SPEC})
    change = spec_change(site, ESTATE, advised("ai/0"))
    assert change.path is None
    assert change.name == SPEC_FILE
    assert load("spec.yaml", change.after).gpu_share_milli == change.share_milli


def test_without_a_spec_it_says_what_to_name(site: Site) -> None:
    with pytest.raises(NothingMatched, match="--spec FILE"):
        spec_change(site, ESTATE, advised("ai/0"))
    recorded(site, {})
    with pytest.raises(NothingMatched, match=r"holds no foundry/spec\.resolved\.yaml"):
        spec_change(site, ESTATE, advised("ai/0"))


@pytest.mark.parametrize(("shards", "noted"), [(None, True), (4, False)])
def test_where_gpus_are_not_shared_it_is_said(
    site: Site, tmp_path: Path, shards: int | None, noted: bool
) -> None:
    class Cluster:
        def shards_per_gpu(self) -> int | None:
            return shards

    site.schedulers = {"ai": Cluster()}  # type: ignore[dict-item]
    path = tmp_path / "small.yaml"
    path.write_bytes(SPEC)
    note = spec_change(site, ESTATE, advised("ai/0"), str(path)).note
    assert (note is not None) is noted


def test_a_run_that_needs_its_gpu_has_no_advice(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_bytes(SPEC)
    with pytest.raises(WrongUse, match="one run with advice"):
        spec_change(site, ESTATE, advised("ai/1"), str(path))


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of the command on a saved estate whose history is known."""
    path = tmp_path / "estate.json"
    path.write_bytes(encode(ESTATE))
    monkeypatch.setattr("foundry_tui.actions.fractions.measured", lambda site, seen: KNOWN)
    return ["--estate", str(path), "fractions"]


def test_the_command_shows_the_change_and_writes_it_when_asked(
    saved: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, linked = tmp_path / "small.yaml", tmp_path / "linked.yaml"
    spec.write_bytes(SPEC)
    spec.chmod(0o640)
    linked.symlink_to(spec)
    assert foundry([*saved, "ai/0", "--diff", "--spec", str(linked)]) == 0
    shown = capsys.readouterr()
    assert "\n+gpu_share: " in shown.out
    assert spec.read_bytes() == SPEC
    assert foundry([*saved, "ai/0", "--spec", str(linked), "--apply"]) == 0
    told = capsys.readouterr()
    assert told.out == shown.out
    assert "the next submit asks for that share" in told.err
    assert load(spec.name, spec.read_bytes()).gpu_share_milli
    assert linked.is_symlink()
    assert stat.S_IMODE(spec.stat().st_mode) == 0o640
    assert foundry([*saved, "ai/0", "--spec", str(linked), "--apply"]) == 0
    assert "says so already" in capsys.readouterr().out


def test_what_cannot_be_applied_is_refused(
    saved: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert foundry([*saved, "ai/0", "--apply"]) == 2
    assert "--spec FILE" in capsys.readouterr().err
    spec = tmp_path / "small.yaml"
    spec.write_bytes(SPEC)
    assert foundry([*saved, "--spec", str(spec), "--apply", "ai/1"]) == 2
    assert spec.read_bytes() == SPEC
    assert foundry(["--read-only", *saved, "ai/0", "--spec", str(spec), "--apply"]) == 1
    assert "read-only" in capsys.readouterr().err
    assert spec.read_bytes() == SPEC
