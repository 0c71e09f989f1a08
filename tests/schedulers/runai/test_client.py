"""Login, repeats, errors and limits of the requests to a control plane."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from foundry_tui.config.sources import RunaiConfig
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from foundry_tui.schedulers.runai import exchange
from foundry_tui.schedulers.runai.adapter import RunaiAdapter
from foundry_tui.schedulers.runai.client import Client
from tests.schedulers.runai.plane import SECRET, TOKEN, Plane, reply, words

TROUBLE = {"code": 500, "message": "database is down", "details": "try later"}


def seen(error: BaseException) -> str:
    return f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"


def test_the_newer_token_address_is_asked_first(tmp_path: Path) -> None:
    plane = Plane()
    plane.adapter(tmp_path).snapshot()
    assert plane.logins == 1
    assert {r.headers["authorization"] for r in plane.asked} == {f"Bearer {TOKEN}-1"}


@pytest.mark.parametrize("status", [404, 405, 500])
def test_an_older_control_plane_has_the_older_address(tmp_path: Path, status: int) -> None:
    plane, bodies = Plane(), []

    def older(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return reply({"accessToken": "old", "expiresIn": 3600})

    plane.answers["POST /api/v2/token"] = words("nothing here", status)
    plane.answers["POST /api/v1/token"] = older
    plane.adapter(tmp_path).snapshot()
    assert bodies == [
        {"grantType": "client_credentials", "clientID": "key", "clientSecret": SECRET}
    ]


def test_a_wrong_key_is_denied_and_its_secret_is_not_told(tmp_path: Path) -> None:
    plane = Plane()
    body = {"error": "invalid_client", "error_description": f"no such secret {SECRET}"}
    plane.answers["POST /api/v2/token"] = reply(body, 401)
    with pytest.raises(Denied, match="invalid_client") as caught:
        plane.adapter(tmp_path).snapshot()
    assert SECRET not in seen(caught.value)
    (_, login) = plane.adapter(tmp_path).probe()
    assert (login.state, SECRET in login.found) == ("broken", False)


def test_a_key_without_a_credential_names_what_to_set(tmp_path: Path) -> None:
    adapter = Plane().adapter(tmp_path, credential_file=None)
    with pytest.raises(Denied, match="credential_file"):
        adapter.snapshot()


def test_401_in_the_middle_renews_the_token_once(tmp_path: Path) -> None:
    plane = Plane()
    adapter = plane.adapter(tmp_path)
    adapter.snapshot()

    def only_new(request: httpx.Request) -> httpx.Response:
        old = request.headers["authorization"] == f"Bearer {TOKEN}-1"
        return reply({"code": 401, "message": "expired"}, 401) if old else reply({"workloads": []})

    plane.answers["GET /api/v1/workloads"] = only_new
    adapter.snapshot()
    assert plane.logins == 2


def test_401_for_ever_is_denied_after_one_repeat(tmp_path: Path) -> None:
    plane = Plane()
    plane.answers["GET /api/v1/nodes"] = reply({"code": 401, "message": "who are you"}, 401)
    with pytest.raises(Denied, match="who are you"):
        plane.adapter(tmp_path).snapshot()
    assert plane.count("GET", "/api/v1/nodes") == 2


def test_a_storm_of_500_is_asked_twice_and_told(tmp_path: Path) -> None:
    plane = Plane()
    plane.answers["GET /api/v1/workloads"] = reply(TROUBLE, 500)
    with pytest.raises(Unavailable, match=r"500 database is down; try later"):
        plane.adapter(tmp_path).snapshot()
    assert plane.count("GET", "/api/v1/workloads") == 2


def test_429_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    plane = Plane()
    busy = reply({"code": 429, "message": "slow down"}, 429, retry_after="3")
    plane.answers["GET /api/v1/workloads"] = [busy, reply({"workloads": []})]
    plane.adapter(tmp_path).snapshot()
    assert plane.paused == [3.0]


def test_429_beyond_the_deadline_is_not_waited_for(tmp_path: Path) -> None:
    plane = Plane()
    busy = reply({"code": 429, "message": "slow down"}, 429, retry_after="60")
    plane.answers["GET /api/v1/workloads"] = busy
    with pytest.raises(Unavailable, match="pause of 60 s"):
        plane.adapter(tmp_path).snapshot()
    assert plane.paused == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (words("upstream connect error\nmore", 503), "503 upstream connect error"),
        (words("<html>502</html>", 502, "text/html"), "502 a web page"),
        (words("", 500), "500 without a word"),
        (words("<html>log in</html>", 200, "text/html"), "no JSON"),
        (words('{"other": []}', 200), "without 'workloads'"),
        (words('{"workloads": {}}', 200), "no JSON as the API gives it"),
        (words("[" * 100_000, 200), "no JSON"),
        (httpx.Response(302, headers={"location": "https://sso.test/login"}), "sends elsewhere"),
    ],
)
def test_what_is_no_answer_of_the_api_is_told(
    tmp_path: Path, answer: httpx.Response, said: str
) -> None:
    plane = Plane()
    plane.answers["GET /api/v1/workloads"] = answer
    with pytest.raises(Unavailable, match=said):
        plane.adapter(tmp_path).snapshot()


def test_a_list_that_is_forbidden_is_denied_and_named(tmp_path: Path) -> None:
    plane = Plane()
    plane.answers["GET /api/v1/nodes"] = reply({"code": 403, "message": "no permission"}, 403)
    with pytest.raises(Denied, match=r"GET /api/v1/nodes: 403 no permission"):
        plane.adapter(tmp_path).snapshot()


def test_a_huge_answer_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MAX_BYTES", 1 << 20)
    plane = Plane()
    plane.answers["GET /api/v1/workloads"] = words("x" * (2 << 20), 200)
    with pytest.raises(Unavailable, match="larger than 1 MiB"):
        plane.adapter(tmp_path).snapshot()


def test_a_server_that_hangs_is_left_at_the_deadline(tmp_path: Path) -> None:
    plane, over = Plane(), threading.Event()

    def hang(request: httpx.Request) -> httpx.Response:
        over.wait(30)
        return reply({"workloads": []})

    plane.answers["GET /api/v1/workloads"] = hang
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"within 0\.5 s"):
        plane.adapter(tmp_path, timeout_s=0.5).snapshot()
    over.set()
    assert time.monotonic() - started < 5


def test_a_connection_that_breaks_is_tried_once_more(tmp_path: Path) -> None:
    plane = Plane()

    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("closed by the server")

    plane.answers["GET /api/v1/workloads"] = [broken, reply({"workloads": []})]
    plane.adapter(tmp_path).snapshot()
    assert plane.count("GET", "/api/v1/workloads") == 2


def test_a_certificate_of_nobody_we_trust_names_ca_file(tmp_path: Path) -> None:
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    make = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    name = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    files = ("-nodes", "-keyout", str(key), "-out", str(pem))
    subprocess.run((*make, *name, *files), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        config = RunaiConfig(
            name="r", url=f"https://127.0.0.1:{port}", client_id="k", credential_env="SECRET"
        )
        adapter = RunaiAdapter(config, env={"SECRET": SECRET})
        with closing(adapter), pytest.raises(Unavailable, match="not trusted") as caught:
            adapter.snapshot()
        thread.join(10)
    assert "ca_file" in str(caught.value)


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(Unavailable, match=r"ca_file .*ca\.pem cannot be used"):
        Plane().adapter(tmp_path, ca_file=file).snapshot()


def test_no_error_shows_the_token(tmp_path: Path) -> None:
    plane = Plane()

    def echo(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError(f"broke with {request.headers['authorization']}")

    plane.answers["GET /api/v1/workloads"] = echo
    adapter = plane.adapter(tmp_path)
    with pytest.raises(SchedulerError) as caught:
        adapter.snapshot()
    assert TOKEN not in seen(caught.value)
    assert TOKEN not in repr(vars(adapter))


def login_in(folder: Path, token: str, **more: str) -> None:
    folder.mkdir(exist_ok=True)
    told = {"accessToken": token, **more}
    coded = {k: base64.urlsafe_b64encode(v.encode()).decode() for k, v in told.items()}
    file = folder / "authentication.json"
    file.write_text(json.dumps(coded))
    file.chmod(0o600)


def test_the_login_of_the_runai_command_is_used(tmp_path: Path) -> None:
    plane = Plane()
    login_in(tmp_path / "cli", "from-cli")
    adapter = plane.adapter(tmp_path, client_id=None, cli_login=tmp_path / "cli")
    adapter.snapshot()
    assert plane.logins == 0
    assert {r.headers["authorization"] for r in plane.asked} == {"Bearer from-cli"}


def test_the_command_s_login_is_read_again_and_refreshed(tmp_path: Path) -> None:
    plane = Plane()
    login_in(tmp_path / "cli", "first", refreshToken="again")
    adapter = plane.adapter(tmp_path, client_id=None, cli_login=tmp_path / "cli")
    adapter.snapshot()
    good = "Bearer second"

    def only(request: httpx.Request) -> httpx.Response:
        fits = request.headers["authorization"] == good
        return reply({"workloads": []}) if fits else reply({"code": 401}, 401)

    plane.answers["GET /api/v1/workloads"] = only
    login_in(tmp_path / "cli", "second", refreshToken="again")
    adapter.snapshot()
    good = "Bearer third"
    plane.answers["POST /api/v1/token"] = lambda request: (
        reply({"accessToken": "third"})
        if json.loads(request.content) == {"grantType": "refresh_token", "refreshToken": "again"}
        else reply({}, 400)
    )
    adapter.snapshot()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_login_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    login_in(tmp_path / "cli", "token")
    (tmp_path / "cli/authentication.json").chmod(mode)
    adapter = Plane().adapter(tmp_path, client_id=None, cli_login=tmp_path / "cli")
    with pytest.raises(Denied, match="mode is"):
        adapter.snapshot()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"accessToken": 7}', '{"accessToken": "%"}'])
def test_a_login_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    login_in(tmp_path / "cli", "token")
    (tmp_path / "cli/authentication.json").write_text(text)
    adapter = Plane().adapter(tmp_path, client_id=None, cli_login=tmp_path / "cli")
    with pytest.raises(Denied, match="runai login"):
        adapter.snapshot()


def test_a_token_is_renewed_before_it_ends(tmp_path: Path) -> None:
    plane, clock = Plane(), [1000.0]
    config = RunaiConfig(
        name="r", url="https://runai.test", client_id="key", credential_env="SECRET"
    )
    client = Client(
        config,
        {"SECRET": SECRET},
        transport=httpx.MockTransport(plane.handle),
        monotonic=lambda: clock[0],
    )
    for moment, logins in ((0.0, 1), (3500.0, 1), (3545.0, 2)):
        clock[0] = 1000.0 + moment
        client.read("/api/v1/nodes", client.deadline())
        assert plane.logins == logins
