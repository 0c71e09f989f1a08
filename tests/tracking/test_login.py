"""A real server with a login: who is nobody, who is somebody else, and what each is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foundry_tui.estate.tracked import DataInput, TrackedRun, TrackStatus
from foundry_tui.tracking.credentials import FILE, USERNAME, Credentials, find
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import TrackerDenied
from tests.lab.mlflow import MlflowLab
from tests.tracking.conftest import PASSWORD, logged_in
from tests.tracking.contract import new_word
from tests.tracking.wires import NOW, client

As = Callable[[Callable[[], Credentials]], Mlflow]


@pytest.fixture
def as_user(mlflow_login: MlflowLab) -> Iterator[As]:
    """Makes trackers of the server with these credentials."""
    made: list[Mlflow] = []

    def tracker(credentials: Callable[[], Credentials]) -> Mlflow:
        made.append(client(mlflow_login.url, credentials, timeout_s=30))
        return made[-1]

    yield tracker
    for one in made:
        one.close()


@pytest.fixture
def of_ann(as_user: As) -> TrackedRun:
    """A run in an experiment of its own, with a parameter and a file."""
    ann = as_user(logged_in("ann", PASSWORD))
    run = ann.create(new_word(), name="hers", tags={}, started_at=NOW)
    ann.log(run.run_id, params={"lr": "1"}, metrics={"loss": 1.0}, at=NOW)
    ann.write_artifact(run, "a.txt", b"hers")
    return run


def test_nobody_is_told_where_a_login_was_looked_for(as_user: As, of_ann: TrackedRun) -> None:
    nobody = as_user(Credentials)
    calls: tuple[Callable[[], object], ...] = (
        lambda: nobody.get(of_ann.run_id),
        lambda: nobody.experiments(),
        lambda: nobody.search([of_ann.experiment_id]),
        lambda: nobody.log(of_ann.run_id, params={"a": "1"}, at=NOW),
        lambda: nobody.read_artifact(of_ann, "a.txt", most_bytes=10),
    )
    for call in calls:
        with pytest.raises(TrackerDenied, match="401: the login is refused") as caught:
            call()
        assert USERNAME in caught.value.hint
    (finding,) = nobody.probe()
    assert finding.state == "denied"


def test_a_wrong_password_is_named_by_its_place_and_not_repeated(as_user: As) -> None:
    wrong = "wrong-horse-7-battery"
    stranger = as_user(logged_in("ann", wrong))
    with pytest.raises(TrackerDenied, match="401") as caught:
        stranger.experiments()
    assert f"${USERNAME}" in caught.value.hint
    assert wrong not in f"{caught.value} {caught.value.hint}"


def test_another_user_reads_and_does_not_write(as_user: As, of_ann: TrackedRun) -> None:
    bob = as_user(logged_in("bob", PASSWORD))
    seen = bob.get(of_ann.run_id)
    assert seen is not None
    assert seen.params == {"lr": "1"}
    assert [run.run_id for run in bob.search([of_ann.experiment_id]).runs] == [of_ann.run_id]
    assert set(bob.curves([of_ann.run_id], "loss")) == {of_ann.run_id}
    assert bob.read_artifact(of_ann, "a.txt", most_bytes=10) == b"hers"
    data = [DataInput(name="c4", digest="d", path="/")]
    calls: tuple[Callable[[], object], ...] = (
        lambda: bob.update(of_ann.run_id, status=TrackStatus.KILLED),
        lambda: bob.update(of_ann.run_id, tags={"a": "b"}),
        lambda: bob.log(of_ann.run_id, params={"a": "1"}, at=NOW),
        lambda: bob.log_inputs(of_ann.run_id, data),
        lambda: bob.write_artifact(of_ann, "a.txt", b"his"),
    )
    for call in calls:
        with pytest.raises(TrackerDenied, match="403: Permission denied"):
            call()
    assert bob.read_artifact(of_ann, "a.txt", most_bytes=10) == b"hers"
    assert bob.get(of_ann.run_id) == seen


def test_another_user_makes_no_run_in_somebody_elses_experiment(as_user: As) -> None:
    name = new_word()
    as_user(logged_in("ann", PASSWORD)).create(name, name="hers", tags={}, started_at=NOW)
    bob = as_user(logged_in("bob", PASSWORD))
    with pytest.raises(TrackerDenied, match="403: Permission denied") as caught:
        bob.create(name, name="his", tags={}, started_at=NOW)
    assert name in caught.value.asked


def test_the_file_of_credentials_opens_the_server(as_user: As, tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text(
        f"[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = {PASSWORD}\n"
    )
    path.chmod(0o600)
    tracker = as_user(lambda: find({}, tmp_path))
    found = {finding.what: finding for finding in tracker.probe()}
    assert found["mlflow"].state == "found"
    assert str(path) in found["login"].found
