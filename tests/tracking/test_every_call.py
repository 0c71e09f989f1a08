"""Every call of the port, against every way in which a server can fail it."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable

import pytest

from foundry_tui.estate.text import safe
from foundry_tui.estate.tracked import DataInput, TrackedRun, TrackStatus
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown, TrackingError
from tests.lab.mlflow import MlflowLab
from tests.tracking.wires import (
    NOW,
    SECRET,
    Serve,
    always,
    answered,
    client,
    response,
    serving,
    with_secret,
)

KEPT = TrackedRun(
    run_id="ab12",
    experiment_id="1",
    name=safe("r"),
    status=TrackStatus.RUNNING,
    artifact_uri="mlflow-artifacts:/1/ab12/artifacts",
)
DATA = (DataInput(name="c4", digest="d", path="/"),)

CALLS: dict[str, Callable[[Mlflow], object]] = {
    "create": lambda t: t.create("e", name="n", tags={}, started_at=NOW),
    "find": lambda t: t.find("a", "b"),
    "get": lambda t: t.get("ab12"),
    "update": lambda t: t.update("ab12", status=TrackStatus.KILLED, tags={"a": "b"}),
    "history": lambda t: t.history("ab12", "loss"),
    "curves": lambda t: t.curves(["ab12", "cd34"], "loss"),
    "experiments": lambda t: t.experiments(),
    "search": lambda t: t.search(["1"], where="tags.a = 'b'"),
    "log": lambda t: t.log("ab12", params={"a": "1"}, metrics={"m": 1.0}, at=NOW),
    "log_inputs": lambda t: t.log_inputs("ab12", DATA),
    "artifacts": lambda t: t.artifacts(KEPT),
    "read_artifact": lambda t: t.read_artifact(KEPT, "a.txt", most_bytes=100),
    "write_artifact": lambda t: t.write_artifact(KEPT, "a.txt", b"x"),
}


def broken_off(connection: socket.socket, _: str) -> None:
    """Half an answer, and then nothing."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
    connection.shutdown(socket.SHUT_RDWR)


def silent(connection: socket.socket, _: str) -> None:
    """Takes the request and never answers."""


FAULTS: dict[str, tuple[Serve, type[TrackingError], str]] = {
    "401": (always(401, b"You are not authenticated."), TrackerDenied, "401"),
    "403": (always(403, b"Permission denied", "text/html"), TrackerDenied, "403: Permission"),
    "host": (always(403, b"Invalid Host header - x"), TrackerDenied, "host name 127.0.0.1"),
    "429": (always(429, b"slow down"), TrackerDown, "429: slow down"),
    "502": (always(502, b"<html>x</html>", "text/html"), TrackerDown, "502"),
    "refused": (
        always(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "no\x1b[2J"}),
        TrackingError,
        "400: no␛[2J",
    ),
    "reset": (broken_off, TrackerDown, "connection broke"),
    "hang": (silent, TrackerDown, "no answer within 0.4 s"),
    "elsewhere": (always(302, b"", "text/plain", "location: http://x/"), TrackerDown, "302"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_it_ends_in_an_error_that_says_what_was_asked(call: str, fault: str) -> None:
    serve, kind, words = FAULTS[fault]
    started = time.monotonic()
    with answered(serve, timeout_s=0.4, transfer_s=0.4) as tracker:
        with pytest.raises(kind) as caught:
            CALLS[call](tracker)
        assert tracker.url in caught.value.asked
    assert time.monotonic() - started < 4
    assert words in caught.value.answer
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("call", sorted(set(CALLS) - {"read_artifact"}))
def test_a_login_page_is_no_answer(call: str) -> None:
    page = always(200, b"<html>Sign in</html>", "text/html")
    with answered(page) as tracker, pytest.raises(TrackerDown, match="no JSON"):
        CALLS[call](tracker)


@pytest.mark.parametrize("call", sorted(set(CALLS) - {"create"}))
def test_what_does_no_more_when_sent_twice_is_sent_again(call: str) -> None:
    """The first connection breaks; what is asked on the second one is all there is."""
    lines: list[str] = []

    def once(connection: socket.socket, line: str) -> None:
        lines.append(line)
        if len(lines) == 1:
            connection.shutdown(socket.SHUT_RDWR)
        elif "runs/get" in line:
            info = {"run_id": "ab12", "experiment_id": "1", "status": "RUNNING"}
            connection.sendall(response(200, {"run": {"info": info}}))
        else:
            connection.sendall(response(200, {}))

    with answered(once) as tracker:
        CALLS[call](tracker)
    assert lines[0] == lines[1]


def test_a_server_that_asks_to_wait_is_given_the_time() -> None:
    seen: list[float] = []

    def busy(connection: socket.socket, _: str) -> None:
        seen.append(time.monotonic())
        first = len(seen) == 1
        refused = response(429, b"slow down", "text/plain", "retry-after: 1")
        connection.sendall(refused if first else response(200, {}))

    with answered(busy, timeout_s=10) as tracker:
        assert tracker.search(["1"]).runs == ()
    assert len(seen) == 2
    assert 0.95 <= seen[1] - seen[0] < 5


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    started = time.monotonic()
    with serving(always(429, b"slow down", "text/plain", "retry-after: 3600")) as stub:
        tracker = client(stub.url, with_secret, timeout_s=20)
        with pytest.raises(TrackerDown, match="429: slow down") as caught:
            tracker.experiments()
        tracker.close()
    assert time.monotonic() - started < 5
    assert len(stub.requests) == 1
    assert "wait 3600 s" in caught.value.hint


@pytest.mark.parametrize("told", ["-1", "soon", "1e99", "9" * 400, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_wait_that_is_no_number_of_seconds_counts_as_none(told: str) -> None:
    with serving(always(429, b"slow down", "text/plain", f"retry-after: {told}")) as stub:
        tracker = client(stub.url, timeout_s=5)
        with pytest.raises(TrackerDown, match="429"):
            tracker.experiments()
        tracker.close()
    assert len(stub.requests) == 3


def test_a_real_server_that_is_killed_and_comes_back(mlflow_server: MlflowLab) -> None:
    """What was written is there; a connection that was kept does no harm."""
    tracker = client(mlflow_server.url, timeout_s=30)
    run = tracker.create("restarted", name="n", tags={}, started_at=NOW)
    tracker.log(run.run_id, params={"lr": "1"}, metrics={"m": 1.0}, at=NOW)
    tracker.write_artifact(run, "a.txt", b"x")
    mlflow_server.stop()
    try:
        for call in ("get", "search", "log", "write_artifact"):
            with pytest.raises(TrackerDown, match="refused"):
                CALLS[call](tracker)
    finally:
        mlflow_server.restart()
    after = tracker.get(run.run_id)
    assert after is not None
    assert after.params == {"lr": "1"}
    tracker.log(run.run_id, params={"lr": "1"}, metrics={"m": 1.0}, at=NOW)
    assert len(tracker.history(run.run_id, "m")) == 1
    assert tracker.read_artifact(after, "a.txt", most_bytes=10) == b"x"
    tracker.close()
