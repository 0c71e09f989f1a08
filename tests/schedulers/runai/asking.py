"""A bare client of the fake: every answer and every request passes the judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx

from foundry_tui.schedulers.runai.fake import FakeRunai
from tests.schedulers.runai.openapi import judge, judge_request

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CREDENTIALS = {
    "grantType": "client_credentials",
    "clientID": FakeRunai.client_id,
    "clientSecret": FakeRunai.client_secret,
}
VISION, NLP, UNICODE = "4500033", "4500034", "4500035"


def still() -> FakeRunai:
    """A fake whose time passes only when it is told to."""
    return FakeRunai(clock=lambda: NOON)


@dataclass(slots=True)
class Client:
    """One HTTP client that is logged in."""

    fake: FakeRunai
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.fake.url, timeout=10, verify=False)

    def __enter__(self) -> Self:
        self.login()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.http.close()

    def login(self) -> None:
        """Take a new token."""
        token = self.ask("POST", "/api/v1/token", body=CREDENTIALS)["accessToken"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def ask(
        self, method: str, path: str, status: int = 200, *, body: Any = None, **query: Any
    ) -> Any:
        """The JSON of an answer of this status."""
        answer = self.http.request(method, path, json=body, params=query)
        parsed = answer.json()
        assert answer.status_code == status, parsed
        assert judge(method, path, status, parsed) == []
        if status < 300:
            assert judge_request(method, path, body, answer.request.url.query.decode()) == []
        return parsed

    def create(
        self, name: str = "job", *, kind: str = "trainings", status: int = 202, **spec: Any
    ) -> Any:
        """Create a workload in the project `project` (default vision); the answer."""
        body = {
            "name": name,
            "projectId": spec.pop("project", VISION),
            "clusterId": self.fake.cluster_id,
            "spec": {"image": "python:3.12", **spec},
        }
        return self.ask("POST", f"/api/v1/workloads/{kind}", status, body=body)

    def workload(self, key: str) -> Any:
        """One workload in full."""
        return self.ask("GET", f"/api/v1/workloads/{key}")

    def names(self, **query: Any) -> list[str]:
        """The names in the list of workloads."""
        return [w["name"] for w in self.ask("GET", "/api/v1/workloads", **query)["workloads"]]


def gpus(devices: int, portion: float | None = None) -> dict[str, object]:
    """The `compute` of a spec."""
    if portion is None:
        return {"gpuDevicesRequest": devices}
    return {
        "gpuDevicesRequest": devices,
        "gpuRequestType": "portion",
        "gpuPortionRequest": portion,
    }
