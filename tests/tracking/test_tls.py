"""TLS to a tracking server, with certificates that are made for the test."""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from foundry_tui.tracking.credentials import CLIENT_CERT, INSECURE_TLS, SERVER_CERT, find
from foundry_tui.tracking.mlflow import Mlflow
from foundry_tui.tracking.ports import TrackerDown, TrackingError
from tests.tracking.wires import client

RUN = {"info": {"run_id": "ab12", "experiment_id": "1", "status": "RUNNING"}}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"run": RUN}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A handshake that the client breaks off is what is tested."""


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-", "-out", "-"),
        ],
        capture_output=True,
        check=True,
    )
    path.write_bytes(made.stdout)
    return path


@contextlib.contextmanager
def serving(pem: Path, *, ask_client: bool = False) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pem)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def tracking(url: str, env: dict[str, str], home: Path) -> Iterator[Mlflow]:
    tracker = client(url, lambda: find(env, home))
    yield tracker
    tracker.close()


def test_a_certificate_is_checked(pem: Path, tmp_path: Path) -> None:
    with serving(pem) as url:
        with tracking(url, {}, tmp_path) as tracker, pytest.raises(TrackerDown) as caught:
            tracker.get("ab12")
        assert "CERTIFICATE_VERIFY_FAILED" in caught.value.answer
        with tracking(url, {SERVER_CERT: str(pem)}, tmp_path) as tracker:
            assert tracker.get("ab12") is not None
        with tracking(url, {INSECURE_TLS: "true"}, tmp_path) as tracker:
            assert tracker.get("ab12") is not None


def test_a_client_certificate_is_shown(pem: Path, tmp_path: Path) -> None:
    with serving(pem, ask_client=True) as url:
        env = {SERVER_CERT: str(pem)}
        with tracking(url, env, tmp_path) as tracker, pytest.raises(TrackerDown):
            tracker.get("ab12")
        with tracking(url, {**env, CLIENT_CERT: str(pem)}, tmp_path) as tracker:
            assert tracker.get("ab12") is not None


@pytest.mark.parametrize("name", [SERVER_CERT, CLIENT_CERT])
def test_a_certificate_file_that_is_none_is_named(name: str, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").touch()
        with tracking("https://127.0.0.1:1", {name: str(path)}, tmp_path) as tracker:
            with pytest.raises(TrackingError) as caught:
                tracker.get("ab12")
            assert name in caught.value.answer
            assert str(path) in caught.value.answer
