"""A small registry on loopback that speaks the token flow of the OCI distribution API."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MANIFEST = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
TOKEN = "anonymous-pull-only"


@dataclass
class Stand:
    """What it does, and every request that it was sent: method, path, headers."""

    wants_token: bool = True
    tells_digest: bool = True
    status: int = 200
    delay_s: float = 0.0
    realm: str = ""
    challenge: str = ""
    token_body: bytes = b""
    location: str = ""
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    host: str = ""


def _handler(stand: Stand) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self) -> None:
            stand.seen.append((self.command, self.path, dict(self.headers.items())))
            if stand.delay_s:
                stand.gone.wait(stand.delay_s)
            parts = urlsplit(self.path)
            if parts.path == "/token":
                query = parse_qs(parts.query)
                right = query == {
                    "service": ["stand"],
                    "scope": ["repository:team/img:pull"],
                    "account": ["none"],
                }
                body = stand.token_body or json.dumps({"token": TOKEN}).encode()
                self._send(200 if right else 400, body, {})
            elif stand.wants_token and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                realm = stand.realm or f"http://{stand.host}/token?account=none"
                scope = "repository:team/img:pull"
                asks = f'Bearer realm="{realm}",service="stand",scope="{scope}"'
                self._send(401, b"{}", {"WWW-Authenticate": stand.challenge or asks})
            elif stand.location:
                self._send(307, b"", {"Location": stand.location})
            elif parts.path != "/v2/team/img/manifests/1.0" or stand.status != 200:
                self._send(404 if stand.status == 200 else stand.status, b"{}", {})
            else:
                told = {"Docker-Content-Digest": DIGEST} if stand.tells_digest else {}
                self._send(200, MANIFEST, told)

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Set-Cookie", "id=1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


@contextmanager
def served(stand: Stand) -> Iterator[Stand]:
    """The registry on a free port of loopback, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand)) as server:
        server.daemon_threads = True
        stand.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield stand
        finally:
            stand.gone.set()
            server.shutdown()
            thread.join()
