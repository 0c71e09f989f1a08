"""What is sent in several requests, and what an older or a hostile server makes of it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from foundry_tui.estate.tracked import Artifact, DataInput
from foundry_tui.tracking.ports import TrackerDown, TrackingError
from tests.tracking.test_every_call import KEPT
from tests.tracking.wires import (
    NOT_FOUND,
    NOW,
    always,
    answered,
    client,
    response,
    serving,
)


def bodies(requests: list[bytes]) -> list[dict[str, Any]]:
    """The JSON that was sent."""
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in requests]


def test_a_log_is_sent_in_requests_that_the_server_takes() -> None:
    params = {f"p{i}": "é" * 6000 for i in range(250)}
    metrics = {f"m{i}": float(i) for i in range(2500)}
    with serving(always(200, {})) as stub:
        tracker = client(stub.url, timeout_s=20)
        tracker.log("ab12", params=params, metrics=metrics, at=NOW)
        tracker.update("ab12", tags={f"t{i}": "é" * 8000 for i in range(150)})
        tracker.close()
    sent = bodies(stub.requests)
    assert {p["key"] for body in sent for p in body.get("params", ())} == set(params)
    assert {m["key"] for body in sent for m in body.get("metrics", ())} == set(metrics)
    assert sum(len(body.get("tags", ())) for body in sent) == 150
    for body, request in zip(sent, stub.requests, strict=True):
        kinds = {key: len(body.get(key, ())) for key in ("params", "metrics", "tags")}
        assert sum(kinds.values()) <= 1000
        assert max(kinds["params"], kinds["tags"]) <= 100
        assert len(request.partition(b"\r\n\r\n")[2]) < 1_000_000
    first_metric = next(i for i, body in enumerate(sent) if "metrics" in body)
    assert not any("params" in body for body in sent[first_metric + 1 :])


def test_nothing_to_write_is_not_sent() -> None:
    with serving(always(200, {})) as stub:
        tracker = client(stub.url)
        tracker.log("ab12", at=NOW)
        tracker.log("ab12", params={}, metrics={}, at=NOW)
        tracker.update("ab12", tags={})
        tracker.log_inputs("ab12", [])
        assert tracker.search([]).runs == ()
        assert tracker.curves([], "loss") == {}
        tracker.close()
    assert stub.requests == []


def test_an_older_server_says_how_long_a_parameter_may_be() -> None:
    message = "Param value 'xxx' had length 600, which exceeded length limit of 500"
    body = {"error_code": "INVALID_PARAMETER_VALUE", "message": message}
    with answered(always(400, body)) as tracker, pytest.raises(TrackingError) as caught:
        tracker.log("ab12", params={"words": "x" * 600}, at=NOW)
    assert message in caught.value.answer
    assert "500 characters" in caught.value.hint


def test_inputs_of_others_are_read_as_they_are() -> None:
    def data(kind: str, source: str, name: str = "d") -> dict[str, Any]:
        one = {"name": name, "digest": "1", "source_type": kind, "source": source}
        return {"dataset": one, "tags": [{"key": "mlflow.data.context", "value": "eval"}]}

    inputs = [
        data("delta_table", '{"path": "/lake/c4", "delta_table_version": 3}'),
        data("http", '{"url": "https://host/c4.csv"}'),
        data("hugging_face", '{"path": "org/c4"}'),
        data("code", '{"tags": {}}'),
        data("odd", "no\x1b[2J json", "n\x1b[2J"),
        data("odd", "[" * 5000),
    ]
    info = {"run_id": "ab12", "experiment_id": "1", "status": "RUNNING"}
    run = {"run": {"info": info, "inputs": {"dataset_inputs": inputs}}}
    with answered(always(200, run)) as tracker:
        found = tracker.get("ab12")
    assert found is not None
    assert [(one.path[:20], one.kind) for one in found.inputs] == [
        ("/lake/c4", "delta"),
        ("https://host/c4.csv", "stated"),
        ("org/c4", "stated"),
        ('{"tags": {}}', "stated"),
        ("no␛[2J json", "stated"),
        ("[" * 20, "stated"),
    ]
    assert found.inputs[4] == DataInput(name="n␛[2J", digest="1", path="no␛[2J json", kind="stated")


def test_curves_are_asked_for_a_hundred_runs_at_a_time() -> None:
    asked: list[list[str]] = []

    def sampling(connection: socket.socket, line: str) -> None:
        ids = parse_qs(urlsplit(line.split()[1]).query)["run_ids"]
        asked.append(ids)
        values = [{"key": "loss", "value": 1.0, "step": 0, "run_id": one} for one in ids]
        connection.sendall(response(200, {"metrics": values}))

    ids = [f"r{i}" for i in range(250)]
    with answered(sampling) as tracker:
        curves = tracker.curves(ids, "loss")
        assert [len(block) for block in asked] == [100, 100, 50]
        assert list(curves) == ids
        asked.clear()
        tracker.curves(ids[:100], "loss", most=2500)
        assert max(len(block) for block in asked) * 2500 <= 40_000
        asked.clear()
        tracker.curves(["a", "b", "a"], "loss")
        assert asked == [["a", "b"]]


def test_curves_of_an_old_server_are_read_run_by_run() -> None:
    def old(connection: socket.socket, line: str) -> None:
        if "interval" in line:
            connection.sendall(response(404, NOT_FOUND, "text/html"))
            return
        (run_id,) = parse_qs(urlsplit(line.split()[1]).query)["run_id"]
        values = [{"key": "loss", "value": "NaN", "step": run_id[1:]}] if run_id != "r2" else []
        connection.sendall(response(200, {"metrics": values}))

    with answered(old) as tracker:
        curves = tracker.curves(["r1", "r2", "r3"], "loss")
    assert {run_id: [p.step for p in points] for run_id, points in curves.items()} == {
        "r1": [1],
        "r3": [3],
    }


def test_a_run_that_is_not_to_be_seen_hides_no_other() -> None:
    def guarded(connection: socket.socket, line: str) -> None:
        ids = parse_qs(urlsplit(line.split()[1]).query)["run_ids"]
        if "secret" in ids:
            connection.sendall(response(403, b"Permission denied", "text/html"))
            return
        values = [{"key": "loss", "value": 1.0, "run_id": one} for one in ids]
        connection.sendall(response(200, {"metrics": values}))

    with answered(guarded) as tracker:
        assert set(tracker.curves(["a", "secret", "b"], "loss")) == {"a", "b"}
        with pytest.raises(TrackingError, match="403: Permission denied"):
            tracker.curves(["secret"], "loss")


def test_values_of_runs_that_were_not_asked_for_are_left_out() -> None:
    values = [{"key": "loss", "value": 1.0, "run_id": "other"}, {"key": "loss", "value": 2.0}]
    with answered(always(200, {"metrics": values})) as tracker:
        assert tracker.curves(["a", "b"], "loss") == {}


def test_a_large_file_is_left_as_soon_as_it_is_too_large() -> None:
    sent: list[int] = []

    def pour(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        with contextlib.suppress(OSError):
            for _mebibyte in range(1000):
                connection.sendall(b"x" * (1 << 20))
                sent.append(1 << 20)
        connection.close()

    started = time.monotonic()
    with (
        answered(pour) as tracker,
        pytest.raises(TrackingError, match="larger than 1,000 bytes") as caught,
    ):
        tracker.read_artifact(KEPT, "model.bin", most_bytes=1000)
    assert time.monotonic() - started < 5
    assert sum(sent) < 200 << 20
    assert "mlflow artifacts download -r ab12 -a model.bin" in caught.value.hint


def test_a_refusal_may_be_longer_than_the_file_that_was_asked_for() -> None:
    with answered(always(404, NOT_FOUND, "text/html")) as tracker:
        assert tracker.read_artifact(KEPT, "a.txt", most_bytes=1) is None


def test_a_file_that_drips_is_left_at_the_deadline() -> None:
    def drip(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    with (
        answered(drip, timeout_s=0.5, transfer_s=0.5) as tracker,
        pytest.raises(TrackerDown, match=r"no answer within 0\.5 s"),
    ):
        tracker.read_artifact(KEPT, "a.txt", most_bytes=1000)


def test_the_address_of_a_file_is_that_of_the_run() -> None:
    with serving(always(200, b"x", "text/plain")) as stub:
        tracker = client(stub.url)
        run = replace(KEPT, artifact_uri="mlflow-artifacts://other:1/1/ab12/artifacts")
        assert tracker.read_artifact(run, "a b/é?.txt", most_bytes=1) == b"x"
        tracker.close()
    at = b"/api/2.0/mlflow-artifacts/artifacts/1/ab12/artifacts/a%20b/%C3%A9%3F.txt "
    assert stub.requests[0].startswith(b"GET " + at)


def test_a_list_of_files_has_pages() -> None:
    def pages(connection: socket.socket, line: str) -> None:
        more = "page_token" not in line
        files = [{"path": "a" if more else "b", "is_dir": more, "file_size": "7"}]
        connection.sendall(
            response(200, {"files": files, **({"next_page_token": "p"} if more else {})})
        )

    with answered(pages) as tracker:
        assert tracker.artifacts(KEPT) == (
            Artifact(path="a", folder=True),
            Artifact(path="b", size_bytes=7),
        )


def test_where_an_artifact_lies_is_told_without_a_password() -> None:
    run = replace(KEPT, artifact_uri="ftp://me:s3cr3t@host/runs")
    tracker = client("http://127.0.0.1:1")
    with pytest.raises(TrackingError, match="lie at host/runs") as caught:
        tracker.artifacts(run)
    assert "s3cr3t" not in str(caught.value)
    for uri in ("", "mlflow-artifacts", "http://[", "/srv/mlruns/1"):
        with pytest.raises(TrackingError, match="does not serve"):
            tracker.read_artifact(replace(KEPT, artifact_uri=uri), "a", most_bytes=1)
