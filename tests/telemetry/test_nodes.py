"""Agents and exporters over real connections: the good ones, and every way to be a bad one."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

import pytest

from foundry_tui.config.sources import TelemetryConfig
from foundry_tui.estate.reading import FaultKind
from foundry_tui.estate.source import SourceState
from foundry_tui.telemetry.exposition.metrics import ASKED
from foundry_tui.telemetry.nodes.fetch import _request
from foundry_tui.telemetry.nodes.source import NodesSource
from foundry_tui.telemetry.nodes.targets import Targets
from tests.agent.certificates import Authority
from tests.telemetry.pages import Handler, Server, agent, answering, gpu, ok, saying, targets_file

AT = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
NO_ENV: Mapping[str, str] = MappingProxyType({})


def page(*gpus: str, at: datetime = AT) -> bytes:
    return agent(*gpus, at=at.timestamp())


@dataclass
class Site:
    """Nodes that are served, and the source that asks them. `now` is the time of the source."""

    folder: Path
    stack: ExitStack
    now: datetime = AT

    def source(
        self,
        handlers: Mapping[str, Handler],
        *,
        kind: str = "agents",
        context: ssl.SSLContext | None = None,
        env: Mapping[str, str] = NO_ENV,
        timeout_s: float = 5.0,
        **more: object,
    ) -> tuple[NodesSource, dict[str, Server]]:
        servers = {
            node: self.stack.enter_context(Server(handler, context))
            for node, handler in handlers.items()
        }
        listed = [(node, server.port) for node, server in servers.items()]
        config = TelemetryConfig(
            name="t",
            kind=kind,
            targets_file=targets_file(self.folder, listed, "https" if context else "http"),
            timeout_s=timeout_s,
        )
        source = NodesSource(
            replace(config, **more),  # type: ignore[arg-type]
            env=env,
            clock=lambda: self.now,
        )
        self.stack.callback(source.close)
        return source, servers


@pytest.fixture
def site(tmp_path: Path) -> object:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def asked_for(request: bytes) -> list[str]:
    """The metrics that a request names."""
    target = request.split(b" ")[1].decode()
    return parse_qs(urlsplit(target).query).get("name[]", [])


def test_an_agent_is_asked_for_what_is_read_and_an_exporter_for_its_page(site: Site) -> None:
    whole = page(gpu(host="a"), "something_else 5\n")
    for kind, names in (("agents", list(ASKED)), ("dcgm", [])):
        source, servers = site.source({"a": answering(whole)}, kind=kind)
        (reading,) = source.read((), 20).readings
        assert asked_for(servers["a"].requests[0]) == names
        assert (reading.util_pct, reading.mem_total_bytes) == (50, (1024 + 80000) << 20), (
            "one that answers with all that it has is read too"
        )


def test_what_is_asked_stands_behind_a_query_of_the_address(site: Site) -> None:
    config = TelemetryConfig(name="t", kind="agents", url="http://{node}:9/metrics?cluster=a")
    (target,), _ = Targets(config).of(("n1",))
    request = _request(target, "name%5B%5D=x", None)
    assert request.startswith(b"GET /metrics?cluster=a&name%5B%5D=x HTTP/1.1\r\n")


def test_every_node_is_asked_and_connections_are_kept(site: Site) -> None:
    handlers = {f"n{i}": answering(page(gpu(host=f"n{i}"), gpu(1, host=f"n{i}"))) for i in range(3)}
    source, servers = site.source(handlers)
    for _ in range(3):
        sweep = source.read((), 10)
        assert [(r.node, r.index, r.util_pct) for r in sweep.readings] == [
            (f"n{i}", index, 50) for i in range(3) for index in range(2)
        ]
        assert (sweep.asked, sweep.silent) == (3, {})
        assert (sweep.source.state, sweep.source.reason) == (SourceState.OK, None)
        assert sweep.source.read_at == AT
    assert [server.connections for server in servers.values()] == [1, 1, 1]
    assert source.probe(())[0].found == "all 3 nodes answer"


def test_a_connection_that_the_server_dropped_is_opened_again(site: Site) -> None:
    source, servers = site.source({"n1": answering(page(gpu()))})
    for _ in range(3):
        assert source.read((), 10).silent == {}
        servers["n1"].drop()
    assert servers["n1"].connections == 3


def test_one_that_closes_after_each_answer_is_read_too(site: Site) -> None:
    body = page(gpu())
    handler: Handler = lambda connection, _: connection.sendall(ok(body, "Connection: close"))  # noqa: E731
    source, servers = site.source({"n1": handler})
    assert [source.read((), 10).asked for _ in range(2)] == [1, 1]
    assert servers["n1"].connections == 2


def endless(connection: socket.socket, request: bytes) -> None:
    """An answer of a gigabyte, as fast as it is taken."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(1024):
        connection.sendall(b"m 1\n" * (256 << 10))


