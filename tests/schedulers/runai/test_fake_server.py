"""The fake as a server: faults, connections, and the command that serves it."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.runai.asking import CREDENTIALS, Client, still

MODULE = [sys.executable, "-m", "foundry_tui.schedulers.runai.fake"]


def test_a_told_failure_comes_as_often_as_told_and_does_nothing(
    client: Client, fake: FakeRunai
) -> None:
    fake.fail_next("POST /api/v1/workloads/trainings$", 503, times=2)
    for _ in range(2):
        client.create(status=503)
    client.create()
    fake.advance(10)
    assert client.names() == ["job"]
    assert fake.count("POST .*/trainings$") == 3


def test_a_told_failure_has_its_own_body_and_headers(client: Client, fake: FakeRunai) -> None:
    fake.fail_next("nodes", 429, "<html>slow down</html>", {"Retry-After": "7"})
    answer = client.http.get("/api/v1/nodes")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.text == "<html>slow down</html>"
    assert client.http.get("/api/v1/nodes").status_code == 200


def test_a_dropped_answer_was_done_all_the_same(client: Client, fake: FakeRunai) -> None:
    fake.drop_answer("trainings")
    with pytest.raises(httpx.RemoteProtocolError):
        client.create()
    fake.advance(10)
    assert client.names() == ["job"]


def test_a_hanging_path_hangs_alone_and_until_it_is_mended(client: Client, fake: FakeRunai) -> None:
    fake.hang("/api/v1/nodes", 30)
    with pytest.raises(httpx.ReadTimeout):
        client.http.get("/api/v1/nodes", timeout=0.2)
    client.names()
    fake.mend()
    assert client.http.get("/api/v1/nodes").status_code == 200


def test_the_end_does_not_wait_for_what_hangs() -> None:
    with ThreadPoolExecutor(1) as pool:
        with still() as fake:
            fake.hang("token", 60)
            asked = pool.submit(httpx.post, f"{fake.url}/api/v1/token", json=CREDENTIALS)
            deadline = time.monotonic() + 10
            while not fake.requests and time.monotonic() < deadline:
                time.sleep(0.01)
            began = time.monotonic()
        assert time.monotonic() - began < 10
        with pytest.raises(httpx.HTTPError):
            asked.result(10).raise_for_status()


def test_requests_are_noted_in_their_order(client: Client, fake: FakeRunai) -> None:
    client.names(search="a b")
    method, path, query, body = fake.requests[-1]
    assert (method, path, query, body) == ("GET", "/api/v1/workloads", "search=a+b", b"")
    assert json.loads(fake.requests[0].body) == CREDENTIALS


def test_one_connection_carries_many_requests(client: Client, fake: FakeRunai) -> None:
    for status in (200, 404, 400, 200):
        path = {200: "nodes", 404: "nothing", 400: "workloads?limit=0"}[status]
        answer = client.http.get(f"/api/v1/{path}")
        assert answer.status_code == status
        assert answer.http_version == "HTTP/1.1"
        assert "close" not in answer.headers.get("Connection", "")


def test_many_clients_at_once_lose_nothing(fake: FakeRunai, client: Client) -> None:
    def create(number: int) -> str:
        return str(client.create(f"job-{number}")["workloadId"])

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(create, range(40)))
    fake.advance(10)
    assert len(set(keys)) == 40
    assert client.ask("GET", "/api/v1/workloads/count")["count"] == 40


def test_time_goes_faster_when_told() -> None:
    real = datetime(2026, 11, 20, tzinfo=UTC)
    passed = timedelta(0)
    with FakeRunai(clock=lambda: real + passed, speed=60) as fake:
        passed = timedelta(seconds=2)
        assert fake.now() == real + timedelta(minutes=2)


def test_the_login_of_the_command_line_is_good(fake: FakeRunai, tmp_path: Path) -> None:
    fake.cli_login(tmp_path / ".runai")
    config = json.loads((tmp_path / ".runai" / "config.json").read_text())
    login = json.loads((tmp_path / ".runai" / "authentication.json").read_text())
    token = base64.urlsafe_b64decode(login["accessToken"] + "==").decode()
    url = f"{config['control_plane']['url']}/api/v1/nodes"
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert config["cluster"]["uuid"] == fake.cluster_id


def test_the_command_serves_until_it_is_interrupted() -> None:
    process = subprocess.Popen(
        [*MODULE, "--port", "0", "--speed", "10"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        token = httpx.post(f"{url}/api/v1/token", json=CREDENTIALS).json()["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        told = httpx.get(f"{url}/api/v1/workloads?limit=500", headers=headers).json()
        phases = {w["phase"] for w in told["workloads"]}
        assert {"Running", "Pending"} <= phases
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")


def test_the_command_explains_itself() -> None:
    told = subprocess.run([*MODULE, "--help"], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0
    assert "--port" in told.stdout
    assert "secret" in told.stdout


@pytest.mark.parametrize("option", [["--port", "99999"], ["--speed", "0"], ["--speed", "nan"]])
def test_the_command_refuses_nonsense(option: list[str]) -> None:
    told = subprocess.run([*MODULE, *option], capture_output=True, text=True, timeout=60)
    assert told.returncode == 2
    assert option[0] in told.stderr


def test_a_taken_port_is_told_in_a_line(fake: FakeRunai) -> None:
    port = fake.url.rpartition(":")[2]
    told = subprocess.run([*MODULE, "--port", port], capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert "cannot listen on 127.0.0.1" in told.stderr
    assert "Traceback" not in told.stderr
