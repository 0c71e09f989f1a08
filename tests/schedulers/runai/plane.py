"""A control plane of a few fixed answers, where a test says what each address answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from foundry_tui.config.sources import RunaiConfig
from foundry_tui.schedulers.runai.adapter import RunaiAdapter

Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECRET = "s3cr3t-of-the-key"
TOKEN = "t0k3n-of-the-login"
CLUSTER = "71f69d83-ba66-4822-adf5-55ce55efd210"

RULES = {
    "accessRules": {
        "totalRecords": 1,
        "displayRecords": 1,
        "accessRules": [
            {
                "subjectId": "me@x.org",
                "subjectType": "user",
                "roleName": "L1 researcher",
                "scopeType": "project",
                "scopeId": "1",
                "scopeName": "team-a",
            }
        ],
    }
}
PROJECT = {
    "id": "1",
    "name": "team-a",
    "clusterId": CLUSTER,
    "parentId": "9",
    "resources": [{"nodePool": {"id": "22", "name": "a100"}, "gpu": {"deserved": 4, "limit": -1}}],
}


class Plane:
    """Answers by `METHOD /path`; a list is used up one by one, its last answer stays.

    `asked` are the requests that arrived, without those for tokens; `logins` counts those.
    """

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.logins = 0
        self.paused: list[float] = []
        self.answers: dict[str, Answer | list[Answer]] = {
            "POST /api/v2/token": self._token,
            "GET /api/v1/clusters": reply([{"uuid": CLUSTER, "name": "gpu", "version": "2.24"}]),
            "GET /api/v1/org-unit/projects": reply({"projects": [PROJECT]}),
            "GET /api/v1/org-unit/departments": reply({"departments": []}),
            "GET /api/v1/authorization/me/access-rules": reply(RULES),
            "GET /api/v1/workloads": reply({"workloads": []}),
            "GET /api/v1/workloads/pods": reply({"pods": []}),
            "GET /api/v1/nodes": reply({"nodes": []}),
        }

    def _token(self, request: httpx.Request) -> httpx.Response:
        self.logins += 1
        return reply({"access_token": f"{TOKEN}-{self.logins}", "expires_in": 3600})

    def handle(self, request: httpx.Request) -> httpx.Response:
        key = f"{request.method} {request.url.path}"
        if "/token" not in key:
            self.asked.append(request)
        answer = self.answers.get(key, reply({"code": 404, "message": "no such page"}, 404))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return _streamed(answer(request) if callable(answer) else answer)

    def adapter(self, tmp_path: Path, **more: Any) -> RunaiAdapter:
        """An adapter with an access key."""
        file = tmp_path / "key"
        file.write_text(SECRET)
        file.chmod(0o600)
        told: dict[str, Any] = {"client_id": "key", "credential_file": file, **more}
        config = RunaiConfig(name="r", url="https://runai.test", **told)
        return RunaiAdapter(
            config,
            env={},
            clock=lambda: NOW,
            transport=httpx.MockTransport(self.handle),
            pause=self.paused.append,
        )

    def count(self, method: str, path: str) -> int:
        """How often an address was asked."""
        return sum(r.method == method and r.url.path == path for r in self.asked)


def _streamed(answer: httpx.Response) -> httpx.Response:
    """The answer as it comes from a network: not read yet, and to be read once."""
    stream = httpx.ByteStream(answer.content)
    return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)


def reply(body: object, status: int = 200, **headers: str) -> httpx.Response:
    """A JSON answer."""
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    told = {"content-type": "application/json", **more}
    return httpx.Response(status, content=json.dumps(body).encode(), headers=told)


def words(text: str, status: int, kind: str = "text/plain") -> httpx.Response:
    """An answer that is no JSON."""
    return httpx.Response(status, content=text.encode(), headers={"content-type": kind})
