"""A submit that is being written: its lines, its estimate, its last values, its editor."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.actions import draft as drafts
from foundry_tui.actions.draft import Draft
from foundry_tui.actions.errors import WrongUse
from foundry_tui.actions.site import Options, Site
from foundry_tui.config.model import Config
from foundry_tui.schedulers.simulated import build
from foundry_tui.store.lastvalues import LastValues
from tests.schedulers.simulated.conftest import Clock

SCRIPT = "#!/bin/sh\n#SBATCH --partition=short --time=60\nsleep 60\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "train.sh").write_text(SCRIPT)
    sources = build(None, Clock())
    return Site(
        options=Options(),
        config=Config(state_dir=tmp_path / "state"),
        mode="live",
        tell=lambda words: None,
        schedulers={source.name: source for source in sources},
        clock=sources[0].now,
    )


def test_the_lines_become_words_as_a_shell_splits_them(site: Site) -> None:
    draft = Draft(script="train.sh", options="--job-name='a b' --gres=gpu:1", arguments="x 'y z'")
    command = drafts.prepare(site, draft, unlinked=True).preview.items[0].command
    assert "--job-name=a b" in command
    assert command[-2:] == ("x", "y z")


@pytest.mark.parametrize(
    ("draft", "named"),
    [
        (Draft(), "script"),
        (Draft(script="missing.sh"), "missing.sh"),
        (Draft(script="."), "directory"),
        (Draft(script="train.sh", options="--x='"), "options"),
        (Draft(script="train.sh", arguments='"'), "arguments"),
    ],
)
def test_what_cannot_be_understood_names_its_line(site: Site, draft: Draft, named: str) -> None:
    with pytest.raises(WrongUse, match=named):
        drafts.prepare(site, draft, unlinked=True)


def test_a_job_spec_takes_the_place_of_the_lines(site: Site, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text('command = "sleep 60"\nqueue = "short"\ntime_limit = "1h"\n')
    prepared = drafts.prepare(site, Draft(script="job.toml", source="sim-slurm"), unlinked=True)
    assert prepared.preview.items[0].target == str(tmp_path / "job.toml")
    start = drafts.estimate(site, prepared)
    assert start.starts_at is not None and start.nodes
    for beside in (Draft(options="--gres=gpu:1"), Draft(arguments="x")):
        with pytest.raises(WrongUse, match="beside a job spec"):
            drafts.prepare(site, replace(beside, script="job.toml"), unlinked=True)
    (tmp_path / "half.yaml").write_text("command: a\ngpu_share: 0.5\n")
    on_slurm = drafts.prepare(site, Draft(script="half.yaml", source="sim-slurm"), unlinked=True)
    assert "--gres=shard:2" in on_slurm.preview.items[0].command
    on_runai = drafts.prepare(site, Draft(script="half.yaml", source="sim-runai"), unlinked=True)
    assert '"gpuPortionRequest":0.5' in on_runai.preview.items[0].command[2]


def test_a_script_is_estimated_and_not_submitted(site: Site) -> None:
    before = len(site.schedulers["sim-slurm"].snapshot().runs)
    start = drafts.estimate(site, drafts.prepare(site, Draft(script="train.sh"), unlinked=True))
    assert start.starts_at is not None and start.nodes and start.how
    nowhere = Draft(script="train.sh", options="--partition=nowhere")
    refused = drafts.estimate(site, drafts.prepare(site, nowhere, unlinked=True))
    assert refused.starts_at is None
    assert "Invalid partition" in (refused.reason or "")
    assert len(site.schedulers["sim-slurm"].snapshot().runs) == before


def test_a_folder_is_listed_and_an_unreadable_one_is_empty(tmp_path: Path, site: Site) -> None:
    (tmp_path / "sub").mkdir()
    assert {("train.sh", False), ("sub", True)} <= set(drafts.listing(""))
    for folder in ("nowhere/", "~nobody-of-this-name/", "\0/", "train.sh/"):
        assert drafts.listing(folder) == ()


def test_last_values_are_kept_without_the_arguments(site: Site, tmp_path: Path) -> None:
    assert drafts.last(site) == Draft()
    draft = Draft(source="sim-slurm", script="train.sh", options="--mem=4G", arguments="--key abc")
    assert drafts.keep(site, draft)
    path = tmp_path / "state/last-submit.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "abc" not in path.read_text()
    assert drafts.last(site) == Draft(source="sim-slurm", script="train.sh", options="--mem=4G")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 100_000, '{"schema": "other/1", "values": {"script": "x"}}']
)
def test_damaged_last_values_are_ignored(site: Site, tmp_path: Path, text: str) -> None:
    path = tmp_path / "state/last-submit.json"
    path.touch(mode=0o600)
    path.write_text(text)
    assert drafts.last(site) == Draft()
    assert drafts.keep(site, Draft(script="train.sh"))
    assert drafts.last(site).script == "train.sh"


def test_last_values_that_nobody_typed_are_ignored(tmp_path: Path) -> None:
    kept = LastValues(tmp_path, "submit")
    values = {"script": "a\x1b[2J", "options": ["x"], "source": "y" * 5000, "more": "fine"}
    kept.path.touch(mode=0o600)
    kept.path.write_text(json.dumps({"schema": "foundry.lastvalues/1", "values": values}))
    assert kept.load() == {"more": "fine"}


def test_last_values_of_somebody_else_are_ignored(tmp_path: Path) -> None:
    kept = LastValues(tmp_path, "submit")
    assert kept.save({"script": "x"})
    kept.path.chmod(0o622)
    assert kept.load() == {}


def test_a_disk_that_refuses_keeps_nothing(tmp_path: Path) -> None:
    assert not LastValues(tmp_path / "missing", "submit").save({"script": "x"})


def test_the_editor_is_visual_then_editor_then_vi(tmp_path: Path) -> None:
    path = str(tmp_path / "a b.sh")
    both = {"VISUAL": "code -w", "EDITOR": "nano"}.items()
    assert drafts.editor(path, both) == ("code", "-w", path)
    assert drafts.editor(path, {"VISUAL": " ", "EDITOR": "nano"}.items()) == ("nano", path)
    assert drafts.editor(path, ()) == ("vi", path)


def test_an_editor_without_a_path_says_so(tmp_path: Path) -> None:
    for script, named in (("", "no path"), (str(tmp_path), "directory")):
        with pytest.raises(WrongUse, match=named):
            drafts.editor(script, ())
    with pytest.raises(WrongUse, match="EDITOR"):
        drafts.editor("x", {"EDITOR": "vi '"}.items())


def test_an_editor_is_given_the_absolute_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/zoe")
    assert drafts.editor("~/x.sh", ()) == ("vi", "/home/zoe/x.sh")
    assert drafts.editor("-x.sh", ())[1] == str(Path("-x.sh").absolute())
