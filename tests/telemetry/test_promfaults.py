"""A server that fails in every way: a state with its reason, in time, and never an exception."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.source import SourceState
from foundry_tui.telemetry.ports import Sweep
from foundry_tui.telemetry.prometheus import server as promserver
from foundry_tui.telemetry.prometheus.source import PrometheusSource
from tests.agent.certificates import Authority
from tests.agent.conftest import authority
from tests.telemetry.loopback import listening, write

__all__ = ["authority"]

NOW = datetime(2026, 3, 1, 12, 0, 20, tzinfo=UTC)
CONFIG = TelemetryConfig(name="prom", kind="prometheus", url="http://prom.example:9090")
USED = "DCGM_FI_DEV_FB_USED"


def mocked(
    handler: Callable[[httpx.Request], httpx.Response], config: TelemetryConfig = CONFIG
) -> PrometheusSource:
    def unread(request: httpx.Request) -> httpx.Response:
        """As from a network: what `httpx.Response` was made with counts as read already."""
        made = handler(request)
        return httpx.Response(made.status_code, headers=made.headers, stream=made.stream)

    transport = httpx.MockTransport(unread)
    return PrometheusSource(config, env={}, clock=lambda: NOW, transport=transport)


def swept(response: httpx.Response) -> Sweep:
    return mocked(lambda request: response).read(("n1",), 5)


def reason(sweep: Sweep) -> str:
    assert sweep.readings == ()
    assert sweep.source.read_at is None
    assert sweep.source.reason is not None
    assert sweep.source.reason.isprintable()
    return sweep.source.reason


ERROR = b'{"status":"error","errorType":"execution","error":"too many samples"}'


@pytest.mark.parametrize(
    ("response", "state", "words"),
    [
        (httpx.Response(401), SourceState.DENIED, "answered 401; foundry sent no credential"),
        (httpx.Response(403, html="<p>no"), SourceState.DENIED, "answered 403"),
        (httpx.Response(422, content=ERROR), SourceState.DOWN, "422 (execution: too many samples)"),
        (httpx.Response(503, text="Service Unavailable"), SourceState.DOWN, "answered 503"),
        (httpx.Response(404, text="404 page not found"), SourceState.DOWN, "set `url`"),
        (
            httpx.Response(200, html="<html>sign in"),
            SourceState.DOWN,
            "text/html that is no answer",
        ),
        (httpx.Response(200, content=b"{}"), SourceState.DOWN, "that is no answer of a Prometheus"),
        (httpx.Response(200, content=b'{"status":"suc'), SourceState.DOWN, "that is no answer"),
        (
            httpx.Response(302, headers={"location": "https://evil.example/x"}),
            SourceState.DOWN,
            "sends on to https://evil.example/x, which is not followed",
        ),
        (
            httpx.Response(200, content=b"x", headers={"content-encoding": "zstd"}),
            SourceState.DOWN,
            "compressed",
        ),
    ],
)
def test_an_answer_that_is_none_says_why(
    response: httpx.Response, state: SourceState, words: str
) -> None:
    sweep = swept(response)
    assert sweep.source.state is state
    assert words in reason(sweep)


def test_a_redirection_is_not_followed_and_its_host_never_sees_the_token(tmp_path: Path) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(307, headers={"location": "http://evil.example/"})

    mocked(handler).read(("n1",), 5)
    assert asked == ["prom.example"]


def test_a_server_without_gpus_is_off() -> None:
    empty = httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix"}})
    source = mocked(lambda request: empty, replace(CONFIG, match=("cluster=x",)))
    sweep = source.read(("n1",), 5)
    assert sweep.source.state is SourceState.OFF
    assert "no metrics of GPUs with cluster=x" in reason(sweep)
    assert [found.state for found in source.probe(())] == ["ok", "off"]


def test_a_label_that_is_none_names_its_field() -> None:
    source = mocked(lambda request: httpx.Response(500), replace(CONFIG, match=('x"}=1',)))
    assert "match = " in reason(source.read(("n1",), 5))
    assert source.probe(())[0].state == "down"


def test_a_match_cannot_leave_its_selector() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["query"])
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix"}})

    mocked(handler, replace(CONFIG, match=('cluster="}or vector(1)#',))).read((), 5)
    assert asked
    assert all('cluster="\\"}or vector(1)#"' in query for query in asked)


class Scraped:
    """A server whose clock is `ahead` of ours and that has one GPU, scraped every 15 s."""

    def __init__(self, ahead: timedelta, **more: Any) -> None:
        self.now, self.more = NOW + ahead, more
        self.times: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query, at = request.url.params["query"], float(request.url.params["time"])
        self.times.append(at)
        labels = {"__name__": USED, "gpu": "0", "Hostname": "n1", "job": "dcgm"}
        value: dict[str, Any] = {"value": [at, "42"]}
        if query.endswith("ms]"):
            value = {"values": [[at - 15 * n, "42"] for n in range(40, 0, -1)]}
        elif " by (" in query and not query.startswith("count"):
            del labels["__name__"]
        there = abs(at - self.now.timestamp()) < 300 and USED in query
        data = {
            "resultType": "matrix" if "values" in value else "vector",
            "result": [{"metric": labels, **value}] if there else [],
        }
        return httpx.Response(
            200,
            json={"status": "success", "data": data, **self.more},
            headers={"date": format_datetime(self.now, usegmt=True)},
        )


@pytest.mark.parametrize("minutes", [-10, 10, 1440])
def test_a_clock_that_is_off_is_told_and_reckoned_with(minutes: int) -> None:
    server = Scraped(timedelta(minutes=minutes))
    sweep = mocked(server).read(("n1",), 5)
    (one,) = sweep.readings
    assert one.mem_used_bytes == 42 << 20
    assert one.read_at == NOW.replace(second=0), "on our clock"
    assert sweep.source.state is SourceState.OK
    assert f"clock is {abs(minutes) * 60} s" in (sweep.source.reason or "")
    assert server.now.timestamp() - 60 < server.times[-1] <= server.now.timestamp()


def test_a_clock_that_is_right_is_not_spoken_of() -> None:
    sweep = mocked(Scraped(timedelta(seconds=2))).read(("n1",), 5)
    assert (len(sweep.readings), sweep.source.reason) == (1, None)


def test_what_the_server_warns_of_is_passed_on() -> None:
    server = Scraped(timedelta(), warnings=["a store is slow"], isPartial=True)
    sweep = mocked(server).read(("n1",), 5)
    assert len(sweep.readings) == 1
    assert (
        sweep.source.reason == "a store is slow; the server says that a part of its data is absent"
    )


def test_a_server_that_has_lost_its_gpus_is_stale_and_then_asked_anew() -> None:
    server = Scraped(timedelta())
    source = mocked(server)
    assert len(source.read(("n1",), 5).readings) == 1

    def nothing(request: httpx.Request) -> httpx.Response:
        empty = {"resultType": "vector", "result": []}
        return httpx.Response(200, json={"status": "success", "data": empty})

    lost = mocked(lambda request: (server if not server.times[2:] else nothing)(request))
    server.times.clear()
    sweep = lost.read(("n1",), 5)
    assert (sweep.readings, sweep.source.state) == ((), SourceState.STALE)
    assert lost.read(("n1",), 5).source.state is SourceState.OFF


def real(url: str, **more: object) -> PrometheusSource:
    config = replace(CONFIG, url=url, **more)  # type: ignore[arg-type]
    return PrometheusSource(config, env={"TOKEN": "sesame"}, clock=lambda: NOW)


def test_nobody_listens() -> None:
    with listening(lambda handler: None) as url:
        pass
    source = real(url)
    sweep = source.read(("n1",), 5)
    assert sweep.source.state is SourceState.DOWN
    assert f"no connection to {url}" in reason(sweep)
    source.close()
    source.close()


def test_a_server_that_hangs_or_drips_holds_nobody_beyond_the_deadline() -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not done.wait(0.05):
            handler.wfile.write(b" ")

    for answer in (lambda handler: done.wait(20), drip):
        with listening(answer) as url:  # type: ignore[arg-type]
            source = real(url, timeout_s=1.0)
            before = time.monotonic()
            sweep = source.read(("n1",), 0.4)
            took_s = time.monotonic() - before
            done.set()
        assert took_s < 2
        assert "did not answer within" in reason(sweep)
        done.clear()
        source.close()


def test_a_huge_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [0]

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 30))
        handler.end_headers()
        block = b" " * (1 << 16)
        while sent[0] < 1 << 30:
            handler.wfile.write(block)
            sent[0] += len(block)

    monkeypatch.setattr(promserver, "MAX_BYTES", 4 << 20)
    with listening(flood) as url:
        source = real(url)
        sweep = source.read(("n1",), 5)
        source.close()
    assert "larger than 4 MiB" in reason(sweep)
    assert sent[0] < 64 << 20


def test_a_packed_bomb_is_never_unpacked() -> None:
    bomb = gzip.compress(b" " * (8 << 20))
    with listening(lambda handler: write(handler, bomb, Content_Encoding="gzip")) as url:
        source = real(url)
        assert "compressed" in reason(source.read(("n1",), 5))
        source.close()


def test_a_wrong_token_is_told_and_never_shown() -> None:
    def guarded(handler: BaseHTTPRequestHandler) -> None:
        token = handler.headers.get("Authorization", "")
        write(handler, b"denied: " + token.encode(), 401)

    with listening(guarded) as url:
        source = real(url, credential_env="TOKEN")
        sweep = source.read(("n1",), 5)
        source.close()
        lacking = real(url, credential_env="OTHER")
        lacks = lacking.read(("n1",), 5)
        lacking.close()
    assert sweep.source.state is SourceState.DENIED
    assert "foundry sent its credential" in reason(sweep)
    assert "sesame" not in repr(sweep)
    assert "$OTHER: is not set" in reason(lacks)


def test_the_right_token_is_sent() -> None:
    seen = []

    def guarded(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        query = parse_qs(urlsplit(handler.path).query)["query"][0]
        assert query
        body = {"status": "success", "data": {"resultType": "matrix", "result": []}}
        write(handler, json.dumps(body).encode())

    with listening(guarded) as url:
        source = real(url, credential_env="TOKEN")
        assert source.read(("n1",), 5).source.state is SourceState.OFF
        source.close()
    assert set(seen) == {"Bearer sesame"}


@pytest.mark.parametrize(
    ("expired", "trusted", "words"),
    [(True, True, "expired"), (False, False, "is not trusted"), (False, True, None)],
)
def test_certificates_are_checked(
    authority: Authority, expired: bool, trusted: bool, words: str | None
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.sign("server", expired=expired))
    body = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
    with listening(lambda handler: write(handler, body), tls) as url:
        source = real(url, ca_file=authority.ca if trusted else None)
        sweep = source.read(("n1",), 5)
        source.close()
    if words is None:
        assert sweep.source.state is SourceState.OFF
    else:
        assert sweep.source.state is SourceState.DOWN
        assert words in reason(sweep)


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    key = tmp_path / "key.pem"
    key.write_text("x")
    key.chmod(0o644)
    for field, path in (("ca_file", tmp_path / "ca.pem"), ("ca_file", tmp_path / "none.pem")):
        sweep = real("https://127.0.0.1:1", **{field: path}).read(("n1",), 5)
        assert f"{field} {path} cannot be used" in reason(sweep)
    sweep = real("https://127.0.0.1:1", client_cert=key, client_key=key).read(("n1",), 5)
    assert f"client_key {key} cannot be used" in reason(sweep)
    assert "0600" in reason(sweep)


def test_no_address_names_its_field() -> None:
    source = PrometheusSource(replace(CONFIG, url=None), env={}, clock=lambda: NOW)
    assert "set `url`" in reason(source.read(("n1",), 5))
