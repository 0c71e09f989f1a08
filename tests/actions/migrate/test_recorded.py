"""What own records say of runs: the script as it was sent, or the spec that made it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foundry_tui.actions.migrate.recorded import recorded
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.estate.acts import Submit
from foundry_tui.estate.recorded import SPEC_FILE, SUBMITTED_FILE
from foundry_tui.jobs.record.collect import submitted
from foundry_tui.migration.nouns import Tables
from foundry_tui.store.links import Link
from foundry_tui.tracking.memory import MemoryTracker

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TABLES = Tables(image="registry.example.org/train:1", project="team-a")
TOKEN = "f" * 32
SCRIPT = b"#!/bin/sh\n#SBATCH --mail-type=END\npython train.py\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    made = Site(
        options=Options(),
        config=Config(state_dir=state, cache_dir=tmp_path / "cache"),
        mode="live",
        tell=lambda words: None,
        clock=lambda: NOW,
    )
    made._tracker = MemoryTracker("lab", "https://mlflow.example.org")
    return made


def record(site: Site, path: str, data: bytes) -> None:
    """A record with one file, tied to the token."""
    tracker = site.tracker
    assert isinstance(tracker, MemoryTracker)
    run = tracker.create("llama", name="train", tags={}, started_at=NOW)
    tracker.write_artifact(run, path, data)
    link = Link.begin(
        token=TOKEN, source="lab", server="https://mlflow.example.org", experiment="llama", now=NOW
    )
    site.links.save(replace(link, mlflow_run_id=run.run_id))


def test_the_script_is_read_as_it_was_sent(site: Site) -> None:
    act = Submit(source="lab", script=SCRIPT, script_name="train.sh")
    record(site, SUBMITTED_FILE, submitted(act, ("sbatch", "--parsable", "train.sh")))
    found = recorded(site, TOKEN, TABLES, "runai")
    assert found is not None and [reason.what for reason in found.reasons] == ["--mail-type"]


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        (b"name: a\nqueue: ml\nimage: r.example.org/a:1\ncommand: 'true'\n", []),
        (b"name: a\n", ["job spec"]),
    ],
)
def test_a_run_of_a_spec_is_portable_as_far_as_the_target_takes_it(
    site: Site, spec: bytes, what: list[str]
) -> None:
    record(site, SPEC_FILE, spec)
    found = recorded(site, TOKEN, TABLES, "kai")
    assert found is not None and [reason.what for reason in found.reasons] == what


def test_without_a_record_nothing_is_said(site: Site) -> None:
    assert recorded(site, None, TABLES, "kai") is None
    assert recorded(site, TOKEN, TABLES, "kai") is None
