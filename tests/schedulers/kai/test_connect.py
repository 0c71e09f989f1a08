"""The connection: errors in words, deadlines that hold, logins that hang, end or are refused."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.config.sources import KubernetesConfig
from foundry_tui.schedulers.kai import connect
from foundry_tui.schedulers.kai.connect import Cluster, Forbidden, Overloaded, Refused, Unreached
from foundry_tui.schedulers.ports import Denied, SchedulerError, Unavailable
from tests.schedulers.kai.things import PODS
from tests.schedulers.kai.tiny import TinyApi, Trouble, kubeconfig


def configured(path: Path, timeout_s: float = 5.0, context: str | None = None) -> KubernetesConfig:
    return KubernetesConfig(name="tiny", kubeconfig=path, context=context, timeout_s=timeout_s)


def failing(cluster: Cluster) -> SchedulerError:
    with pytest.raises(SchedulerError) as caught:
        cluster.request("GET", PODS)
    return caught.value


def refusing(status: int, message: str = "no", **headers: str) -> Callable[..., Trouble]:
    return lambda *_: (status, message, headers)


@contextmanager
def mute(answer: bytes = b"", pause_s: float = 0.05) -> Iterator[str]:
    """A server that takes connections and says nothing more than `answer`, byte by byte."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)

        def serve(taken: socket.socket) -> None:
            with taken:
                for at in range(len(answer)):
                    if over.wait(pause_s if at > 80 else 0):
                        return
                    try:
                        taken.sendall(answer[at : at + 1])
                    except OSError:
                        return
                over.wait()

        def take() -> None:
            while not over.is_set():
                try:
                    taken = listening.accept()[0]
                except TimeoutError:
                    continue
                threading.Thread(target=serve, args=(taken,), daemon=True).start()

        thread = threading.Thread(target=take)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        thread.join()


def test_a_body_comes_back_as_bytes(api: TinyApi, config: KubernetesConfig) -> None:
    data = Cluster(config).request("GET", PODS, query={"limit": "5", "fieldSelector": "a=b c"})
    assert json.loads(data)["items"] == []
    assert api.asked == [("GET", PODS, {"limit": "5", "fieldSelector": "a=b c"})]
    assert Cluster(config).server == api.url


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Forbidden),
        (403, Forbidden),
        (404, Refused),
        (409, Refused),
        (410, Refused),
        (422, Refused),
        (429, Overloaded),
        (500, Overloaded),
        (503, Overloaded),
    ],
)
def test_each_status_has_its_error(
    api: TinyApi, config: KubernetesConfig, status: int, kind: type[SchedulerError]
) -> None:
    api.trouble = refusing(status, "what the server says")
    error = failing(Cluster(config))
    assert type(error) is kind
    assert isinstance(error, Denied) == (status in (401, 403))
    assert isinstance(error, Unavailable) == (status in (429, 500, 503))
    assert f"GET {PODS}: {status} what the server says" in str(error)
    assert len(api.asked) == 1


def test_a_busy_server_says_how_long_to_wait(api: TinyApi, config: KubernetesConfig) -> None:
    api.trouble = refusing(429, "slow down", **{"Retry-After": "7"})
    error = failing(Cluster(config))
    assert isinstance(error, Overloaded)
    assert (error.retry_after_s, error.sent) == (7.0, False)
    assert "7 s" in error.hint


def test_the_words_of_a_server_are_made_safe(api: TinyApi, config: KubernetesConfig) -> None:
    api.trouble = refusing(403, "no\x1b[31m\nline")
    assert str(failing(Cluster(config))).isprintable()


def test_a_server_that_says_nothing_is_left_in_time(tmp_path: Path) -> None:
    with mute() as url:
        started = time.monotonic()
        error = failing(Cluster(configured(kubeconfig(tmp_path, url), timeout_s=1.0)))
        assert time.monotonic() - started < 2.5
    assert isinstance(error, Unreached)
    assert error.sent


