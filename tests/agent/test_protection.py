"""Who may read the page of a running agent, and that nobody can keep others from reading."""

from __future__ import annotations

import http.client
import signal
import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest

from foundry_tui.agent.serving.http import CONNECTIONS
from tests.agent.certificates import Authority
from tests.agent.service import GPU, POLITE_S, Page, Service, serving, until
from tests.lab.nvml.stub import StubHost

TOKEN = "a-token-for-the-test-0123456789"
NEXT = "another-token-for-the-test-0123"


def token_file(folder: Path, text: str = TOKEN) -> str:
    path = folder / "token"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def trusting(authority: Authority, *own: Path) -> ssl.SSLContext:
    """A reader that trusts the authority and shows a certificate of its own, if it has one."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    if own:
        context.load_cert_chain(*map(str, own))
    return context


def certificates(authority: Authority, name: str = "server", expired: bool = False) -> list[str]:
    cert, key = authority.sign(name, expired=expired)
    return ["--tls-cert", str(cert), "--tls-key", str(key)]


def test_a_token_is_asked_for(host: StubHost, tmp_path: Path) -> None:
    host.says(GPU, "process 0 1 500000")
    with serving(host.folder, "--token-file", token_file(tmp_path)) as service:
        for wrong in ("", "Bearer", f"Bearer {NEXT}", f"Basic {TOKEN}"):
            page = service.get(authorization=wrong)
            assert page.status == 401
            assert "DCGM" not in page.text
        assert service.get("/-/healthy").status == 200

        def read() -> Page | None:
            page = service.get(authorization=f"Bearer {TOKEN}")
            return page if page.values("DCGM_FI_DEV_GPU_UTIL") else None

        found = until(read, pause_s=POLITE_S)
        assert found is not None
        assert len(found.labels("foundry_gpu_job_info")) == 1, "runs are told to who may read"


def test_the_token_stands_nowhere(host: StubHost, tmp_path: Path) -> None:
    host.says(GPU)
    with serving(host.folder, "--token-file", token_file(tmp_path)) as service:
        service.get(authorization=f"Bearer {TOKEN}")
        service.get(authorization=f"Bearer {TOKEN}x")
        child = service.another_child()
        for pid in (service.process.pid, child):
            for name in ("cmdline", "environ"):
                assert TOKEN.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        assert TOKEN not in service.said()


def test_runs_are_not_told_to_everybody(host: StubHost) -> None:
    host.says(GPU, "process 0 1 500000")
    with serving(host.folder) as service:
        assert service.page_with("DCGM_FI_DEV_GPU_UTIL").labels("foundry_gpu_job_info") == []
    with serving(host.folder, "--jobs") as service:
        service.page_with("foundry_gpu_job_info")


def test_sighup_reads_the_token_anew(host: StubHost, tmp_path: Path) -> None:
    host.says(GPU)
    with serving(host.folder, "--token-file", token_file(tmp_path)) as service:
        token_file(tmp_path, NEXT)
        assert service.get(authorization=f"Bearer {TOKEN}").status == 200
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "read anew" in service.said())
        assert service.get(authorization=f"Bearer {NEXT}").status == 200
        assert service.get(authorization=f"Bearer {TOKEN}").status == 401
        token_file(tmp_path, "short")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "stay in force" in service.said())
        assert service.get(authorization=f"Bearer {NEXT}").status == 200


def test_tls(host: StubHost, authority: Authority) -> None:
    host.says(GPU)
    with serving(host.folder, *certificates(authority)) as service:
        assert "listening on https://" in service.said()
        assert service.get(tls=trusting(authority)).status == 200
        with pytest.raises(ssl.SSLError):
            service.get(tls=ssl.create_default_context())
        with pytest.raises((OSError, http.client.HTTPException)):
            service.get()
        old = trusting(authority)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            service.get(tls=old)
        assert "Traceback" not in service.said()


def test_sighup_reads_the_certificate_anew(host: StubHost, authority: Authority) -> None:
    host.says(GPU)
    args = certificates(authority, expired=True)
    with serving(host.folder, *args) as service:
        with pytest.raises(ssl.SSLError, match="expired"):
            service.get(tls=trusting(authority))
        certificates(authority)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "read anew" in service.said())
        assert service.get(tls=trusting(authority)).status == 200


def test_readers_show_a_certificate(host: StubHost, authority: Authority) -> None:
    host.says(GPU)
    mtls = (*certificates(authority), "--client-ca", str(authority.ca))
    with serving(host.folder, *mtls) as service:
        reader = authority.sign("reader")
        assert service.get(tls=trusting(authority, *reader)).status == 200
        for wrong in ((), authority.sign("old", expired=True)):
            with pytest.raises(OSError):
                service.get(tls=trusting(authority, *wrong))
        assert service.get(tls=trusting(authority, *reader)).status == 200
        assert "Traceback" not in service.said()


def slow(service: Service) -> socket.socket:
    """A reader that sends the head of its request and never ends it."""
    sock = socket.create_connection(("127.0.0.1", service.port))
    sock.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
    return sock


@pytest.mark.parametrize("protected", [False, True])
def test_slow_readers_do_not_block_others(
    host: StubHost, authority: Authority, protected: bool
) -> None:
    host.says(GPU)
    args = certificates(authority) if protected else []
    tls = trusting(authority) if protected else None
    with serving(host.folder, *args) as service:
        held = [slow(service) for _ in range(30)]
        for _ in range(5):
            assert service.get("/-/healthy", tls).status == 200
            held.append(slow(service))
        for sock in held:
            sock.close()


def test_readers_that_never_end_their_tls_keep_nobody_out(
    host: StubHost, authority: Authority
) -> None:
    """They have their answer and do not say goodbye: the server waits for that at most so long."""
    host.says(GPU)
    tls = trusting(authority)
    with serving(host.folder, *certificates(authority)) as service, ExitStack() as held:
        for _ in range(2 * CONNECTIONS):
            plain = socket.create_connection(("127.0.0.1", service.port))
            sock = held.enter_context(tls.wrap_socket(plain, server_hostname="127.0.0.1"))
            sock.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
            assert sock.recv(15) == b"HTTP/1.1 200 OK"
        assert service.get("/-/healthy", tls).status == 200


def test_a_reader_that_says_nothing_is_left(host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder) as service, slow(service) as sock:
        sock.settimeout(30.0)
        assert sock.recv(1000) == b""


def test_a_head_without_end_is_refused(host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder) as service, slow(service) as sock:
        sock.settimeout(30.0)
        sock.sendall(b"x" * 20_000)
        assert sock.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_too_many_requests_are_refused(host: StubHost) -> None:
    host.says(GPU)
    with serving(host.folder) as service:
        until(lambda: service.get("/-/healthy").status == 429, pause_s=0.0)
        until(lambda: service.get("/-/healthy").status == 200, pause_s=POLITE_S)
