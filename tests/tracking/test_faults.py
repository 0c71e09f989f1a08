"""What a tracking server can do to its client: refuse, break off, hang, drip, lie."""

from __future__ import annotations

import json
import socket
import time
import traceback

import pytest

from foundry_tui.tracking.credentials import TOKEN
from foundry_tui.tracking.exchange import MAX_BYTES
from foundry_tui.tracking.ports import TrackerDenied, TrackerDown, TrackingError
from tests.lab.mlflow import MlflowLab
from tests.tracking.wires import (
    NOT_FOUND,
    NOW,
    RUN,
    SECRET,
    Serve,
    always,
    answered,
    client,
    response,
    serving,
    with_secret,
)


def failure(serve: Serve, **more: object) -> TrackingError:
    """The error of asking such a server for a run."""
    with answered(serve, **more) as tracker, pytest.raises(TrackingError) as caught:
        tracker.get("ab12")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "ab12" in caught.value.asked
    assert tracker.url in caught.value.asked
    return caught.value


def test_a_host_name_that_is_not_allowed() -> None:
    text = b"Invalid Host header - possible DNS rebinding attack detected"
    error = failure(always(403, text))
    assert isinstance(error, TrackerDenied)
    assert "does not accept the host name 127.0.0.1" in error.answer
    assert "--allowed-hosts '127.0.0.1,127.0.0.1:*'" in error.hint


def test_a_refused_login_names_what_was_sent() -> None:
    error = failure(always(401, b"You are not authenticated."))
    assert isinstance(error, TrackerDenied)
    assert TOKEN in error.hint


def test_a_missing_login_names_where_it_was_looked_for() -> None:
    with serving(always(401, b"You are not authenticated.")) as stub:
        tracker = client(stub.url)
        with pytest.raises(TrackerDenied) as caught:
            tracker.get("ab12")
        tracker.close()
    for name in (TOKEN, "MLFLOW_TRACKING_USERNAME", "~/.mlflow/credentials"):
        assert name in caught.value.hint


def test_a_permission_that_is_missing() -> None:
    error = failure(always(403, b"Permission denied"))
    assert isinstance(error, TrackerDenied)
    assert "403: Permission denied" in error.answer


def test_a_refusal_in_json_is_one_safe_line() -> None:
    body = {"error_code": "INVALID_STATE", "message": "no\x1b[2J way\n[SQL: INSERT INTO runs]"}
    error = failure(always(400, body, "application/json"))
    assert not isinstance(error, TrackerDown | TrackerDenied)
    assert error.answer == "400: no␛[2J way"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_broken_server_is_down(status: int) -> None:
    error = failure(always(status, b"<html>bad gateway</html>", "text/html"))
    assert isinstance(error, TrackerDown)
    assert str(status) in error.answer
    assert "<html>" not in error.answer


def test_a_login_page_is_no_answer() -> None:
    error = failure(always(200, b"<html>Sign in</html>", "text/html; charset=utf-8"))
    assert isinstance(error, TrackerDown)
    assert "no JSON (text/html, 20 bytes)" in error.answer
    assert "login page" in error.hint


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"run": 1}',
        b'{"run": {"info": {"run_id": "../x\\u001b[2J", "experiment_id": "1"}}}',
        b'{"run": {"info": {"run_id": "a", "experiment_id": "1", "status": "\\u001b"}}}',
        json.dumps({"run": {**RUN, "data": {"metrics": [{"key": "a", "value": "x"}]}}}).encode(),
    ],
)
def test_nonsense_is_no_answer(body: bytes) -> None:
    error = failure(always(200, body, "application/json"))
    assert isinstance(error, TrackerDown)
    assert "\x1b" not in str(error)


def test_another_address_than_the_servers() -> None:
    error = failure(always(404, NOT_FOUND, "text/html"))
    assert isinstance(error, TrackerDown)
    assert "tracking server" in error.hint


def test_no_redirection_is_followed() -> None:
    with serving(always(200, {"run": RUN})) as other:
        target = f"location: {other.url}/api?state={SECRET}"
        error = failure(always(302, b"", "text/plain", target))
        assert isinstance(error, TrackerDown)
        assert other.url in error.answer
        assert other.requests == []


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    tracker = client(f"http://127.0.0.1:{port}", with_secret)
    with pytest.raises(TrackerDown, match="refused"):
        tracker.get("ab12")


def test_a_server_that_hangs_is_left_at_the_deadline() -> None:
    started = time.monotonic()
    error = failure(lambda connection, _: None, timeout_s=0.5)
    assert isinstance(error, TrackerDown)
    assert "no answer within 0.5 s" in error.answer
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("whole", [b"HTTP/1.1 200 OK\r\nx-slow: ", response(200, b" " * 50)[:-50]])
def test_a_server_that_drips_is_left_at_the_deadline(whole: bytes) -> None:
    """A byte now and then resets every time-out of a read, in the head as in the body."""
    gone: list[bool] = []

    def drip(connection: socket.socket, _: str) -> None:
        connection.sendall(whole)
        try:
            while True:
                connection.sendall(b"a")
                time.sleep(0.02)
        except OSError:
            gone.append(True)
            raise

    started = time.monotonic()
    with answered(drip, timeout_s=0.5) as tracker:
        with pytest.raises(TrackerDown, match=r"no answer within 0\.5 s"):
            tracker.get("ab12")
        assert time.monotonic() - started < 2
        deadline = time.monotonic() + 5
        while not gone and time.monotonic() < deadline:
            time.sleep(0.01)
    assert gone, "the connection is cut, and no thread is left reading"


def test_a_body_without_end_is_refused() -> None:
    def pour(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        for _mebibyte in range(2 * MAX_BYTES >> 20):
            connection.sendall(b" " * (1 << 20))

    started = time.monotonic()
    error = failure(pour)
    assert isinstance(error, TrackerDown)
    assert time.monotonic() - started < 4, "it is not asked for again"
    assert "larger than 16 MiB" in error.answer


def test_a_compressed_body_is_refused() -> None:
    error = failure(always(200, b"x", "application/json", "content-encoding: gzip"))
    assert "compressed" in error.answer


def test_an_echoed_secret_is_not_repeated() -> None:
    for status in (400, 401, 403, 404, 502):
        error = failure(always(status, f"you sent Bearer {SECRET}".encode()))
        assert SECRET not in f"{error} {error.hint}"


def test_a_server_of_a_foreign_name_on_the_real_one(mlflow_server: MlflowLab) -> None:
    """The real text of the refusal, asked through a name that the server was not told of."""
    import httpx

    class Renamed(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.headers["host"] = "mlflow.corp.example"
            return super().handle_request(request)

    tracker = client(mlflow_server.url, transport=Renamed())
    with pytest.raises(TrackerDenied, match="--allowed-hosts"):
        tracker.get("ab12")
    (finding,) = tracker.probe()
    assert finding.state == "denied"
    assert finding.mend is not None
    tracker.close()


def test_a_real_server_that_hangs_and_goes_on(mlflow_server: MlflowLab) -> None:
    tracker = client(mlflow_server.url, timeout_s=30)
    run = tracker.create("hang", name="n", tags={}, started_at=NOW)
    tracker.close()
    hurried = client(mlflow_server.url, timeout_s=0.5)
    mlflow_server.hang()
    try:
        with pytest.raises(TrackerDown, match=r"no answer within 0\.5 s"):
            hurried.get(run.run_id)
    finally:
        mlflow_server.resume()
    assert tracker.get(run.run_id) == run
    tracker.close()