def test_an_answer_that_drips_is_left_in_time(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    with mute(head + b" " * 100_000) as url:
        started = time.monotonic()
        error = failing(Cluster(configured(kubeconfig(tmp_path, url), timeout_s=1.0)))
        assert time.monotonic() - started < 2.5
    assert isinstance(error, Unreached)


def test_nobody_listening_is_not_sent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    error = failing(Cluster(configured(kubeconfig(tmp_path, f"http://127.0.0.1:{port}"))))
    assert isinstance(error, Unreached)
    assert not error.sent


# -- the kubeconfig


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    error = failing(Cluster(configured(tmp_path / "nowhere")))
    assert isinstance(error, Unavailable)
    assert "nowhere" in str(error)
    assert "kubeconfig" in error.hint


def test_a_missing_context_names_those_that_are_there(tmp_path: Path, api: TinyApi) -> None:
    path = kubeconfig(tmp_path, api.url)
    error = failing(Cluster(configured(path, context="other")))
    assert "no context 'other'" in error.answer
    assert "there is tiny" in error.hint


def test_of_two_contexts_the_configured_one_is_taken(tmp_path: Path, api: TinyApi) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    told = json.loads(path.read_text())
    told["clusters"].append({"name": "d", "cluster": {"server": api.url}})
    told["contexts"].append({"name": "second", "context": {"cluster": "d", "user": "u"}})
    path.write_text(json.dumps(told))
    Cluster(configured(path, context="second")).request("GET", PODS)
    assert isinstance(failing(Cluster(configured(path))), Unreached)


def test_the_namespace_is_that_of_the_context(tmp_path: Path, api: TinyApi) -> None:
    path = kubeconfig(tmp_path, api.url)
    assert Cluster(configured(path)).namespace is None
    told = json.loads(path.read_text())
    told["contexts"][0]["context"]["namespace"] = "team-a"
    path.write_text(json.dumps(told))
    assert Cluster(configured(path)).namespace == "team-a"
    assert api.asked == []


@pytest.mark.parametrize("text", ["", "a: [", "[]", '{"contexts": 5}', "\x00", "just words"])
def test_what_is_no_kubeconfig_is_an_error_and_no_crash(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    error = failing(Cluster(configured(path)))
    assert isinstance(error, Unavailable)
    assert "kubeconfig" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    path.chmod(0)
    assert "Permission denied" in str(failing(Cluster(configured(path))))


def test_a_kubeconfig_that_was_mended_is_read_again(tmp_path: Path, api: TinyApi) -> None:
    cluster = Cluster(configured(tmp_path / "kubeconfig"))
    failing(cluster)
    kubeconfig(tmp_path, api.url)
    cluster.request("GET", PODS)


# -- tokens and login commands


def test_a_token_is_sent(tmp_path: Path, api: TinyApi) -> None:
    Cluster(configured(kubeconfig(tmp_path, api.url, {"token": "secret-1"}))).request("GET", PODS)
    assert api.headers[0]["Authorization"] == "Bearer secret-1"


def test_a_token_file_may_end_in_a_line_feed(tmp_path: Path, api: TinyApi) -> None:
    (tmp_path / "token").write_text("secret-1\n")
    path = kubeconfig(tmp_path, api.url, {"tokenFile": str(tmp_path / "token")})
    Cluster(configured(path)).request("GET", PODS)
    assert api.headers[0]["Authorization"] == "Bearer secret-1"


@pytest.mark.parametrize(
    "user",
    [
        {"token": "SECRET\nX-Header: 1"},
        {"token": "SECRET\u20ac"},
        {"auth-provider": {"name": "oidc", "config": {"refresh-token": "SECRET"}}},
    ],
)
def test_what_is_wrong_with_a_login_is_told_without_it(
    tmp_path: Path, api: TinyApi, user: dict[str, Any]
) -> None:
    error = failing(Cluster(configured(kubeconfig(tmp_path, api.url, user))))
    assert isinstance(error, Unavailable)
    assert "kubeconfig" in str(error)
    assert "SECRET" not in str(error)


def plugin(folder: Path, body: str) -> dict[str, Any]:
    """A user who logs in by a command that runs these lines of Python."""
    path = folder / "login"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    version = "client.authentication.k8s.io/v1"
    return {
        "exec": {"apiVersion": version, "command": str(path), "env": [{"name": "E", "value": "v"}]}
    }


def printing(token: str, ends_at: datetime | None = None) -> str:
    """Lines of a login command that tells a token and counts its runs in a file."""
    status = {"token": token, **({"expirationTimestamp": ends_at.isoformat()} if ends_at else {})}
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": status,
    }
    return f"open(sys.argv[0] + '.runs', 'a').write('x')\nprint({json.dumps(told)!r})"


def runs(folder: Path) -> int:
    path = folder / "login.runs"
    return len(path.read_text()) if path.exists() else 0


def test_a_login_command_tells_the_token_once(tmp_path: Path, api: TinyApi) -> None:
    body = "assert os.environ['E'] == 'v' and not sys.stdin.read()\n" + printing("from-command")
    cluster = Cluster(configured(kubeconfig(tmp_path, api.url, plugin(tmp_path, body))))
    for _ in range(3):
        cluster.request("GET", PODS)
    assert {h["Authorization"] for h in api.headers} == {"Bearer from-command"}
    assert runs(tmp_path) == 1


def test_a_token_that_ends_is_renewed(tmp_path: Path, api: TinyApi) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    user = plugin(tmp_path, printing("short", soon))
    cluster = Cluster(configured(kubeconfig(tmp_path, api.url, user)))
    cluster.request("GET", PODS)
    plugin(tmp_path, printing("long"))
    until = time.monotonic() + 10
    while runs(tmp_path) == 1 and time.monotonic() < until:
        cluster.request("GET", PODS)
        time.sleep(0.05)
    assert api.headers[-1]["Authorization"] == "Bearer long"


def test_a_login_command_that_hangs_is_left_in_time_and_ended(tmp_path: Path, api: TinyApi) -> None:
    body = "open(sys.argv[0] + '.pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    path = kubeconfig(tmp_path, api.url, plugin(tmp_path, body))
    cluster = Cluster(configured(path, timeout_s=1.0))
    started = time.monotonic()
    errors = [failing(cluster), failing(cluster)]
    assert time.monotonic() - started < 4.0
    assert all(isinstance(e, Unavailable) and "kubectl get nodes" in e.hint for e in errors)
    pid = int((tmp_path / "login.pid").read_text())
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit('the card is not in the reader')", "the card is not in the reader"),
        ("print('no json')", "no ExecCredential"),
        ("print('{}')", "no ExecCredential"),
        ("print('x' * (2 << 20))", "more than"),
    ],
)
def test_a_login_command_that_fails_says_why(
    tmp_path: Path, api: TinyApi, body: str, words: str
) -> None:
    error = failing(Cluster(configured(kubeconfig(tmp_path, api.url, plugin(tmp_path, body)))))
    assert isinstance(error, Unavailable)
    assert words in error.answer
    assert "login command" in error.asked


