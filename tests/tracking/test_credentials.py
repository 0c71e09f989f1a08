"""The credentials, looked for as MLflow's own client does."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from foundry_tui.config.secrets import SecretError
from foundry_tui.tracking.credentials import (
    CLIENT_CERT,
    FILE,
    INSECURE_TLS,
    PASSWORD,
    SERVER_CERT,
    TOKEN,
    USERNAME,
    Tls,
    find,
)
from foundry_tui.tracking.ports import TrackerDenied
from tests.lab.mlflow import MlflowLab
from tests.tracking.wires import client

INI = "[mlflow]\nmlflow_tracking_username = fil\nmlflow_tracking_password = fi%%le: word\n"


def write(home: Path, text: str, mode: int = 0o600) -> Path:
    path = home / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def sent(env: dict[str, str], home: Path) -> str | None:
    """The Authorization header, with a basic one decoded."""
    found = find(env, home).authorization
    if found is None:
        return None
    kind, _, word = found.reveal().partition(" ")
    return f"{kind} {base64.b64decode(word).decode()}" if kind == "Basic" else found.reveal()


CASES: list[tuple[dict[str, str], str | None, str | None]] = [
    ({}, None, None),
    ({USERNAME: "ann"}, None, None),
    ({TOKEN: "tok"}, None, "Bearer tok"),
    ({USERNAME: "ann", PASSWORD: "pä:ss"}, None, "Basic ann:pä:ss"),
    ({USERNAME: "ann", PASSWORD: "pw", TOKEN: "tok"}, None, "Basic ann:pw"),
    ({USERNAME: "ann", TOKEN: "tok"}, None, "Bearer tok"),
    ({}, INI, "Basic fil:fi%le: word"),
    ({USERNAME: "ann"}, INI, "Basic ann:fi%le: word"),
    ({USERNAME: "ann", PASSWORD: "pw"}, INI, "Basic ann:pw"),
    ({TOKEN: "tok"}, INI, "Basic fil:fi%le: word"),
    ({TOKEN: "tok"}, "[other]\nx = y\n", "Bearer tok"),
]


@pytest.mark.parametrize(("env", "file", "header"), CASES)
def test_the_order(
    env: dict[str, str], file: str | None, header: str | None, tmp_path: Path
) -> None:
    if file is not None:
        write(tmp_path, file)
    assert sent(env, tmp_path) == header
    found = find(env, tmp_path)
    assert (found.origin is None) == (header is None)
    if header is not None:
        secret = header.rpartition(":")[2] if "Basic" in header else "tok"
        assert any(secret in hidden.reveal() for hidden in found.hidden)
        assert secret not in repr(found)


def test_mlflow_itself_sends_the_same(mlflow_server: MlflowLab, tmp_path: Path) -> None:
    """All cases in one process of the real client: its import takes seconds."""
    code = """
import json, os, sys
from pathlib import Path
from mlflow.utils.credentials import get_default_host_creds
for env, file, header in json.load(sys.stdin):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        os.environ.pop("MLFLOW_TRACKING_" + name, None)
    os.environ.update(env)
    path = Path.home() / ".mlflow" / "credentials"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if file is not None:
        path.write_text(file)
    found = get_default_host_creds("http://x")
    # As http_request of mlflow.utils.rest_utils chooses.
    if found.username and found.password:
        told = f"Basic {found.username}:{found.password}"
    else:
        told = f"Bearer {found.token}" if found.token else None
    assert told == header, (env, file, told, header)
"""
    done = subprocess.run(
        [str(mlflow_server.python), "-c", code],
        input=json.dumps(CASES).encode(),
        env={"HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620])
def test_a_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = write(tmp_path, INI, mode)
    with pytest.raises(SecretError, match="0600") as caught:
        find({}, tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["mlflow_tracking_password = pass1", "[mlflow]\npass1", "[mlflow]\na = %(pass1"]
)
def test_a_damaged_file_is_told_without_what_it_holds(text: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    with pytest.raises(SecretError, match="INI") as caught:
        find({}, tmp_path)
    assert "pass1" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("token", ["tok9\nX-Evil: 1", " tok9", "tök9", "t\x00k9"])
def test_a_token_that_would_forge_a_header_is_refused(token: str, tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=TOKEN) as caught:
        find({TOKEN: token}, tmp_path)
    assert token not in str(caught.value)


def test_tls_settings(tmp_path: Path) -> None:
    assert find({}, tmp_path).tls == Tls()
    env = {SERVER_CERT: "/ca.pem", CLIENT_CERT: "/me.pem"}
    assert find(env, tmp_path).tls == Tls(Path("/ca.pem"), Path("/me.pem"))
    for word, value in {"TRUE": True, "1": True, "false": False, "0": False}.items():
        assert find({INSECURE_TLS: word}, tmp_path).tls.insecure is value
    with pytest.raises(SecretError, match="neither true nor false"):
        find({INSECURE_TLS: "yes"}, tmp_path)
    with pytest.raises(SecretError, match=SERVER_CERT):
        find({INSECURE_TLS: "true", SERVER_CERT: "/ca.pem"}, tmp_path)


def test_unusable_credentials_are_an_error_of_the_call(tmp_path: Path) -> None:
    """The app starts all the same, and says so where the server would be shown."""
    path = write(tmp_path, INI, 0o644)
    tracker = client("http://127.0.0.1:1", lambda: find({}, tmp_path))
    with pytest.raises(TrackerDenied, match="0600"):
        tracker.get("ab12")
    (finding,) = tracker.probe()
    assert (finding.state, str(path) in finding.found) == ("denied", True)
    tracker.close()