def bomb(connection: socket.socket, request: bytes) -> None:
    connection.sendall(ok(gzip.compress(bytes(64 << 20), 1), "Content-Encoding: gzip"))


def hang(connection: socket.socket, request: bytes) -> None:
    connection.recv(1)


def trickle(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
    while True:
        connection.sendall(b"#")
        time.sleep(0.05)


def redirect(connection: socket.socket, request: bytes) -> None:
    connection.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\x1b[2J\r\nContent-Length: 0\r\n\r\n"
    )


BAD: Mapping[str, tuple[Handler, str]] = {
    "endless": (endless, "the answer is longer than 8 MiB"),
    "bomb": (bomb, "the answer unfolds to more than 8 MiB"),
    "hang": (hang, "no answer within 1 s"),
    "trickle": (trickle, "no answer within 1 s"),
    "redirect": (redirect, "it redirects to http://evil.example/␛[2J"),
    "token": (saying(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), "it wants a token"),
    "fails": (saying(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "status 500"),
    "ssh": (saying(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "the answer is not HTTP"),
    "html": (saying(ok(b"<html>\n<p>Sign in</p>\n</html>\n")), "not a page of metrics"),
    "empty": (saying(ok(b"")), "its page has no GPU"),
    "closes": (saying(b""), "it closed the connection before an answer"),
    "cut": (saying(ok(page(gpu()))[:-9]), "it closed the connection in the middle"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_node_is_silent_with_its_reason_and_costs_only_itself(site: Site, bad: str) -> None:
    handler, words = BAD[bad]
    source, _ = site.source({"bad": handler, "good": answering(page(gpu()))}, timeout_s=1.0)
    begun = time.monotonic()
    sweep = source.read((), 20)
    assert time.monotonic() - begun < 10
    assert [reading.node for reading in sweep.readings] == ["good"]
    assert list(sweep.silent) == ["bad"]
    assert words in sweep.silent["bad"]
    assert sweep.source.state is SourceState.OK
    assert (sweep.source.reason or "").startswith("1 of 2 agents, 1 ")
    found = source.probe(())
    assert [line.state for line in found] == ["ok", "down"]
    assert found[1].what == "agents t on bad"
    assert found[1].mend


def test_hosts_that_are_gone_or_have_no_name(site: Site) -> None:
    source, _ = site.source({})
    path = site.folder / "targets.json"
    path.write_text(f'[{{"targets": ["127.0.0.1:{closed_port()}", "no-such-host.invalid:1"]}}]')
    sweep = source.read((), 20)
    assert sweep.silent["127.0.0.1"] == "nobody answers on that port"
    assert sweep.silent["no-such-host"].startswith("its name has no address")
    assert (sweep.source.state, sweep.readings) == (SourceState.DOWN, ())
    assert (sweep.source.reason or "").startswith("0 of 2 agents, 1 refused, 1 unknown host")


def test_a_node_that_failed_is_left_alone_for_a_while(site: Site) -> None:
    source, servers = site.source({"bad": BAD["fails"][0], "good": answering(page(gpu()))})
    for _ in range(4):
        sweep = source.read((), 10)
    assert len(servers["bad"].requests) < 4
    assert "status 500; asked again in" in sweep.silent["bad"]
    assert len(servers["good"].requests) == 4
    before = len(servers["bad"].requests)
    source.probe(())
    assert len(servers["bad"].requests) == before + 1, "a person who asks is not put off"


def test_slow_nodes_do_not_keep_the_sweep_beyond_its_deadline(site: Site) -> None:
    slow = {f"slow{i}": hang for i in range(3)}
    source, _ = site.source({**slow, "good": answering(page(gpu()))}, timeout_s=10.0)
    begun = time.monotonic()
    sweep = source.read((), 1.0)
    assert time.monotonic() - begun < 5
    assert [reading.node for reading in sweep.readings] == ["good"]
    assert len(sweep.silent) == 3


def test_a_sweep_without_time_asks_nobody(site: Site) -> None:
    source, servers = site.source({"n1": answering(page(gpu()))})
    sweep = source.read((), 0.0)
    assert sweep.silent == {"n1": "no time was left for it"}
    assert servers["n1"].requests == []


def wants_token(connection: socket.socket, request: bytes) -> bool:
    if b"Authorization: Bearer right" in request.split(b"\r\n"):
        return bool(answering(page(gpu()))(connection, request))
    connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    return True


def test_a_wrong_token_is_denied_and_a_new_one_is_read(site: Site) -> None:
    env = {"TOKEN": "wrong-sentinel"}
    source, _ = site.source({"n1": wants_token}, env=env, credential_env="TOKEN")
    sweep = source.read((), 10)
    assert (sweep.source.state, sweep.silent) == (
        SourceState.DENIED,
        {"n1": "the token is refused (401)"},
    )
    assert "sentinel" not in repr((source, sweep, source.probe(())))
    env["TOKEN"] = "right"
    assert [line.state for line in source.probe(())] == ["ok"]
    assert source.read((), 10).source.state is SourceState.OK


def test_a_token_that_cannot_be_had_or_sent_is_denied(site: Site) -> None:
    for env, words in (({}, "$TOKEN"), ({"TOKEN": "a\r\nX: b"}, "cannot be one")):
        source, servers = site.source({"n1": wants_token}, env=env, credential_env="TOKEN")
        sweep = source.read((), 10)
        assert sweep.source.state is SourceState.DENIED
        assert words in (sweep.source.reason or "")
        assert servers["n1"].requests == []


def test_no_proxy_of_the_environment_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    source, _ = site.source({"n1": answering(page(gpu()))})
    assert source.read((), 10).silent == {}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


def served_by(cert: Path, key: Path, *, client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


@pytest.mark.parametrize("expired", [False, True])
def test_a_certificate_counts_while_it_is_valid(
    site: Site, authority: Authority, expired: bool
) -> None:
    context = served_by(*authority.sign("expired" if expired else "valid", expired=expired))
    source, _ = site.source({"n1": answering(page(gpu()))}, context=context, ca_file=authority.ca)
    sweep = source.read((), 10)
    if expired:
        assert "certificate has expired" in sweep.silent["n1"]
        assert sweep.source.state is SourceState.DOWN
        assert "renew" in (source.probe(())[1].mend or "")
    else:
        assert len(sweep.readings) == 1


def test_a_certificate_of_somebody_else_is_not_trusted(site: Site, authority: Authority) -> None:
    context = served_by(*authority.sign("other"))
    source, servers = site.source({"n1": answering(page(gpu()))}, context=context)
    assert "is not trusted" in source.read((), 10).silent["n1"]
    assert servers["n1"].requests == []


def test_a_node_may_ask_for_our_certificate(site: Site, authority: Authority) -> None:
    context = served_by(*authority.sign("mutual"), client_ca=authority.ca)
    cert, key = authority.sign("client")
    key.chmod(0o600)
    handlers = {"n1": answering(page(gpu()))}
    with_cert, _ = site.source(
        handlers, context=context, ca_file=authority.ca, client_cert=cert, client_key=key
    )
    assert len(with_cert.read((), 10).readings) == 1
    without, _ = site.source(handlers, context=context, ca_file=authority.ca)
    assert without.read((), 10).readings == ()
    key.chmod(0o644)
    readable, _ = site.source(
        handlers, context=context, ca_file=authority.ca, client_cert=cert, client_key=key
    )
    assert "mode 0600" in (readable.read((), 10).source.reason or "")


def test_a_clock_that_is_ten_minutes_off_is_said(site: Site) -> None:
    body = page(gpu(host="n1"), at=AT + timedelta(minutes=10))
    source, _ = site.source({"n1": answering(body)})
    sweep = source.read((), 10)
    assert "the node's clock is 10 min ahead" in sweep.readings[0].how
    assert sweep.readings[0].read_at == AT.replace(second=0)
    assert sweep.source.reason == "1 of 1 agents; 1 node has a clock that differs"


def test_the_clock_of_an_exporter_is_its_date_header(site: Site) -> None:
    late = format_datetime(AT - timedelta(minutes=10), usegmt=True)
    source, _ = site.source(
        {"n1": answering(gpu(host="n1").encode(), f"Date: {late}")}, kind="dcgm"
    )
    sweep = source.read((), 10)
    assert "the node's clock is 10 min behind" in sweep.readings[0].how
    assert sweep.readings[0].read_at == AT


def changing(*bodies: bytes) -> Handler:
    """One page after the other; the last one stays."""
    left = list(bodies)
    return answering(lambda: left.pop(0) if len(left) > 1 else left[0])


def test_a_gpu_that_vanishes_between_two_sweeps_is_lost(site: Site) -> None:
    source, _ = site.source({"n1": changing(page(gpu(0), gpu(1)), page(gpu(0)))})
    assert len(source.read((), 10).readings) == 2
    site.now = AT + timedelta(minutes=2)
    first, lost = source.read((), 10).readings
    assert (first.util_pct, first.faults) == (50, ())
    assert (lost.index, lost.util_pct, lost.uuid) == (1, None, "GPU-node1-1")
    assert [fault.kind for fault in lost.faults] == [FaultKind.LOST]
    assert lost.reason == "the node lists it no more; it was last seen 2 min ago"
    site.now = AT + timedelta(hours=2)
    assert len(source.read((), 10).readings) == 1


def test_a_gpu_with_a_new_index_is_not_lost(site: Site) -> None:
    renumbered = page(gpu(0, uuid="GPU-b"), gpu(1, uuid="GPU-a"))
    source, _ = site.source(
        {"n1": changing(page(gpu(0, uuid="GPU-a"), gpu(2, uuid="GPU-b")), renumbered)}
    )
    source.read((), 10)
    assert [(r.index, r.uuid, r.faults) for r in source.read((), 10).readings] == [
        (0, "GPU-b", ()),
        (1, "GPU-a", ()),
    ]


def test_mig_that_is_cut_anew_between_two_sweeps(site: Site) -> None:
    def cut(*instances: tuple[int, str]) -> bytes:
        key = 'gpu="0",UUID="GPU-1",Hostname="n1"'
        labels = (f'{{{key},GPU_I_ID="{gi}",GPU_I_PROFILE="{name}"}}' for gi, name in instances)
        return page(*(f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{one} 0.5\n" for one in labels))

    source, _ = site.source(
        {"n1": changing(cut((1, "3g.40gb"), (2, "3g.40gb")), cut((1, "7g.80gb")), page(gpu()))}
    )
    got = [source.read((), 10).readings[0] for _ in range(3)]
    assert [[(i.gi, i.profile) for i in reading.instances] for reading in got] == [
        [(1, "3g.40gb"), (2, "3g.40gb")],
        [(1, "7g.80gb")],
        [],
    ]
    assert [reading.mig for reading in got] == [True, True, False]


def test_a_node_that_was_renamed_keeps_the_schedulers_name(site: Site) -> None:
    source, _ = site.source({"new": answering(page(gpu(host="old")))})
    (reading,) = source.read((), 10).readings
    assert (reading.node, reading.how) == ("new", "foundry agent; the node calls itself old")


def test_two_targets_that_tell_of_one_gpu_are_not_added_up(site: Site) -> None:
    body = page(gpu(uuid="GPU-same"))
    source, _ = site.source({"a": answering(body), "b": answering(body)})
    sweep = source.read((), 10)
    assert len(sweep.readings) == 1
    assert sweep.source.reason == "2 of 2 agents; 1 GPU is told of by two targets"


def test_lines_that_were_left_out_are_said(site: Site) -> None:
    forged = 'DCGM_FI_DEV_GPU_UTIL{gpu="7",hpc_job="1"} 99\n"} 5\n'
    source, _ = site.source({"n1": answering(page(gpu(), forged))})
    sweep = source.read((), 10)
    assert "1 node has lines that are left out (malformed)" in (sweep.source.reason or "")


def test_no_number_is_no_value(site: Site) -> None:
    source, _ = site.source({"n1": answering(page(gpu(0, "NaN"), gpu(1, "+Inf")))})
    assert [reading.util_pct for reading in source.read((), 10).readings] == [None, None]


def test_an_agent_without_gpus_says_why(site: Site) -> None:
    problem = 'foundry_agent_problem_info{problem="nvml",reason="no driver is loaded"} 1\n'
    source, _ = site.source({"n1": answering(page(problem))})
    assert source.read((), 10).silent == {"n1": "the agent has nothing fresh: no driver is loaded"}


def test_a_bad_list_or_an_empty_one_is_told(site: Site) -> None:
    source, _ = site.source({})
    assert source.read((), 10).source.state is SourceState.OFF
    (site.folder / "targets.json").write_text("{")
    sweep = source.read((), 10)
    assert (sweep.source.state, sweep.source.reason) == (
        SourceState.DOWN,
        f"targets_file {site.folder / 'targets.json'} is not JSON",
    )
    assert source.probe(())[0].state == "down"


def test_a_token_without_tls_is_remarked_on() -> None:
    config = TelemetryConfig(
        name="t", kind="agents", url="http://{node}.invalid:1", credential_env="TOKEN", timeout_s=1
    )
    source = NodesSource(config, env={"TOKEN": "secret"}, clock=lambda: AT)
    try:
        found = source.probe(["n1"])
    finally:
        source.close()
    assert "without TLS" in found[-1].found
    assert "https://" in (found[-1].mend or "")