def test_a_login_command_that_is_not_there_gives_its_own_hint(tmp_path: Path, api: TinyApi) -> None:
    user = {"exec": {"command": "no-such-login", "installHint": "install the login tool"}}
    error = failing(Cluster(configured(kubeconfig(tmp_path, api.url, user))))
    assert "no-such-login" in error.answer
    assert error.hint == "install the login tool"


def test_a_refused_token_is_read_anew_and_the_request_repeated(
    tmp_path: Path, api: TinyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "RENEW_S", 0.0)
    path = kubeconfig(tmp_path, api.url, {"token": "old"})

    def only_new(*_: object) -> Trouble | None:
        good = api.headers[-1]["Authorization"] == "Bearer new"
        return None if good else (401, "Unauthorized", {})

    cluster = Cluster(configured(path))
    cluster.request("GET", PODS)
    api.trouble = only_new
    kubeconfig(tmp_path, api.url, {"token": "new"})
    assert json.loads(cluster.request("GET", PODS))["items"] == []


def test_a_refused_token_is_not_read_anew_all_the_time(tmp_path: Path, api: TinyApi) -> None:
    user = plugin(tmp_path, printing("bad"))
    api.trouble = refusing(401, "Unauthorized")
    cluster = Cluster(configured(kubeconfig(tmp_path, api.url, user)))
    for _ in range(5):
        error = failing(cluster)
        assert isinstance(error, Forbidden)
        assert "log in again" in error.hint
    assert runs(tmp_path) == 1
