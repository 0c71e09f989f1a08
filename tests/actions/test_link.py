"""Submitting linked: the order of the steps, what refuses, and which experiment a record is in."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from foundry_tui.actions import act, link, track
from foundry_tui.actions.errors import ActionError, SourceMissing, WrongUse
from foundry_tui.actions.site import Options, Site, utc_now
from foundry_tui.config.model import Config
from foundry_tui.config.sources import MlflowConfig
from foundry_tui.estate.acts import Change, Preview, Receipt, ReceiptStatus, Submit
from foundry_tui.estate.run import RunState
from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.schedulers.ports import Unavailable
from foundry_tui.schedulers.simulated import build
from foundry_tui.store.links import Link
from foundry_tui.tracking.memory import MemoryTracker
from foundry_tui.tracking.ports import TrackerDown, TrackingError

SLURM = "sim-slurm"
MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID")


class Simulated(Site):
    """A site that acts as the simulated user, so that a real one's rules hold on simulated runs."""

    def user(self, source: str) -> str:
        return self.schedulers[source].rights().user


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def tracker() -> MemoryTracker:
    return MemoryTracker("lab", "https://mlflow.example.org")


@pytest.fixture
def site(
    tmp_path: Path, told: list[str], tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> Site:
    """A site whose scheduler is simulated and whose tracking server is in this process."""
    for name in MLFLOW:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    sources = build(None, utc_now)
    made = Simulated(
        options=Options(),
        config=Config(state_dir=tmp_path / "state"),
        mode="live",
        tell=told.append,
        schedulers={source.name: source for source in sources},
        clock=sources[0].now,
    )
    made._tracker = tracker
    return made


Prepare = Callable[..., act.Prepared]


@pytest.fixture
def prepare(site: Site, tmp_path: Path) -> Prepare:
    def submit(
        body: str = "sleep 60", *options: str, experiment: str | None = None, unlinked: bool = False
    ) -> act.Prepared:
        path = tmp_path / "train.sh"
        path.write_text(f"#!/bin/sh\n{body}\n")
        return act.prepare_submit(
            site,
            SLURM,
            ("--gres=gpu:1", *options),
            str(path),
            (),
            experiment=experiment,
            unlinked=unlinked,
        )

    return submit


def only_link(site: Site) -> Link:
    (found,), problems = site.links.still_open()
    assert problems == ()
    return found


def test_a_submit_is_previewed_without_a_record(
    site: Site, prepare: Prepare, tracker: MemoryTracker
) -> None:
    prepared = prepare(experiment="llama")
    command = prepared.preview.items[0].command
    assert command[:5] == (
        "env",
        "MLFLOW_TRACKING_URI=https://mlflow.example.org",
        "MLFLOW_RUN_ID=made-when-sent",
        "MLFLOW_EXPERIMENT_NAME=llama",
        "FOUNDRY_ARTIFACTS=made-when-sent",
    )
    assert command[5] == "sbatch"
    assert tracker.find("foundry.submit_id", prepared.token) == ()
    assert site.links.still_open() == ((), ())


@pytest.mark.parametrize("source", [SLURM, "sim-runai"])
def test_a_job_spec_keeps_its_variables_and_names_its_experiment(
    site: Site, tracker: MemoryTracker, tmp_path: Path, source: str
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(
        "name: my-run\ncommand: sleep 60\ngpus: 1\nexperiment: llama\n"
        "environment: {A: x y, MLFLOW_RUN_ID: mine}\n"
    )
    prepared = act.prepare_submit(site, source, (), str(path), ())
    change = act.perform(site, prepared)
    assert change.receipts[0].status in (ReceiptStatus.DONE, ReceiptStatus.ACCEPTED)
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert (prepared.experiment, record.name) == ("llama", "my-run")
    assert record.tags["mlflow.source.name"] == str(path)
    (journalled,) = site.journal.changes()
    sent = " ".join(journalled.commands[0])
    assert "x y" in sent and "llama" in sent and record.run_id in sent and "mine" not in sent
    other = act.prepare_submit(site, source, (), str(path), (), experiment="other")
    assert other.experiment == "other"
    path.write_text("command: sleep 60\nenvironment: {MLFLOW_EXPERIMENT_NAME: by-variable}\n")
    assert act.prepare_submit(site, source, (), str(path), ()).experiment == "by-variable"


def test_the_record_holds_what_makes_the_run_again(
    site: Site, tracker: MemoryTracker, tmp_path: Path, told: list[str]
) -> None:
    (tmp_path / "c4").write_text("x")
    path = tmp_path / "job.yaml"
    path.write_text(
        "name: my-run\ncommand: echo ${lr}\ngpus: 1\nparams: {lr: 3e-4}\nseed: 7\n"
        "tags: {team: nlp}\ndata: [{name: c4, path: c4}]\nenvironment: {HF_TOKEN: hush-hush}\n"
    )
    prepared = act.prepare_submit(site, SLURM, (), str(path), ())
    act.perform(site, prepared)
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert (record.params, record.tags["team"]) == ({"lr": "3e-4", "seed": "7"}, "nlp")
    assert [one.name for one in record.inputs] == ["c4"]
    kept = {
        name: tracker.read_artifact(record, f"foundry/{name}", most_bytes=1 << 20) or b""
        for name in ("spec.resolved.yaml", "submitted.txt", "data.json")
    }
    assert all(kept.values())
    assert record.run_id.encode() in kept["submitted.txt"]
    assert b"made-when-sent" not in kept["submitted.txt"]
    assert not any(b"hush-hush" in data for data in kept.values())
    assert told == []


def test_a_record_that_cannot_be_filled_stops_nothing(
    site: Site,
    prepare: Prepare,
    tracker: MemoryTracker,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TrackingError("an artifact", "the bucket is full")

    monkeypatch.setattr(tracker, "write_artifact", refuse)
    assert act.perform(site, prepare()).status == "done"
    (only,) = told
    assert only.startswith("not on its record: foundry/submitted.txt")


def test_killed_while_the_record_is_filled_is_never_submitted(
    site: Site, prepare: Prepare, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    prepared = prepare()
    with monkeypatch.context() as patch:
        patch.setattr(tracker, "write_artifact", killed)
        with pytest.raises(KeyboardInterrupt):
            act.perform(site, prepared)
    found = only_link(site)
    assert found.mlflow_run_id is not None and found.sent_at is None
    site.links.save(replace(found, pid=2**22 + 1))
    (item,) = track.sync(site).items
    assert (item.did, item.after) == ("repaired", "FAILED")
    assert "never submitted" in item.words


@pytest.mark.parametrize("uri", ["s3://bucket/1/r", "file:///shared/mlruns", ""])
def test_a_server_that_takes_no_artifacts_names_no_place_for_them(
    site: Site, prepare: Prepare, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    create = tracker.create
    monkeypatch.setattr(
        tracker, "create", lambda *a, **k: replace(create(*a, **k), artifact_uri=uri)
    )
    act.perform(site, prepare())
    (journalled,) = site.journal.changes()
    assert not any("FOUNDRY_ARTIFACTS" in word for word in journalled.commands[0])


def test_a_submit_and_its_record_know_each_other(
    site: Site, prepare: Prepare, tracker: MemoryTracker, told: list[str]
) -> None:
    prepared = prepare("sleep 60", "-J", "my run", experiment="llama")
    change = act.perform(site, prepared)
    assert change.status == "done"
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert (record.status, record.name) == (TrackStatus.SCHEDULED, "my run")
    native = change.receipts[0].target
    assert record.tags["foundry.slurm.job_id"] == native
    assert record.tags["foundry.cluster"] == SLURM
    assert record.tags["foundry.backend"] == "slurm"
    found = only_link(site)
    assert (found.native_id, found.mlflow_run_id) == (native, record.run_id)
    (journalled,) = site.journal.changes()
    assert f"MLFLOW_RUN_ID={record.run_id}" in journalled.commands[0]
    place = f"{tracker.url}/api/2.0/mlflow-artifacts/artifacts/{record.experiment_id}"
    assert f"FOUNDRY_ARTIFACTS={place}/{record.run_id}/artifacts" in journalled.commands[0]
    (run,) = [r for r in site.snapshot().runs if r.native_id == native]
    assert run.mlflow_run_id == record.run_id
    known = track.record(site, run)
    assert known is not None
    assert (known.record, known.experiment, known.reason) == (
        tracker.get(record.run_id),
        "llama",
        None,
    )
    assert track.address(site, run) == tracker.page(record)
    assert told == []


def test_the_pair_is_on_disk_before_the_record_and_the_record_before_the_run(
    site: Site, prepare: Prepare, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str | None, bool]] = []
    create = tracker.create

    def creating(*args: object, **more: object) -> object:
        seen.append((only_link(site).mlflow_run_id, only_link(site).sent_at is not None))
        return create(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tracker, "create", creating)
    scheduler = site.schedulers[SLURM]
    send = scheduler.perform

    def sending(preview: Preview, token: str) -> tuple[Receipt, ...]:
        (record,) = tracker.find("foundry.submit_id", token)
        assert only_link(site).mlflow_run_id == record.run_id
        seen.append((only_link(site).native_id, only_link(site).sent_at is not None))
        return send(preview, token)

    monkeypatch.setattr(scheduler, "perform", sending)
    act.perform(site, prepare())
    assert seen == [(None, False), (None, True)]


def test_a_refused_submit_fails_its_record(
    site: Site, prepare: Prepare, tracker: MemoryTracker
) -> None:
    prepared = prepare("sleep 60", "-p", "no-such")
    assert act.perform(site, prepared).status == "refused"
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert (record.status, record.tags["foundry.status_source"]) == (TrackStatus.FAILED, "foundry")
    assert "partition" in record.tags["foundry.reason"]
    assert record.ended_at is not None
    assert site.links.still_open() == ((), ()), "nothing is left to mend"


def test_a_refusal_that_is_known_before_makes_no_record(
    site: Site, tmp_path: Path, tracker: MemoryTracker
) -> None:
    path = tmp_path / "no-script"
    path.write_text("echo")
    prepared = act.prepare_submit(site, SLURM, (), str(path), ())
    assert prepared.preview.refused
    act.perform(site, prepared)
    assert tracker.find("foundry.submit_id", prepared.token) == ()


@pytest.mark.parametrize(
    ("fault", "code", "open_links"),
    [
        (TrackerDown("a run", "no answer within 5 s"), 3, 1),
        (TrackingError("a run", "403: Permission denied"), 1, 0),
    ],
)
def test_no_record_no_run(
    site: Site,
    prepare: Prepare,
    tracker: MemoryTracker,
    fault: TrackingError,
    code: int,
    open_links: int,
) -> None:
    prepared = prepare()
    tracker.fault = fault
    with pytest.raises(link.Unlinkable, match="--unlinked") as caught:
        act.perform(site, prepared)
    assert caught.value.code == code
    assert site.journal.changes() == ()
    assert len(site.links.still_open()[0]) == open_links, "after silence it may have been made"
    unlinked = prepare(unlinked=True)
    assert unlinked.token != prepared.token
    assert act.perform(site, unlinked).status == "done"
    (new,) = [r for r in site.snapshot().runs if r.submit_token == unlinked.token]
    assert new.mlflow_run_id is None


def test_a_scheduler_that_is_down_fails_the_record(
    site: Site, prepare: Prepare, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> tuple[Receipt, ...]:
        raise Unavailable("sbatch", "no answer")

    monkeypatch.setattr(site.schedulers[SLURM], "perform", silent)
    prepared = prepare()
    with pytest.raises(SourceMissing, match="nothing was sent"):
        act.perform(site, prepared)
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert record.status is TrackStatus.FAILED
    assert site.links.still_open() == ((), ())


def test_a_submit_without_an_answer_stays_open(
    site: Site, prepare: Prepare, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(preview: Preview, token: str) -> tuple[Receipt, ...]:
        return (Receipt(target=preview.items[0].target, status=ReceiptStatus.UNKNOWN),)

    monkeypatch.setattr(site.schedulers[SLURM], "perform", unknown)
    prepared = prepare()
    with pytest.raises(SourceMissing, match="may have arrived"):
        act.perform(site, prepared)
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert record.status is TrackStatus.SCHEDULED, "it may run"
    assert only_link(site).sent_at is not None


def test_a_tag_that_fails_after_sending_is_told_and_mended(
    site: Site,
    prepare: Prepare,
    tracker: MemoryTracker,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def down(*_: object, **__: object) -> None:
        raise TrackerDown("a tag", "no answer")

    with monkeypatch.context() as patch:
        patch.setattr(tracker, "update", down)
        prepared = prepare()
        change = act.perform(site, prepared)
    assert change.status == "done"
    assert "foundry sync" in told[-1]
    # As the next program finds it: the one that submitted has ended.
    site.links.save(replace(only_link(site), pid=2**22 + 1))
    report = track.sync(site)
    assert [i.native_id for i in report.items] == [change.receipts[0].target]
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert record.tags["foundry.slurm.job_id"] == change.receipts[0].target


def test_no_folder_for_links_no_run(
    site: Site, prepare: Prepare, tracker: MemoryTracker, tmp_path: Path
) -> None:
    prepared = prepare()
    (site.state / "links").write_text("a file")
    with pytest.raises(ActionError, match="nothing was sent"):
        act.perform(site, prepared)
    assert tracker.find("foundry.submit_id", prepared.token) == ()


def test_without_a_server_a_run_is_not_linked(site: Site, prepare: Prepare) -> None:
    site._tracker = None
    prepared = prepare(experiment="llama")
    assert (prepared.experiment, prepared.preview.items[0].command[0]) == (None, "sbatch")
    assert "not linked to MLflow" in prepared.notes[0]
    assert act.perform(site, prepared).status == "done"
    assert site.links.still_open() == ((), ())


@pytest.mark.parametrize(
    ("body", "program", "option", "env", "configured", "experiment", "note"),
    [
        ("", "", None, None, None, "Default", ""),
        ("", "", None, None, "of config", "of config", ""),
        ("", "", None, "of env", "of config", "of env", ""),
        ("", "", "of option", "of env", "of config", "of option", ""),
        ("python t.py", 'set_experiment("x")', None, "of env", None, "x", "t.py sets it"),
        ("python t.py", 'set_experiment("x")', "x", None, None, "x", ""),
        ("python t.py", 'set_experiment("x")', "y", None, None, "y", "MLflow ends"),
        ("python t.py", "set_experiment(name)", None, None, None, "Default", ""),
        (
            "python t.py",
            'set_experiment("a")\nset_experiment("b")',
            None,
            None,
            None,
            "Default",
            "a, b: MLflow ends",
        ),
        (
            "python - <<E\nmlflow.set_experiment('here')\nE\npython t.py",
            'set_experiment("x")',
            None,
            None,
            None,
            "here",
            "the script sets it",
        ),
        ("python nowhere.py", "", None, None, None, "Default", ""),
    ],
)
def test_the_experiment(
    site: Site,
    prepare: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    program: str,
    option: str | None,
    env: str | None,
    configured: str | None,
    experiment: str,
    note: str,
) -> None:
    (tmp_path / "t.py").write_text(program)
    if env is not None:
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", env)
    server = MlflowConfig(name="lab", url="https://h", experiment=configured)
    site.config = replace(site.config, mlflow=(server,))
    prepared = prepare(body, experiment=option)
    assert prepared.experiment == experiment
    assert note in "; ".join(prepared.notes)
    assert bool(note) == bool(prepared.notes)


def test_a_program_is_looked_for_where_the_run_starts(
    site: Site, prepare: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "t.py").write_text('set_experiment("in src")')
    assert prepare("python t.py").experiment == "Default"
    assert prepare("#SBATCH --chdir=src\npython t.py").experiment == "in src"


def test_programs_that_cannot_be_read_are_passed_over(
    site: Site, prepare: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "a.py").mkdir()
    (tmp_path / "b.py").write_bytes(b"\xff\xfe\x00" * 1000)
    subprocess.run(["mkfifo", str(tmp_path / "c.py")], check=True)
    (tmp_path / "d.py").symlink_to("/dev/zero")
    assert prepare("python a.py; python b.py; python c.py; python d.py").experiment == "Default"


def test_a_name_that_is_none_is_wrong_use(site: Site, prepare: Prepare) -> None:
    for name in ("", "  ", "x" * 501, "byte \udcff"):
        with pytest.raises(WrongUse, match="--experiment"):
            prepare(experiment=name)


def test_a_name_of_the_environment_that_is_none_is_wrong_use(
    site: Site, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "x" * 501)
    with pytest.raises(WrongUse, match="1 to 500"):
        prepare()
    assert prepare(unlinked=True).experiment is None


def test_the_record_of_an_outer_run_is_told_of_where_it_would_be_written_to(
    site: Site, prepare: Prepare, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "outer")
    assert "MLFLOW_RUN_ID" in prepare(unlinked=True).notes[0]
    assert not any("MLFLOW_RUN_ID" in note for note in prepare().notes), "it gets its own"


def test_a_server_on_loopback_is_told_of(site: Site, prepare: Prepare) -> None:
    site._tracker = MemoryTracker("lab", "http://127.0.0.1:5000")
    assert "on this host alone" in prepare().notes[0]


def test_an_experiment_id_of_the_environment_is_overruled(
    site: Site, prepare: Prepare, tracker: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    prepared = prepare()
    sent: list[Submit] = []

    def carry_out(_: Site, one: act.Prepared) -> Change:
        assert isinstance(one.preview.act, Submit)
        sent.append(one.preview.act)
        receipt = Receipt(target="17", status=ReceiptStatus.DONE)
        return Change(id="c", act="submit", status="done", receipts=(receipt,))

    link.send(site, prepared, carry_out)
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    assert dict(sent[0].environment)["MLFLOW_EXPERIMENT_ID"] == record.experiment_id


def test_a_screen_that_reads_again_and_again_reconciles_beside_it(
    site: Site, prepare: Prepare, tracker: MemoryTracker
) -> None:
    prepared = prepare()
    act.perform(site, prepared)
    (record,) = tracker.find("foundry.submit_id", prepared.token)
    site.snapshot()
    assert vars(site)["follower"] is None, "a command that looks once has no time for it"
    tracker.update(record.run_id, status=TrackStatus.RUNNING)
    site.links.save(replace(only_link(site), missing_since=utc_now()))
    snapshot = site.snapshot()
    assert site.follower is not None
    thread = site.follower._busy
    assert thread is not None
    thread.join(20)
    assert (site.follower.failed, site.follower.last is None) == (None, False)
    (run,) = [r for r in snapshot.runs if r.submit_token == prepared.token]
    shown = tracker.get(record.run_id)
    assert shown is not None
    waits = run.state is RunState.PENDING
    assert shown.status is (TrackStatus.SCHEDULED if waits else TrackStatus.RUNNING)


def test_read_only_does_not_reconcile_beside(site: Site) -> None:
    site.config = replace(site.config, read_only=True)
    for _ in range(3):
        site.snapshot()
    assert site.follower is None
