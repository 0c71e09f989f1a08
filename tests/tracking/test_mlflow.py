"""What the client sends, when it sends it again, and what it makes of older servers."""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from datetime import timedelta

import pytest

from foundry_tui.estate.tracked import TrackStatus
from foundry_tui.tracking import wire
from foundry_tui.tracking.credentials import TOKEN
from foundry_tui.tracking.ports import TrackerDown, TrackingError
from tests.lab.mlflow import MlflowLab
from tests.tracking.wires import (
    NOT_FOUND,
    NOW,
    RUN,
    SECRET,
    always,
    answered,
    client,
    response,
    serving,
    with_secret,
)


def test_what_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(always(200, {"run": RUN}, "application/json")) as stub:
        tracker = client(stub.url, with_secret)
        assert tracker.get("ab12") is not None
        assert tracker.get("ab12") is not None
        tracker.close()
    head = stub.requests[0].lower()
    assert b"user-agent: foundry/" in head
    assert f"authorization: bearer {SECRET}".encode() in head
    assert b"\r\norigin:" not in head
    assert caplog.records, "httpx tells its log of the exchange"
    assert SECRET not in caplog.text


def test_a_read_is_tried_again_and_a_creation_never() -> None:
    """The server answers 503 to the first request for each address."""
    seen: list[str] = []

    def stumble(connection: socket.socket, line: str) -> None:
        seen.append(line.split()[1].partition("?")[0].rpartition("mlflow/")[2])
        if seen.count(seen[-1]) == 1:
            connection.sendall(response(503, b"busy"))
        elif seen[-1] == "experiments/get-by-name":
            connection.sendall(response(200, {"experiment": {"experiment_id": "1"}}))
        else:
            connection.sendall(response(200, {"run": RUN}))

    with answered(stumble) as tracker:
        assert tracker.get("ab12") is not None
        tracker.update("ab12", status=TrackStatus.KILLED)
        with pytest.raises(TrackerDown, match="found by its tags"):
            tracker.create("e", name="n", tags={}, started_at=NOW)
    assert seen.count("runs/get") == 2
    assert seen.count("runs/update") == 2
    assert seen.count("experiments/get-by-name") == 2
    assert seen.count("runs/create") == 1


def test_tries_end_with_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PAUSES_S", (0.05, 60.0))
    started = time.monotonic()
    with serving(always(503, b"busy")) as stub:
        tracker = client(stub.url)
        with pytest.raises(TrackerDown, match="503"):
            tracker.get("ab12")
        tracker.close()
    assert len(stub.requests) == 2
    assert time.monotonic() - started < 5


def test_one_request_that_hangs_holds_up_no_other() -> None:
    asked = threading.Event()

    def pick(connection: socket.socket, line: str) -> None:
        asked.set()
        if "slow" not in line:
            connection.sendall(response(200, {"run": RUN}))

    with answered(pick, timeout_s=2) as tracker:
        errors: list[TrackingError] = []

        def hang() -> None:
            with pytest.raises(TrackerDown) as caught:
                tracker.get("slow")
            errors.append(caught.value)

        thread = threading.Thread(target=hang)
        thread.start()
        assert asked.wait(5)
        for _ in range(20):
            assert tracker.get("ab12") is not None
        assert thread.is_alive(), "the other one still waits"
        thread.join(10)
        assert len(errors) == 1


def test_connections_that_the_server_closes_are_made_anew() -> None:
    def once(connection: socket.socket, line: str) -> None:
        connection.sendall(response(200, {"run": RUN}))
        connection.shutdown(socket.SHUT_RDWR)

    with answered(once) as tracker:
        for _ in range(5):
            assert tracker.get("ab12") is not None


def test_an_experiment_that_another_makes_meanwhile() -> None:
    made = {"experiment": {"experiment_id": "7"}}
    missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
    exists = {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "is there"}
    asked: list[str] = []

    def race(connection: socket.socket, line: str) -> None:
        asked.append(line)
        if "experiments/create" in line:
            connection.sendall(response(400, exists))
        elif "get-by-name" in line:
            first = sum("get-by-name" in one for one in asked) == 1
            connection.sendall(response(404, missing) if first else response(200, made))
        else:
            info = {**RUN["info"], "experiment_id": "7"}
            connection.sendall(response(200, {"run": {"info": info}}))

    with answered(race) as tracker:
        assert tracker.create("e", name="n", tags={}, started_at=NOW).experiment_id == "7"


def test_an_experiment_in_the_trash_says_how_to_restore_it(mlflow_server: MlflowLab) -> None:
    made = mlflow_server.call("experiments/create", {"name": "in the trash"})["experiment_id"]
    mlflow_server.call("experiments/delete", {"experiment_id": made})
    tracker = client(mlflow_server.url)
    with pytest.raises(TrackingError, match=f"experiments restore -x {made}"):
        tracker.create("in the trash", name="n", tags={}, started_at=NOW)
    tracker.close()


def test_a_history_of_an_old_server_is_read_whole_and_thinned() -> None:
    asked: list[str] = []

    def old(connection: socket.socket, line: str) -> None:
        asked.append(line.split()[1].partition("?")[0])
        if "interval" in line:
            connection.sendall(response(404, NOT_FOUND, "text/html"))
            return
        first = "page_token" not in line
        metrics = [
            {"key": "loss", "value": "Infinity" if step == 0 else 1.0, "step": str(step)}
            for step in range(0 if first else 500, 500 if first else 1000)
        ]
        connection.sendall(
            response(200, {"metrics": metrics, **({"next_page_token": "p"} if first else {})})
        )

    with answered(old) as tracker:
        points = tracker.history("ab12", "loss", most=11)
    assert [p.step for p in points] == [0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999]
    assert points[0].value == math.inf
    assert [path.partition("mlflow/")[2] for path in asked] == [
        "metrics/get-history-bulk-interval",
        "metrics/get-history-bulk-interval",
        "metrics/get-history",
        "metrics/get-history",
    ]


def test_a_killed_script_leaves_its_run_running(mlflow_server: MlflowLab) -> None:
    """Why runs are reconciled: MLflow itself never ends the run of a killed process."""
    tracker = client(mlflow_server.url, timeout_s=30)
    run = tracker.create("killed", name="n", tags={}, started_at=NOW)
    code = (
        "import mlflow, os; mlflow.start_run(); mlflow.log_metric('m', 1.0); "
        "os.kill(os.getpid(), 9)"
    )
    env = {"MLFLOW_RUN_ID": run.run_id, "MLFLOW_EXPERIMENT_NAME": "killed"}
    assert mlflow_server.run_script(code, env).returncode == -9
    after = tracker.get(run.run_id)
    assert after is not None
    assert after.status is TrackStatus.RUNNING
    assert after.metrics["m"].value == 1.0
    tracker.close()


def test_a_probe_tells_of_clocks_and_open_logins() -> None:
    ahead = (NOW + timedelta(minutes=10)).strftime("date: %a, %d %b %Y %H:%M:%S GMT")
    with answered(always(200, b"{}", "application/json", ahead)) as tracker:
        found = {f.what: f for f in tracker.probe()}
    assert found["mlflow"].state == "found"
    assert "600 s ahead" in found["clock"].found
    assert TOKEN in found["login"].found


def test_a_probe_of_nothing_raises_nothing() -> None:
    with answered(always(502, b"")) as tracker:
        (finding,) = tracker.probe()
    assert finding.state == "broken"


@pytest.mark.parametrize(
    "url", ["file:./mlruns", "sqlite:///x.db", "databricks", "https://", "http://[", ""]
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(TrackingError, match="no address"):
        client(url)


def test_credentials_in_the_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        client(f"https://me:{SECRET}@host.example")
    assert SECRET not in str(caught.value)


def test_an_address_as_a_browser_shows_it() -> None:
    assert client("http://host:5000/ml/#/experiments/3").url == "http://host:5000/ml"
